"""Whatever is armed, published and ended in whatever order: bounds, counts and the switch agree."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from workbench import Bench

from wsserver.errors import ServerError
from wsserver.observe.message_trace import MAX_ARMED, MAX_BYTES
from wsserver.observe.trace_order import TraceOrder
from wsserver.publishing.bystanders import Bystanders

TYPES = st.sampled_from(["ecg_data", "vitals"])
STEPS = st.one_of(
    st.tuples(st.just("arm"), st.none() | TYPES, st.integers(1, 3), st.sampled_from([0.5, 2.0, 60.0])),
    st.tuples(st.just("publish"), TYPES, st.booleans()),
    st.tuples(st.just("disarm"), st.integers(0, 9)),
    st.tuples(st.just("pass"), st.sampled_from([0.25, 1.0, 30.0])),
    st.tuples(st.just("send")),
    st.tuples(st.just("tick")),
)


@given(st.lists(STEPS, max_size=40))
def test_counts_bounds_and_the_switch_agree(steps: list[tuple[Any, ...]]) -> None:
    bench = Bench()
    traces = bench.manager.traces
    traces.bystanders = Bystanders(bench.manager).of
    for user in ("u1", "u2"):
        one, _ = bench.connect(user, "doctor", 1)
        assert bench.manager.subscribe(one, "patient", 1, {"type": "vitals"} if user == "u2" else None)
    expected: dict[str, list[Any]] = {}  # of each trace: order, end, messages that it must have seen
    for kind, *given_ in steps:
        now = bench.clock.monotonic()
        live = {
            one: (order, ends, seen)
            for one, (order, ends, seen, ended) in expected.items()
            if not ended and ends > now and len(seen) < order.messages
        }
        match kind:
            case "arm":
                order = TraceOrder(type=given_[0], messages=given_[1], seconds=given_[2])
                try:
                    trace = traces.arm(order, "ops")
                except ServerError:
                    assert len(live) == MAX_ARMED
                else:
                    assert len(live) < MAX_ARMED
                    expected[trace.trace_id] = [order, now + order.seconds, [], False]
            case "publish":
                name, valid = given_
                message = {"type": name} if valid else {"type": name, "patient_id": 2}
                try:
                    message_id: str | None = bench.manager.broadcast_to_patient(1, message).message_id
                except ServerError:
                    message_id = None
                for order, _, seen in live.values():
                    if order.type in (None, name):
                        seen.append(message_id)
            case "disarm":
                for number, (one, found) in enumerate(expected.items()):
                    if number == given_[0]:
                        traces.disarm(one)
                        found[3] = True
            case "pass":
                bench.clock.advance(given_[0])
            case "send":
                bench.loop.run()
            case "tick":
                traces.tick()
                assert {one.trace_id for one in traces.armed} == set(live)
    for one, (_, _, seen, _) in expected.items():
        kept = [message.message_id for message in reversed(traces.latest(1000, one))]
        trace = traces.get(one)
        assert kept == seen
        assert trace is not None
        assert trace.messages == len(seen)
    assert traces.is_armed is bool(traces.armed)
    kept_messages = traces.latest(10_000)
    assert traces.bytes == sum(message.cost for message in kept_messages) <= MAX_BYTES
    bench.loop.run()
    for message in kept_messages:
        told = message.as_dict()
        assert told["settled"]
        if told["message_id"] is not None:
            wanted = 2 if told["type"] == "vitals" else 1
            assert told["stages"][-1]["written"] == wanted
            assert sum(row["outcome"] == "written" for row in told["connections"]) == wanted
            assert len(told["connections"]) + told["more"] == 2
