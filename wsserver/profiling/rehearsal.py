"""The usual operations on a manager of their own, timed and profiled: connect, subscribe, broadcast.

Its sockets are stand-ins that take everything and keep nothing, so what is measured is this
package and not the kernel. No server of this process is touched.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, cast

import msgspec

from wsserver.connection_manager import ConnectionManager
from wsserver.profiling.core_figures import CoreFigures, CoreProfile, between
from wsserver.profiling.python_profile import FunctionTime, PythonProfile, table, top
from wsserver.settings import ConnectionSettings, Settings, SubscriptionSettings

MAX_ITERATIONS: Final = 1000
"""Each broadcast reaches all who have come so far, so twice the iterations are four times the work."""

FUNCTIONS: Final = 10


class OperationTime(msgspec.Struct, frozen=True, kw_only=True):
    """What one kind of operation took without a profiler."""

    calls: int
    mean_us: float
    max_us: float


class OperationsProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What ``iterations`` times connect, subscribe, broadcast and flush took."""

    iterations: int
    operations: dict[str, OperationTime]
    functions: list[FunctionTime]
    """The first ten by the time with all that they called, under the profiler."""
    core: CoreProfile

    def lines(self) -> list[str]:
        """For people."""
        lines = [f"{'operation':<10}  {'calls':>6}  {'mean µs':>9}  {'max µs':>9}"]
        lines += [
            f"{name:<10}  {one.calls:>6}  {one.mean_us:>9.1f}  {one.max_us:>9.1f}"
            for name, one in self.operations.items()
        ]
        counters = self.core.counters
        names = ("broadcasts", "considered", "matched", "delivered", "frames_sent", "bytes_sent")
        lines += ["", ", ".join(f"{name} {counters[name]}" for name in names)]
        return [*lines, "", *table(self.functions)]


def rehearse(iterations: int) -> OperationsProfile:
    """Go through the operations twice, each time on a new manager: timed, then profiled.

    Raises ValueError for iterations out of bounds, and RuntimeError where this thread is being profiled.
    """
    if not 1 <= iterations <= MAX_ITERATIONS:
        raise ValueError(f"iterations must be from 1 to {MAX_ITERATIONS}")
    times: dict[str, list[int]] = {}

    def timed(name: str, work: Callable[..., Any], *arguments: Any) -> Any:
        started = time.perf_counter_ns()
        result = work(*arguments)
        times.setdefault(name, []).append(time.perf_counter_ns() - started)
        return result

    manager = _manager(iterations)
    figures = CoreFigures(manager)
    before = figures.read()
    _go_through(manager, iterations, timed)
    core = between(before, figures.read())
    profile, again = PythonProfile(), _manager(iterations)
    profile.start()
    try:
        _go_through(again, iterations, lambda _, work, *arguments: work(*arguments))
    finally:
        profile.stop()
    ours = [one for one in profile.functions() if not one.function.startswith(f"{__name__}:")]
    return OperationsProfile(
        iterations=iterations,
        operations={name: _summed(taken) for name, taken in times.items()},
        functions=top(ours, "total_ms", FUNCTIONS),
        core=core,
    )


def _go_through(manager: ConnectionManager, iterations: int, do: Callable[..., Any]) -> None:
    for number in range(iterations):
        connection_id = str(do("connect", manager.connect, _StandIn(), f"user_{number}", "doctor", number))
        do("subscribe", manager.subscribe, connection_id, "patient", number)
        do("broadcast", manager.broadcast_to_type, "patient", {"test": "data"})
        do("flush", manager.send_message_batch)


def _manager(iterations: int) -> ConnectionManager:
    settings = Settings(
        connection=ConnectionSettings(max_connections=iterations, max_connections_per_role=None),
        subscription=SubscriptionSettings(max_global=2 * iterations),
    )
    manager = ConnectionManager(settings)
    # Otherwise it would find the running loop, which may be that of a live server.
    manager.loop_port.bind(cast(asyncio.AbstractEventLoop, _StillLoop()))
    return manager


def _summed(taken: list[int]) -> OperationTime:
    return OperationTime(
        calls=len(taken),
        mean_us=round(sum(taken) / len(taken) / 1000, 1),
        max_us=round(max(taken) / 1000, 1),
    )


class _StandIn:
    """A socket that takes everything."""

    def write(self, data: bytes) -> None:
        """Keep nothing."""

    def close(self) -> None:
        """Nothing to close."""


class _StillLoop:
    """A loop that never turns: what waits is flushed by hand."""

    def is_closed(self) -> bool:
        """Never."""
        return False

    def call_soon(self, callback: Callable[[], Any]) -> None:
        """Not called."""

    def call_later(self, delay: float, callback: Callable[[], Any]) -> None:
        """Not called either."""
