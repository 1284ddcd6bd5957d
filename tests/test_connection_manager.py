"""The registry: limits, doors, who gets what, and that nothing stays behind."""

import random
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from far_end import RecordingWebSocket
from hand_loop import HandLoop
from workbench import Bench, assert_nothing_left, principal, settings_with

from wsserver.connection_manager import ConnectionManager, connection_manager
from wsserver.errors import ConnectionNotFound, ServerError
from wsserver.protocol.message import PublishedMessage
from wsserver.protocol.report import DeliveryReport
from wsserver.protocol.topic import Topic


@pytest.fixture
def bench() -> Bench:
    return Bench()


def code_of(refused: pytest.ExceptionInfo[ServerError]) -> int:
    return refused.value.kind.code


# -- connecting


def test_a_connection_is_in_the_live_view_while_it_is_open(bench: Bench) -> None:
    connection_id, websocket = bench.connect("u1", "doctor", 123)
    metadata = bench.manager.connections[connection_id]
    assert (metadata.user_id, metadata.role, metadata.patient_id) == ("u1", "doctor", "123")
    assert dict(bench.manager.connections.items()) == {connection_id: metadata}
    assert connection_id in bench.manager.connections
    with pytest.raises(TypeError):
        bench.manager.connections["c_x"] = metadata
    assert bench.manager.connection(connection_id) is metadata
    bench.manager.disconnect(connection_id)
    bench.loop.run()
    assert websocket.closed == 1
    with pytest.raises(ConnectionNotFound):
        bench.manager.connection(connection_id)
    assert_nothing_left(bench.manager)


@pytest.mark.parametrize(
    ("limits", "seats", "scope"),
    [
        ({"max_connections": 10, "max_connections_per_role": None}, 10, "global"),
        ({"max_connections_per_user": 10}, 10, "user"),
        ({"max_connections_per_role": 100}, 100, "role"),
        ({"max_connections_per_role": {"doctor": 10}}, 10, "role"),
    ],
)
def test_the_seat_after_the_last_is_refused_and_one_given_back_is_taken_again(
    limits: dict[str, Any], seats: int, scope: str
) -> None:
    bench = Bench(connection=limits)
    user: Callable[[int], str] = (lambda _: "u") if scope == "user" else (lambda number: f"u{number}")
    ids = [bench.connect(user(number))[0] for number in range(seats)]
    for _ in range(2):
        with pytest.raises(ServerError) as refused:
            bench.connect(user(seats))
        assert code_of(refused) == 1002
        assert refused.value.details == {"scope": scope}
    for _ in range(2):
        bench.manager.disconnect(ids[0])
    bench.connect(user(seats))
    with pytest.raises(ServerError):
        bench.connect(user(seats + 1))
    with pytest.raises(ServerError):
        bench.manager.validate_connection_limits(user(seats + 1), "doctor")
    assert bench.manager.limits.total == seats


def test_ten_thousand_connections_are_taken_and_the_next_is_refused() -> None:
    bench = Bench(connection={"max_connections_per_role": None})
    websocket = RecordingWebSocket()
    for number in range(10_000):
        bench.manager.connect(websocket, number // 10, "doctor")
    with pytest.raises(ServerError) as refused:
        bench.connect("one_more")
    assert refused.value.details == {"scope": "global"}
    for connection_id in list(bench.manager.connections):
        bench.manager.disconnect(connection_id)
    assert_nothing_left(bench.manager)


def test_without_a_principal_the_role_decides_and_one_patient_is_seen(bench: Bench) -> None:
    connection_id, _ = bench.connect("u1", "doctor", 7)
    assert bench.metadata(connection_id).principal.patients == {"7"}
    nobody, _ = bench.connect("u2", "doctor")
    assert bench.metadata(nobody).principal.patients == frozenset()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("u1", "stranger"), 1001),
        (("", "doctor"), 1001),
        ((1.5, "doctor"), 1001),
        (("u1", "doctor", "a b"), 1001),
        (("u1", "doctor", True), 1001),
    ],
)
def test_a_refused_connect_changes_nothing(bench: Bench, arguments: tuple[Any, ...], code: int) -> None:
    with pytest.raises(ServerError) as refused:
        bench.manager.connect(RecordingWebSocket(), *arguments)
    assert code_of(refused) == code
    assert_nothing_left(bench.manager)
    assert bench.manager.hub.open_count == 0
    assert bench.manager.opened == 0


