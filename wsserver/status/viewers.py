"""The connections to ``/ws/admin``: a small server of its own, beside the one that they look at.

It has its own places, queues and limits, so that it goes on when the other is full, overloaded or sends
its clients away, and counts in none of its figures. Nothing in it is kept, and nobody in it may publish.
"""

import asyncio
import hmac
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec.structs import replace

from wsserver.access.principal import Principal
from wsserver.access.refusal import AuthenticationFailed, Reason
from wsserver.access.roles import RoleRights
from wsserver.connection_manager import NEVER, ConnectionManager
from wsserver.connections.admission import Admission
from wsserver.connections.client_sink import ClientSink
from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.connections.newcomer import Newcomer
from wsserver.errors import AUTHENTICATION_FAILED, PERMISSION_DENIED, CloseCode, ServerError
from wsserver.message_router import MessageRouter
from wsserver.operators.operator import ADMIN_READ, Operator, role_of
from wsserver.protocol.control import Error, TokenExpiring
from wsserver.protocol.encoding import JSON
from wsserver.rate_limiter import RateLimiter
from wsserver.service import EXPIRY_WARNING, Service
from wsserver.settings import (
    AccessSettings,
    AuditSettings,
    BackpressureSettings,
    HistorySettings,
    RecordsSettings,
    SessionSettings,
    Settings,
    StoreSettings,
    SubscriptionSettings,
)
from wsserver.status.panels import PANELS, SUBSCRIPTION_TYPE
from wsserver_core.connection import Connection
from wsserver_core.frames import ReadLimits, UnfinishedBudget
from wsserver_core.inlet import Inlet

MAX_COMMAND: Final = 16 * 1024
"""Bytes of what a viewer may send at once; a token is the largest of it."""

QUEUED: Final = 32
"""Messages that may wait for one viewer. Of each panel the newest stays when it does not read."""

QUEUED_BYTES: Final = 512 * 1024

SLOW_FOR: Final = 30.0
"""Seconds after which a viewer that does not read is ended."""

RIGHTS: Final = RoleRights(subscribe=frozenset({SUBSCRIPTION_TYPE}))
"""What a viewer may do here, whatever its role: follow panels, neither patients nor anything else."""


class ViewerAuthenticator:
    """Makes viewers of tokens: one needs the scope ``admin:read``, and no right of its role counts."""

    def __init__(self, service: Service, manager: ConnectionManager) -> None:
        self._service = service
        self._nobody = manager.scopes.intern(frozenset())

    async def authenticate(self, token: str) -> Principal:
        """Raises AuthenticationFailed, and 1011 without the scope."""
        return self.narrowed(await self._service.authenticator.authenticate(token))

    def narrowed(self, principal: Principal) -> Principal:
        """What is left of somebody's rights here; raises 1011 without the scope."""
        if ADMIN_READ not in principal.rest_scopes:
            raise ServerError(PERMISSION_DENIED, details={"scope": ADMIN_READ})
        return replace(
            principal,
            role=role_of(principal.rest_scopes),
            rights=RIGHTS,
            scope=self._nobody,
            token=principal.claims or False,
        )

    def signed_in(self, operator: Operator, session: bytes) -> Principal:
        """The same of an operator who came with the cookie of a sign-in, by which it goes from then on."""
        return Principal(
            user_id=operator.name,
            role=operator.role,
            rights=RIGHTS,
            scope=self._nobody,
            expires_at=NEVER,
            token_id=session.hex(),
        )


