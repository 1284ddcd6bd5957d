"""Flow control: a client that reads slowly loses data before anybody else loses time.

The core keeps the queues and thins them out; here stand the rules: who counts as slow and for
how long, what a client is told of its losses, and when it is the publishers who have to wait.
"""

import logging
import math
from collections.abc import Callable
from typing import Any, Final, cast

from wsserver.clock import Clock
from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.errors import BACKPRESSURE, CloseCode, ServerError
from wsserver.protocol.control import Gap, GapReason
from wsserver.protocol.importance import ImportanceRules
from wsserver.protocol.topic import Topic
from wsserver.settings import Settings
from wsserver.settings.contradictions import DATA_SHARE
from wsserver_core.hub import Hub
from wsserver_core.outgoing import ALERT, CRITICAL, DATA

logger = logging.getLogger("wsserver.backpressure")

HIGH: Final = 0.9
"""The part of the budget for all queues from which on publishers of data have to wait."""

LOW: Final = DATA_SHARE
"""The part at which they may go on. Above it slow connections lose what they may lose."""

RESERVE: Final = 1.1
"""The part that critical messages may fill; alerts may fill the budget itself."""

RETRY_AFTER_MS: Final = 1_000

SHED_INTERVAL: Final = 0.25
"""Seconds between two walks over the slow connections in search of room."""

LONGEST_TICK: Final = 1.0
"""Seconds between two ticks after which this process itself was away, and nobody else was slow."""


