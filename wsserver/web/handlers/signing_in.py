"""``/ws/login`` and ``/ws/logout``: the sign-in of operators, for the status page."""

from ipaddress import ip_address
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web

from wsserver.access.tokens import MAX_TOKEN
from wsserver.errors import AUTHENTICATION_FAILED, INVALID_MESSAGE, RATE_LIMIT, ServerError
from wsserver.operators.password_hash import MAX_PASSWORD
from wsserver.operators.sign_in_sessions import Issued, SignInSession
from wsserver.service import Service
from wsserver.web.client_address import limit_key
from wsserver.web.operator_door import OperatorDoor
from wsserver.web.query import check_query
from wsserver.web.request_body import decode_body, read_body
from wsserver.web.responses import success

MAX_BODY: Final = 16 * 1024

UNKNOWN: Final = "unknown"
"""Who failed to sign in, where there is no such account: what was given may be a password."""


class LoginRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``POST /ws/login``: ``name`` and ``password``, or ``token``, or ``key``."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    password: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_PASSWORD)] | None = None
    token: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TOKEN)] | None = None
    key: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None

    def way(self) -> str:
        """``password``, ``token`` or ``key``; raises ServerError 1003 for none or several."""
        given = {name for name in self.__struct_fields__ if getattr(self, name) is not None}
        if given == {"name", "password"}:
            return "password"
        if given in ({"token"}, {"key"}):
            return given.pop()
        raise ServerError(INVALID_MESSAGE, "Give name and password, or token, or key.")


class SignInHandlers:
    """Handlers of the sign-in."""

    def __init__(self, service: Service, door: OperatorDoor) -> None:
        self._service = service
        self._door = door

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        """``POST /ws/login``: begin; the cookie comes with the answer. An earlier sign-in is replaced."""
        self._door.check_page(request)
        check_query(request)
        asked = decode_body(await read_body(request, MAX_BODY), LoginRequest)
        way, client = asked.way(), self._door.client(request)
        details: dict[str, Any] = {"by": way, "address": client.address}
        try:
            issued = await self._issue(request, asked, way, limit_key(client.address))
        except ServerError as error:
            # Tries that were not looked at are no news, and may come by the thousand.
            if error.kind is not RATE_LIMIT:
                self._service.audit.note(
                    "sign_in_refused",
                    actor=self._known(asked.name),
                    outcome="refused",
                    code=error.kind.code,
                    details=details,
                )
            raise
        earlier = self._door.signed_in(request)
        if earlier is not None:
            self._service.sign_in.sessions.end(earlier)
        operator = issued.session.operator
        self._door.note(operator, "sign_in", details=details)
        answer = success(self._told(issued.session))
        self._door.give_cookie(request, answer, issued.secret)
        return answer

    async def _issue(self, request: web.Request, asked: LoginRequest, way: str, address: str) -> Issued:
        desk = self._service.sign_in
        if way == "password":
            return await desk.with_password(asked.name or "", asked.password or "", address)
        if way == "token":
            return await desk.with_token(asked.token or "", address)
        return desk.with_key(asked.key or "", address, is_local=self._is_local(request))

    def _is_local(self, request: web.Request) -> bool:
        """Whether the client is on this machine, as far as can be told; what a proxy passes on is not."""
        if any(name in request.headers for name in ("X-Forwarded-For", "Forwarded", "Via")):
            return False
        address = self._door.client(request).address
        return bool(address) and ip_address(address).is_loopback

    async def who(self, request: web.Request) -> web.StreamResponse:
        """``GET /ws/login``: who is signed in, with the value that changes need; 401 for nobody."""
        check_query(request)
        session = self._door.signed_in(request)
        if session is None:
            raise ServerError(AUTHENTICATION_FAILED)
        self._door.check_page(request)
        return success(self._told(session))

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        """``POST /ws/logout``: the sign-in ends at once, the cookie with it."""
        session = self._door.require_own_page(request)
        check_query(request)
        self._service.sign_in.sessions.end(session)
        self._door.note(session.operator, "sign_out")
        answer = success({"signed_out": True})
        self._door.take_cookie(request, answer)
        return answer

    def _told(self, session: SignInSession) -> dict[str, Any]:
        operator = session.operator
        return {
            "name": operator.name,
            "role": operator.role,
            "scopes": sorted(operator.scopes),
            "csrf_token": session.csrf_token,
            "expires_in": round(self._service.sign_in.sessions.expires_in(session), 3),
        }

    def _known(self, name: str | None) -> str:
        """The name of an account, or what stands for any other."""
        return name if name is not None and self._service.sign_in.accounts.role(name) else UNKNOWN
