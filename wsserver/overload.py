"""When there is too much to do: take in nobody new, clear away, do less at a time, and say so.

Memory and the lag of the loop decide, because they hurt everybody who is connected. The other
signals only raise alerts: a full server is not an overloaded one, and errors or slow answers
are in the hands of clients, who could shut the door on others with them.

``handle_system_overload``, ``trigger_emergency_cleanup``, ``monitor_memory_usage`` and
``send_alert`` are the specification's functions, for the server of this process.
"""

import logging
import math
from collections.abc import Callable, Mapping
from enum import StrEnum, unique
from typing import Any, Final

import msgspec

from wsserver.connection_manager import OVERLOAD, ConnectionManager
from wsserver.connection_manager import connection_manager as default_manager
from wsserver.ids import canonical_id
from wsserver.load.load_signals import Load, LoadSignals
from wsserver.loop.awaitable import AwaitableInt
from wsserver.observe.alerts import AlertBook, thresholds_of
from wsserver.observe.descriptor_room import DescriptorRoom
from wsserver.observe.heap import give_back_free_memory
from wsserver.observe.loop_lag import LoopLag
from wsserver.observe.process_memory import ProcessMemory
from wsserver.settings import Settings

logger = logging.getLogger("wsserver.overload")

SYSTEM_OVERLOAD: Final = "SYSTEM_OVERLOAD"
ENTER_AFTER: Final = 3
"""Looks in a row at a late loop that make an overload. One stall alone raises an alert."""

LEAVE_AFTER: Final = 10
"""Looks in a row at a loop that is in time again, or at a calm server, that end one."""

CLEANUP_PAUSE: Final = 60.0
"""Least seconds between two emergency clean-ups that nobody asked for."""

GIVE_BACK_PAUSE: Final = 10.0
"""Seconds between two attempts to give memory back while it is short.

What is freed often stays with the process, and publishers would wait for memory that nobody uses.
"""

HOLD_OFF: Final = 60.0
"""Seconds after an operator has ended an overload in which none begins by itself."""

ALERTS_WAIT_AT: Final = 97.0
"""Percent of memory at which publishers of alerts wait as well: killed, the server delivers nothing."""

MAX_DETAILS: Final = 4096
"""Bytes of the details of an alert, as JSON."""


@unique
class Cause(StrEnum):
    """Why the server counts as overloaded. Several may hold at once; it ends with the last."""

    MEMORY = "memory"
    """Ends below ``overload.leave_at``."""
    LOOP_LAG = "loop_lag"
    """Ends when the loop has been in time for ten looks."""
    REQUESTED = "requested"
    """The program asked for it; ends when all has been calm for ten looks."""
    OPERATOR = "operator"
    """Ends when the operator says so."""


