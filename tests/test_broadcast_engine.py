"""From a message to queues: counts, places, and one encoding for all."""

from typing import Any

import pytest
from far_end import RecordingWebSocket
from workbench import Bench, settings_with

from wsserver.connection_manager import ConnectionManager
from wsserver.protocol.message import PublishedMessage
from wsserver.protocol.topic import EVERYTHING, Topic


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_counts_are_of_subscriptions_considered_filtered_and_denied(bench: Bench) -> None:
    for number, (patient, filters) in enumerate([("1", None), ("1", {"a": 1}), ("1", {"a": 3}), ("2", None)]):
        one, _ = bench.connect(f"u{number}", "doctor", patient)
        assert bench.manager.subscribe(one, "patient", "*", filters)
    report = bench.manager.broadcasts.publish(Topic("patient", "1"), PublishedMessage({"a": 2}))
    assert (report.considered, report.filtered, report.denied, report.matched) == (4, 2, 1, 1)
    assert (report.delivered, report.refused) == (1, {})
    engine = bench.manager.broadcasts
    assert (engine.operations, engine.filter_operations) == (1, 3)


def test_a_message_nobody_wants_still_has_its_place(bench: Bench) -> None:
    engine = bench.manager.broadcasts
    reports = [engine.publish(Topic("ecg", "*"), PublishedMessage({})) for _ in range(3)]
    assert [report.seq for report in reports] == [1, 2, 3]
    assert {report.log for report in reports} == {engine.logs.volatile.name}
    assert [report.delivered for report in reports] == [0, 0, 0]
    assert len({report.message_id for report in reports}) == 3


def test_the_reasons_of_refusals_are_counted_apart(bench: Bench) -> None:
    ids = [bench.connect(f"u{number}")[0] for number in range(3)]
    bench.manager.hub.max_queue_messages = 1
    bench.manager.hub.block(bench.metadata(ids[0]).handle)
    bench.manager.send_message(ids[0], {"n": 0})
    bench.metadata(ids[1]).link.close(4021)
    report = bench.manager.broadcasts.publish(EVERYTHING, PublishedMessage({"n": 1}))
    assert (report.matched, report.delivered, report.refused) == (3, 1, {"slow": 1, "closing": 1})


def test_every_recipient_gets_the_same_bytes(bench: Bench) -> None:
    websockets = [bench.connect(f"u{number}")[1] for number in range(5)]
    bench.manager.broadcast_to_all({"data": list(range(50))})
    bench.loop.run()
    assert len({one.data for one in websockets}) == 1
    assert websockets[0].data


def test_one_connection_gets_what_it_may_see_and_is_counted(bench: Bench) -> None:
    one, websocket = bench.connect()
    handle = bench.metadata(one).handle
    engine = bench.manager.broadcasts
    message = PublishedMessage({"n": 1})
    assert engine.send_to(handle, True, EVERYTHING, message) == 1
    denied = engine.send_to(handle, False, EVERYTHING, message)
    assert (denied.matched, denied.denied) == (0, 1)
    assert engine.send_to(0, True, EVERYTHING, message) == 0
    bench.loop.run()
    assert len(websocket.messages) == 1


class Publishing(RecordingWebSocket):
    """Publishes something about another patient when it is first written to."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self.bench = bench
        self.armed = True

    def write(self, data: bytes) -> None:
        super().write(data)
        if self.armed:
            self.armed = False
            self.bench.manager.broadcast_to_patient(2, {"severity": "critical", "n": 100})


def test_a_websocket_that_publishes_when_it_is_written_to_mixes_nothing_up() -> None:
    """Also where so much waits that sockets are written to in the middle of a broadcast."""
    bench = Bench(backpressure={"max_queue_messages": 40})
    publishing = Publishing(bench)
    watchers = {}
    bench.manager.subscribe(str(bench.manager.connect(publishing, "u", "doctor", 1)), "patient", 1)
    for patient in (1, 2):
        for number in range(3):
            one, watchers[patient, number] = bench.connect(f"u{patient}{number}", "doctor", patient)
            assert bench.manager.subscribe(one, "patient", patient)
    for number in range(20):
        bench.manager.broadcast_to_patient(1, {"severity": "critical", "n": number})
    bench.loop.run()
    for (patient, _), websocket in watchers.items():
        assert [message["n"] for message in websocket.messages] == ([*range(20)] if patient == 1 else [100])


class Interrupted:
    """A hub in whose first broadcast somebody else publishes."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.hub = bench.manager.hub
        self.drops = self.hub.drops
        self.armed = True

    def wants_binary(self, recipients: Any) -> bool:
        return self.hub.wants_binary(recipients)

    def enqueue_many(self, recipients: Any, frame: Any) -> tuple[int, int, int, int]:
        if self.armed:
            self.armed = False
            self.bench.manager.broadcast_to_patient(2, {"n": 2})
        return self.hub.enqueue_many(recipients, frame)