@pytest.mark.parametrize("step", ["create_connection_metadata", "index"])
def test_a_connect_that_fails_half_way_gives_its_seat_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*arguments: Any, **more: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(bench.manager, step, SimpleNamespace(admit=fail) if step == "index" else fail)
    with pytest.raises(MemoryError):
        bench.connect()
    assert bench.manager.limits.total == 0
    assert not bench.manager.connections
    assert bench.manager.opened == 0


def test_the_patient_of_a_connection_must_be_one_that_its_user_may_see(bench: Bench) -> None:
    one = principal(bench, "u1", {"1"})
    with pytest.raises(ServerError) as refused:
        bench.connect(patient_id=2, principal=one)
    assert code_of(refused) == 1011
    bench.connect(patient_id=1, principal=one)
    assert bench.manager.limits.total == 1


def test_an_id_of_ones_own_is_taken_unless_it_is_in_use(bench: Bench) -> None:
    bench.connect(connection_id="conn_1")
    with pytest.raises(ValueError, match="in use"):
        bench.connect(connection_id="conn_1")
    assert bench.manager.limits.total == 1


def test_while_nobody_is_accepted_connect_says_so_and_open_ones_stay(bench: Bench) -> None:
    connection_id, _ = bench.connect()
    bench.manager.set_accept_connections(False)
    with pytest.raises(ServerError) as refused:
        bench.connect("u2")
    assert code_of(refused) == 1013
    assert refused.value.retry_after_ms
    assert connection_id in bench.manager.connections
    bench.manager.set_accept_connections(True)
    bench.connect("u2")


# -- disconnecting


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("", 1000),
        ("server_shutdown", 4020),
        ("reconnect", 4021),
        ("operator", 4523),
        ("revoked", 4511),
        ("x", 1000),
    ],
)
def test_a_reason_has_its_close_code(bench: Bench, reason: str, code: int) -> None:
    connection_id, websocket = bench.connect()
    assert bench.manager.disconnect(connection_id, reason) == 1
    assert bench.manager.disconnect(connection_id, reason) == 0
    bench.loop.run()
    assert websocket.close_code == code


def test_what_was_queued_leaves_before_the_close_frame(bench: Bench) -> None:
    connection_id, websocket = bench.connect()
    bench.manager.send_message(connection_id, {"n": 1})
    bench.manager.disconnect(connection_id)
    bench.loop.run()
    assert [opcode for opcode, _ in websocket.frames] == [1, 8]
    assert websocket.closed == 1


def test_a_close_code_that_may_not_be_sent_changes_nothing(bench: Bench) -> None:
    connection_id, websocket = bench.connect()
    with pytest.raises(ValueError):
        bench.manager.disconnect(connection_id, code=1006)
    assert connection_id in bench.manager.connections
    assert bench.manager.send_message(connection_id, {"n": 1}) == 1
    bench.loop.run()
    assert len(websocket.messages) == 1


def test_a_queue_that_overflows_ends_the_connection_with_4005_and_forgets_it() -> None:
    bench = Bench(backpressure={"max_queue_messages": 3})
    one, websocket = bench.connect()
    bench.manager.hub.block(bench.metadata(one).handle)
    reports = [bench.manager.broadcast_to_all({"n": number}) for number in range(5)]
    assert [int(report) for report in reports] == [1, 1, 1, 0, 0]
    assert [report.refused for report in reports[3:]] == [{"slow": 1}] * 2
    bench.loop.turn()
    bench.manager.hub.unblock(bench.metadata(one).handle)
    bench.loop.run()
    assert websocket.close_code == 4005
    log = bench.manager.broadcasts.logs.volatile.name
    gap = {"type": "gap", "log": log, "topic": "*", "from": 1, "to": 5, "count": 5, "reason": "slow"}
    assert websocket.messages == [gap]
    assert reports[0].outcome()["dropped"]["slow"] == 1
    assert_nothing_left(bench.manager)


# -- doors


