"""What can be told of one open connection: in a row of a list, or whole."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta

from wsserver.clock import Clock, utc_text
from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.errors import ConnectionNotFound
from wsserver.health_monitor import HealthMonitor
from wsserver.protocol.control import Gap
from wsserver.protocol.topic import PATIENT
from wsserver.reconnect_service import ReconnectService
from wsserver.sessions.session import Resumed
from wsserver.subscription_manager import SubscriptionManager
from wsserver.subscriptions.subscription import Subscription
from wsserver_core.hub import Hub

ConnectionStateName: TypeAlias = Literal["ok", "late", "held_back", "catching_up", "slow", "closing"]

STATES: Final[tuple[ConnectionStateName, ...]] = get_args(ConnectionStateName)
"""The later one counts where several hold.

``late``: it let a ping pass and has not been heard since; ``held_back``: we do not read from it, because it
sent too much or waits for an answer; ``catching_up``: it is given what it missed; ``slow``: it reads too
slowly and loses data; ``closing``: its close has begun.
"""

MAX_EVENTS: Final = 50
"""Events of one connection that are told, the newest."""


class ConnectionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One open connection in a list."""

    connection_id: str
    user_id: str
    role: str
    patient_id: str | None
    address: Annotated[str | None, Meta(description="Of IPv6 the /64. Null where it is not known.")]
    protocol: str
    connected_at: str
    connected_seconds: float
    idle_seconds: Annotated[float, Meta(description="Since its last frame of any kind.")]
    rtt_ms: Annotated[float | None, Meta(description="Of the last ping that was answered.")]
    subscriptions: int
    messages_in: int
    bytes_in: int
    messages_out: Annotated[int, Meta(description="Frames that reached the kernel, all kinds.")]
    bytes_out: int
    pending_messages: Annotated[int, Meta(description="Frames that wait for its socket.")]
    pending_bytes: int
    dropped: Annotated[int, Meta(description="Frames that never left.")]
    state: ConnectionStateName


class SubscriptionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One subscription of a connection."""

    subscription_id: str
    subscription_type: str
    target_id: str
    filters: dict[str, Any]
    complexity: float
    idle_seconds: Annotated[float, Meta(description="Since it was made or renewed by the client.")]
    break_glass: Annotated[bool, Meta(description="Whether nothing else shows its patient to the user.")]


class TokenInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What its token says; of the token itself nothing."""

    token_id: Annotated[str | None, Meta(description="The claim `jti`, for a revocation.")]
    expires_at: Annotated[str | None, Meta(description="Null where no token stands behind it.")]
    expires_in: float | None
    patients: Annotated[int | None, Meta(description="How many it may see; null is every patient.")]


class SessionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Its session, without the secret."""

    kept: Annotated[bool, Meta(description="Whether it can be taken up when the connection ends.")]
    ttl_seconds: float
    resumed: Annotated[bool, Meta(description="Whether this connection has taken one up.")]


class HealthInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Its heartbeats."""

    state: str
    timeout_seconds: Annotated[float, Meta(description="Of silence, after which it is ended.")]
    missed_pings: int
    average_rtt_ms: Annotated[float | None, Meta(description="Smoothed over about eight pings.")]


class SlowInfo(msgspec.Struct, frozen=True, kw_only=True):
    """How slow it is."""

    slow_seconds: float
    oldest_seconds: Annotated[float, Meta(description="How long the oldest frame has waited.")]
    lost: Annotated[int, Meta(description="Messages that it lost since it became slow.")]
    ending: Annotated[bool, Meta(description="Whether it is about to be ended for it.")]


class ToldGap(msgspec.Struct, frozen=True, kw_only=True):
    """A loss that its client was told of."""

    at: str
    log: str
    topic: str | None
    from_: int | None = msgspec.field(name="from")
    to: int | None
    count: int | None
    reason: str


class ConnectionInfo(ConnectionRow, frozen=True, kw_only=True):
    """One open connection, whole."""

    rights_changed_at: Annotated[str | None, Meta(description="The last time; null if they never did.")]
    refused_commands: Annotated[int, Meta(description="Commands of its client that were malformed.")]
    health: HealthInfo
    slow: SlowInfo | None
    token: TokenInfo
    session: SessionInfo
    subscribed: Annotated[list[SubscriptionInfo], Meta(description="The oldest first.")]
    events: Annotated[list[dict[str, Any]], Meta(description="The newest first, at most 50.")]
    gaps: Annotated[list[ToldGap], Meta(description="The newest first, at most 20.")]
    gaps_told: Annotated[int, Meta(description="Of them in all, since it was opened.")]