class Overload:
    """Watches one server, raises its alerts, and defends it.

    ``tick`` once a second, ``watch_memory`` more often. What it changes while active (accepting,
    clean-up interval, slice size, publishers) it restores at the end. Nothing that a client is using
    is ever taken away.
    """

    def __init__(
        self,
        manager: ConnectionManager,
        signals: LoadSignals,
        alerts: AlertBook,
        *,
        give_back: Callable[[], object] = give_back_free_memory,
    ) -> None:
        """``give_back`` returns freed memory to the system; it must not block for long."""
        self.alerts = alerts
        self.signals = signals
        self.cleaners: dict[str, Callable[[], int]] = {
            "subscriptions": manager.subscription_manager.cleanup,
            "orphans": manager.subscription_manager.cleanup_orphaned_subscriptions,
        }
        """What an emergency clean-up does, by name: each drops what nobody needs and counts it."""
        self._manager = manager
        self._give_back = give_back
        self._settings = manager.settings.overload
        self._causes: set[Cause] = set()
        self._late = 0
        self._in_time = 0
        self._calm = 0
        self._cleaned_at: float | None = None
        self._gave_back_at = 0.0
        self._hold_off_until = 0.0
        self._normal: tuple[float, int] | None = None
        self._reduced = (0.0, 0)
        self.entered = 0
        """Overloads since the start."""

    @property
    def active(self) -> bool:
        """Whether the server counts as overloaded now."""
        return bool(self._causes)

    @property
    def causes(self) -> list[str]:
        """Why, in alphabetical order."""
        return sorted(self._causes)

    @property
    def loop_lag(self) -> float:
        """Seconds by which the loop was late, the worst of the last five."""
        return self.signals.lag.worst()

    @property
    def loop_is_late(self) -> bool:
        """Whether the loop's lag is over its limit, just now or in the last five seconds."""
        return self.loop_lag >= self._settings.max_loop_lag

    def configure(self, settings: Settings) -> None:
        """Take new limits, after the manager has taken its own."""
        self._settings = settings.overload
        self.signals.memory.limit = settings.overload.memory_limit
        self.alerts.configure(thresholds_of(settings), settings.alerts)
        if self._normal is not None:
            # The manager has just been given the normal figures again.
            self._slow_down()
        if not self._settings.automatic:
            for cause in (Cause.MEMORY, Cause.LOOP_LAG):
                self.leave(cause)

    # -- watching

    def tick(self) -> None:
        """Look at the server and do what follows from it."""
        load = self.signals.read()
        for name, value in load.values.items():
            self.alerts.observe(name, value)
        self._count_looks(load)
        if self._settings.automatic:
            self._judge(load)
        if self._calm >= LEAVE_AFTER:
            self.leave(Cause.REQUESTED)

    def watch_memory(self) -> None:
        """Look at memory alone, several times a second: publishers can fill 100 MB in each."""
        settings, usage = self._settings, self.signals.memory.usage()
        backpressure = self._manager.backpressure
        if not settings.automatic or self._manager.clock.monotonic() < self._hold_off_until:
            backpressure.note_room(math.inf, math.inf)
            return
        if usage.percent >= settings.enter_at or backpressure.out_of_room:
            self.enter(Cause.MEMORY)
        share = usage.limit / 100
        backpressure.note_room(
            share * settings.enter_at - usage.used,
            share * max(ALERTS_WAIT_AT, settings.enter_at) - usage.used,
        )

    def _count_looks(self, load: Load) -> None:
        late = load.loop_lag >= self._settings.max_loop_lag
        in_time = load.loop_lag < self._settings.max_loop_lag * self._settings.leave_at / 100
        self._late = self._late + 1 if late else 0
        self._in_time = self._in_time + 1 if in_time else 0
        calm = in_time and load.memory.percent < self._settings.leave_at
        self._calm = self._calm + 1 if calm else 0

    def _judge(self, load: Load) -> None:
        settings, percent, now = self._settings, load.memory.percent, self._manager.clock.monotonic()
        if percent >= settings.cleanup_at and (
            self._cleaned_at is None or now - self._cleaned_at >= CLEANUP_PAUSE
        ):
            self.trigger_emergency_cleanup()
        if Cause.MEMORY in self._causes and now - self._gave_back_at >= GIVE_BACK_PAUSE:
            self._give_memory_back()
        if now >= self._hold_off_until:
            if percent >= settings.enter_at:
                self.enter(Cause.MEMORY)
            if self._late >= ENTER_AFTER:
                self.enter(Cause.LOOP_LAG)
        if percent < settings.leave_at:
            self.leave(Cause.MEMORY)
        if self._in_time >= LEAVE_AFTER:
            self.leave(Cause.LOOP_LAG)

    # -- entering and leaving

    def enter(self, cause: Cause, reason: str | None = None) -> bool:
        """Count as overloaded for this cause; False if it does so already.

        ``reason`` is an operator's own words for the alert.
        """
        if cause in self._causes:
            return False
        first = not self._causes
        self._causes.add(cause)
        self._calm = 0
        self._hold_publishers()
        if not first:
            return True
        self.entered += 1
        logger.critical("system overload (%s): no new connections, less at a time", cause)
        self._manager.reserve = self._settings.resume_reserve
        self._manager.set_accept_connections(False, cause=OVERLOAD)
        self._slow_down()
        self._manager.subscription_manager.aggressive_cleanup()
        details = self.figures() | {"cause": str(cause)}
        if reason is not None:
            details["reason"] = reason
        self.alerts.switch(SYSTEM_OVERLOAD, True, details)
        return True

    def leave(self, cause: Cause) -> bool:
        """Take one cause away; with the last one the server goes back to normal. False if it did not hold."""
        if cause not in self._causes:
            return False
        self._causes.remove(cause)
        self._hold_publishers()
        if self._causes:
            return True
        self._speed_up()
        self._manager.set_accept_connections(True, cause=OVERLOAD)
        logger.warning("system overload is over")
        self.alerts.switch(SYSTEM_OVERLOAD, False, self.figures())
        return True

    def leave_by_hand(self) -> bool:
        """End it whatever the causes, and let none begin by itself for a minute; False if there is none."""
        self._hold_off_until = self._manager.clock.monotonic() + HOLD_OFF
        self._manager.backpressure.note_room(math.inf, math.inf)
        causes = list(self._causes)
        for cause in causes:
            self.leave(cause)
        return bool(causes)

    def _hold_publishers(self) -> None:
        # Publishers fill the memory, not those who read it; for a late loop they are not to blame.
        self._manager.backpressure.memory_pressure = Cause.MEMORY in self._causes

    def _slow_down(self) -> None:
        manager = self._manager
        self._normal = (manager.cleanup_interval, manager.hub.batch_size)
        manager.set_cleanup_interval(self.hurried(manager.cleanup_interval))
        share = manager.hub.batch_size * self._settings.batch_share / 100
        manager.set_broadcast_batch_size(max(1, round(share)))
        self._reduced = (manager.cleanup_interval, manager.hub.batch_size)

    def _speed_up(self) -> None:
        manager, normal = self._manager, self._normal
        self._normal = None
        # What somebody has set meanwhile is what they want.
        if normal is not None and manager.cleanup_interval == self._reduced[0]:
            manager.set_cleanup_interval(normal[0])
        if normal is not None and manager.hub.batch_size == self._reduced[1]:
            manager.set_broadcast_batch_size(normal[1])

    def hurried(self, interval: float) -> float:
        """The interval of a clean-up, the shorter one while active."""
        return min(interval, self._settings.cleanup_interval) if self._causes else interval

    # -- clearing away

    def trigger_emergency_cleanup(self) -> dict[str, int]:
        """Drop what nobody needs any more and give memory back; returns how much of what went."""
        self._cleaned_at = self._manager.clock.monotonic()
        dropped = {name: clean() for name, clean in self.cleaners.items()}
        self._give_memory_back()
        logger.warning(
            "emergency clean-up: %s", ", ".join(f"{count} {name}" for name, count in dropped.items())
        )
        return dropped

    def _give_memory_back(self) -> None:
        self._gave_back_at = self._manager.clock.monotonic()
        self._give_back()

    def monitor_memory_usage(self) -> float:
        """Percent of memory in use; at ``overload.cleanup_at`` and above a clean-up is triggered."""
        percent = self.signals.memory.usage().percent
        if percent >= self._settings.cleanup_at:
            self.trigger_emergency_cleanup()
        return percent

    def figures(self) -> dict[str, Any]:
        """What an alert says about the state of the server."""
        memory = self.signals.memory.usage()
        return {
            "connections": len(self._manager.connections),
            "subscriptions": len(self._manager.subscription_manager),
            "memory_usage": round(memory.percent, 1),
            "loop_lag_ms": round(self.loop_lag * 1000, 1),
        }

    def close(self) -> None:
        """Restore what was changed, without a word; the manager may serve on without this."""
        self._manager.backpressure.note_room(math.inf, math.inf)
        if self._causes:
            self._causes.clear()
            self._hold_publishers()
            self._speed_up()
            self._manager.set_accept_connections(True, cause=OVERLOAD)


