"""Armed traces: what they see, when they end, and what they keep."""

from collections.abc import Callable
from typing import Any

import pytest
from far_end import RecordingWebSocket
from hand_store import HandStore
from workbench import Bench

from wsserver.errors import ServerError
from wsserver.observe.message_trace import BODY_SECONDS, MAX_ARMED, MAX_BYTES, MAX_ENDED, ArmedTrace
from wsserver.observe.trace_order import TraceOrder
from wsserver.protocol.topic import Topic


class Watch(Bench):
    """A bench with traces, and users of patient 1."""

    def arm(self, **asked: Any) -> ArmedTrace:
        return self.manager.traces.arm(TraceOrder(**asked), "ops")

    def watcher(
        self, user_id: str = "u1", patient_id: int = 1, filters: dict[str, Any] | None = None
    ) -> tuple[str, RecordingWebSocket]:
        one, websocket = self.connect(user_id, "doctor", patient_id)
        assert self.manager.subscribe(one, "patient", patient_id, filters)
        return one, websocket

    def publish(self, message: dict[str, Any] | None = None, patient_id: int = 1) -> Any:
        return self.manager.broadcast_to_patient(patient_id, {} if message is None else message)

    def seen(self, trace: ArmedTrace | None = None, **how: Any) -> list[dict[str, Any]]:
        """Oldest first."""
        found = self.manager.traces.latest(10_000, None if trace is None else trace.trace_id)
        return [one.as_dict(**how) for one in reversed(found)]


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_nothing_is_armed_and_nothing_is_kept_unless_somebody_asks(watch: Watch) -> None:
    assert not watch.manager.traces.is_armed
    watch.watcher()
    watch.publish()
    assert (watch.seen(), watch.manager.traces.armed, watch.manager.traces.bytes) == ([], [], 0)


def test_a_message_is_followed_from_stage_to_stage(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = watch.watcher("u1")
    two, _ = watch.watcher("u2")
    manager, clock = watch.manager, watch.clock

    def takes(seconds: float, work: Callable[..., Any]) -> Callable[..., Any]:
        def slower(*given: Any, **more: Any) -> Any:
            clock.advance(seconds)
            return work(*given, **more)

        return slower

    class SlowIndex:
        def __getattr__(self, name: str) -> Any:
            found = getattr(manager.index, name)
            return takes(0.000_030, found) if name == "select" else found

    monkeypatch.setattr(manager, "check_message", takes(0.000_041, manager.check_message))
    monkeypatch.setattr(manager.broadcasts, "_index", SlowIndex())
    ids = manager.broadcasts._ids
    monkeypatch.setattr(ids, "next", takes(0.000_007, ids.next))
    trace = watch.arm(type="ecg_data")
    report = watch.publish({"type": "ecg_data", "n": 1})
    manager.hub.block(watch.metadata(two).handle)
    clock.advance(0.003)
    watch.loop.run()
    (seen,) = watch.seen(trace)
    size = len(manager.records.get(report.message_id).frame.wire)
    assert seen == {
        "trace_id": trace.trace_id,
        "number": 1,
        "message_id": report.message_id,
        "duplicate_of": None,
        "ts": "2027-01-15T08:00:00.000Z",
        "door": "python",
        "publisher": None,
        "topic": "patient:1",
        "type": "ecg_data",
        "patient_id": "1",
        "size": 25,
        "direct": False,
        "log": report.log,
        "seq": 1,
        "durability": "memory",
        "stage": "queued",
        "error": None,
        "settled": False,
        "stages": [
            {"stage": "received", "us": 0},
            {"stage": "validated", "us": 41},
            {"stage": "stored", "us": 48},
            {"stage": "matched", "us": 78, "considered": 2},
            {"stage": "filtered", "us": 78, "matching": 2, "filtered": 0, "denied": 0},
            {"stage": "encoded", "us": 78, "encodings": {"json": {"us": 78, "bytes": size}}},
            {"stage": "queued", "us": 78, "matched": 2, "delivered": 2, "refused": {}},
            {
                "stage": "written", "written": 1, "queued": 1, "dropped": {}, "replayed": 0,
                "first_us": 3078, "us": 3078,
            },
        ],
        "connections": [
            {"connection_id": two, "user_id": "u2", "outcome": "queued", "ahead": 0},
            {"connection_id": one, "user_id": "u1", "outcome": "written", "us": 3078},
        ],
        "more": 0,
        "body": None,
    }  # fmt: skip
    clock.advance(0.001)
    manager.hub.unblock(watch.metadata(two).handle)
    watch.loop.run()
    (seen,) = watch.seen(trace)
    assert (seen["stage"], seen["settled"]) == ("written", True)
    assert [row.get("us") for row in seen["connections"]] == [3078, 4078]


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ({}, [1, 2, 3, 4]),
        ({"type": "ecg_data"}, [1, 3]),
        ({"patient_id": 2}, [2, 4]),
        ({"topic": "patient:1"}, [1]),
        ({"topic": "type:ecg"}, [3, 4]),
        ({"user_id": "u2"}, [2, 4]),
        ({"user_id": "nobody"}, []),
        ({"type": "ecg_data", "patient_id": 2}, []),
        ({"type": "vitals", "patient_id": 2, "topic": "ecg:*", "user_id": "u2"}, [4]),
        ({"message_id": "m_unknown"}, []),
    ],
)
def test_a_message_is_traced_when_all_that_is_asked_for_is_true_of_it(
    watch: Watch, asked: dict[str, Any], numbers: list[int]
) -> None:
    watch.watcher("u1", 1)
    two, _ = watch.watcher("u2", 2)
    watch.manager.subscribe(two, "ecg")
    trace = watch.arm(**asked)
    watch.manager.publish(Topic.of_patient(1), {"type": "ecg_data", "n": 1})
    watch.manager.publish(Topic.of_patient(2), {"type": "vitals", "n": 2})
    watch.manager.publish(Topic.of("ecg"), {"type": "ecg_data", "n": 3, "patient_id": 1})
    watch.manager.publish(Topic.of("ecg"), {"type": "vitals", "n": 4, "patient_id": 2})
    assert [one["seq"] for one in watch.seen(trace)] == numbers
    assert trace.messages == len(numbers)


