"""The registry of connections and the doors through which messages go out.

``connection_manager`` is the instance that a server started by ``wsserver run`` or
``wsserver.setup`` uses unless it is given another.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from copy import deepcopy
from types import MappingProxyType
from typing import Any, Final

from wsserver.access.principal import Principal
from wsserver.access.roles import RolePolicy
from wsserver.audit.access_audit import AccessAudit
from wsserver.audit.access_notes import AccessNotes
from wsserver.backpressure import BackpressureHandler
from wsserver.broadcast_engine import BroadcastEngine
from wsserver.clock import Clock, SystemClock
from wsserver.compression import Message, decompress_message
from wsserver.connections.connection_info import ConnectionInfo, ConnectionInspector
from wsserver.connections.connection_limits import ConnectionLimits
from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.connections.foreign_link import ForeignLink
from wsserver.errors import (
    AUTHENTICATION_FAILED,
    HEALTH_CHECK_FAILED,
    PERMISSION_DENIED,
    SHUTTING_DOWN,
    CloseCode,
    ConnectionNotFound,
    ServerError,
)
from wsserver.health_monitor import HealthMonitor
from wsserver.ids import InvalidId, canonical_id, new_id
from wsserver.loop.awaitable import AwaitableInt, AwaitableText
from wsserver.loop.loop_port import LoopPort
from wsserver.observe.delivery_records import DeliveryRecords
from wsserver.observe.message_trace import MessageTraces
from wsserver.observe.message_trail import Door, Trail
from wsserver.protocol.binary_encoding import BinaryEncoding
from wsserver.protocol.control import Error, Gap
from wsserver.protocol.durability import DurabilityRules
from wsserver.protocol.encoding import JSON
from wsserver.protocol.message import PublishedMessage
from wsserver.protocol.report import DeliveryReport
from wsserver.protocol.topic import ANY, EVERYTHING, PATIENT, InvalidTopic, Topic
from wsserver.publishing.inbox import Inbox
from wsserver.reconnect_service import ReconnectService
from wsserver.sessions.catch_up import CatchUp, CatchUps
from wsserver.settings import BinarySettings, Settings
from wsserver.store.history import History
from wsserver.store.log import Logs, MessageLog, Position
from wsserver.store.memory_store import MemoryStore
from wsserver.subscription_manager import SubscriptionManager
from wsserver.subscriptions.subscription import Refused, Subscription
from wsserver.subscriptions.subscription_hints import SubscriptionHints
from wsserver_core.connection import Connection
from wsserver_core.hub import Hub
from wsserver_core.outgoing import DROP_REASONS
from wsserver_core.scopes import ScopeTable
from wsserver_core.topics import TopicIndex

DRAIN: Final = "drain"
"""Why a server that sends its clients away takes no new ones."""
OVERLOAD: Final = "overload"
"""Why a server that has too much to do takes none; clients that come back have a reserve."""
ABNORMAL: Final = 1006
"""What stands for the close code where no close frame came (RFC 6455 section 7.1.5)."""
NEVER: Final = 2**53
"""The expiry of a principal that no token stands behind."""

_CLOSE_BY_REASON: Final = {
    "server_shutdown": CloseCode.DRAIN,
    "reconnect": CloseCode.RECONNECT_ASKED,
    "operator": CloseCode.ENDED_BY_OPERATOR,
    "revoked": CloseCode.REVOKED,
}


class ConnectionManager:
    """All authenticated connections of one process, with their limits.

    Its methods belong to the thread of the event loop, save ``publish_threadsafe``. Those
    that send return when everything is queued; their results may be awaited or not.
    """

    def __init__(self, settings: Settings | None = None, *, clock: Clock | None = None) -> None:
        self.settings = settings or Settings()
        self.clock = clock or SystemClock()
        self.loop_port = LoopPort()
        self.hub = Hub(
            self.loop_port,
            batch_size=self.settings.broadcast.batch_size,
            flush_interval=self.settings.broadcast.flush_interval,
        )
        self.hub.now = self.clock.monotonic()
        self.hub.stopwatch = self.clock.monotonic
        self.backpressure = BackpressureHandler(self.hub, self.settings, self.clock)
        self.index = TopicIndex()
        self.scopes = ScopeTable()
        self.policy = RolePolicy(self.settings.access)
        self.audit = AccessAudit(self.settings.audit, self.clock)
        """Who watched or was refused which patient, and what operators did."""
        self.access_notes = AccessNotes(self.audit)
        connection = self.settings.connection
        self.limits = ConnectionLimits(
            connection.max_connections,
            connection.max_connections_per_user,
            connection.max_connections_per_role,
        )
        self._connections: dict[str, ConnectionMetadata] = {}
        self.connections: Mapping[str, ConnectionMetadata] = MappingProxyType(self._connections)
        """Connection id → metadata, of those that are open now. A live view."""
        self.subscription_manager = SubscriptionManager(
            self.connections,
            self.index,
            self.hub,
            settings=self.settings.subscription,
            filter_settings=self.settings.filter,
            max_connections=connection.max_connections,
            clock=self.clock,
            audit=self.audit,
        )
        self.health_monitor = HealthMonitor(
            self.hub, self.clock, self.connections, connection, end=self._end_silent
        )
        self.records = DeliveryRecords(
            self.settings.records, self.clock, self.hub, lambda: self.subscription_manager.history.total
        )
        self.traces = MessageTraces(self.clock, self.hub, self.records, self.index.owner)
        """The messages that somebody looks for."""
        self.binary = BinaryEncoding(self.clock)
        """How connections are spoken to that speak the binary protocol."""
        self._configure_binary(self.settings.binary)
        self.history = History(self.settings.history, self.clock, self.binary.message_again)
        store = MemoryStore(self.clock, max_keys=self.settings.store.max_keys)
        self.broadcasts = BroadcastEngine(
            self.hub,
            self.index,
            store,
            Logs(MessageLog(store.log)),
            self.history,
            self.binary,
            self.backpressure,
            self.records,
            self.clock,
        )
        self.broadcasts.durability = _durability(self.settings)
        self.sessions = ReconnectService(
            self.hub, self.index, self.broadcasts.logs, self.limits, self.settings.session, self.clock
        )
        self.catch_ups = CatchUps(
            self.hub,
            self.index,
            self.history,
            self.broadcasts.logs,
            self.loop_port,
            lambda: self.subscription_manager.filters.severities,
            tell=self._note_told,
        )
        self.subscription_manager.catch_ups = self.catch_ups
        self.subscription_manager.on_change = self.sessions.note_change
        self.backpressure.on_told = lambda metadata, gap: self._note_told(
            metadata, gap, self.position_of(metadata)
        )
        self.inspector = ConnectionInspector(
            self.connections,
            self.hub,
            self.subscription_manager,
            self.health_monitor,
            self.sessions,
            self.clock,
        )
        self.reserve = 0
        """Clients that may come back into their sessions while an overload keeps all others out."""
        self.hints = SubscriptionHints(self.subscription_manager, self.index, self.broadcasts.census)
        self.inbox = Inbox(is_behind=lambda: self.backpressure.is_behind)
        self.refusals: set[str] = set()
        """Why no new connections are taken: an operator, a drain, an overload. Empty while they are."""
        self.cleanup_interval = connection.cleanup_interval
        self.opened = 0
        """Connections since the start."""
        self.disconnects: Counter[int] = Counter()
        """Those of them that have ended, by close code."""
        self.binary_connections = 0
        """Those open now that speak the binary protocol."""
        self.faults = 0
        """Errors that clients were told of since the start."""
        self.on_departure: Callable[[ConnectionMetadata], object] | None = None
        """Called with each connection that is taken out, before its socket has ended."""

    def configure(self, settings: Settings) -> None:
        """Take new settings; what is open stays open. Limits hold for whatever comes next."""
        self.settings = settings
        self.audit.configure(settings.audit)
        self.hub.batch_size = settings.broadcast.batch_size
        self.hub.flush_interval = settings.broadcast.flush_interval
        self.backpressure.configure(settings)
        self._configure_binary(settings.binary)
        self.history.configure(settings.history)
        self.sessions.configure(settings.session)
        self.broadcasts.durability = _durability(settings)
        self.limits.max_connections = settings.connection.max_connections
        self.limits.max_per_user = settings.connection.max_connections_per_user
        self.limits.max_per_role = settings.connection.max_connections_per_role
        self.cleanup_interval = settings.connection.cleanup_interval
        self.subscription_manager.configure(
            settings.subscription, settings.filter, settings.connection.max_connections
        )
        self.health_monitor.configure(settings.connection)
        self.policy.reload(settings.access)
        self.records.configure(settings.records)

    def _configure_binary(self, settings: BinarySettings) -> None:
        self.binary.configure(settings.sample_fields, settings.compression_threshold)

    def bind(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Say which loop sends; None when it is about to end."""
        self.loop_port.bind(loop)
        if loop is None:
            self.inbox.unbind()
        else:
            self.inbox.bind(loop)
            # A flush that an earlier loop was asked for may have ended with it.
            self.loop_port.call_soon(self.hub.flush_turn)

    # -- connecting

    def connect(
        self,
        websocket: Any,
        user_id: str | int,
        role: str,
        patient_id: str | int | None = None,
        *,
        principal: Principal | None = None,
        connection_id: str | None = None,
        resuming: bool = False,
    ) -> AwaitableText:
        """Register a connection and return its id.

        ``websocket`` is a core connection, or any object with ``write(bytes)`` and ``close()``,
        which is spoken to in JSON. Without a ``principal`` the caller vouches for user and role:
        the role's rights hold, and of patients only ``patient_id`` may be seen unless the role sees all.
        ``resuming`` is for clients that come back: for them there is a reserve during an overload.

        Raises ServerError 1001 (unknown role), 1002 (a limit, with its scope), 1011 (that
        patient is not for this user), 1013 (not accepting). Nothing is changed then.
        """
        self.check_accepting(resuming=resuming)
        patient = None if patient_id is None else _id(patient_id, "patient_id")
        if principal is None:
            principal = self._vouched_principal(_id(user_id, "user_id"), role, patient)
        if patient is not None and not principal.may_see(patient):
            self.access_notes.connection_refused(principal, patient)
            raise ServerError(PERMISSION_DENIED)
        if connection_id is not None and connection_id in self._connections:
            raise ValueError("this connection id is in use")
        self.limits.take(principal.user_id, principal.role)
        try:
            metadata = self.create_connection_metadata(
                websocket, principal, patient, connection_id=connection_id
            )
            self.health_monitor.monitor(metadata)
            self.index.admit(metadata.handle, principal.scope, metadata)
        except BaseException:
            self.limits.give_back(principal.user_id, principal.role)
            raise
        self._connections[metadata.connection_id] = metadata
        self.opened += 1
        self.binary_connections += metadata.encoding.is_binary
        if not self.accepting:
            self.reserve -= 1
        self.hub.set_out(metadata.handle, self.broadcasts.logs.heads())
        if patient is not None:
            self.access_notes.connected(metadata.connection_id, principal, patient)
        return AwaitableText(metadata.connection_id)

    def check_accepting(self, *, resuming: bool = False) -> None:
        """Raise ServerError 1013 while no connections are taken."""
        if self.draining:
            raise ServerError(SHUTTING_DOWN)
        if not self.accepting and not (resuming and self.may_return):
            raise ServerError(SHUTTING_DOWN, "The server takes no new connections.", retry_after_ms=5_000)

    def validate_connection_limits(self, user_id: str, role: str) -> None:
        """Raise ServerError 1002 if one more connection of this user and role were too many."""
        self.limits.check(user_id, role)

    def create_connection_metadata(
        self,
        websocket: Any,
        principal: Principal,
        patient_id: str | None = None,
        *,
        connection_id: str | None = None,
    ) -> ConnectionMetadata:
        """The metadata of a connection that is not registered yet; ``connect`` registers it."""
        foreign = None if isinstance(websocket, Connection) else ForeignLink(self.hub, websocket)
        metadata = ConnectionMetadata(
            connection_id or new_id("c"),
            principal,
            foreign or websocket,
            patient_id=patient_id,
            encoding=self.binary if foreign is None and websocket.is_binary else JSON,
            connected_at=self.clock.monotonic(),
        )
        if foreign is not None:
            foreign.owner = metadata
            foreign.closed = lambda: self.forget(metadata)
        return metadata

    def _vouched_principal(self, user_id: str, role: str, patient_id: str | None) -> Principal:
        rights = self.policy.rights(role)
        if rights is None:
            raise ServerError(AUTHENTICATION_FAILED)
        patients = None if rights.all_patients else frozenset(() if patient_id is None else (patient_id,))
        return Principal(
            user_id=user_id,
            role=role,
            rights=rights,
            scope=self.scopes.intern(patients),
            expires_at=NEVER,
        )

    def disconnect(self, connection_id: str, reason: str = "", *, code: int | None = None) -> AwaitableInt:
        """End a connection: its subscriptions at once, its socket by the closing handshake.

        ``code`` defaults to the one that goes with a known reason, else 1000. Returns 1, or
        0 when there is no such connection. Raises ValueError for a code that may not be sent.
        """
        metadata = self._connections.get(connection_id)
        if metadata is None:
            return AwaitableInt(0)
        if code is None:
            code = _CLOSE_BY_REASON.get(reason, CloseCode.NORMAL)
        metadata.link.close(code, reason)
        self.forget(metadata, code)
        return AwaitableInt(1)

    def forget(self, metadata: ConnectionMetadata, code: int = ABNORMAL) -> bool:
        """Take a connection out of every index; False when it is out already.

        ``code`` is the close code that it ended with, of whichever side closed first.
        """
        if self._connections.get(metadata.connection_id) is not metadata:
            return False
        self.health_monitor.stop_monitoring(metadata.connection_id)
        self.sessions.end(metadata)
        self.catch_ups.leave(metadata)
        ended = self.subscription_manager.clear(metadata)
        if ended or metadata.patient_id is not None:
            self.access_notes.disconnected(
                metadata.connection_id, metadata.principal, metadata.patient_id, ended, code
            )
        self.index.dismiss(metadata.handle)
        del self._connections[metadata.connection_id]
        self.disconnects[code] += 1
        self.binary_connections -= metadata.encoding.is_binary
        self.limits.give_back(metadata.user_id, metadata.role)
        self.records.note_end(
            metadata.connection_id, metadata.user_id, metadata.handle, metadata.connected_at
        )
        if self.on_departure is not None:
            self.on_departure(metadata)
        return True

    def replace_principal(self, metadata: ConnectionMetadata, principal: Principal) -> list[Subscription]:
        """Give a connection new rights at once; returns the subscriptions that had to end."""
        if principal.role != metadata.role:
            self.limits.move_role(metadata.role, principal.role)
        before, metadata.principal = metadata.principal, principal
        if before.scope.patients != principal.scope.patients or before.rights != principal.rights:
            metadata.rights_changed_at = self.clock.monotonic()
            if self.subscription_manager.count(metadata):
                self.access_notes.rights_changed(metadata.connection_id, principal)
        self.catch_ups.changed(metadata)
        # What waits for a slow reader was allowed when it was queued and must not leave now.
        patients = principal.patients
        if patients is not None:
            self.hub.withdraw(metadata.handle, patients)
        return self.subscription_manager.reauthorise(metadata)

    def withdraw_all(self, metadata: ConnectionMetadata) -> int:
        """Drop what waits for a connection whose rights have ended; returns how many messages."""
        return self.hub.discard(metadata.handle, DROP_REASONS.index("closed"))

    def _end_silent(self, metadata: ConnectionMetadata) -> None:
        """A connection has been silent for its timeout. If anybody is there after all, it is told why."""
        self.faults += 1
        metadata.say(Error.of(ServerError(HEALTH_CHECK_FAILED)))
        self.disconnect(metadata.connection_id, "health check failed", code=CloseCode.HEALTH_CHECK_FAILED)

    # -- subscribing

    def subscribe(
        self,
        connection_id: str,
        subscription_type: str,
        target_id: str | int | None = None,
        filters: Mapping[str, Any] | None = None,
    ) -> Subscription | Refused:
        """Subscribe a connection with its own rights.

        A refusal is a false value that raises its ServerError when awaited.
        """
        try:
            return self.subscription_manager.add_subscription(
                connection_id, subscription_type, target_id, filters
            )
        except ServerError as error:
            return Refused(error)

    def unsubscribe(
        self, connection_id: str, subscription_type: str, target_id: str | int | None = None
    ) -> AwaitableInt:
        """End a subscription; 0 when there was none.

        Raises ServerError for an unknown connection or a bad topic.
        """
        return AwaitableInt(
            self.subscription_manager.remove_subscription(connection_id, subscription_type, target_id)
        )

    # -- sending

    def broadcast_to_patient(self, patient_id: str | int, message: Message) -> DeliveryReport:
        """Send to all who subscribed to this patient, whose filter matches and who may see the patient.

        Raises ServerError 1003 (message or id), 1004 (too large), or 1005 when messages come faster
        than they leave; to await the report is to wait for that, so that it does not happen.
        """
        return self.publish(Topic.of_patient(patient_id), message)

    def broadcast_to_type(
        self, subscription_type: str, message: Message, *, target_id: str | int | None = None
    ) -> DeliveryReport:
        """Send to every subscription of this type, whatever its target, or to one target's.

        A message with a ``patient_id`` reaches only those who may see that patient. Raises
        ServerError 1003 (message, type or target), 1004 (too large) or 1005 (too fast).
        """
        if subscription_type == ANY:
            raise InvalidTopic("subscription_type", "must be one type; broadcast_to_all reaches everybody")
        if subscription_type == PATIENT and target_id is None:
            target_id = ANY
        return self.publish(Topic.of(subscription_type, target_id), message)

    def broadcast_to_all(self, message: Message) -> DeliveryReport:
        """Send to every connection, subscriptions ignored.

        A patient's message still reaches only those who may see the patient.
        """
        return self.publish(EVERYTHING, message)

    def broadcast_to_subscribers(self, message: Message) -> DeliveryReport:
        """Send to whom the message itself names: its patient, else the subscribers of its data type."""
        if self.traces.is_armed:
            return self._publish_traced("python", None, message)
        published = self.check_message(message, None)
        return self.broadcasts.publish(_natural_topic(published), published)

    def natural_topic(self, message: dict[str, Any]) -> Topic:
        """Where ``broadcast_to_subscribers`` would send this message; raises what that raises."""
        return _natural_topic(self.check_message(message, None))

    def publish(self, topic: Topic, message: Message, *, exclude: int = 0) -> DeliveryReport:
        """Check a message and send it to a topic; ``exclude`` is the handle of its sender."""
        if self.traces.is_armed:
            return self._publish_traced("python", topic, message, exclude)
        return self.broadcasts.publish(topic, self.check_message(message, topic), exclude=exclude)

    def _publish_traced(
        self,
        door: Door,
        topic: Topic | None,
        message: Message,
        exclude: int = 0,
        started: float | None = None,
    ) -> DeliveryReport:
        """The same while messages are looked for; None for the topic that the message itself names."""
        with self.traces.begin(door, topic=topic, content=message, started=started) as trail:
            published = self.check_message(message, topic)
            topic = topic or _natural_topic(published)
            trail.validate(topic, published)
            return self.broadcasts.publish(topic, published, exclude=exclude, trail=trail)

    def publish_threadsafe(self, topic: str, message: Message) -> Future[DeliveryReport]:
        """Publish from any thread to a topic such as ``patient:123``, ``type:ecg`` or ``*``.

        The message is copied: the caller may change it at once. Returns a future of the report.
        Raises ServerError 1005 when the inbox is full or no server runs, 1003 for a bad topic.
        """
        parsed, copied = Topic.parse(topic), deepcopy(message)
        if self.traces.is_armed:
            started = self.clock.monotonic()
            return self.inbox.put(lambda: self._publish_traced("thread", parsed, copied, started=started))
        return self.inbox.put(lambda: self.publish(parsed, copied))

    def send_message(self, connection_id: str, message: Message) -> DeliveryReport:
        """Send to one connection, subscriptions ignored, rights not.

        The report says 0 when the connection is gone, may not see the patient or cannot
        take more. Raises ServerError 1003 or 1004 for a bad message.
        """
        if self.traces.is_armed:
            with self.traces.begin("python", content=message) as trail:
                return self._send_message(connection_id, message, trail)
        return self._send_message(connection_id, message, None)

    def _send_message(self, connection_id: str, message: Message, trail: Trail | None) -> DeliveryReport:
        published = self.check_message(message, None)
        topic = Topic.of_patient(published.patient_id) if published.patient_id is not None else EVERYTHING
        if trail is not None:
            trail.validate(topic, published)
        metadata = self._connections.get(connection_id)
        if metadata is None:
            return self.broadcasts.send_to(0, True, topic, published, trail=trail)
        allowed = published.patient_id is None or metadata.principal.may_see(published.patient_id)
        report = self.broadcasts.send_to(metadata.handle, allowed, topic, published, trail=trail)
        self.sessions.note_direct(metadata, report)
        return report

    def send_message_batch(self) -> AwaitableInt:
        """Flush what is queued now and not at the end of the loop's turn; returns the connections served."""
        return AwaitableInt(self.hub.flush_all())

    def check_message(self, message: Message, topic: Topic | None) -> PublishedMessage:
        """A message as ``publish`` sends it to a topic, None for any.

        Raises ServerError 1003, 1004 or, for one that was compressed, 1009.
        """
        if isinstance(message, bytes):
            # Numbers may take four times as long in MessagePack; the limit itself is one of JSON text.
            message = decompress_message(message, max_size=4 * self.settings.broadcast.max_message_size)
        return PublishedMessage(
            message,
            topic=topic,
            max_size=self.settings.broadcast.max_message_size,
            severities=self.subscription_manager.filters.severities,
            may_announce_shutdown=True,
        )

    # -- switches

    @property
    def accepting(self) -> bool:
        """Whether new connections are taken."""
        return not self.refusals

    @property
    def may_return(self) -> bool:
        """Whether clients may come back into their sessions while new ones are refused."""
        return self.reserve > 0 and self.refusals == {OVERLOAD}

    @property
    def draining(self) -> bool:
        """Whether this server sends its clients away, or has done so."""
        return DRAIN in self.refusals

    def set_accept_connections(self, accept: bool, *, cause: str = "operator") -> None:
        """Take new connections or refuse them (1013); open ones are not touched.

        Each ``cause`` counts for itself: they are taken when nobody refuses them any more.
        """
        if accept:
            self.refusals.discard(cause)
        else:
            self.refusals.add(cause)

    def set_cleanup_interval(self, seconds: float) -> None:
        """Seconds between two sweeps over the connections. Raises ValueError unless positive."""
        if not seconds > 0:
            raise ValueError("the interval must be positive")
        self.cleanup_interval = seconds

    def set_broadcast_batch_size(self, connections: int) -> None:
        """Connections flushed per slice of the loop's time: latency against throughput, never results."""
        self.hub.batch_size = connections

    def handle_pong(self, connection_id: str, rtt: float | None = None) -> AwaitableInt:
        """Note that a connection answered a ping, after ``rtt`` seconds if given; 0 for an unknown one.

        For websockets that are not ours. It is what ``HealthMonitor.handle_pong`` does, and for a given
        ``rtt`` ``update_connection_metrics``, whose ValueError it raises.
        """
        metadata = self._connections.get(connection_id)
        if metadata is None:
            return AwaitableInt(0)
        if rtt is None:
            self.health_monitor.pong_received(metadata, None)
        else:
            self.health_monitor.update_connection_metrics(connection_id, rtt)
        return AwaitableInt(1)

    def position_of(self, metadata: ConnectionMetadata) -> Position:
        """Up to where a connection has been sent everything: how far the logs have got, or its catch-up."""
        catch_up = metadata.catch_up
        return catch_up.position if isinstance(catch_up, CatchUp) else self.broadcasts.logs.heads()

    def _note_told(self, metadata: ConnectionMetadata, gap: Gap, position: Position) -> None:
        """A client is being told of a loss; its cursor may be this position by now, and not beyond."""
        metadata.note_told(self.clock.time(), gap)
        self.records.gaps.note(metadata.handle, gap)
        self.sessions.note_told(metadata, gap, position)

    def get_connection_info(self, connection_id: str) -> ConnectionInfo:
        """All that is known of an open connection: figures, subscriptions, events, losses, token, session.

        Names people, and never a secret: for operators. Raises ConnectionNotFound.
        """
        return self.inspector.info(connection_id)

    def slow_connections(self) -> int:
        """Connections that do not keep up with what is sent to them."""
        return self.hub.slow_count

    def connection(self, connection_id: str) -> ConnectionMetadata:
        """The metadata of an open connection; raises ConnectionNotFound."""
        metadata = self._connections.get(connection_id)
        if metadata is None:
            raise ConnectionNotFound
        return metadata


def _natural_topic(published: PublishedMessage) -> Topic:
    if published.patient_id is not None:
        return Topic.of_patient(published.patient_id)
    return Topic.of("type", published.data_type)


def _durability(settings: Settings) -> DurabilityRules:
    return DurabilityRules(frozenset(settings.store.durable_types), frozenset(settings.store.volatile_types))


def _id(value: str | int, what: str) -> str:
    try:
        return canonical_id(value, what)
    except InvalidId as error:
        raise ServerError(AUTHENTICATION_FAILED, str(error)) from None


connection_manager: Final = ConnectionManager()