@dataclass(frozen=True, slots=True)
class ConnectionInspector:
    """Tells what is known of the connections of one manager; changes nothing."""

    connections: Mapping[str, ConnectionMetadata]
    hub: Hub
    subscriptions: SubscriptionManager
    health: HealthMonitor
    sessions: ReconnectService
    clock: Clock

    def state(self, metadata: ConnectionMetadata) -> ConnectionStateName:
        """How a connection is doing, in one word."""
        handle, hub = metadata.handle, self.hub
        if getattr(metadata.link, "close_code", 0):
            return "closing"
        if hub.is_slow(handle):
            return "slow"
        if metadata.catch_up is not None:
            return "catching_up"
        if metadata.link.is_paused:
            return "held_back"
        return "late" if self.health.is_late(metadata) else "ok"

    def row(self, metadata: ConnectionMetadata, show: Callable[[str], str]) -> ConnectionRow:
        """A connection for a list; ``show`` turns ids of users and patients into what is shown."""
        return ConnectionRow(**self._figures(metadata, show))

    def info(self, connection_id: str) -> ConnectionInfo:
        """All that is known of a connection, ids whole. Raises ConnectionNotFound."""
        metadata = self.connections.get(connection_id)
        if metadata is None:
            raise ConnectionNotFound
        changed_at, told = metadata.rights_changed_at, metadata.told
        history = self.subscriptions.history
        return ConnectionInfo(
            **self._figures(metadata, str),
            rights_changed_at=None if changed_at is None else self._wall(changed_at),
            refused_commands=metadata.faults + metadata.binary_faults,
            health=self._health(metadata),
            slow=self._slow(metadata),
            token=self._token(metadata),
            session=SessionInfo(
                kept=metadata.session is not None,
                ttl_seconds=self.sessions.ttl,
                resumed=isinstance(metadata.resumed, Resumed),
            ),
            subscribed=[
                self._subscription(one, metadata)
                for one in self.subscriptions.get_connection_subscriptions(connection_id)
            ],
            events=[one.as_dict() for one in history.latest(MAX_EVENTS, connection_id=connection_id)],
            gaps=[] if told is None else [self._gap(at, gap) for at, gap in reversed(told.latest)],
            gaps_told=0 if told is None else told.total,
        )

    def _figures(self, metadata: ConnectionMetadata, show: Callable[[str], str]) -> dict[str, Any]:
        handle, hub, link = metadata.handle, self.hub, metadata.link
        out, bytes_out, pending, pending_bytes = hub.connection_figures(handle) or (0, 0, 0, 0)
        rtt, patient_id = metadata.rtt, metadata.patient_id
        return {
            "connection_id": metadata.connection_id,
            "user_id": show(metadata.user_id),
            "role": metadata.role,
            "patient_id": None if patient_id is None else show(patient_id),
            # What counts it at the door knows where it comes from; embedders have another door, or none.
            "address": getattr(metadata.leave, "address", None),
            "protocol": metadata.protocol,
            "connected_at": self._wall(metadata.connected_at),
            "connected_seconds": round(self.clock.monotonic() - metadata.connected_at, 3),
            "idle_seconds": round(max(0.0, hub.now - hub.last_received(handle)), 3),
            "rtt_ms": None if rtt is None else round(rtt * 1000, 3),
            "subscriptions": self.subscriptions.count(metadata),
            "messages_in": getattr(link, "messages_received", 0),
            "bytes_in": getattr(link, "bytes_received", 0),
            "messages_out": out,
            "bytes_out": bytes_out,
            "pending_messages": pending,
            "pending_bytes": pending_bytes,
            "dropped": hub.dropped_of(handle) or 0,
            "state": self.state(metadata),
        }

    def _health(self, metadata: ConnectionMetadata) -> HealthInfo:
        health = self.health.check_connection_health(metadata.connection_id)
        return HealthInfo(
            state=health.state.value,
            timeout_seconds=health.timeout,
            missed_pings=health.missed,
            average_rtt_ms=health.average_rtt_ms,
        )

    def _slow(self, metadata: ConnectionMetadata) -> SlowInfo | None:
        figures = self.hub.slow_figures(metadata.handle)
        if figures is None:
            return None
        since, oldest, lost, ending = figures
        now = self.hub.now
        return SlowInfo(
            slow_seconds=round(max(0.0, now - since), 3),
            oldest_seconds=round(max(0.0, now - oldest), 3),
            lost=lost,
            ending=ending,
        )

    def _token(self, metadata: ConnectionMetadata) -> TokenInfo:
        principal = metadata.principal
        has_token = principal.token is not False
        return TokenInfo(
            token_id=principal.token_id,
            expires_at=utc_text(principal.expires_at) if has_token else None,
            expires_in=round(principal.expires_at - self.clock.time(), 3) if has_token else None,
            patients=None if principal.patients is None else len(principal.scope),
        )

    def _subscription(self, one: Subscription, metadata: ConnectionMetadata) -> SubscriptionInfo:
        is_patient = one.subscription_type == PATIENT
        return SubscriptionInfo(
            subscription_id=one.subscription_id,
            subscription_type=one.subscription_type,
            target_id=one.target_id,
            filters=one.filters,
            complexity=one.program.complexity,
            idle_seconds=round(max(0.0, self.clock.monotonic() - one.renewed_at), 3),
            break_glass=is_patient and one.target_id in metadata.principal.beyond,
        )

    def _gap(self, at: float, gap: Gap) -> ToldGap:
        return ToldGap(
            at=utc_text(at),
            log=gap.log,
            topic=gap.topic,
            from_=gap.from_,
            to=gap.to,
            count=gap.count,
            reason=gap.reason,
        )

    def _wall(self, moment: float) -> str:
        """What the clock on the wall showed at a monotonic moment, unless it was set since."""
        return utc_text(self.clock.time() - (self.clock.monotonic() - moment))
