"""A drain: told first, closed in portions, over as soon as all have left."""

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from far_end import FarEnd
from workbench import Bench, Workbench, settings_with

from wsserver.connections.drain import NOTICES_PER_TURN, Drain, DrainState
from wsserver.connections.return_schedule import LINGER, STEP
from wsserver.errors import ServerError

MANY = {"max_connections_per_role": None, "max_connections_per_user": 100_000}


class Nap:
    """Stands in for ``asyncio.sleep``: moves the clock and lets the hub work."""

    def __init__(self, bench: Bench, *, late: float = 0.0) -> None:
        self.bench = bench
        self.late = late
        self.slept = 0.0
        self.open: list[tuple[float, int]] = []
        self.between: Callable[[], object] = lambda: None

    async def __call__(self, seconds: float) -> None:
        self.slept += seconds
        self.bench.clock.advance(seconds + self.late)
        self.bench.loop.run()
        self.between()
        self.open.append((self.bench.clock.monotonic(), len(self.bench.manager.connections)))


def plan(**changed: Any) -> Any:
    return settings_with(shutdown=changed).shutdown


def crowd(bench: Bench, count: int) -> list[Any]:
    return [bench.connect(f"u{number}")[1] for number in range(count)]


async def test_all_are_told_before_the_first_is_closed_each_with_a_time_of_its_own() -> None:
    bench = Bench(connection=MANY)
    websockets = crowd(bench, 2000)
    nap = Nap(bench)
    told: list[tuple[int, int]] = []
    nap.between = lambda: told.append(
        (sum(bool(one.types) for one in websockets), sum(one.close_code is not None for one in websockets))
    )
    assert await Drain(bench.manager, plan(return_rate=500.0), sleep=nap).run() == 2000
    bench.loop.run()
    assert all(closed == 0 or count == 2000 for count, closed in told)
    assert {tuple(one.types) for one in websockets} == {("system_shutdown",)}
    assert {one.close_code for one in websockets} == {4020}
    assert len({one.messages[0]["reconnect_after_ms"] for one in websockets}) > 1000


async def test_the_text_says_what_the_number_says() -> None:
    bench = Bench()
    (websocket,) = crowd(bench, 1)
    await Drain(bench.manager, plan(restart_time=2.0), sleep=Nap(bench)).run()
    bench.loop.run()
    (notice,) = websocket.messages
    assert notice == {
        "type": "system_shutdown",
        "message": "The server is shutting down. Come back in 5.0 seconds.",
        "reconnect_after_ms": (LINGER + 2.0) * 1000,
    }


@pytest.mark.parametrize("restart_time", [None, 2.0])
@pytest.mark.parametrize(("late", "stall"), [(0.0, 0.0), (0.03, 0.0), (0.4, 0.0), (0.0, 3.0)])
async def test_returns_stay_under_twice_the_rate_even_if_the_loop_is_late_or_stands_still(
    restart_time: float | None, late: float, stall: float
) -> None:
    bench = Bench(connection=MANY)
    websockets = crowd(bench, 1000)
    nap = Nap(bench, late=late)
    closed_at: dict[int, float] = {}

    def note() -> None:
        for number, one in enumerate(websockets):
            if one.close_code is not None:
                closed_at.setdefault(number, bench.clock.monotonic())
        if len(nap.open) == 20:
            bench.clock.advance(stall)

    nap.between = note
    drain = Drain(bench.manager, plan(return_rate=200.0, restart_time=restart_time), sleep=nap)
    await drain.run()
    bench.loop.run()
    note()
    back = sorted(
        closed_at[number] + one.messages[0]["reconnect_after_ms"] / 1000
        for number, one in enumerate(websockets)
    )
    worst = max(sum(start <= other < start + 1 for other in back) for start in back[::20])
    assert worst <= 2 * 200


async def test_load_balancers_have_time_to_notice_and_nobody_comes_in_meanwhile() -> None:
    bench = Bench()
    (websocket,) = crowd(bench, 1)
    nap = Nap(bench)
    drain = Drain(bench.manager, plan(notice=3.0), sleep=nap)
    seen: list[tuple[float, str, bool]] = []

    def look() -> None:
        seen.append((nap.slept, drain.state.value, bool(websocket.types)))
        with pytest.raises(ServerError) as refused:
            bench.connect("u2")
        assert refused.value.kind.code == 1013

    nap.between = look
    await drain.run()
    assert all(state == "waiting" and not told for slept, state, told in seen if slept < 2.9)
    assert seen[-1][0] == pytest.approx(3.0, abs=2 * STEP)
    assert bench.manager.draining
    assert bench.manager.refusals == {"drain"}, "other reasons to refuse are not the drain's business"


