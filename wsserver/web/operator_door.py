"""Who is asking about the server, or acting on it: the bearer of a token, or a page with a cookie.

A browser sends cookies along whichever page caused the request. So a cookie counts only for requests
that our own page makes, and what changes anything needs a value that no other page can read.
"""

import hmac
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import hdrs, web

from wsserver.errors import AUTHENTICATION_FAILED, PERMISSION_DENIED, ErrorKind, ServerError
from wsserver.operators.masking import mask_document
from wsserver.operators.operator import ADMIN_WRITE, Operator
from wsserver.operators.sign_in_sessions import SignInSession
from wsserver.service import Service
from wsserver.web.bearer import Bearer
from wsserver.web.client_address import Client, client_of, parse_networks
from wsserver.web.origin import is_own_origin
from wsserver.web.query import asked_flag

PLAIN_COOKIE: Final = "wsserver_operator"
SECURE_COOKIE: Final = f"__Host-{PLAIN_COOKIE}"
"""Its name over TLS: browsers take it from this host alone, for all of its paths, and never in clear."""

CSRF_HEADER: Final = "X-CSRF-Token"

_SAFE_METHODS: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})
_OWN_SITE: Final = frozenset({"same-origin", "none"})
"""``Sec-Fetch-Site`` of our own page, and of an address that somebody typed."""


