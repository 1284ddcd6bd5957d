"""Whether the other side is still there: heartbeats, round trips, and the end of the silent."""

import logging
import math
import random
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from wsserver.clock import Clock
from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.connections.foreign_link import ForeignLink
from wsserver.connections.tcp_signs import acknowledged_ago
from wsserver.errors import CloseCode, ConnectionNotFound
from wsserver.incidents import report_incident
from wsserver.loop.housekeeping import TICK
from wsserver.settings import ConnectionSettings
from wsserver_core.connection import Connection
from wsserver_core.histogram import Histogram
from wsserver_core.hub import Hub
from wsserver_core.pulse import Pulse

logger = logging.getLogger("wsserver.health_monitor")

JITTER: Final = 0.2
"""The share of the interval by which a ping comes sooner or later."""

SLOW_RTT: Final = 1.0
"""Seconds of average round trip beyond which a connection has the longer timeout."""

SLOW_FACTOR: Final = 2.0
"""How many times the timeout a slow connection has; never more, or a dead one would linger."""

_ROUNDS: Final = 3
"""Moments, an interval apart, between which the rate of success is worked out."""


class HealthState(StrEnum):
    """What is known of the other side."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    """It let at least one ping pass and has not been heard since."""
    STALE = "stale"
    """Silent for longer than it may be: it is ended at the next tick, unless we are not reading from it."""
    UNMONITORED = "unmonitored"
    """Nobody looks: its socket is not ours, or monitoring was stopped."""


class ConnectionHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How one connection is doing."""

    state: HealthState
    silent_for: float
    """Seconds since its last frame of any kind, to a quarter of a second."""
    timeout: float
    """Seconds of silence after which this connection is ended; see ``get_adaptive_timeout``."""
    missed: int
    """Pings in a row at whose turn nothing had come since the one before."""
    rtt_ms: float | None
    """Milliseconds from its last answered ping to the pong; None before the first."""
    average_rtt_ms: float | None
    """The same, smoothed over about eight pings."""