class Viewers:
    """Whoever watches the status page, with all that serves them.

    ``start`` on the loop that serves, ``tick`` with the housekeeping, ``stop`` at the end.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._clock = service.clock
        settings = _settings_of(service.settings)
        self._configured = service.settings
        self.manager = ConnectionManager(settings, clock=service.clock)
        self.authenticator = ViewerAuthenticator(service, self.manager)
        self.rates = RateLimiter(settings.rate_limit, service.clock, self.manager.limits.by_user)
        self.manager.on_departure = self.rates.leave
        self.router = MessageRouter(
            self.manager, self.authenticator, self.rates, renewed=lambda metadata: None
        )
        self.read_limits = ReadLimits(MAX_COMMAND, 2 * MAX_COMMAND, 1)
        self.admission = Admission(
            self.manager,
            self.authenticator,
            self.router,
            self.rates,
            read_limits=self.read_limits,
            admitted=lambda metadata: None,
        )
        self.health = self.manager.health_monitor
        sink = ClientSink(self.manager, self.admission, self.router, self.health, self.rates)
        budget = UnfinishedBudget(settings.status.max_viewers * MAX_COMMAND)
        self.inlet = Inlet(self.manager.hub, sink, budget, limits=self.rates.connections)

    def __len__(self) -> int:
        return len(self.manager.connections)

    @property
    def limit(self) -> int:
        """Viewers at a time: as many as the settings say, and half of the descriptors kept for requests."""
        room = self._service.overload.signals.descriptors
        spare = (room.request_ceiling - room.client_ceiling) // 2
        return max(1, min(self._service.settings.status.max_viewers, spare))

    # -- coming in

    def receive(self, leave: Callable[[], None]) -> Connection:
        """A connection for a socket whose handshake is done; ``leave`` is called when it is gone."""
        connection = Connection(self.inlet, self.read_limits)
        connection.owner = Newcomer(connection, JSON, leave)
        return connection

    def welcome(self, connection: Connection, operator: Operator) -> None:
        """Go on with an operator whose handshake has shown who it is.

        One with a token is let in at once. One with a cookie has to show in its first frame, in place of
        a token, the value that only our own page can read.
        """
        newcomer = connection.owner
        if operator.principal is not None and not operator.is_signed_in:
            self.admission.admit(newcomer, self.authenticator.narrowed(operator.principal))
            return
        newcomer.proof = lambda shown: self._prove(operator, shown)
        self.admission.expect(newcomer)

    def _prove(self, operator: Operator, shown: str) -> Principal | ServerError:
        digest = operator.session
        session = None if digest is None else self._service.sign_in.sessions.standing(digest)
        if digest is None or session is None or not _is_same(shown, session.csrf_token):
            return AuthenticationFailed(Reason.REVOKED)
        return self.authenticator.signed_in(operator, digest)

    # -- time

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Serve on this loop until ``stop``."""
        self.manager.hub.now = self._clock.monotonic()
        self.health.begin()
        self.manager.bind(loop)

    def tick(self) -> None:
        """Everything that is due four times a second."""
        if self._configured is not self._service.settings:
            self._configured = self._service.settings
            self.manager.configure(_settings_of(self._configured))
            self.rates.configure(self._configured.rate_limit)
        self.inlet.sweep(self._clock.monotonic())
        self.manager.backpressure.tick()
        self.admission.tick()
        self.health.tick()
        self.rates.sweep()

    def look_after(self) -> None:
        """End those whose sign-in or token does not count any more; once a second."""
        sessions = self._service.sign_in.sessions
        for metadata in list(self.manager.connections.values()):
            principal = metadata.principal
            if principal.token:
                self._look_after_token(metadata, principal)
            elif principal.token_id is None or sessions.standing(bytes.fromhex(principal.token_id)) is None:
                self._end(metadata, "The sign-in has ended.", CloseCode.AUTHENTICATION_FAILED)

    def _look_after_token(self, metadata: ConnectionMetadata, principal: Principal) -> None:
        left = principal.expires_at - self._clock.time()
        if left <= 0:
            self._end(metadata, "The token has expired.", CloseCode.AUTHENTICATION_EXPIRED)
        elif not self._service.sign_in.stands(Operator.of_token(principal)):
            self._end(metadata, "The token has been revoked.", CloseCode.REVOKED)
        elif left <= EXPIRY_WARNING and not metadata.expiry_warned:
            metadata.expiry_warned = True
            metadata.say(TokenExpiring(expires_in=round(left, 3)))

    def _end(self, metadata: ConnectionMetadata, text: str, code: CloseCode) -> None:
        self.manager.withdraw_all(metadata)
        metadata.say(Error.of(ServerError(AUTHENTICATION_FAILED, text)))
        self.manager.disconnect(metadata.connection_id, text.rstrip(".").lower(), code=code)

    async def stop(self) -> None:
        """End all viewers and let go of the loop."""
        self.admission.dismiss()
        for connection_id in list(self.manager.connections):
            self.manager.disconnect(connection_id, "server_shutdown", code=CloseCode.GOING_AWAY)
        self.manager.send_message_batch()
        await self.admission.close()
        await self.router.close()
        self.inlet.abort_all()
        # Aborted transports report in the loop's next turns.
        for _ in range(100):
            if not self.manager.hub.open_count:
                break
            await asyncio.sleep(0.01)
        self.manager.bind(None)


def _is_same(shown: str, expected: str) -> bool:
    return hmac.compare_digest(shown.encode(), expected.encode())


def _settings_of(settings: Settings) -> Settings:
    """Those of the small server, of which an operator sets how many may watch."""
    most = settings.status.max_viewers
    connection = msgspec.structs.replace(
        settings.connection,
        max_connections=most,
        max_connections_per_user=most,
        max_connections_per_role=None,
    )
    backpressure = BackpressureSettings(
        max_queue_messages=QUEUED,
        max_queue_bytes=QUEUED_BYTES,
        max_total_bytes=most * QUEUED_BYTES,
        slow_timeout=SLOW_FOR,
        conflatable_types=(SUBSCRIPTION_TYPE,),
        stream_fields=("panel",),
        send_buffer=settings.backpressure.send_buffer,
    )
    subscription = SubscriptionSettings(
        max_per_connection=2 * len(PANELS), max_global=2 * len(PANELS) * most, event_history_size=0
    )
    return msgspec.structs.replace(
        settings,
        connection=connection,
        backpressure=backpressure,
        subscription=subscription,
        session=SessionSettings(ttl=0),
        history=HistorySettings(size=0),
        records=RecordsSettings(messages=0, connections=0),
        store=StoreSettings(),
        access=AccessSettings(roles={}),
        # What operators do is noted by the server that they look at.
        audit=AuditSettings(),
    )