def test_a_trace_ends_with_its_messages(watch: Watch) -> None:
    trace = watch.arm(messages=2)
    other = watch.arm(messages=9)
    for _ in range(5):
        watch.publish()
    assert (trace.state, trace.messages, other.state, other.messages) == ("complete", 2, "armed", 5)
    assert [one["seq"] for one in watch.seen(trace)] == [1, 2]
    assert [one["number"] for one in watch.seen(other)] == [1, 2, 3, 4, 5]
    assert watch.manager.traces.armed == [other]
    assert watch.manager.traces.ended() == [trace]


def test_a_trace_ends_with_its_time_whoever_looks_first(watch: Watch) -> None:
    traces = watch.manager.traces
    trace = watch.arm(seconds=5)
    watch.clock.advance(4.9)
    traces.tick()
    watch.publish()
    assert (trace.state, trace.messages) == ("armed", 1)
    watch.clock.advance(0.1)
    watch.publish()
    assert (trace.state, trace.messages, traces.is_armed) == ("expired", 1, False)
    trace = watch.arm(seconds=5)
    watch.clock.advance(5)
    traces.tick()
    assert (trace.state, traces.is_armed) == ("expired", False)


def test_a_trace_may_be_disarmed_and_keeps_what_it_has_seen(watch: Watch) -> None:
    traces = watch.manager.traces
    trace = watch.arm()
    watch.publish()
    assert traces.disarm(trace.trace_id) is trace
    watch.publish()
    assert (trace.state, len(watch.seen(trace)), traces.is_armed) == ("disarmed", 1, False)
    assert traces.disarm(trace.trace_id) is trace
    assert trace.state == "disarmed"
    assert traces.disarm("t_unknown") is None