class HealthMonitor:
    """Pings the connections of one manager, and ends those that have fallen silent.

    A timing wheel instead of a timer for each (``wsserver_core.pulse``): ``tick`` costs as much
    as there is due. Any frame of a client is a sign of life. Nobody is ended for a time in which
    we did not listen: because our own loop stood still, or because we hold its reading back.
    Connections whose socket is not ours are pinged and never ended.
    """

    def __init__(
        self,
        hub: Hub,
        clock: Clock,
        connections: Mapping[str, ConnectionMetadata],
        settings: ConnectionSettings,
        *,
        end: Callable[[ConnectionMetadata], object],
        seed: int | None = None,
    ) -> None:
        """``end(metadata)`` is called for a connection that has been silent for its timeout.

        ``seed`` makes the spread of the pings repeatable, for tests.
        """
        self._clock = clock
        self._connections = connections
        self._hub = hub
        self._end = end
        self._pulse = Pulse(
            hub,
            interval=settings.heartbeat_interval,
            timeout=settings.timeout,
            tick=TICK,
            jitter=JITTER,
            slow_rtt=SLOW_RTT,
            slow_factor=SLOW_FACTOR,
            seed=secrets.randbits(64) if seed is None else seed,
        )
        self._counted: deque[tuple[int, int]] = deque([(0, 0)], _ROUNDS)
        self._count_at = 0.0
        self.closed = 0
        """Connections that were ended for silence since the start."""

    @property
    def interval(self) -> float:
        """Seconds between two pings to a connection, before jitter."""
        return self._pulse.interval

    @property
    def timeout(self) -> float:
        """Seconds of silence after which a connection is ended, before adaptation."""
        return self._pulse.timeout

    def configure(self, settings: ConnectionSettings) -> None:
        """Take another interval and timeout; they hold for open connections as well.

        Each then has at least one whole new timeout to be heard.
        """
        self._pulse.configure(settings.heartbeat_interval, settings.timeout)

    def begin(self) -> None:
        """Say that ticks come from now on. Without it the time before counts as a stall of ours."""
        self._pulse.begin(self._hub.now)

    # -- who is monitored

    def monitor_connection(self, connection_id: str) -> None:
        """Look after a connection from now on; ``ConnectionManager.connect`` does this for each.

        Does nothing for one that is monitored already. Raises ConnectionNotFound.
        """
        self.monitor(self._metadata(connection_id))

    def monitor(self, metadata: ConnectionMetadata) -> None:
        """The same for one that need not be registered yet. Raises ValueError if its socket is gone."""
        ours = not isinstance(metadata.link, ForeignLink)
        self._pulse.watch(metadata.handle, mortal=ours, listed=ours)

    def stop_monitoring(self, connection_id: str) -> bool:
        """Neither ping nor end a connection any more; False when it was not monitored.

        It stays open, whether anybody is there or not: whoever stops monitoring has to end it.
        """
        metadata = self._connections.get(connection_id)
        return metadata is not None and self._pulse.forget(metadata.handle)

    def watch(self, connection: Connection) -> None:
        """Look after a socket which is nobody's connection, such as one of ``/ws/echo``.

        It is pinged and ended like any other and does not count in the figures.
        """
        self._pulse.watch(connection.handle, listed=False)

    async def shutdown(self) -> None:
        """Stop monitoring everybody. A connection that is made later is monitored again."""
        for connection_id in self._connections:
            self.stop_monitoring(connection_id)

    # -- the wheel

    def tick(self) -> None:
        """Ping the connections whose turn it is, and end those that are silent.

        To be called every ``housekeeping.TICK`` seconds, after the hub's clock has moved.
        """
        now, absences = self._hub.now, self._pulse.absences
        silent = self._pulse.advance(now, secrets.randbits(32))
        if self._pulse.absences != absences:
            logger.info("the server itself stood still for a moment: nobody is judged for it")
        for owner in silent:
            try:
                self._end_silent(owner)
            except Exception:
                report_incident("ending a silent connection")
        if now >= self._count_at:
            self._count_at = now + self._pulse.interval
            self._counted.append((self._pulse.answered, self._pulse.missed))

    def _end_silent(self, connection: Connection) -> None:
        if connection.is_paused:
            # What it may have said is still in the kernel, and it is we who leave it there.
            return
        if self._only_reads_nothing(connection):
            return
        self.closed += 1
        owner = connection.owner
        if isinstance(owner, ConnectionMetadata):
            self._end(owner)
        else:
            self._pulse.forget(connection.handle)
            connection.close(CloseCode.HEALTH_CHECK_FAILED, "health check failed")

    def _only_reads_nothing(self, connection: Connection) -> bool:
        """Whether it cannot have heard our pings, but is there: slow is not dead, for twice the time.

        Its socket is full, so that pings wait behind what it does not read, and yet its kernel
        answers ours. How long it may be slow is for the backpressure handler to say.
        """
        handle = connection.handle
        if not self._hub.is_blocked(handle):
            return False
        timeout = self._pulse.timeout
        ago = acknowledged_ago(connection.transport)
        silent_for = self._hub.now - self._hub.last_received(handle)
        return ago is not None and ago < timeout and silent_for < SLOW_FACTOR * timeout

    # -- answers

    def handle_pong(self, connection_id: str, payload: bytes | None = None) -> float | None:
        """A connection has answered a ping: a sign of life, and a round trip if it can be told.

        ``payload`` is what the pong brought: it comes from the client and is believed only if it
        is that of a ping which this connection was sent. None, for callers that do not know it,
        stands for the newest ping. Returns the round trip in seconds, or None. An unknown
        connection changes nothing.
        """
        metadata = self._connections.get(connection_id)
        return None if metadata is None else self.pong_received(metadata, payload)

    def pong_received(self, metadata: ConnectionMetadata, payload: bytes | None) -> float | None:
        """The same for whoever holds the metadata."""
        rtt = self._pulse.answer(metadata.handle, payload, self._clock.monotonic())
        if rtt is not None:
            metadata.rtt = rtt
        return rtt

    def update_connection_metrics(self, connection_id: str, rtt: float) -> None:
        """Note a round trip of ``rtt`` seconds that the caller has measured by means of its own.

        Raises ConnectionNotFound, and ValueError unless ``rtt`` is a finite number from 0 on.
        """
        if not (math.isfinite(rtt) and rtt >= 0):
            raise ValueError("a round trip takes a finite number of seconds, 0 or more")
        metadata = self._metadata(connection_id)
        metadata.rtt = rtt
        self._pulse.note_round_trip(metadata.handle, rtt)

    # -- rules

    @staticmethod
    def calculate_heartbeat_interval(base_interval: float) -> float:
        """See the function of this name."""
        return calculate_heartbeat_interval(base_interval)

    def get_adaptive_timeout(self, connection: str | ConnectionMetadata) -> float:
        """Seconds of silence after which this connection is ended.

        The setting ``connection.timeout``, or twice as much when its average round trip is over
        1,000 ms: what is slow to answer is not dead. Raises ConnectionNotFound.
        """
        known = self._metadata(connection if isinstance(connection, str) else connection.connection_id)
        return self._pulse.timeout_of(known.handle)

    # -- figures

    def check_connection_health(self, connection_id: str) -> ConnectionHealth:
        """How one connection is doing; changes nothing. Raises ConnectionNotFound."""
        metadata = self._metadata(connection_id)
        timeout = self._pulse.timeout_of(metadata.handle)
        figures = self._pulse.figures(metadata.handle)
        silent_for, missed, average = figures or (
            self._hub.now - self._hub.last_received(metadata.handle),
            0,
            None,
        )
        if figures is None or isinstance(metadata.link, ForeignLink):
            state = HealthState.UNMONITORED
        elif silent_for >= timeout:
            state = HealthState.STALE
        else:
            state = HealthState.UNHEALTHY if missed else HealthState.HEALTHY
        return ConnectionHealth(
            state=state,
            silent_for=silent_for,
            timeout=timeout,
            missed=missed,
            rtt_ms=_milliseconds(metadata.rtt),
            average_rtt_ms=_milliseconds(average),
        )

    def is_late(self, metadata: ConnectionMetadata) -> bool:
        """Whether a connection that is monitored let a ping pass and has not been heard since."""
        figures = self._pulse.figures(metadata.handle)
        return figures is not None and figures[1] > 0

    @property
    def round_trips(self) -> Histogram:
        """How long pings took to be answered since the start."""
        return self._pulse.round_trips

    def average_latency(self) -> float | None:
        """Milliseconds: the mean of the connections' average round trips; None while there is none."""
        *_, measured, total = self._pulse.census()
        return _milliseconds(total / measured) if measured else None

    def get_health_metrics(self) -> dict[str, Any]:
        """Figures over all connections, those of now and, where it says so, since the start.

        - ``healthy_connections``, ``unhealthy_connections``: as in HealthState, stale ones being
          unhealthy; ``unmonitored_connections`` are the rest of those that are open;
        - ``avg_latency``: milliseconds, the mean of the connections' average round trips; None
          while there is none;
        - ``heartbeat_success_rate``: percent of the pings of the last two to three intervals that were
          answered before the next one was due; None while there is none;
        - ``extended_timeouts``: connections that have the longer timeout;
        - ``pings``, ``pongs``, ``missed``, ``timed_out``: since the start; ``timed_out`` are the
          connections that were ended for silence;
        - ``own_stalls``, ``own_stall_seconds``: since the start, how often and how long the server
          itself stood still, which nobody was judged for.
        """
        pulse = self._pulse
        listed, late, slow, _, _ = pulse.census()
        answered, missed = self._counted[0]
        answered, missed = pulse.answered - answered, pulse.missed - missed
        return {
            "healthy_connections": listed - late,
            "unhealthy_connections": late,
            "unmonitored_connections": len(self._connections) - listed,
            "avg_latency": self.average_latency(),
            "heartbeat_success_rate": (
                round(100 * answered / (answered + missed), 2) if answered + missed else None
            ),
            "extended_timeouts": slow,
            "pings": pulse.pings,
            "pongs": pulse.answered,
            "missed": pulse.missed,
            "timed_out": self.closed,
            "own_stalls": pulse.absences,
            "own_stall_seconds": round(pulse.absent_seconds, 3),
        }

    def _metadata(self, connection_id: str) -> ConnectionMetadata:
        metadata = self._connections.get(connection_id)
        if metadata is None:
            raise ConnectionNotFound
        return metadata


def calculate_heartbeat_interval(base_interval: float) -> float:
    """``base_interval`` seconds, give or take 20 %: by this rule pings keep from bunching.

    The server draws anew for every ping of every connection.
    """
    return base_interval * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - nothing secret


def get_adaptive_timeout(connection: str | ConnectionMetadata) -> float:
    """``HealthMonitor.get_adaptive_timeout`` of the default connection manager's monitor."""
    from wsserver.connection_manager import connection_manager

    return connection_manager.health_monitor.get_adaptive_timeout(connection)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)


def __getattr__(name: str) -> Any:
    # The default instance belongs to the default connection manager, which imports this module.
    if name == "health_monitor":
        from wsserver.connection_manager import connection_manager

        return connection_manager.health_monitor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