def test_a_patients_message_reaches_only_subscribers_who_may_see_the_patient_by_every_door(
    bench: Bench,
) -> None:
    manager = bench.manager
    websockets = {}
    for name, patients in (("one", {"1"}), ("two", {"2"}), ("none", set()), ("all", None)):
        connection_id, websockets[name] = bench.connect(name, principal=principal(bench, name, patients))
        for topic in ("patient:*", "type:ecg", "*"):
            kind, target = Topic.parse(topic)
            assert manager.subscribe(connection_id, kind, target)
    message = {"type": "ecg_data", "patient_id": 1}
    doors: list[Callable[[], DeliveryReport]] = [
        lambda: manager.broadcast_to_patient(1, message),
        lambda: manager.broadcast_to_type("ecg", message),
        lambda: manager.broadcast_to_type("patient", message),
        lambda: manager.broadcast_to_all(message),
        lambda: manager.broadcast_to_subscribers(message),
        lambda: manager.publish(Topic("ecg", "*"), message),
    ]
    for door in doors:
        assert door() == 2
    sent = [int(manager.send_message(one, message)) for one in manager.connections]
    bench.loop.run()
    assert sent == [1, 0, 0, 1]
    received = {name: len(websocket.messages) for name, websocket in websockets.items()}
    assert received == {"one": len(doors) + 1, "two": 0, "none": 0, "all": len(doors) + 1}


def test_a_type_subscription_gets_no_patients_message_and_a_patients_subscriber_none_of_the_type(
    bench: Bench,
) -> None:
    by_type, _ = bench.connect("u1", principal=principal(bench, "u1", None))
    by_patient, _ = bench.connect("u2", principal=principal(bench, "u2", None))
    bench.manager.subscribe(by_type, "ecg")
    bench.manager.subscribe(by_patient, "patient", "5")
    manager = bench.manager
    to_patient = manager.broadcast_to_patient(5, {"type": "ecg_data"})
    to_type = manager.broadcast_to_type("ecg", {"type": "ecg_data"})
    bench.loop.run()
    assert (to_patient.considered, to_patient.matched) == (1, 1)
    assert (to_type.considered, to_type.matched) == (1, 1)
    metadata = {name: bench.metadata(name) for name in (by_type, by_patient)}
    written = {name: manager.hub.connection_figures(one.handle) for name, one in metadata.items()}
    assert [figures[0] for figures in written.values() if figures] == [1, 1]


def test_a_type_reaches_every_target_and_a_target_only_its_own_and_the_wild_ones(bench: Bench) -> None:
    targets = [("ward", "1"), ("ward", "2"), ("ward", None), ("*", None), ("other", None)]
    for number, (kind, target) in enumerate(targets):
        one, _ = bench.connect(number, principal=principal(bench, f"u{number}", None))
        assert bench.manager.subscribe(one, kind, target)
    assert bench.manager.broadcast_to_type("ward", {}) == 4
    assert bench.manager.broadcast_to_type("ward", {}, target_id=1) == 3
    assert bench.manager.broadcast_to_type("type", {}, target_id="ward") == 4
    assert bench.manager.broadcast_to_all({}) == 5


def test_the_type_patient_reaches_the_subscribers_of_every_patient(bench: Bench) -> None:
    for patient in ("1", "2"):
        one, _ = bench.connect(f"u{patient}", patient_id=patient)
        bench.manager.subscribe(one, "patient", patient)
    assert bench.manager.broadcast_to_type("patient", {"test": "data"}) == 2
    assert bench.manager.broadcast_to_type("patient", {"test": "data"}, target_id="1") == 1


@pytest.mark.parametrize("name", ["*", "Patient", "a b", ""])
def test_a_broadcast_to_no_type_is_refused_and_is_never_one_to_all(bench: Bench, name: str) -> None:
    bench.connect()
    with pytest.raises(ServerError) as refused:
        bench.manager.broadcast_to_type(name, {})
    assert code_of(refused) == 1003


@pytest.mark.parametrize("patient", ["*", "a b", "", -1, 1.0, True])
def test_a_broadcast_to_no_patient_is_refused(bench: Bench, patient: Any) -> None:
    with pytest.raises(ServerError) as refused:
        bench.manager.broadcast_to_patient(patient, {})
    assert code_of(refused) == 1003


def test_a_message_about_another_patient_than_the_addressed_is_refused(bench: Bench) -> None:
    with pytest.raises(ServerError) as refused:
        bench.manager.broadcast_to_patient("0123", {"patient_id": 123})
    assert code_of(refused) == 1003