def test_no_more_are_armed_than_may_be(watch: Watch) -> None:
    armed = [watch.arm() for _ in range(MAX_ARMED)]
    with pytest.raises(ServerError) as refused:
        watch.arm()
    assert (refused.value.kind.code, refused.value.http_status) == (1003, 409)
    assert watch.manager.traces.armed == armed
    watch.clock.advance(60)
    assert watch.arm().state == "armed"


def test_of_ended_ones_the_latest_are_remembered(watch: Watch) -> None:
    traces = [watch.arm(messages=1, body=True) for _ in range(1)]
    watch.publish({"secret": 1})
    for _ in range(MAX_ENDED):
        traces.append(watch.arm())
        watch.manager.traces.disarm(traces[-1].trace_id)
    assert watch.manager.traces.get(traces[0].trace_id) is None
    assert watch.manager.traces.get(traces[1].trace_id) is traces[1]
    assert watch.manager.traces.ended() == traces[:0:-1]
    # What a forgotten one was told to keep is forgotten with it.
    assert watch.seen(body=True)[0]["body"] == '{"secret":1}'
    watch.manager.traces.tick()
    assert watch.seen(body=True)[0]["body"] is None


def test_a_message_that_was_delivered_already_is_not_waited_for(watch: Watch) -> None:
    report = watch.publish()
    with pytest.raises(ServerError) as refused:
        watch.arm(message_id=report.message_id)
    assert (refused.value.kind.code, refused.value.http_status) == (1003, 409)
    assert not watch.manager.traces.is_armed


def test_what_it_says_is_kept_only_when_asked_for_shown_only_then_and_ten_minutes_at_the_most(
    watch: Watch,
) -> None:
    plain, whole = watch.arm(messages=1), watch.arm(messages=1, body=True)
    watch.publish({"n": "ä" * 2000})
    assert watch.seen(plain, body=True)[0]["body"] is None
    assert watch.seen(whole)[0]["body"] is None
    body = watch.seen(whole, body=True)[0]["body"]
    assert body == '{"n":"' + "ä" * 1021
    assert len(body.encode()) == 2048
    watch.clock.advance(BODY_SECONDS - 1)
    watch.manager.traces.tick()
    assert watch.seen(whole, body=True)[0]["body"] == body
    watch.clock.advance(1)
    watch.manager.traces.tick()
    assert watch.seen(whole, body=True)[0]["body"] is None


