"""The figures of the core between two moments."""

from workbench import Bench

from wsserver.profiling.core_figures import CoreFigures, between
from wsserver_core.histogram import Histogram


def test_what_was_before_does_not_count() -> None:
    bench, received = Bench(), [3, 30]
    figures = CoreFigures(bench.manager, lambda: (received[0], received[1]))

    def one_more() -> None:
        connection_id, _ = bench.connect(f"u{bench.manager.opened}")
        bench.manager.subscribe(connection_id, "ecg", None, {"lead": "II"})
        bench.manager.broadcast_to_type("ecg", {"lead": "II"})
        bench.manager.broadcast_to_type("ecg", {"lead": "V1"})
        bench.loop.run()

    one_more()
    before = figures.read()
    one_more()
    received[:] = [5, 70]
    counters = between(before, figures.read()).counters
    assert {name: count for name, count in counters.items() if name != "bytes_sent"} == {
        "connections_opened": 1,
        "messages_received": 2,
        "bytes_received": 40,
        "frames_sent": 2,
        "send_calls": 0,
        "frames_dropped": 0,
        "broadcasts": 2,
        "encoded_binary": 0,
        "filter_operations": 4,
        "considered": 4,
        "filtered": 2,
        "denied": 0,
        "matched": 2,
        "delivered": 2,
        "refused": 0,
    }
    assert counters["bytes_sent"] > 200


def test_times_are_told_by_count_mean_and_bounds() -> None:
    bench, mine = Bench(), Histogram()
    figures = CoreFigures(bench.manager, more={"mine": mine})
    mine.note(100.0)
    before = figures.read()
    for seconds in (0.0004, 0.0004, 0.0015, 50.0):
        mine.note(seconds)
    times = between(before, figures.read()).times
    assert (times["mine"].count, times["mine"].mean_ms) == (4, 12500.575)
    assert times["mine"].buckets == [(0.5, 2), (2.0, 1), (None, 1)]
    assert (times["mine"].p50_ms, times["mine"].p99_ms) == (0.5, None)
    quiet = times["flush_slice"]
    assert (quiet.count, quiet.mean_ms, quiet.p50_ms, quiet.p99_ms, quiet.buckets) == (
        0,
        None,
        None,
        None,
        [],
    )
