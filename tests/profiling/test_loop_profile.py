"""The window in which a running server is profiled: how long, by whom, and when it ends early."""

import sys
from collections.abc import Callable

import pytest
from fake_clock import FakeClock
from workbench import Bench

from wsserver.profiling.core_figures import CoreFigures
from wsserver.profiling.loop_profile import LATE, STEP, LoopProfiler, ProfileRunning


class Window:
    """A profiler with a clock moved by hand; ``do`` is what happens in each step."""

    def __init__(self, do: Callable[[], object] = lambda: None) -> None:
        self.bench, self.clock, self.do = Bench(), FakeClock(), do
        self.steps = 0
        self.going = True
        self.late = 0.0
        self.profiler = LoopProfiler(
            CoreFigures(self.bench.manager),
            self.clock,
            is_going=lambda: self.going,
            sleep=self.sleep,
            cpu_time=lambda: self.steps * 0.01,
        )

    async def sleep(self, seconds: float) -> None:
        self.steps += 1
        self.clock.advance(seconds + self.late)
        self.do()


async def test_it_looks_for_as_long_as_it_was_asked_to() -> None:
    window = Window()
    found = await window.profiler.run(3)
    assert (found.seconds, found.ended, found.cpu_seconds) == (3.0, "time", 0.3)
    assert window.steps == 30
    assert found.worst_lag_ms == pytest.approx(0, abs=0.001)
    assert sys.getprofile() is None


async def test_what_happens_meanwhile_is_told_of_python_and_of_the_core() -> None:
    window = Window()

    def publish() -> None:
        window.bench.manager.broadcast_to_type("ecg", {"n": 1})

    publish()
    window.do = publish
    found = await window.profiler.run(1)
    assert found.core.counters["broadcasts"] == 10
    (ours,) = [one for one in found.by_total_time if one.function.endswith("broadcast_to_type")]
    assert (ours.function, ours.calls) == (
        "wsserver.connection_manager:ConnectionManager.broadcast_to_type",
        10,
    )
    assert len(found.by_own_time) == len(found.by_total_time) == 25


async def test_only_one_looks_at_a_time() -> None:
    window = Window()
    refused = []

    async def second() -> None:
        with pytest.raises(ProfileRunning):
            await window.profiler.run(1)
        refused.append(True)

    def start_second() -> None:
        # It is refused before it waits for anything.
        with pytest.raises(StopIteration):
            second().send(None)

    window.do = start_second
    await window.profiler.run(1)
    assert len(refused) == 10
    window.do = lambda: None
    assert (await window.profiler.run(1)).ended == "time"


async def test_another_profiler_of_this_thread_is_left_alone() -> None:
    window, mine = Window(), []
    sys.setprofile(lambda *event: mine.append(event))
    try:
        with pytest.raises(ProfileRunning):
            await window.profiler.run(1)
        assert sys.getprofile() is not None
    finally:
        sys.setprofile(None)
    assert not window.profiler.is_running


async def test_a_loop_that_gets_late_ends_it() -> None:
    window = Window()
    window.late = LATE + 0.01
    found = await window.profiler.run(30)
    assert (found.ended, window.steps) == ("loop_lag", 1)
    assert found.worst_lag_ms == pytest.approx(510)
    assert found.seconds == pytest.approx(STEP + 0.51)
    window.late = LATE - 0.01
    assert (await window.profiler.run(2)).ended == "time"


async def test_the_end_of_the_server_ends_it() -> None:
    window = Window()
    window.going = False
    found = await window.profiler.run(30)
    assert (found.ended, window.steps) == ("stopped", 1)


async def test_a_fault_meanwhile_leaves_no_profiler_behind() -> None:
    def fail() -> None:
        raise OSError

    window = Window(fail)
    with pytest.raises(OSError):
        await window.profiler.run(1)
    assert sys.getprofile() is None
    assert not window.profiler.is_running
