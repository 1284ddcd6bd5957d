"""What is watched about the load of a server, read once a second."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from wsserver.connection_manager import ConnectionManager
from wsserver.observe.alerts import AlertName
from wsserver.observe.descriptor_room import DescriptorRoom
from wsserver.observe.error_rate import ErrorRate
from wsserver.observe.loop_lag import LoopLag
from wsserver.observe.process_memory import MemoryUsage, ProcessMemory

LEAST_SLOW: Final = 10
"""Slow connections below which their share says nothing: one of three is no alert."""


@dataclass(frozen=True, slots=True)
class Load:
    """One look at the server: the two signals that overload is judged by, and all that is measured."""

    memory: MemoryUsage
    loop_lag: float
    """Seconds; the worst since the last look."""
    values: Mapping[AlertName, float | None]
    """By alert, in the unit of that alert; None where there is nothing to measure."""


class LoadSignals:
    """Reads the signals. One look takes about 25 µs with 10,000 connections."""

    def __init__(
        self,
        manager: ConnectionManager,
        *,
        memory: ProcessMemory,
        lag: LoopLag,
        descriptors: DescriptorRoom,
        totals: Callable[[], tuple[int, int]],
        latency: Callable[[], float | None],
    ) -> None:
        """``totals()`` is operations and failures since the start, ``latency()`` milliseconds or None."""
        self.memory = memory
        self.lag = lag
        self.descriptors = descriptors
        self._manager = manager
        self._totals = totals
        self._latency = latency
        self._errors = ErrorRate()

    def read(self) -> Load:
        """Look at everything now."""
        manager = self._manager
        self._errors.note(manager.clock.monotonic(), *self._totals())
        self.descriptors.refresh()
        memory, lag = self.memory.usage(), self.lag.take()
        return Load(
            memory,
            lag,
            {
                "connection_count": len(manager.connections),
                "error_rate": self._errors.percent(),
                "latency": self._latency(),
                "memory_usage": memory.percent,
                "loop_lag": lag * 1000,
                "descriptors": self.descriptors.percent(),
                "slow_connections": self._slow_share(),
            },
        )

    def _slow_share(self) -> float:
        slow = self._manager.slow_connections()
        return 100.0 * slow / max(len(self._manager.connections), slow) if slow >= LEAST_SLOW else 0.0