def test_subscribers_are_found_by_what_the_message_says_of_itself(bench: Bench) -> None:
    one, _ = bench.connect("u1", patient_id=1)
    for kind, target in (("patient", "1"), ("ecg", None)):
        bench.manager.subscribe(one, kind, target)
    assert bench.manager.broadcast_to_subscribers({"type": "ecg_data", "patient_id": 1}).topic == "patient:1"
    assert bench.manager.broadcast_to_subscribers({"type": "ecg_data"}).topic == "ecg:*"
    assert bench.manager.broadcast_to_subscribers({"type": "x", "data_type": "ecg"}).topic == "ecg:*"


@pytest.mark.parametrize("message", [{}, {"data_type": "*"}, {"data_type": "patient"}, {"type": "a b"}])
def test_a_message_that_names_no_subscribers_is_refused_and_never_goes_to_all(
    bench: Bench, message: dict[str, Any]
) -> None:
    bench.connect()
    with pytest.raises(ServerError) as refused:
        bench.manager.broadcast_to_subscribers(message)
    assert code_of(refused) == 1003


def test_one_connection_gets_one_copy_however_many_of_its_subscriptions_match(bench: Bench) -> None:
    one, websocket = bench.connect(principal=principal(bench, "u1", {"1"}))
    for kind, target in (("patient", "1"), ("patient", "*"), ("*", None)):
        assert bench.manager.subscribe(one, kind, target)
    report = bench.manager.broadcast_to_patient(1, {"n": 1})
    bench.loop.run()
    assert (report.considered, report.matched, report.delivered) == (3, 1, 1)
    assert len(websocket.messages) == 1


def test_an_excluded_sender_gets_no_copy_and_the_others_do(bench: Bench) -> None:
    sender, sent = bench.connect("u1")
    _, other = bench.connect("u2")
    handle = bench.metadata(sender).handle
    assert bench.manager.publish(Topic("*", "*"), {"n": 1}, exclude=handle) == 1
    bench.loop.run()
    assert (len(sent.messages), len(other.messages)) == (0, 1)


def test_the_message_arrives_as_published_with_its_meta_first(bench: Bench) -> None:
    one, websocket = bench.connect(patient_id=5)
    bench.manager.subscribe(one, "patient", 5)
    report = bench.manager.broadcast_to_patient(5, {"type": "ecg_data", "data": [1, 2.5], "x": None})
    bench.loop.run()
    (message,) = websocket.messages
    meta = message.pop("_meta")
    assert message == {"type": "ecg_data", "data": [1, 2.5], "x": None}
    assert meta == {
        "id": report.message_id,
        "topic": "patient:5",
        "log": report.log,
        "seq": report.seq,
        "ts": "2027-01-15T08:00:00.000Z",
    }
    assert websocket.frames[0][1].startswith(b'{"_meta":')


def test_messages_arrive_in_the_order_of_their_places(bench: Bench) -> None:
    _, websocket = bench.connect()
    for number in range(300):
        bench.manager.broadcast_to_all({"n": number})
    bench.loop.run()
    assert [message["n"] for message in websocket.messages] == list(range(300))
    places = [message["_meta"]["seq"] for message in websocket.messages]
    assert places == sorted(set(places))


async def test_sending_works_awaited_or_not(bench: Bench) -> None:
    manager = bench.manager
    one = await manager.connect(RecordingWebSocket(), "u1", "doctor", 1)
    assert await manager.subscribe(one, "patient", 1)
    assert await manager.broadcast_to_patient(1, {}) == manager.broadcast_to_patient(1, {}) == 1
    assert await manager.broadcast_to_all({}) == 1
    assert await manager.send_message(one, {}) == 1
    assert await manager.send_message_batch() == 1
    assert await manager.handle_pong(one) == 1
    assert await manager.unsubscribe(one, "patient", 1) == 1
    assert await manager.disconnect(one) == 1


async def test_a_refused_subscription_is_false_and_raises_when_awaited(bench: Bench) -> None:
    one, _ = bench.connect()
    refused = bench.manager.subscribe(one, "patient", 1)
    assert not refused
    with pytest.raises(ServerError) as error:
        await refused
    assert code_of(error) == 1011
    assert not bench.manager.subscribe("conn_1", "patient", 1)


def test_a_message_to_one_connection_ignores_subscriptions_but_not_rights(bench: Bench) -> None:
    one, websocket = bench.connect(patient_id=1)
    assert bench.manager.send_message(one, {"n": 1}) == 1
    assert bench.manager.send_message(one, {"patient_id": 1}) == 1
    denied = bench.manager.send_message(one, {"patient_id": 2})
    assert (denied.delivered, denied.denied, denied.matched) == (0, 1, 0)
    assert bench.manager.send_message("c_gone", {"n": 1}) == 0
    bench.loop.run()
    assert len(websocket.messages) == 2