class OperatorDoor:
    """Lets operators in: with ``Authorization: Bearer``, or with the cookie of their sign-in."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._bearer = Bearer(service)

    async def require(self, request: web.Request, scope: str) -> Operator:
        """Who is asking, if they have the scope.

        A request that brings a token is judged by that alone. Raises ServerError 1001 (401) without a
        token or cookie that counts, 1010 (429) when somebody asks too often, 1011 (403) without the
        scope, and the same for a cookie with a request that another page may have caused.
        """
        if hdrs.AUTHORIZATION in request.headers:
            return Operator.of_token(await self._bearer.require(request, scope))
        session = self.signed_in(request)
        if session is None:
            raise ServerError(AUTHENTICATION_FAILED)
        operator = session.operator
        self._service.rates.take_request(f"operator:{operator.name}")
        if scope not in operator.scopes or not self._is_ours(request, session):
            raise ServerError(PERMISSION_DENIED, details={"scope": scope})
        return operator

    async def require_socket(self, request: web.Request, scope: str) -> Operator:
        """The same for the handshake of a WebSocket, which browsers do not keep within a page's origin.

        A cookie counts only with an ``Origin`` that is this server's own.
        """
        operator = await self.require(request, scope)
        if operator.is_signed_in and not self._has_own_origin(request, required=True):
            raise ServerError(PERMISSION_DENIED, details={"scope": scope})
        return operator

    def signed_in(self, request: web.Request) -> SignInSession | None:
        """The sign-in whose cookie came along, which counts as used now; None without one."""
        secret = self._secret(request)
        return None if secret is None else self._service.sign_in.sessions.find(secret)

    def require_own_page(self, request: web.Request) -> SignInSession:
        """The sign-in behind a request that our own page made; raises ServerError 1001 or 1011."""
        session = self.signed_in(request)
        if session is None:
            raise ServerError(AUTHENTICATION_FAILED)
        if not self._is_ours(request, session):
            raise ServerError(PERMISSION_DENIED)
        return session

    def check_page(self, request: web.Request) -> None:
        """Raise ServerError 1011 for a request that a page of another origin caused."""
        if not self._is_same_site(request) or not self._has_own_origin(request, required=False):
            raise ServerError(PERMISSION_DENIED)

    def client(self, request: web.Request) -> Client:
        """Who is at the other end of a request."""
        return client_of(request, parse_networks(self._service.settings.server.trusted_proxies))

    def reveals(self, request: web.Request, operator: Operator, **subject: str | None) -> bool:
        """Whether ids are to be shown whole: to tokens always, to a page when it asks for it.

        That needs the scope ``admin:write``, else ServerError 1011 is raised, and is noted in the
        audit with its ``subject``: a ``connection_id`` or ``patient_id``.
        """
        wanted = asked_flag(request, "reveal")
        if not operator.is_signed_in:
            return True
        if not wanted:
            return False
        allowed = ADMIN_WRITE in operator.scopes
        resource = request.match_info.route.resource
        self.note(
            operator,
            "reveal",
            refused=None if allowed else PERMISSION_DENIED,
            details={"route": "" if resource is None else resource.canonical},
            **subject,
        )
        if not allowed:
            raise ServerError(PERMISSION_DENIED, details={"scope": ADMIN_WRITE})
        return True

    def sight(self, request: web.Request, operator: Operator, **subject: str | None) -> Callable[[Any], Any]:
        """How an answer is shown: as it is, or with the ids of people masked; see ``reveals``."""
        return _whole if self.reveals(request, operator, **subject) else mask_document

    def note(
        self,
        operator: Operator,
        action: str,
        *,
        connection_id: str | None = None,
        patient_id: str | None = None,
        refused: ErrorKind | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Put down in the access audit what an operator did, or why it was ``refused``."""
        self._service.audit.note(
            action,
            actor=operator.name,
            role=operator.acting_as,
            connection_id=connection_id,
            patient_id=patient_id,
            right=operator.by,
            outcome="allowed" if refused is None else "refused",
            code=None if refused is None else refused.code,
            details=details,
        )

    # -- cookies

    def give_cookie(self, request: web.Request, answer: web.StreamResponse, secret: str) -> None:
        """Have the browser keep a sign-in until it is closed or signed out."""
        name, secure = self._cookie(request)
        answer.set_cookie(name, secret, path="/", httponly=True, samesite="Strict", secure=secure)

    def take_cookie(self, request: web.Request, answer: web.StreamResponse) -> None:
        """Have the browser forget it."""
        name, secure = self._cookie(request)
        answer.set_cookie(name, "", max_age=0, path="/", httponly=True, samesite="Strict", secure=secure)

    def _cookie(self, request: web.Request) -> tuple[str, bool]:
        secure = self.client(request).scheme == "https"
        return SECURE_COOKIE if secure else PLAIN_COOKIE, secure

    def _secret(self, request: web.Request) -> str | None:
        """The one cookie of ours; None for several: only one of them can be the one that we gave."""
        name, _ = self._cookie(request)
        values = [
            value
            for header in request.headers.getall(hdrs.COOKIE, [])
            for pair in header.split(";")
            for found, _, value in [pair.strip(" \t").partition("=")]
            if found == name
        ]
        return values[0] if len(values) == 1 else None

    # -- whose page

    def _is_ours(self, request: web.Request, session: SignInSession) -> bool:
        """Whether our own page made this request, as far as it has to prove that."""
        if not self._is_same_site(request):
            return False
        changes = request.method not in _SAFE_METHODS
        if not self._has_own_origin(request, required=changes):
            return False
        if not changes:
            return True
        given = request.headers.getall(CSRF_HEADER, [])
        return len(given) == 1 and hmac.compare_digest(
            given[0].encode("utf-8", "surrogateescape"), session.csrf_token.encode()
        )

    def _is_same_site(self, request: web.Request) -> bool:
        return all(site in _OWN_SITE for site in request.headers.getall("Sec-Fetch-Site", []))

    def _has_own_origin(self, request: web.Request, *, required: bool) -> bool:
        origins = request.headers.getall(hdrs.ORIGIN, [])
        if not origins:
            return not required
        hosts = request.headers.getall(hdrs.HOST, [])
        scheme = self.client(request).scheme
        return len(origins) == len(hosts) == 1 and is_own_origin(origins[0], scheme, hosts[0])


def _whole(answer: Any) -> Any:
    return answer
