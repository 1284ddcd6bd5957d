"""The WebSocket endpoints: from a checked handshake to a connection of the core."""

from collections.abc import Callable
from typing import Final

from aiohttp import web

from wsserver.connections.newcomer import Newcomer
from wsserver.errors import BACKPRESSURE, CONNECTION_LIMIT
from wsserver.protocol.encoding import BINARY_PROTOCOL, JSON
from wsserver.service import Service
from wsserver.settings import Settings
from wsserver.web.client_address import client_of, limit_key
from wsserver.web.gate import Gate, GateLimits
from wsserver.web.handshake import Handshake, HandshakeRules, check_handshake, response_head
from wsserver.web.refusal import HandshakeRefused
from wsserver.web.takeover import Handed, take_over
from wsserver_core.connection import Connection

MOST_RETURNING: Final = 50
"""Newcomers at a time of whom it is not known, during an overload, whether they come back."""


class Endpoint:
    """``/ws/connect`` and, in development, ``/ws/echo``."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._settings = settings = service.settings
        self.rules = HandshakeRules.of(settings.server, settings.auth)
        self.gate = Gate(_gate_limits(settings), service.clock)

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """``GET /ws/connect``. Raises HandshakeRefused; faults after the upgrade go over the socket."""
        service = self._service
        handshake, leave = self._enter(request)
        try:
            await service.admission.turnstile.passed()
            if handshake.token is None:
                self._check_newcomers()
            else:
                # Only the first frame can say that a client comes back.
                self._check_accepting()
            # The credentials first: after the upgrade there is nothing left to wait for.
            outcome = None if handshake.token is None else await service.admission.check(handshake.token)
            encoding = service.manager.binary if handshake.protocol == BINARY_PROTOCOL else JSON
            connection = Connection(service.inlet, service.newcomer_limits, binary=encoding.is_binary)
            newcomer = Newcomer(connection, encoding, leave)
            connection.owner = newcomer
            leftover = self._upgrade(request, connection, handshake)
        except BaseException:
            leave()
            raise
        if outcome is None:
            service.admission.expect(newcomer)
        else:
            service.admission.admit(
                newcomer,
                outcome,
                user_id=handshake.user_id,
                role=handshake.role,
                patient_id=handshake.patient_id,
                subscriptions=handshake.subscriptions,
            )
        if leftover:
            connection.feed(leftover)
        return Handed()

    async def echo(self, request: web.Request) -> web.StreamResponse:
        """``GET /ws/echo``: every message back, through the same reader, encoder and send path."""
        service = self._service
        handshake, leave = self._enter(request)
        try:
            connection = Connection(service.echo_inlet, service.read_limits, leave)
            leftover = self._upgrade(request, connection, handshake)
        except BaseException:
            leave()
            raise
        service.health.watch(connection)
        if leftover:
            connection.feed(leftover)
        return Handed()

    def _check_accepting(self) -> None:
        if not self._service.manager.accepting:
            raise HandshakeRefused(BACKPRESSURE, retry_after=self.gate.limits.retry_after)

    def _may_return(self) -> bool:
        """Whether somebody may come in who may turn out to come back, while all others are refused."""
        service = self._service
        return service.manager.may_return and len(service.admission) < MOST_RETURNING

    def _check_newcomers(self) -> None:
        """Those who have proved nothing must not take the places of those who have."""
        limit = self._settings.connection.max_unauthenticated
        if len(self._service.admission) >= limit:
            raise HandshakeRefused(CONNECTION_LIMIT, details={"scope": "unauthenticated"}, retry_after=5.0)

    def _check_descriptor(self, request: web.Request) -> None:
        """The last descriptors are for REST calls and files, whoever has used up the others."""
        transport, room = request.transport, self._service.overload.signals.descriptors
        if transport is None:
            return
        if transport.get_extra_info("socket").fileno() >= room.client_ceiling:
            raise HandshakeRefused(CONNECTION_LIMIT, details={"scope": "descriptors"}, retry_after=5.0)

    def _enter(self, request: web.Request) -> tuple[Handshake, Callable[[], None]]:
        """Take a place and check the form of the request; the cheapest refusals come first."""
        if self._settings is not self._service.settings:
            self._settings = settings = self._service.settings
            self.rules = HandshakeRules.of(settings.server, settings.auth)
            self.gate.limits = _gate_limits(settings)
        self._check_descriptor(request)
        client = client_of(request, self.rules.trusted_proxies)
        self.gate.draining = self._service.draining
        self.gate.accepting = self._service.manager.accepting or self._may_return()
        admission = self.gate.enter(limit_key(client.address))
        try:
            return check_handshake(request, self.rules, client), admission
        except BaseException:
            admission.leave()
            raise

    def _upgrade(self, request: web.Request, connection: Connection, handshake: Handshake) -> bytes:
        return take_over(
            request,
            connection,
            response_head(handshake),
            send_buffer=self._service.settings.backpressure.send_buffer,
        )


def _gate_limits(settings: Settings) -> GateLimits:
    return GateLimits(
        max_open=settings.connection.max_connections + settings.connection.max_unauthenticated,
        max_open_per_address=settings.connection.max_per_ip,
        rate_per_address=settings.rate_limit.handshakes_per_ip,
        burst_per_address=settings.rate_limit.handshake_burst,
    )