@pytest.mark.parametrize(
    "message", [{"type": "pong"}, {"type": "subscribe"}, {"_meta": {}}, {"x": float("inf")}]
)
def test_every_door_refuses_what_no_publisher_may_say(bench: Bench, message: dict[str, Any]) -> None:
    one, _ = bench.connect()
    manager = bench.manager
    for door in (
        lambda: manager.broadcast_to_all(message),
        lambda: manager.broadcast_to_type("ecg", message),
        lambda: manager.broadcast_to_patient(1, message),
        lambda: manager.send_message(one, message),
    ):
        with pytest.raises(ServerError) as refused:
            door()
        assert code_of(refused) == 1003
    assert manager.hub.frames_queued == 0


def test_the_backend_may_announce_the_shutdown_and_others_may_not(bench: Bench) -> None:
    _, websocket = bench.connect()
    message = {"type": "system_shutdown", "message": "Server shutting down in 30 seconds"}
    assert bench.manager.broadcast_to_all(message) == 1
    with pytest.raises(ServerError) as refused:
        PublishedMessage.from_json(b'{"type":"system_shutdown"}', topic=Topic("*", "*"))
    assert code_of(refused) == 1003
    bench.loop.run()
    assert websocket.types == ["system_shutdown"]


def test_a_message_over_the_limit_is_refused_and_one_of_just_that_size_is_not() -> None:
    bench = Bench(broadcast={"max_message_size": 128})
    assert bench.manager.broadcast_to_all({"x": "a" * (128 - len('{"x":""}'))}) == 0
    with pytest.raises(ServerError) as refused:
        bench.manager.broadcast_to_all({"x": "a" * (129 - len('{"x":""}'))})
    assert code_of(refused) == 1004


# -- accounting


def test_every_report_adds_up_over_filters_rights_and_broken_sockets(bench: Bench) -> None:
    chance = random.Random(7)
    manager = bench.manager
    for number in range(60):
        patients = chance.choice([None, set(), {"1"}, {"1", "2"}])
        one, _ = bench.connect(number, "doctor", principal=principal(bench, f"u{number}", patients))
        for topic in chance.sample(["patient:1", "patient:*", "*", "type:ecg"], 2):
            kind, target = Topic.parse(topic)
            manager.subscribe(one, kind, target, chance.choice([None, {"severity": "high"}, {"n": [1, 2]}]))
        if number % 7 == 0:
            manager.hub.finish(bench.metadata(one).handle)
    for number in range(40):
        report = chance.choice(
            [
                lambda n=number % 3: manager.broadcast_to_patient(1, {"n": n}),
                lambda: manager.broadcast_to_type("ecg", {"n": 1, "severity": "high"}),
                lambda: manager.broadcast_to_all({"patient_id": 2}),
            ]
        )()
        assert report.considered >= report.filtered + report.denied
        assert report.matched <= report.considered - report.filtered - report.denied
        assert report.matched == report.delivered + sum(report.refused.values())
        if number % 3 == 0:
            bench.loop.run()
        outcome = report.outcome()
        assert report.delivered == outcome["written"] + outcome["queued"] + sum(outcome["dropped"].values())


def test_what_became_of_a_message_is_told_before_and_after_the_flush_and_the_close(bench: Bench) -> None:
    first, _ = bench.connect("u1")
    bench.connect("u2")
    report = bench.manager.broadcast_to_all({"n": 1})
    assert (report.outcome()["written"], report.outcome()["queued"]) == (0, 2)
    bench.metadata(first).link.abort()
    assert (report.outcome()["queued"], report.outcome()["dropped"]["closed"]) == (1, 1)
    bench.loop.run()
    assert (report.outcome()["written"], report.outcome()["queued"]) == (1, 0)
    assert report.delivered == 2


