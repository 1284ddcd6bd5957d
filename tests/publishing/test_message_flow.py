"""The way of one message: rehearsed, or really gone."""

from typing import Any

import msgspec
import pytest
from hand_store import HandStore
from workbench import Bench

from wsserver.errors import ServerError
from wsserver.observe.message_trace import MAX_ARMED
from wsserver.observe.trace_order import TraceOrder
from wsserver.publishing.message_flow import message_flow

MESSAGE = {"type": "ecg_data", "patient_id": 1, "hr": 90}


@pytest.fixture
def bench() -> Bench:
    return Bench()


def watcher(bench: Bench, user: str, patient: int, topic: str, filters: dict[str, Any] | None = None) -> str:
    one, _ = bench.connect(user, "doctor", patient)
    assert bench.manager.subscribe(one, *topic.split(":"), filters)
    return one


def test_a_dry_run_tells_who_would_get_it_and_sends_nothing(bench: Bench) -> None:
    got = watcher(bench, "got", 1, "patient:1")
    filtered = watcher(bench, "filtered", 1, "patient:1", {"hr": {"$gt": 120}})
    denied = watcher(bench, "denied", 2, "patient:*")
    ids = {
        one.connection_id: one.subscription_id
        for one in bench.manager.subscription_manager.get_all_subscriptions()
    }
    before = (bench.manager.hub.frames_queued, bench.manager.broadcasts.operations)
    flow = message_flow(bench.manager, "m1", MESSAGE)
    assert flow.lines() == [
        "=== Message Flow Trace [m1] ===",
        "Message type: ecg_data",
        "Message size: 42 bytes",
        "Topic: patient:1",
        "Matching subscriptions: 1",
        "Considered: 3, filtered: 1, denied: 1",
        f"  {got} {ids[got]} patient:1: matches",
        f"  {filtered} {ids[filtered]} patient:1: filtered at hr.$gt",
        f"  {denied} {ids[denied]} patient:*: denied",
        "Dry run: nothing was sent",
    ]
    assert (bench.manager.hub.frames_queued, bench.manager.broadcasts.operations) == before
    told = flow.as_dict()
    assert (told["matching"], told["delivered"], told["traced"]) == (1, None, None)
    assert "ecg_data" not in repr(flow)


def test_delivered_it_is_sent_at_once_and_its_way_is_told(bench: Bench) -> None:
    got, websocket = bench.connect("got", "doctor", 1)
    assert bench.manager.subscribe(got, "patient", 1)
    filtered = watcher(bench, "filtered", 1, "patient:1", {"hr": {"$gt": 120}})
    # However many traces operators have armed, and none of them is used up.
    armed = [bench.manager.traces.arm(TraceOrder(), "ops") for _ in range(MAX_ARMED)]
    flow = message_flow(bench.manager, "m1", MESSAGE, deliver=True)
    assert flow.report is not None
    assert flow.traced is not None
    assert flow.report == 1
    (message,) = websocket.messages
    assert (message["hr"], message["_meta"]["id"]) == (90, flow.report.message_id)
    assert flow.lines()[-4:] == [
        "Delivered: 1, Failed: 0",
        "Stages: received 0.000 > validated 0.000 > stored 0.000 > matched 0.000 (2) > filtered 0.000 (1)"
        f" > encoded 0.000 (json {len(websocket.data)} B) > queued 0.000 > written 0.000 ms",
        f"  {got}: written",
        f"  {filtered}: filtered",
    ]
    told = flow.as_dict()
    assert told["delivered"] == flow.report.as_dict()
    assert told["traced"]["message_id"] == flow.report.message_id
    assert msgspec.json.encode(told)
    assert [one.messages for one in armed] == [0] * MAX_ARMED


def test_what_is_refused_counts_as_failed(bench: Bench) -> None:
    one = watcher(bench, "u1", 1, "patient:1")
    bench.metadata(one).link.close(4021)
    flow = message_flow(bench.manager, "m1", MESSAGE, deliver=True)
    assert "Delivered: 0, Failed: 1" in flow.lines()
    assert flow.lines()[-1] == f"  {one}: refused_closing"


@pytest.mark.parametrize(
    ("message", "topic"),
    [
        ({"type": "ecg_data"}, "ecg:*"),
        ({"type": "patient", "target_id": 1}, "patient:1"),
        ({"type": "ecg_data", "target_id": "1"}, "patient:1"),
        ({"type": "vitals", "patient_id": "1"}, "patient:1"),
    ],
)
def test_the_message_says_where_it_goes(bench: Bench, message: dict[str, Any], topic: str) -> None:
    assert message_flow(bench.manager, "m1", message).match.topic.text == topic


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"type": 5},
        {"type": "patient"},
        {"patient_id": "a b"},
        {"type": "ecg_data", "n": float("nan")},
        {"_meta": 1},
    ],
)
@pytest.mark.parametrize("deliver", [False, True])
def test_what_could_not_be_sent_is_refused(bench: Bench, message: dict[str, Any], deliver: bool) -> None:
    with pytest.raises(ServerError) as refused:
        message_flow(bench.manager, "m1", message, deliver=deliver)
    assert refused.value.kind.code == 1003
    assert bench.manager.broadcasts.operations == 0


def test_one_that_is_on_its_way_to_the_disk_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    store = HandStore()
    monkeypatch.setattr(bench.manager.broadcasts, "store", store)
    flow = message_flow(bench.manager, "m1", {**MESSAGE, "type": "alert"}, deliver=True)
    assert flow.lines()[-1] == "On its way to the disk: await the report"
    assert flow.as_dict()["delivered"] is None
