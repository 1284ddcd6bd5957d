"""Publishing without the questions of the tracer."""

from pathlib import Path

import pytest
from workbench import Bench

from wsserver.broadcast_engine import BroadcastEngine
from wsserver.observe.trace_order import TraceOrder


@pytest.fixture(autouse=True)
def benchmarks_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))


def test_the_questions_are_gone_for_a_while_and_messages_arrive() -> None:
    from benchmarks.servers.untraced import untraced

    bench = Bench()
    one, websocket = bench.connect("u1", "doctor", 1)
    assert bench.manager.subscribe(one, "patient", 1)
    trace = bench.manager.traces.arm(TraceOrder(), "ops")
    deliver = BroadcastEngine._deliver
    with untraced() as removed:
        assert removed == 8
        assert BroadcastEngine._deliver is not deliver
        assert bench.manager.broadcast_to_patient(1, {"n": 1}) == 1
    assert BroadcastEngine._deliver is deliver
    assert trace.messages == 0
    assert bench.manager.broadcast_to_patient(1, {"n": 2}) == 1
    assert trace.messages == 1
    bench.loop.run()
    assert [message["n"] for message in websocket.messages] == [1, 2]
