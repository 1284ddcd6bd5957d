"""``/ws/admin``: the WebSocket of the status page, and of whoever watches from a terminal."""

from dataclasses import replace
from typing import Final

from aiohttp import web

from wsserver.errors import ServerError
from wsserver.operators.operator import ADMIN_READ, Operator
from wsserver.protocol.encoding import JSON_PROTOCOL
from wsserver.service import Service
from wsserver.status.viewers import Viewers
from wsserver.web.client_address import limit_key
from wsserver.web.gate import Gate, GateLimits
from wsserver.web.handshake import HandshakeRules, check_handshake, response_head
from wsserver.web.operator_door import OperatorDoor
from wsserver.web.refusal import HandshakeRefused
from wsserver.web.takeover import Handed, take_over

UNAUTHENTICATED: Final = 401


class StatusEndpoint:
    """Lets operators in, into places of their own; nobody else gets as far as a socket."""

    def __init__(self, service: Service, door: OperatorDoor, viewers: Viewers) -> None:
        self._service = service
        self._door = door
        self._viewers = viewers
        self._gate = Gate(GateLimits(max_open=viewers.limit), service.clock)

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """``GET /ws/admin``. Raises HandshakeRefused.

        There is no look at whether the server accepts anybody: an operator is needed most when it does
        not.
        """
        operator = await self._operator(request)
        client = self._door.client(request)
        handshake = check_handshake(request, self._rules(), client)
        self._gate.limits = GateLimits(max_open=self._viewers.limit)
        leave = self._gate.enter(limit_key(client.address))
        try:
            connection = self._viewers.receive(leave)
            leftover = take_over(
                request,
                connection,
                response_head(handshake),
                send_buffer=self._service.settings.backpressure.send_buffer,
            )
        except BaseException:
            leave()
            raise
        self._viewers.welcome(connection, operator)
        if leftover:
            connection.feed(leftover)
        return Handed()

    async def _operator(self, request: web.Request) -> Operator:
        """Who is asking. What is refused ends the connection, as bytes of a WebSocket may follow."""
        try:
            return await self._door.require_socket(request, ADMIN_READ)
        except ServerError as error:
            raise HandshakeRefused(
                error.kind,
                error.message,
                http_status=error.http_status,
                headers={"WWW-Authenticate": "Bearer"} if error.http_status == UNAUTHENTICATED else None,
                details=error.details,
                retry_after=None if error.retry_after_ms is None else error.retry_after_ms / 1000,
            ) from None

    def _rules(self) -> HandshakeRules:
        settings = self._service.settings
        rules = HandshakeRules.of(settings.server, settings.auth, (JSON_PROTOCOL,))
        return replace(rules, allow_query_token=False)
