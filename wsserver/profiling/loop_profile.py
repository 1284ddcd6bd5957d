"""A profile of a running server: its loop's thread for some seconds, and what the core did meanwhile."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Literal

import msgspec

from wsserver.clock import Clock
from wsserver.profiling.core_figures import CoreFigures, CoreProfile, between
from wsserver.profiling.python_profile import FunctionTime, PythonProfile, top

MIN_SECONDS: Final = 1
MAX_SECONDS: Final = 30

STEP: Final = 0.1
"""Seconds between two looks whether the loop still is in time."""

GRAIN: Final = 0.001
"""Seconds that are not worth another step."""

LATE: Final = 0.5
"""Seconds by which the loop may be late, longer than a profile may make anybody wait."""

FUNCTIONS: Final = 25
"""Functions that are told of, by their own time and by that with all they called."""


class ProfileRunning(Exception):
    """Something profiles this thread already."""


class LoopProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What went on while it was looked at."""

    seconds: float
    """How long that was."""
    ended: Literal["time", "loop_lag", "stopped"]
    """Why no longer: all was asked for, the loop got late, or the server stopped."""
    cpu_seconds: float
    """Processor time of the loop's thread meanwhile, the profiler's own included."""
    worst_lag_ms: float
    """The most by which the loop was late."""
    by_own_time: list[FunctionTime]
    by_total_time: list[FunctionTime]
    core: CoreProfile


class LoopProfiler:
    """Profiles the thread of the running loop, one window at a time.

    While it does so every call of a Python function is dearer, so the loop takes up to about twice
    the time for the same work. It ends early when that makes the loop late.
    """

    def __init__(
        self,
        figures: CoreFigures,
        clock: Clock,
        *,
        is_going: Callable[[], bool] = lambda: True,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        cpu_time: Callable[[], float] = time.thread_time,
    ) -> None:
        """``is_going`` says whether the server still runs."""
        self._figures = figures
        self._clock = clock
        self._sleep = sleep
        self._cpu_time = cpu_time
        self._is_going = is_going
        self.is_running = False

    async def run(self, seconds: float) -> LoopProfile:
        """Look for so many seconds. Raises ProfileRunning when somebody does already."""
        profile = PythonProfile()
        before, cpu_before, started = self._figures.read(), self._cpu_time(), self._clock.monotonic()
        try:
            profile.start()
        except RuntimeError:
            raise ProfileRunning from None
        self.is_running = True
        try:
            ended, worst = await self._watch(started + seconds)
        finally:
            profile.stop()
            self.is_running = False
        took, cpu = self._clock.monotonic() - started, self._cpu_time() - cpu_before
        functions = profile.functions()
        return LoopProfile(
            seconds=round(took, 3),
            ended=ended,
            cpu_seconds=round(cpu, 3),
            worst_lag_ms=round(worst * 1000, 3),
            by_own_time=top(functions, "own_ms", FUNCTIONS),
            by_total_time=top(functions, "total_ms", FUNCTIONS),
            core=between(before, self._figures.read()),
        )

    async def _watch(self, end: float) -> tuple[Literal["time", "loop_lag", "stopped"], float]:
        """Wait until the end, or until the loop is late; why it ended, and the worst lag."""
        worst, now = 0.0, self._clock.monotonic()
        while end - now > GRAIN:
            step = min(STEP, end - now)
            await self._sleep(step)
            later = self._clock.monotonic()
            worst, now = max(worst, later - now - step), later
            if not self._is_going():
                return "stopped", worst
            if worst > LATE:
                return "loop_lag", worst
        return "time", worst
