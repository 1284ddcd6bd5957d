"""Figures over time: what a point says, gaps, and both windows as they are sent."""

import struct
from math import isnan

import msgspec
import pytest
from workbench import Workbench

from wsserver.status.columns import COLUMNS
from wsserver.status.series import Series

NAMES = [column.name for column in COLUMNS]


class Watched:
    """A service whose seconds are told one by one."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self.series = Series(bench.service)
        self.series.begin()

    def second(self, seconds: float = 1.0) -> bool:
        self.bench.clock.advance(seconds)
        return self.series.tick()

    def point(self, window: str = "15m") -> dict[str, float]:
        return dict(zip(NAMES, self.series.windows[window].row, strict=True))


@pytest.fixture
async def watched() -> Watched:
    return Watched(await Workbench().start())


def unpacked(packed: bytes) -> tuple[dict, dict[str, list[float | None]]]:
    (length,) = struct.unpack_from("<I", packed)
    head = msgspec.json.decode(packed[4 : 4 + length])
    assert (4 + length) % 4 == 0
    count, columns, at = head["count"], {}, 4 + length
    for column in head["columns"]:
        values = struct.unpack_from(f"<{count}f", packed, at)
        columns[column["name"]] = [None if isnan(value) else value for value in values]
        at += 4 * count
    assert at == len(packed)
    return head, columns


def broadcast(watched: Watched, times: int) -> None:
    for _ in range(times):
        watched.bench.manager.broadcast_to_type("ecg", {"type": "ecg_data", "data": [1]})
    watched.bench.loop.run()


async def test_it_looks_once_a_second(watched: Watched) -> None:
    assert [watched.second(0.25) for _ in range(9)] == [False] * 3 + [True] + [False] * 3 + [True, False]


async def test_rates_are_per_second(watched: Watched) -> None:
    broadcast(watched, 3)
    watched.second()
    assert watched.point()["published"] == pytest.approx(3)
    watched.second()
    assert watched.point()["published"] == 0
    broadcast(watched, 6)
    watched.second(1.5)
    assert watched.point()["published"] == pytest.approx(4)


async def test_gauges_and_latencies_of_a_second(watched: Watched) -> None:
    far_end = await watched.bench.client()
    await watched.bench.ask(far_end, type="subscribe", topic="type:ecg")
    watched.second()
    point = watched.point()
    assert (point["connections"], point["subscriptions"]) == (1, 1)
    assert isnan(point["enqueue_p50_ms"])
    assert isnan(point["rtt_ms"])
    broadcast(watched, 10)
    watched.bench.service.health.round_trips.note(0.02)
    watched.bench.service.health.round_trips.note(0.04)
    watched.second()
    point = watched.point()
    # The clock stands still while they are sent.
    assert 0 < point["enqueue_p50_ms"] <= point["enqueue_p95_ms"] <= point["enqueue_p99_ms"] <= 0.01
    assert 0 < point["write_p99_ms"] <= 0.01
    assert point["rtt_ms"] == pytest.approx(30)


async def test_what_the_service_counted_before_is_not_counted_again(watched: Watched) -> None:
    broadcast(watched, 5)
    again = Watched(watched.bench)
    again.second()
    assert again.point()["published"] == 0


async def test_seconds_in_which_the_loop_stood_still_are_gaps(watched: Watched) -> None:
    for _ in range(3):
        watched.second()
    broadcast(watched, 8)
    watched.second(4)
    _, columns = unpacked(watched.series.minutes.packed())
    assert columns["published"][-7:] == [0, 0, 0, None, None, None, 2]
    assert columns["connections"][-4:-1] == [None] * 3


async def test_ten_seconds_hold_the_mean_of_gauges_the_worst_of_peaks_and_rates_of_all(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    lag = watched.bench.service.overload.signals.lag
    for second in range(10):
        if second == 5:
            await watched.bench.client()
        if second == 3:
            broadcast(watched, 20)
        monkeypatch.setattr(lag, "worst_since", lambda moment, second=second: 0.1 if second == 4 else 0.01)
        watched.second()
    point = watched.point("6h")
    assert point["connections"] == pytest.approx(0.5)
    assert point["loop_lag_ms"] == pytest.approx(100)
    assert point["published"] == pytest.approx(2)
    assert point["connects"] == pytest.approx(0.1)
    for _ in range(10):
        watched.second()
    point = watched.point("6h")
    assert (point["connections"], point["published"]) == (pytest.approx(1), 0)
    assert point["loop_lag_ms"] == pytest.approx(10)


async def test_a_window_is_sent_with_a_head_that_explains_it(watched: Watched) -> None:
    broadcast(watched, 2)
    watched.second()
    head, columns = unpacked(watched.series.minutes.packed())
    assert (head["window"], head["step"], head["count"]) == ("15m", 1, 900)
    assert head["last_at"] == watched.bench.clock.time()
    assert [column["name"] for column in head["columns"]] == NAMES
    assert columns["published"] == [None] * 899 + [2]
    head, columns = unpacked(watched.series.hours.packed())
    assert (head["window"], head["step"], head["count"]) == ("6h", 10, 2160)
    assert set(columns["published"]) == {None}


async def test_points_come_and_go_in_their_order(watched: Watched) -> None:
    for second in range(905):
        broadcast(watched, second % 7)
        watched.second()
    _, columns = unpacked(watched.series.minutes.packed())
    assert columns["published"] == [second % 7 for second in range(5, 905)]
    assert watched.series.minutes.most("published") == 6
    _, columns = unpacked(watched.series.hours.packed())
    assert [value for value in columns["published"] if value is not None] == pytest.approx(
        [sum(second % 7 for second in range(ten, ten + 10)) / 10 for ten in range(0, 900, 10)]
    )
