"""One look at the counters of a service, and what a histogram says about a share."""

from math import inf

import pytest
from workbench import Workbench

from wsserver.status.columns import GAUGES, PEAKS, RATES
from wsserver.status.reading import BOUNDS, quantile, read
from wsserver_core.histogram import Histogram


@pytest.fixture
async def bench() -> Workbench:
    return await Workbench().start()


def gauges(bench: Workbench) -> dict[str, float]:
    names = [column.name for column in GAUGES]
    return dict(zip(names, read(bench.service, bench.clock.monotonic()).gauges, strict=True))


def totals(bench: Workbench) -> dict[str, float]:
    names = [column.name for column in RATES]
    return dict(zip(names, read(bench.service, bench.clock.monotonic()).totals, strict=True))


async def test_it_says_what_is_open_and_what_has_happened(bench: Workbench) -> None:
    before = totals(bench)
    first, second = await bench.client(), await bench.client("u2")
    await bench.ask(first, type="subscribe", topic="type:ecg")
    bench.manager.broadcast_to_type("ecg", {"type": "ecg_data", "data": [1]})
    bench.loop.run()
    await bench.ask(second, type="disconnect")
    now = gauges(bench)
    assert (now["connections"], now["subscriptions"], now["queued_messages"]) == (1, 1, 0)
    assert now["rss_bytes"] > 1e6
    assert now["descriptors"] > 2
    after = totals(bench)
    happened = {name: after[name] - before[name] for name in after}
    assert (happened["connects"], happened["disconnects"]) == (2, 1)
    assert (happened["published"], happened["deliveries"]) == (1, 1)
    assert happened["messages_in"] == 4  # two connect, subscribe, disconnect
    assert happened["bytes_in"] > 100
    assert happened["messages_out"] >= 4
    assert happened["bytes_out"] > 300


async def test_every_column_has_its_figure(bench: Workbench) -> None:
    reading = read(bench.service, 0.0)
    assert (len(reading.gauges), len(reading.peaks), len(reading.totals)) == (
        len(GAUGES),
        len(PEAKS),
        len(RATES),
    )
    assert len(reading.enqueued) == len(reading.written) == len(BOUNDS)


async def test_broadcasts_of_both_logs_are_timed_together(bench: Workbench) -> None:
    before = read(bench.service, 0.0)
    far_end = await bench.client()
    await bench.ask(far_end, type="subscribe", topic="type:ecg")
    bench.manager.broadcast_to_type("ecg", {"type": "ecg_data", "data": [1]})
    bench.manager.broadcast_to_type("ecg", {"type": "ecg_alert", "severity": "critical"})
    bench.loop.run()
    after = read(bench.service, 0.0)
    assert after.enqueued[-1] - before.enqueued[-1] == 2
    assert after.written[-1] - before.written[-1] == 2


async def test_the_loops_lag_is_the_worst_since_the_last_look(bench: Workbench) -> None:
    lag = bench.service.overload.signals.lag
    lag.start(bench.loop)
    bench.clock.advance(0.1 + 0.25)
    lag.measure()
    moment = bench.clock.monotonic()
    assert read(bench.service, moment - 1).peaks == (pytest.approx(250),)
    assert read(bench.service, moment).peaks == (0.0,)


def counted(*seconds: float) -> list[int]:
    histogram = Histogram()
    for one in seconds:
        histogram.note(one)
    return [count for _, count in histogram.figures()]


def test_a_share_of_nothing_is_unknown():
    assert quantile(0.5, counted()) is None


def test_a_share_within_a_bound_is_spread_evenly():
    # All ten are between 0.1 and 0.2 seconds.
    assert quantile(0.5, counted(*[0.15] * 10)) == pytest.approx(0.15)
    assert quantile(1.0, counted(*[0.15] * 10)) == pytest.approx(0.2)
    assert quantile(0.1, counted(*[0.15] * 10)) == pytest.approx(0.11)


def test_shares_find_their_bounds():
    counts = counted(*[0.0015] * 90, *[0.3] * 10)
    assert 0.001 <= quantile(0.5, counts) <= 0.002
    assert 0.2 < quantile(0.95, counts) <= 0.5
    assert quantile(0.90, counts) == pytest.approx(0.002)


def test_what_took_longest_is_the_last_finite_bound():
    assert BOUNDS[-1] == inf
    assert quantile(0.99, counted(60.0)) == 10.0


def test_the_first_bound_begins_at_nothing():
    assert quantile(0.5, counted(0.0, 0.0)) == pytest.approx(5e-6)