def test_a_broadcast_within_a_broadcast_has_recipients_of_its_own(bench: Bench) -> None:
    watchers = {patient: bench.connect(f"u{patient}", "doctor", patient) for patient in (1, 2)}
    for patient, (one, _) in watchers.items():
        assert bench.manager.subscribe(one, "patient", patient)
    bench.manager.broadcasts.hub = Interrupted(bench)
    for send in (
        lambda: bench.manager.broadcast_to_patient(1, {"n": 1}),
        lambda: bench.manager.send_message(watchers[1][0], {"patient_id": 1, "n": 1}),
    ):
        bench.manager.broadcasts.hub.armed = True
        assert send().delivered == 1
    bench.loop.run()
    for patient, (_, websocket) in watchers.items():
        assert [message["n"] for message in websocket.messages] == [patient] * 2


def test_what_has_a_patient_or_matters_more_than_data_is_durable_and_all_else_volatile(bench: Bench) -> None:
    manager = bench.manager
    logs = manager.broadcasts.logs
    reports = [
        manager.broadcast_to_patient(1, {"type": "vitals"}),
        manager.broadcast_to_type("ecg", {"patient_id": 1}),
        manager.broadcast_to_type("ward", {"type": "alarm"}),
        manager.broadcast_to_all({"severity": "critical"}),
        manager.broadcast_to_type("ecg", {}),
        manager.broadcast_to_all({"text": "coffee"}),
    ]
    durable, volatile = logs.durable.name, logs.volatile.name
    assert [(one.log, one.seq) for one in reports] == [
        *[(durable, seq) for seq in range(1, 5)],
        (volatile, 1),
        (volatile, 2),
    ]
    assert logs.heads() == (4, 2)
    assert logs.cursor() == {durable: 4, volatile: 2}
    assert logs.cursor((3, 1)) == {durable: 3, volatile: 1}


def test_settings_say_which_types_are_durable_or_not(bench: Bench) -> None:
    manager = bench.manager
    logs = manager.broadcasts.logs
    settings = settings_with(store={"durable_types": ("coffee",), "volatile_types": ("ecg_data",)})
    manager.configure(settings)
    assert manager.broadcast_to_patient(1, {"type": "ecg_data"}).log == logs.volatile.name
    assert manager.broadcast_to_all({"type": "coffee"}).log == logs.durable.name
    fresh = ConnectionManager(settings, clock=bench.clock)
    assert fresh.broadcast_to_patient(1, {"type": "ecg_data"}).log == fresh.broadcasts.logs.volatile.name


def test_what_went_to_a_topic_is_kept_and_what_went_to_one_connection_is_not(bench: Bench) -> None:
    one, websocket = bench.connect()
    manager = bench.manager
    manager.subscribe(one, "ecg")
    manager.broadcast_to_type("ecg", {"n": 1})
    manager.send_message(one, {"n": 2})
    manager.broadcast_to_patient(1, {"n": 3})
    kept = list(manager.history.after(0))
    assert [(one.frame.topic, one.sender) for one in kept] == [("ecg:*", None), ("patient:1", None)]
    bench.loop.run()
    assert kept[0].frame.wire in websocket.data
    assert kept[0].frame.written == 1


def test_a_sender_without_echo_is_told_by_what_its_connections_have_in_common(bench: Bench) -> None:
    one, _ = bench.connect()
    metadata = bench.metadata(one)
    topic, message = Topic("ecg", "*"), PublishedMessage({})
    bench.manager.broadcasts.publish(topic, message, exclude=metadata.handle)
    bench.manager.broadcasts.publish(topic, message, exclude=metadata.handle)
    bench.manager.disconnect(one)
    bench.manager.broadcasts.publish(topic, message, exclude=metadata.handle)
    senders = [kept.sender for kept in bench.manager.history.after(0)]
    assert senders == [metadata.lineage, metadata.lineage, None]
    assert metadata.lineage is not None


def test_those_who_catch_up_are_counted_apart(bench: Bench) -> None:
    ids = [bench.connect(f"u{number}")[0] for number in range(2)]
    bench.manager.hub.set_out(bench.metadata(ids[0]).handle, (0, 0), True)
    report = bench.manager.broadcast_to_all({"n": 1})
    assert (report.matched, report.delivered, report.refused) == (2, 1, {"catching_up": 1})