def test_what_is_kept_is_bounded_in_bytes_and_the_oldest_goes(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsserver.observe.message_trace.MAX_BYTES", 10_000)
    watch.arm(messages=1000)
    for _ in range(20):
        watch.publish()
    traces = watch.manager.traces
    kept = watch.seen()
    assert 1 < len(kept) < 5
    assert kept[-1]["number"] == 20
    assert traces.bytes <= 10_000
    assert MAX_BYTES == 8 << 20


def test_messages_that_are_refused_are_traced_to_where_they_ended(watch: Watch) -> None:
    trace = watch.arm(patient_id=1, body=True)
    for bad in ({"n": float("nan")}, {"patient_id": 2}, {"type": "connected"}):
        with pytest.raises(ServerError):
            watch.publish(bad)
    watch.manager.backpressure.memory_pressure = True
    with pytest.raises(ServerError):
        watch.publish({"n": 1})
    with pytest.raises(ServerError):
        watch.publish({"n": float("nan")}, 2)
    told = [
        (one["stage"], one["error"]["code"], one["message_id"], one["body"])
        for one in watch.seen(trace, body=True)
    ]
    assert told == [
        ("validated", 1003, None, '{"n":null}'),
        ("validated", 1003, None, '{"patient_id":2}'),
        ("validated", 1003, None, '{"type":"connected"}'),
        ("stored", 1005, None, '{"n":1}'),
    ]
    seen = watch.seen(trace)[0]
    assert (seen["settled"], seen["connections"], seen["stages"]) == (
        True,
        [],
        [{"stage": "received", "us": 0}],
    )
    assert seen["error"] == {
        "code": 1003,
        "name": "invalid_subscription",
        "message": "Invalid message: a value is not a finite number",
    }


def test_one_that_could_not_be_stored_ends_there_and_one_that_was_goes_on(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = HandStore()
    monkeypatch.setattr(watch.manager.broadcasts, "store", store)
    watch.watcher()
    trace = watch.arm()
    reports = [watch.publish({"type": "alert", "n": number}) for number in range(2)]
    assert watch.seen(trace) == []
    watch.clock.advance(0.002)
    store.commit(1)
    store.refuse()
    told = [
        (one["message_id"], one["durability"], one["stage"], (one["error"] or {}).get("code"))
        for one in watch.seen(trace)
    ]
    assert told == [
        (reports[0].message_id, "fsync", "queued", None),
        (reports[1].message_id, "fsync", "stored", 1005),
    ]
    assert watch.seen(trace)[0]["stages"][2] == {"stage": "stored", "us": 2000}


def test_a_trace_may_wait_for_the_id_of_a_message_on_its_way_to_the_disk(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = HandStore()
    monkeypatch.setattr(watch.manager.broadcasts, "store", store)
    everything = watch.arm()
    reports = [watch.publish({"type": "alert", "n": number}) for number in range(2)]
    trace = watch.arm(message_id=reports[1].message_id)
    store.commit()
    assert [one["message_id"] for one in watch.seen(trace)] == [reports[1].message_id]
    assert everything.messages == 2


def test_a_message_to_one_connection_and_one_by_its_own_topic_are_traced(watch: Watch) -> None:
    one, _ = watch.connect("u1", "doctor", 1)
    trace = watch.arm()
    watch.manager.send_message(one, {"patient_id": 1})
    watch.manager.send_message(one, {"patient_id": 2})
    watch.manager.send_message("c_gone", {})
    watch.manager.broadcast_to_subscribers({"patient_id": 1})
    with pytest.raises(ServerError):
        watch.manager.send_message(one, {"_meta": 1})
    told = [
        (seen["topic"], seen["direct"], [row["outcome"] for row in seen["connections"]])
        for seen in watch.seen(trace)
    ]
    assert told == [
        ("patient:1", True, ["queued"]),
        ("patient:2", True, ["denied"]),
        ("*", True, []),
        ("patient:1", False, []),
        (None, False, []),
    ]


def test_a_message_of_another_thread_is_timed_from_when_it_was_brought(watch: Watch) -> None:
    trace = watch.arm()
    future = watch.manager.publish_threadsafe("patient:1", {"n": 1})
    watch.clock.advance(0.5)
    watch.loop.run()
    assert future.result() == 0
    (seen,) = watch.seen(trace)
    assert (seen["door"], seen["stages"][1]) == ("thread", {"stage": "validated", "us": 500_000})


def test_ids_of_people_may_be_hidden(watch: Watch) -> None:
    one, _ = watch.watcher("nurse7", 123)
    trace = watch.arm(patient_id=123, user_id="nurse7", topic="patient:123")
    watch.publish({"type": "ecg_data"}, 123)

    def mask(text: str) -> str:
        return f"•••{text[-2:]}"

    (seen,) = watch.seen(trace, mask=mask)
    assert (seen["topic"], seen["patient_id"]) == ("patient:•••23", "•••23")
    assert seen["connections"][0]["user_id"] == "•••e7"
    assert seen["connections"][0]["connection_id"] == one
    told = trace.as_dict(mask)
    assert told["criteria"] == {"patient_id": "•••23", "user_id": "•••e7", "topic": "patient:•••23"}
    assert told["by"] == "ops"
    for word in ("nurse7", "123"):
        assert word not in str(seen)
        assert word not in str(told)


def test_an_armed_trace_tells_what_it_was_told(watch: Watch) -> None:
    trace = watch.arm(type="ecg_data", messages=3, seconds=5, body=True)
    watch.publish({"type": "ecg_data"})
    assert trace.as_dict() == {
        "trace_id": trace.trace_id,
        "state": "armed",
        "armed_at": "2027-01-15T08:00:00.000Z",
        "by": "ops",
        "criteria": {"type": "ecg_data"},
        "messages": 3,
        "seconds": 5,
        "body": True,
        "seen": 1,
    }
    assert "secret" not in repr(watch.arm(patient_id="secret"))