def test_random_churn_leaves_every_index_empty(bench: Bench) -> None:
    chance = random.Random(42)
    manager = bench.manager
    open_ids: list[str] = []
    for step in range(3_000):
        action = chance.random()
        if action < 0.3 or not open_ids:
            patients = chance.choice([None, set(), {"1"}, {"1", "2"}, {"2", "3"}])
            user_id, role = f"u{chance.randrange(40)}", chance.choice(["doctor", "nurse"])
            try:
                one, _ = bench.connect(principal=principal(bench, user_id, patients, role))
            except ServerError:
                continue
            open_ids.append(one)
        elif action < 0.6:
            one = chance.choice(open_ids)
            topics = [("patient", chance.randrange(1, 4)), ("patient", "*"), ("*", None), ("ecg", None)]
            kind, target = chance.choice(topics)
            manager.subscribe(one, kind, target, chance.choice([None, {}, {"a": 1}, {"a": [1, 2]}]))
        elif action < 0.7:
            manager.unsubscribe(chance.choice(open_ids), "patient", chance.randrange(1, 4))
        elif action < 0.8:
            one = chance.choice(open_ids)
            metadata = bench.metadata(one)
            patients = chance.choice([None, set(), {"3"}])
            manager.replace_principal(metadata, principal(bench, metadata.user_id, patients, "nurse"))
        elif action < 0.9:
            manager.broadcast_to_patient(chance.randrange(1, 4), {"a": chance.randrange(3)})
        else:
            one = open_ids.pop(chance.randrange(len(open_ids)))
            manager.disconnect(one, chance.choice(["", "revoked"]))
        if step % 50 == 0:
            bench.loop.run()
            assert manager.subscription_manager.cleanup_orphaned_subscriptions() == 0
            assert manager.limits.total == len(manager.connections) == manager.index.admitted
            assert len(manager.index) == len(manager.subscription_manager)
    for one in open_ids:
        manager.disconnect(one)
    bench.loop.run()
    assert manager.subscription_manager.cleanup_orphaned_subscriptions() == 0
    assert_nothing_left(manager)
    assert manager.hub.open_count == manager.hub.frames_queued == 0


# -- rights that change


def test_new_rights_hold_at_once_for_subscriptions_broadcasts_and_limits(bench: Bench) -> None:
    one, websocket = bench.connect(principal=principal(bench, "u1", {"1", "2"}))
    metadata = bench.metadata(one)
    for patient in ("1", "2", "*"):
        bench.manager.subscribe(one, "patient", patient)
    ended = bench.manager.replace_principal(metadata, principal(bench, "u1", {"2"}, "nurse"))
    assert [subscription.target_id for subscription in ended] == ["1"]
    assert dict(bench.manager.limits.by_role) == {"nurse": 1}
    assert bench.manager.broadcast_to_patient(1, {}) == 0
    assert bench.manager.broadcast_to_patient(2, {}) == 1
    assert bench.manager.broadcast_to_all({"patient_id": 1}) == 0
    assert bench.manager.broadcast_to_all({"patient_id": 2}) == 1
    bench.loop.run()
    assert len(websocket.messages) == 2
    bench.manager.disconnect(one)
    assert_nothing_left(bench.manager)


# -- other threads


