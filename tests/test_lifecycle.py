"""Going down: told first, sent away in portions, over as soon as all have left."""

from itertools import pairwise
from types import SimpleNamespace

import pytest
from far_end import FarEnd
from workbench import Bench, Workbench, assert_nothing_left

from wsserver import lifecycle
from wsserver.errors import ServerError
from wsserver.lifecycle import RETURN_RATE, STEP, graceful_shutdown


class Nap:
    """Stands in for ``asyncio.sleep``: moves the clock and lets the hub work."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.open: list[int] = []
        self.slept = 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.bench.clock.advance(seconds)
        self.bench.loop.run()
        self.open.append(len(self.bench.manager.connections))


def nap(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Nap:
    stand_in = Nap(bench)
    monkeypatch.setattr(lifecycle, "asyncio", SimpleNamespace(sleep=stand_in.sleep))
    return stand_in


async def test_everybody_is_told_first_each_with_a_time_of_its_own_and_closed_with_4020(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(connection={"max_connections_per_role": None})
    stand_in = nap(bench, monkeypatch)
    websockets = [bench.connect(f"u{number}")[1] for number in range(2000)]
    assert await graceful_shutdown(bench.manager) == 2000
    bench.loop.run()
    notices = [one.messages[-1] for one in websockets]
    assert {notice["type"] for notice in notices} == {"system_shutdown"}
    delays = [notice["reconnect_after_ms"] for notice in notices]
    assert delays == sorted(delays)
    assert min(delays) >= 1000
    for start in range(2000 - RETURN_RATE):
        assert delays[start + RETURN_RATE] - delays[start] >= 1000
    assert {one.close_code for one in websockets} == {4020}
    assert stand_in.slept <= bench.manager.settings.shutdown.timeout / 2
    assert_nothing_left(bench.manager)


async def test_closes_are_paced_over_half_the_time_and_never_all_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(connection={"max_connections_per_role": None})
    stand_in = nap(bench, monkeypatch)
    for number in range(500):
        bench.connect(f"u{number}")
    await graceful_shutdown(bench.manager, 10.0)
    left = [500, *stand_in.open]
    portions = [before - after for before, after in pairwise(left)]
    assert max(portions) == 10
    assert len(stand_in.open) <= 10 / 2 / STEP


async def test_nobody_new_is_taken_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    nap(bench, monkeypatch)
    bench.connect()
    await graceful_shutdown(bench.manager)
    with pytest.raises(ServerError) as refused:
        bench.connect("u2")
    assert refused.value.kind.code == 1013


async def test_it_ends_at_once_when_nobody_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    stand_in = nap(bench, monkeypatch)
    assert await graceful_shutdown(bench.manager, 1000.0) == 0
    assert stand_in.slept == 0


async def test_it_ends_early_when_all_have_left_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = await Workbench().start()
    stand_in = nap(bench, monkeypatch)
    clients: list[FarEnd] = [await bench.client(f"u{number}") for number in range(50)]
    step = stand_in.sleep

    async def leave_then(seconds: float) -> None:
        for far_end in clients:
            far_end.leave()
        await step(seconds)

    monkeypatch.setattr(lifecycle, "asyncio", SimpleNamespace(sleep=leave_then))
    await graceful_shutdown(bench.manager, 100.0)
    assert stand_in.slept == STEP


async def test_it_never_takes_longer_than_its_time_even_if_nobody_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = await Workbench().start()
    stand_in = nap(bench, monkeypatch)
    stubborn = await bench.client()
    stubborn.stuck = True
    await graceful_shutdown(bench.manager, 3.0)
    assert stand_in.slept <= 3.0
    assert bench.manager.hub.open_count == 1
    assert_nothing_left(bench.manager)


async def test_without_time_all_are_closed_at_once_and_still_told(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    stand_in = nap(bench, monkeypatch)
    websockets = [bench.connect(f"u{number}")[1] for number in range(20)]
    await graceful_shutdown(bench.manager, 0.0)
    bench.loop.run()
    assert stand_in.slept == 0
    assert all(one.types == ["system_shutdown"] and one.close_code == 4020 for one in websockets)