async def test_closes_are_paced_and_never_all_at_once() -> None:
    bench = Bench(connection=MANY)
    crowd(bench, 500)
    nap = Nap(bench)
    await Drain(bench.manager, plan(return_rate=100.0, restart_time=None, notice=0.0), sleep=nap).run()
    portions = [before - after for (_, before), (_, after) in pairwise(nap.open)]
    assert max(portions) == 10
    assert nap.slept == pytest.approx(4.9, abs=2 * STEP)


async def test_it_ends_at_once_when_nobody_is_there() -> None:
    bench = Bench()
    nap = Nap(bench)
    drain = Drain(bench.manager, plan(timeout=1000.0, notice=100.0), sleep=nap)
    assert await drain.run() == 0
    assert nap.slept == 0
    assert drain.state is DrainState.DRAINED


async def test_it_ends_early_when_all_have_left_by_themselves() -> None:
    bench = await Workbench(connection=MANY).start()
    clients: list[FarEnd] = [await bench.client(f"u{number}") for number in range(50)]
    nap = Nap(bench)
    drain = Drain(bench.manager, plan(notice=0.0, return_rate=1.0, restart_time=None), sleep=nap)

    def leave() -> None:
        for far_end in clients:
            far_end.leave()
        bench.loop.run()

    nap.between = leave
    await drain.run()
    assert nap.slept < 2
    assert drain.progress() == {
        "state": "drained", "total": 50, "closed": 50, "open": 0, "seconds_left": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize("restart_time", [None, 2.0])
async def test_it_never_takes_longer_than_its_time_even_if_nobody_answers(
    restart_time: float | None,
) -> None:
    bench = await Workbench().start()
    stubborn = await bench.client()
    stubborn.stuck = True
    nap = Nap(bench)
    await Drain(bench.manager, plan(timeout=6.0, restart_time=restart_time), sleep=nap).run()
    # Before a restart all others wait for the last one, so it gets less.
    assert nap.slept == pytest.approx(6.0 if restart_time is None else 1.0 + LINGER, abs=0.01)
    assert bench.manager.hub.open_count == 1


@pytest.mark.parametrize("late", [0.0, 1.0])
async def test_all_are_closed_before_the_time_is_over_even_if_the_loop_is_late(late: float) -> None:
    bench = Bench(connection=MANY)
    websockets = crowd(bench, 300)
    nap = Nap(bench, late=late)
    began = bench.clock.monotonic()
    await Drain(bench.manager, plan(timeout=10.0, return_rate=1.0, restart_time=None), sleep=nap).run()
    bench.loop.run()
    assert {one.close_code for one in websockets} == {4020}
    assert bench.clock.monotonic() - began <= 10.0 + 2 * late


async def test_without_time_all_are_closed_at_once_and_still_told() -> None:
    bench = Bench()
    websockets = crowd(bench, 20)
    nap = Nap(bench)
    await Drain(bench.manager, plan(timeout=0.0), sleep=nap).run()
    bench.loop.run()
    assert nap.slept == 0
    assert all(one.types == ["system_shutdown"] and one.close_code == 4020 for one in websockets)


async def test_telling_many_lets_the_loop_turn_in_between() -> None:
    bench = Bench(connection=MANY)
    crowd(bench, 3 * NOTICES_PER_TURN)
    naps: list[float] = []

    async def sleep(seconds: float) -> None:
        naps.append(seconds)

    await Drain(bench.manager, plan(timeout=0.0), sleep=sleep).run()
    assert naps.count(0) >= 3


async def test_a_cancelled_drain_closes_nobody_any_more() -> None:
    bench = Bench(connection=MANY)
    websockets = crowd(bench, 100)
    nap = Nap(bench)

    def cancel() -> None:
        if len(bench.manager.connections) < 100:
            raise asyncio.CancelledError

    nap.between = cancel
    drain = Drain(bench.manager, plan(return_rate=100.0, restart_time=None), sleep=nap)
    with pytest.raises(asyncio.CancelledError):
        await drain.run()
    bench.loop.run()
    assert drain.state is DrainState.CANCELLED
    assert drain.is_over
    assert drain.closed == 10
    assert sum(one.close_code is None for one in websockets) == 90


async def test_one_that_has_left_before_its_turn_holds_nobody_up() -> None:
    bench = Bench()
    first, _ = bench.connect("u1")
    second, websocket = bench.connect("u2")
    nap = Nap(bench)
    nap.between = lambda: bench.manager.disconnect(first)
    assert await Drain(bench.manager, plan(restart_time=None, notice=STEP), sleep=nap).run() == 1
    bench.loop.run()
    assert second not in bench.manager.connections
    assert websocket.close_code == 4020