def alone(manager: ConnectionManager) -> Overload:
    """The defence of a manager that no service runs: nobody ticks it, and only its own traffic is seen."""
    clock, settings = manager.clock, manager.settings
    signals = LoadSignals(
        manager,
        memory=ProcessMemory(clock, limit=settings.overload.memory_limit),
        lag=LoopLag(clock),
        descriptors=DescriptorRoom(clock),
        totals=lambda: (manager.broadcasts.operations, manager.faults),
        latency=lambda: None,
    )
    return Overload(manager, signals, AlertBook(thresholds_of(settings), settings.alerts, clock))


_default: Overload | None = None


def adopt(overload: Overload) -> None:
    """Make this the one that the functions below speak to."""
    global _default
    _default = overload


def default_overload() -> Overload:
    """The defence of the server of this process, of its connection manager alone if none was made."""
    global _default
    if _default is None:
        _default = alone(default_manager)
    return _default


def handle_system_overload() -> AwaitableInt:
    """Count as overloaded until all has been calm for ten seconds; 0 when that holds already.

    Takes no new connections, cleans up every 30 s, flushes in smaller slices, and raises the
    alert ``SYSTEM_OVERLOAD``. The result may be awaited or not.
    """
    return AwaitableInt(default_overload().enter(Cause.REQUESTED))


def trigger_emergency_cleanup() -> dict[str, int]:
    """Drop what nobody needs any more, now; returns how much of what went."""
    return default_overload().trigger_emergency_cleanup()


def monitor_memory_usage() -> float:
    """Percent of memory in use; at 80 (``overload.cleanup_at``) and above a clean-up is triggered."""
    return default_overload().monitor_memory_usage()


def send_alert(name: str, details: Mapping[str, Any] | None = None) -> AwaitableInt:
    """Log an alert of your own, list it at ``/ws/alerts`` and post it to the webhook.

    Never blocks: posting goes on by itself. For the thread of the event loop. ``details`` leave this
    machine, so they must be about the server and not about patients. Raises ValueError for a name
    that is no id or for details that are not JSON or over 4 KiB. The result may be awaited or not.
    """
    default_overload().alerts.notify(canonical_id(name, "name"), checked_details(details))
    return AwaitableInt(1)


def checked_details(details: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """A copy of an alert's details; raises ValueError unless they are a small JSON object."""
    if details is None:
        return None
    try:
        encoded = msgspec.json.encode(dict(details))
    except (TypeError, ValueError, RecursionError):
        raise ValueError("the details of an alert must be a JSON object") from None
    if len(encoded) > MAX_DETAILS:
        raise ValueError(f"the details of an alert take {len(encoded)} bytes, more than {MAX_DETAILS}")
    copied: dict[str, Any] = msgspec.json.decode(encoded)
    return copied