def test_other_threads_publish_in_their_order_on_the_loops_thread(bench: Bench) -> None:
    _, websocket = bench.connect()

    def publish(thread: int) -> None:
        for number in range(100):
            bench.manager.publish_threadsafe("*", {"thread": thread, "n": number})

    threads = [threading.Thread(target=publish, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert bench.manager.hub.frames_queued == 0
    bench.loop.run()
    messages = websocket.messages
    assert len(messages) == 400
    for thread_number in range(4):
        assert [one["n"] for one in messages if one["thread"] == thread_number] == list(range(100))


def test_a_message_from_another_thread_may_be_changed_by_its_owner_at_once(bench: Bench) -> None:
    _, websocket = bench.connect()
    message = {"data": [1, 2]}
    future = bench.manager.publish_threadsafe("*", message)
    message["data"].append(3)
    bench.loop.run()
    assert future.result(0) == 1
    assert websocket.messages[0]["data"] == [1, 2]


def test_a_bad_topic_is_refused_at_once_and_a_bad_message_in_the_future(bench: Bench) -> None:
    with pytest.raises(ServerError) as refused:
        bench.manager.publish_threadsafe("patient:", {})
    assert code_of(refused) == 1003
    future = bench.manager.publish_threadsafe("patient:1", {"type": "pong"})
    bench.loop.run()
    error = future.exception(0)
    assert isinstance(error, ServerError)
    assert error.kind.code == 1003


def test_without_a_loop_nothing_is_taken_from_other_threads(bench: Bench) -> None:
    waiting = bench.manager.publish_threadsafe("*", {})
    bench.manager.bind(None)
    error = waiting.exception(0)
    assert isinstance(error, ServerError)
    assert error.kind.code == 1005
    with pytest.raises(ServerError) as refused:
        bench.manager.publish_threadsafe("*", {})
    assert code_of(refused) == 1005


# -- loops and settings


def test_what_was_queued_before_a_loop_is_bound_leaves_with_its_first_turn() -> None:
    manager = ConnectionManager(settings_with())
    websocket = RecordingWebSocket()
    manager.connect(websocket, "u1", "doctor")
    manager.broadcast_to_all({"n": 1})
    assert websocket.data == b""
    loop = HandLoop()
    manager.bind(loop)
    loop.run()
    assert len(websocket.messages) == 1


@pytest.mark.parametrize("interval", [0.0, 0.5])
def test_a_loop_that_died_with_a_flush_due_stops_nobody_on_the_next(interval: float) -> None:
    bench = Bench(broadcast={"flush_interval": interval})
    _, websocket = bench.connect()
    bench.loop.run()
    bench.manager.broadcast_to_all({"n": 1})
    bench.loop.closed = True
    bench.manager.bind(None)
    second = HandLoop()
    bench.manager.bind(second)
    second.run()
    assert len(websocket.messages) == 1
    bench.manager.broadcast_to_all({"n": 2})
    second.run()
    assert len(websocket.messages) + len(second.later) == 2


def test_new_settings_hold_for_whatever_comes_next_and_end_nobody(bench: Bench) -> None:
    one, _ = bench.connect("u1", patient_id=1)
    bench.connect("u2")
    bench.manager.configure(
        settings_with(
            connection={
                "max_connections": 2,
                "max_connections_per_user": 1,
                "max_connections_per_role": 5,
                "cleanup_interval": 7.0,
            },
            broadcast={"batch_size": 9, "flush_interval": 0.25, "max_message_size": 200},
            backpressure={"max_queue_messages": 11, "max_queue_bytes": 12},
            subscription={"max_per_connection": 1},
            filter={"max_values": 1},
        )
    )
    manager = bench.manager
    assert len(manager.connections) == 2
    with pytest.raises(ServerError):
        bench.connect("u3")
    limits = manager.limits
    assert (limits.max_connections, limits.max_per_user, limits.max_per_role) == (2, 1, 5)
    hub = manager.hub
    figures = (hub.batch_size, hub.flush_interval, hub.max_queue_messages, hub.max_queue_bytes)
    assert figures == (9, 0.25, 11, 12)
    assert manager.cleanup_interval == 7.0
    assert not manager.subscribe(one, "ecg", None, {"a": [1, 2]})
    assert manager.subscribe(one, "ecg")
    assert not manager.subscribe(one, "alerts")
    with pytest.raises(ServerError):
        manager.broadcast_to_all({"x": "a" * 200})


def test_the_switches_take_what_makes_sense(bench: Bench) -> None:
    bench.manager.set_cleanup_interval(30)
    assert bench.manager.cleanup_interval == 30
    for wrong in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="positive"):
            bench.manager.set_cleanup_interval(wrong)
    bench.manager.set_broadcast_batch_size(25)
    assert bench.manager.hub.batch_size == 25
    with pytest.raises(ValueError, match="batch_size"):
        bench.manager.set_broadcast_batch_size(0)


@pytest.mark.parametrize("batch_size", [1, 25, 100, 1000])
def test_the_batch_size_never_changes_who_gets_what(batch_size: int) -> None:
    bench = Bench(broadcast={"batch_size": batch_size})
    websockets = [bench.connect(f"u{number}")[1] for number in range(60)]
    for number in range(3):
        assert bench.manager.broadcast_to_all({"n": number}) == 60
    bench.loop.run()
    assert all([message["n"] for message in one.messages] == [0, 1, 2] for one in websockets)


def test_a_pong_is_noted_for_a_known_connection(bench: Bench) -> None:
    one, _ = bench.connect()
    assert bench.manager.handle_pong(one, 0.25) == 1
    assert bench.manager.handle_pong(one) == 1
    assert bench.metadata(one).rtt == 0.25
    assert bench.manager.handle_pong("c_gone", 0.1) == 0


def test_there_is_an_instance_for_everybody() -> None:
    assert isinstance(connection_manager, ConnectionManager)