class BackpressureHandler:
    """Watches the queues of all connections, and the door through which publishers come."""

    def __init__(self, hub: Hub, settings: Settings, clock: Clock) -> None:
        self._hub = hub
        self._clock = clock
        self._last_tick: float | None = None
        self._shed_at = float("-inf")
        self._waiting = False
        self.memory_pressure = False
        """Set while the process is short of memory: then publishers of data have to wait."""
        self.out_of_room = False
        """Whether that was needed since the last ``note_room``, before anybody had set it."""
        self._data_ceiling = self._alert_ceiling = math.inf
        self.closed = 0
        """Connections that were ended for being slow."""
        self.refused = 0
        """Messages that publishers were asked to bring again later."""
        self.on_told: Callable[[ConnectionMetadata, Gap], object] | None = None
        """Called with each gap that is sent to a client."""
        self.configure(settings)
        hub.on_overflow = self._end
        hub.on_relief = self._tell_losses

    def configure(self, settings: Settings) -> None:
        """Take new settings; they hold for what is queued from now on."""
        backpressure, hub = settings.backpressure, self._hub
        hub.max_queue_messages = backpressure.max_queue_messages
        hub.max_queue_bytes = backpressure.max_queue_bytes
        hub.slow_share = backpressure.slow_share
        self.slow_after = settings.broadcast.timeout
        self.slow_timeout = backpressure.slow_timeout
        self.max_total_bytes = backpressure.max_total_bytes
        self.importance = ImportanceRules(
            frozenset(backpressure.critical_severities),
            frozenset(backpressure.alert_severities),
            frozenset(backpressure.conflatable_types),
            backpressure.stream_fields,
        )

    # -- publishers

    def admit(self, importance: int, size: int) -> None:
        """Let a message of that many bytes in; raises ServerError 1005 while its publisher has to wait.

        Data waits while the server itself is behind, while memory is short, and while the queues
        fill their budget; alerts only while they fill it wholly. Critical messages have a reserve.
        """
        if self.must_wait(importance, size):
            self.refused += 1
            raise ServerError(BACKPRESSURE, retry_after_ms=RETRY_AFTER_MS)

    def note_room(self, data: float, alerts: float) -> None:
        """Say for how many more bytes in the queues there is memory, until the next look at it.

        Memory is looked at a few times a second, and publishers may fill a container in between.
        """
        pinned = self._hub.pinned_bytes
        self.out_of_room = False
        self._data_ceiling, self._alert_ceiling = pinned + data, pinned + alerts

    def must_wait(self, importance: int, size: int = 0) -> bool:
        """Whether ``admit`` would refuse this now."""
        pinned, budget = self._hub.pinned_bytes + size, self.max_total_bytes
        if pinned > LOW * budget:
            self._shed(size)
            pinned = self._hub.pinned_bytes + size
        if importance <= CRITICAL:
            return pinned > budget * RESERVE
        if importance < DATA:
            return pinned > min(budget, self._alert_ceiling)
        self._waiting = pinned > budget * (LOW if self._waiting else HIGH)
        if self._hub.crowded_count:
            self._hub.relieve_outsiders()
        if self._waiting or self.memory_pressure or self._hub.crowded_count > 0:
            return True
        if pinned > self._data_ceiling:
            self.out_of_room = True
            return True
        return False

    @property
    def is_behind(self) -> bool:
        """Whether much waits for clients that would take it: the server does not keep up."""
        return self._hub.crowded_count > 0

    def _shed(self, size: int = 0) -> None:
        """Take from the slow what they may lose, the longest slow first, to have room for so many bytes."""
        now = self._clock.monotonic()
        if now - self._shed_at < SHED_INTERVAL:
            return
        self._shed_at = now
        room = LOW * self.max_total_bytes - size
        for importance in (DATA, ALERT):
            for handle in self._hub.slow_handles():
                if self._hub.pinned_bytes <= room:
                    return
                self._hub.shed(handle, importance)

    # -- clients

    def tick(self) -> None:
        """Find those who have become slow, and end those who have been slow for too long."""
        now = self._clock.monotonic()
        passed = 0.0 if self._last_tick is None else now - self._last_tick
        self._last_tick = now
        if passed > LONGEST_TICK:
            # What waited meanwhile waited for us.
            self._hub.excuse(passed)
            return
        self._hub.sweep_slow(now - self.slow_after, now - self.slow_timeout)
        if self._hub.pinned_bytes > LOW * self.max_total_bytes:
            self._shed()

    def _end(self, owner: Any) -> None:
        """A connection that cannot be helped: what matters and the news of its losses, then 4005."""
        handle = owner.handle
        self._hub.shed(handle, DATA)
        self._tell_losses(owner)
        if owner.close(CloseCode.SLOW_CONSUMER, "slow consumer"):
            self.closed += 1
            logger.warning("a connection that reads too slowly is closed (4005)")

    def _tell_losses(self, owner: Any) -> None:
        handle, metadata = owner.handle, owner.owner
        for log, topic, reason, first, last, count in self._hub.take_losses(handle):
            if not isinstance(metadata, ConnectionMetadata):
                continue
            patient = None if topic is None else Topic.parse(topic).patient_id
            # Its rights may have ended meanwhile, and may end while this waits.
            if patient is not None and not metadata.principal.may_see(patient):
                continue
            gap = Gap(
                log=log or "", topic=topic, from_=first, to=last, count=count, reason=cast(GapReason, reason)
            )
            self._hub.insist(handle, metadata.encoding.control(gap, patient))
            if self.on_told is not None:
                self.on_told(metadata, gap)

    def get_metrics(self) -> dict[str, Any]:
        """Figures of now and since the start; bytes are those of frames."""
        hub = self._hub
        dropped = hub.frames_dropped
        return {
            "slow_connections": hub.slow_count,
            "became_slow": hub.slow_entered,
            "closed_slow": self.closed,
            "dropped_slow": dropped["slow"],
            "conflated": dropped["conflated"],
            "queued_messages": hub.frames_queued,
            "pinned_bytes": hub.pinned_bytes,
            "max_total_bytes": self.max_total_bytes,
            "crowded_connections": hub.crowded_count,
            "publishers_refused": self.refused,
            "publishers_wait": self.must_wait(DATA),
        }
