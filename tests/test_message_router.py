"""Every command, every error, and what a client that errs too often is told."""

import asyncio
import logging
from typing import Any

import pytest
from far_end import BINARY, TEXT, FarEnd
from workbench import Workbench

from wsserver.errors import ERRORS
from wsserver.message_router import MAX_FAULTS
from wsserver.observe.trace_order import TraceOrder
from wsserver.protocol import encoding
from wsserver.protocol.commands import COMMAND_TYPES
from wsserver.settings.roles import RoleSettings


@pytest.fixture
async def bench() -> Workbench:
    return await Workbench().start()


@pytest.fixture
async def doctor(bench: Workbench) -> FarEnd:
    return await bench.client("u1", "doctor", patients=["1", "2"])


async def only(bench: Workbench, far_end: FarEnd, **command: Any) -> dict[str, Any]:
    (answer,) = await bench.ask(far_end, **command)
    return answer


# -- commands


async def test_subscribe_is_confirmed_with_the_normal_form(bench: Workbench, doctor: FarEnd) -> None:
    command: dict[str, Any] = {"type": "subscribe", "subscription_type": "patient", "target_id": 1}
    answer = await only(bench, doctor, **command, filters={"severity": "high"}, request_id="r1")
    subscription_id = answer.pop("subscription_id")
    assert answer == {
        "type": "subscription_confirmed",
        "request_id": "r1",
        "subscription_type": "patient",
        "target_id": "1",
        "filters": {"severity": "high"},
        "replaced": False,
    }
    again = await only(bench, doctor, **command)
    assert (again["subscription_id"], again["replaced"], again["filters"]) == (subscription_id, True, {})
    assert "request_id" not in again


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ({"topic": "patient:1"}, ("patient", "1")),
        ({"topic": "type:ecg"}, ("ecg", "*")),
        ({"topic": "*"}, ("*", "*")),
        ({"subscription_type": "type", "target_id": "ecg"}, ("ecg", "*")),
        ({"subscription_type": "patient", "target_id": "*"}, ("patient", "*")),
    ],
)
async def test_every_spelling_of_a_topic_means_its_normal_form(
    bench: Workbench, doctor: FarEnd, fields: dict[str, Any], address: tuple[str, str]
) -> None:
    answer = await only(bench, doctor, type="subscribe", **fields)
    assert (answer["subscription_type"], answer["target_id"]) == address
    ended = await only(bench, doctor, type="unsubscribe", **fields)
    assert ended == {
        "type": "unsubscribed",
        "subscription_type": address[0],
        "target_id": address[1],
        "existed": True,
    }


async def test_a_filter_on_a_field_that_no_message_had_is_confirmed_with_a_hint(
    bench: Workbench, doctor: FarEnd
) -> None:
    command: dict[str, Any] = {"type": "subscribe", "topic": "patient:1", "filters": {"vitals.hrr": 5}}
    answer = await only(bench, doctor, **command)
    assert "hint" not in answer
    for _ in range(256):
        bench.manager.broadcast_to_patient(1, {"vitals": {"hr": 80}})
    answer = await only(bench, doctor, **command, request_id="r")
    assert (answer["type"], answer["request_id"]) == ("subscription_confirmed", "r")
    assert answer["hint"] == "field 'vitals.hrr' was never seen; did you mean 'vitals.hr'?"
    assert (answer["replaced"], answer["filters"]) == (True, {"vitals.hrr": 5})
    for filters in ({"vitals.hr": 5}, {}):
        assert "hint" not in await only(bench, doctor, type="subscribe", topic="patient:1", filters=filters)


async def test_a_hint_in_the_answer_tells_nothing_of_other_patients(bench: Workbench, doctor: FarEnd) -> None:
    for _ in range(256):
        bench.manager.broadcast_to_type("vitals", {"patient_id": "3", "secret_field": 80}, target_id="bed-7")
    wanted = {"secret_feild": 5}
    assert "hint" not in await only(bench, doctor, type="subscribe", topic="vitals:bed-7", filters=wanted)
    colleague = await bench.client("u2", "doctor", patients=["3"])
    answer = await only(bench, colleague, type="subscribe", topic="vitals:bed-7", filters=wanted)
    assert answer["hint"] == "field 'secret_feild' was never seen; did you mean 'secret_field'?"


async def test_unsubscribe_takes_a_topic_or_an_id_and_twice_is_no_fault(
    bench: Workbench, doctor: FarEnd
) -> None:
    made = await only(bench, doctor, type="subscribe", topic="type:ecg")
    by_id = {"type": "unsubscribe", "subscription_id": made["subscription_id"]}
    assert (await only(bench, doctor, **by_id))["existed"] is True
    assert (await only(bench, doctor, **by_id))["code"] == 1003
    answer = await only(bench, doctor, type="unsubscribe", topic="type:ecg", request_id="r")
    assert (answer["existed"], answer["request_id"]) == (False, "r")


async def test_nobody_ends_or_renews_the_subscription_of_another(bench: Workbench, doctor: FarEnd) -> None:
    made = await only(bench, doctor, type="subscribe", topic="type:ecg")
    other = await bench.client("u2")
    for command in ("unsubscribe", "refresh"):
        answer = await only(bench, other, type=command, subscription_id=made["subscription_id"])
        assert answer["code"] == 1003
    assert len(bench.manager.subscription_manager) == 1


async def test_refresh_tells_how_many_and_for_how_long(bench: Workbench, doctor: FarEnd) -> None:
    assert (await only(bench, doctor, type="refresh"))["count"] == 0
    for topic in ("type:ecg", "type:alerts"):
        made = await only(bench, doctor, type="subscribe", topic=topic)
    answer = await only(bench, doctor, type="refresh", request_id="r")
    assert answer == {"type": "refreshed", "request_id": "r", "count": 2, "expires_in": 3600.0}
    assert (await only(bench, doctor, type="refresh", subscription_id=made["subscription_id"]))["count"] == 1


async def test_ping_is_answered_with_the_clients_own_mark_and_the_servers_position(
    bench: Workbench, doctor: FarEnd
) -> None:
    bench.manager.broadcast_to_type("ecg", {})
    logs = bench.manager.broadcasts.logs
    answer = await only(bench, doctor, type="ping", t=12.5, request_id="r")
    assert answer == {
        "type": "pong",
        "request_id": "r",
        "t": 12.5,
        "server_time": "2027-01-15T08:00:00.000Z",
        "cursor": {logs.durable.name: 0, logs.volatile.name: 1},
    }
    assert "t" not in await only(bench, doctor, type="ping")


async def test_health_check_counts_for_this_connection(bench: Workbench, doctor: FarEnd) -> None:
    await only(bench, doctor, type="subscribe", topic="type:ecg")
    bench.owner(doctor).rtt = 0.0125
    answer = await only(bench, doctor, type="health_check", request_id="r")
    assert (answer["type"], answer["request_id"], answer["rtt_ms"]) == ("health", "r", 12.5)
    assert (answer["received"], answer["sent"], answer["subscriptions"]) == (3, 2, 1)
    assert answer["bytes_received"] > answer["received"]
    assert answer["bytes_sent"] > 0
    assert answer["queue"] == {"messages": 0, "bytes": 0}


async def test_ack_is_counted_and_not_answered(bench: Workbench, doctor: FarEnd) -> None:
    assert await bench.ask(doctor, type="ack", message_id="m_1") == []
    assert bench.service.router.acknowledged == 1


async def test_disconnect_closes_with_1000(bench: Workbench, doctor: FarEnd) -> None:
    assert await bench.ask(doctor, type="disconnect") == []
    assert doctor.close_code == 1000
    assert not bench.manager.connections


async def test_connecting_twice_is_a_fault(bench: Workbench, doctor: FarEnd) -> None:
    answer = await only(bench, doctor, type="connect", token=bench.token(), request_id="r")
    assert (answer["code"], answer["request_id"]) == (1003, "r")
    assert len(bench.manager.connections) == 1


async def test_every_command_of_the_protocol_has_its_handler(bench: Workbench) -> None:
    handled = {str(command.__struct_config__.tag) for command in bench.service.router._handlers}
    assert handled == COMMAND_TYPES


# -- broadcasts of clients


async def publisher(max_message_size: int = 1024, **rights: Any) -> tuple[Workbench, FarEnd, FarEnd]:
    """A bench with somebody who publishes and somebody who listens; both may see patient 1."""
    roles = {
        "device": RoleSettings(subscribe=("*",), wildcard=True, **rights),
        "doctor": RoleSettings(subscribe=("*",), wildcard=True),
    }
    bench = await Workbench(access={"roles": roles}, broadcast={"max_message_size": max_message_size}).start()
    sender = await bench.client("dev", "device", patients=["1"])
    listener = await bench.client("u1", "doctor", patients=["1", "2"])
    for far_end in (sender, listener):
        for topic in ("patient:*", "type:ecg"):
            assert (await only(bench, far_end, type="subscribe", topic=topic))[
                "type"
            ] == "subscription_confirmed"
    return bench, sender, listener


EVERYTHING = {"publish": ("patient", "type", "all"), "publish_types": ("*",)}


async def test_a_client_with_the_right_broadcasts_and_is_told_who_got_it() -> None:
    bench, sender, listener = await publisher(**EVERYTHING)
    message = {"type": "ecg_data", "data": [1], "sender": "somebody else"}
    answer = await only(
        bench, sender, type="broadcast", target_type="patient", target_id=1, message=message, request_id="r"
    )
    assert (answer["type"], answer["request_id"], answer["topic"]) == ("broadcast_ack", "r", "patient:1")
    assert (answer["considered"], answer["matched"], answer["delivered"]) == (2, 1, 1)
    (received,) = listener.take()
    assert received.pop("_meta")["id"] == answer["message_id"]
    assert received == {"type": "ecg_data", "data": [1], "sender": "dev"}


async def test_the_sender_gets_a_copy_only_if_it_asks_for_an_echo_and_before_the_answer() -> None:
    bench, sender, _ = await publisher(**EVERYTHING)
    command: dict[str, Any] = {
        "type": "broadcast",
        "target_type": "type",
        "target_id": "ecg",
        "message": {"n": 1},
    }
    assert [one.get("type") for one in await bench.ask(sender, **command)] == ["broadcast_ack"]
    answers = await bench.ask(sender, **command, echo=True)
    assert [one.get("type") for one in answers] == [None, "broadcast_ack"]
    assert answers[1]["delivered"] == 2


@pytest.mark.parametrize(
    ("rights", "allowed"),
    [
        ({}, set()),
        ({"publish": ("patient",), "publish_types": ("*",)}, {"patient"}),
        ({"publish": ("type",), "publish_types": ("*",)}, {"type"}),
        ({"publish": ("patient", "type"), "publish_types": ("*",)}, {"patient", "type", "every patient"}),
        ({"publish": ("all",), "publish_types": ("*",)}, {"all"}),
        ({"publish": ("patient", "type", "all"), "publish_types": ("note",)}, set()),
    ],
)
async def test_a_client_publishes_only_through_the_doors_of_its_role(
    rights: dict[str, Any], allowed: set[str]
) -> None:
    bench, sender, listener = await publisher(**rights)
    doors: dict[str, dict[str, Any]] = {
        "patient": {"target_type": "patient", "target_id": 1},
        "every patient": {"target_type": "patient", "target_id": "*"},
        "type": {"target_type": "ecg"},
        "all": {"target_type": "all"},
    }
    for door, fields in doors.items():
        answer = await only(bench, sender, type="broadcast", message={"type": "ecg_data"}, **fields)
        listener.take()
        if door in allowed:
            assert answer["type"] == "broadcast_ack", door
        else:
            assert answer["code"] == 1011, door
    assert bench.manager.broadcasts.operations == len(allowed)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"target_type": "patient", "target_id": 2, "message": {}}, 1011),
        ({"target_type": "type", "target_id": "ecg", "message": {"patient_id": 2}}, 1011),
        ({"target_type": "all", "message": {"patient_id": "2"}}, 1011),
        ({"target_type": "patient", "target_id": 1, "message": {"patient_id": 2}}, 1003),
        ({"target_type": "all", "message": {"type": "pong"}}, 1003),
        ({"target_type": "all", "message": {"type": "system_shutdown"}}, 1003),
        ({"target_type": "all", "message": {"_meta": {}}}, 1003),
        ({"target_type": "patient", "message": {}}, 1003),
        ({"target_type": "all", "message": {"x": "a" * 300}}, 1004),
    ],
)
async def test_a_clients_broadcast_obeys_rights_reserved_names_and_limits(
    fields: dict[str, Any], code: int
) -> None:
    bench, sender, listener = await publisher(256, **EVERYTHING)
    answer = await only(bench, sender, type="broadcast", **fields, request_id="r")
    assert (answer["type"], answer["code"], answer["request_id"]) == ("error", code, "r")
    assert listener.take() == []
    assert bench.manager.broadcasts.operations == 0


# -- errors


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ({"type": "subscribe", "topic": "patient:9"}, 1011),
        ({"type": "subscribe", "topic": "nonsense"}, 1003),
        ({"type": "subscribe", "topic": "type:ecg", "filters": {"a": {"$gt": "1"}}}, 1008),
        ({"type": "subscribe", "topic": "type:two"}, 1012),
        ({"type": "subscribe", "topik": "type:ecg"}, 1003),
        ({"type": "nothing"}, 1003),
        ({"type": "ping", "t": {}}, 1003),
        ({"type": "auth", "token": "rubbish"}, 1001),
        ({"type": "broadcast", "target_type": "all", "message": {}}, 1011),
    ],
)
async def test_an_error_repeats_the_request_id_and_the_connection_stays(
    command: dict[str, Any], code: int
) -> None:
    bench = await Workbench(subscription={"max_per_connection": 1}).start()
    far_end = await bench.client()
    await only(bench, far_end, type="subscribe", topic="type:one")
    if code == 1008:
        await only(bench, far_end, type="unsubscribe", topic="type:one")
    answer = await only(bench, far_end, **command, request_id="r7")
    assert (answer["type"], answer["code"], answer["request_id"]) == ("error", code, "r7")
    assert answer["name"] == ERRORS[code].name
    assert answer["message"]
    assert far_end.close_code is None
    assert bench.manager.faults == 1
    assert (await only(bench, far_end, type="ping"))["type"] == "pong"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"nonsense",
        b"[]",
        b"{}",
        b'"x"',
        b'{"type":1}',
        b"[" * 1000,
        b'{"type":"ping"',
        b'{"type":"ping","t":[]}',
    ],
)
async def test_what_is_no_command_is_1003(bench: Workbench, doctor: FarEnd, payload: bytes) -> None:
    doctor.send_raw(TEXT, payload)
    await bench.settle()
    (answer,) = doctor.take()
    assert answer["code"] == 1003
    assert doctor.close_code is None


async def test_too_many_malformed_commands_end_the_connection_with_4503(
    bench: Workbench, doctor: FarEnd
) -> None:
    for _ in range(MAX_FAULTS - 1):
        await only(bench, doctor, type="nothing")
    assert doctor.close_code is None
    await only(bench, doctor, type="nothing")
    assert doctor.close_code == 4503
    assert not bench.manager.connections


async def test_good_commands_earn_back_what_malformed_ones_cost(bench: Workbench, doctor: FarEnd) -> None:
    for _ in range(3 * MAX_FAULTS):
        await only(bench, doctor, type="nothing")
        await bench.ask(doctor, type="ack", message_id="m")
        bench.clock.advance(1)
        bench.service.inlet.sweep(bench.clock.monotonic())
    assert doctor.close_code is None
    assert bench.owner(doctor).faults == 0


async def test_what_is_not_allowed_is_no_malformed_command(bench: Workbench, doctor: FarEnd) -> None:
    for _ in range(2 * MAX_FAULTS):
        await only(bench, doctor, type="subscribe", topic="patient:9")
    assert doctor.close_code is None


async def test_a_binary_message_is_1009_and_a_second_one_ends_the_connection_with_4509(
    bench: Workbench, doctor: FarEnd
) -> None:
    doctor.send_raw(BINARY, b'{"type":"ping"}')
    await bench.settle()
    assert [one["code"] for one in doctor.take()] == [1009]
    assert doctor.close_code is None
    doctor.send_raw(BINARY, b"\xb1")
    await bench.settle()
    assert doctor.close_code == 4509


async def test_a_fault_of_ours_is_told_by_its_incident_and_logged_without_any_data(
    bench: Workbench, doctor: FarEnd, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "secret-patient"

    def fail(*arguments: Any) -> None:
        raise KeyError(secret)

    monkeypatch.setattr(bench.manager.subscription_manager, "subscribe", fail)
    with caplog.at_level(logging.DEBUG):
        answer = await only(bench, doctor, type="subscribe", topic="patient:1", request_id="secret-request")
    assert (answer["code"], answer["request_id"]) == (1015, "secret-request")
    incident = answer["details"]["incident"]
    (record,) = [one for one in caplog.records if one.name.startswith("wsserver")]
    assert incident in record.getMessage()
    assert "KeyError" in record.getMessage()
    assert "in fail" in record.getMessage()
    assert secret not in caplog.text
    assert "secret-request" not in caplog.text
    assert doctor.close_code is None


# -- renewing the token


async def test_a_renewed_token_brings_its_rights_and_its_expiry(bench: Workbench, doctor: FarEnd) -> None:
    for topic in ("patient:1", "patient:2", "type:ecg"):
        await only(bench, doctor, type="subscribe", topic=topic)
    token = bench.token("u1", "technician", patients=["2", "3"], lifetime=600)
    answers = await bench.ask(doctor, type="auth", token=token, request_id="r")
    withdrawn, answer = answers
    assert (withdrawn["code"], withdrawn["details"]) == (
        1011,
        {"subscription_type": "patient", "target_id": "1"},
    )
    assert answer == {"type": "authenticated", "request_id": "r", "expires_in": 600.0}
    assert dict(bench.manager.limits.by_role) == {"technician": 1}
    assert bench.manager.broadcast_to_patient(1, {}) == 0
    assert bench.manager.broadcast_to_patient(2, {}) == 1
    assert (await bench.ask(doctor, type="subscribe", topic="patient:3"))[-1][
        "type"
    ] == "subscription_confirmed"


async def test_a_refused_renewal_leaves_the_old_rights_while_they_last(
    bench: Workbench, doctor: FarEnd
) -> None:
    principal = bench.owner(doctor).principal
    answer = await only(bench, doctor, type="auth", token=bench.token() + "x", request_id="r")
    assert (answer["code"], answer["request_id"]) == (1001, "r")
    assert bench.owner(doctor).principal is principal
    assert doctor.close_code is None


async def test_a_token_of_somebody_else_ends_the_connection_with_4501(
    bench: Workbench, doctor: FarEnd
) -> None:
    answer = await only(bench, doctor, type="auth", token=bench.token("u2"))
    assert answer["code"] == 1001
    assert doctor.close_code == 4501
    assert not bench.manager.connections


async def test_a_renewal_that_finds_the_connection_gone_changes_nothing(
    bench: Workbench, doctor: FarEnd
) -> None:
    doctor.send(type="auth", token=bench.token("u1", "nurse"))
    bench.manager.disconnect(bench.owner(doctor).connection_id)
    await bench.settle()
    assert bench.manager.limits.total == 0
    assert not bench.manager.limits.by_role


async def test_a_fault_while_renewing_is_an_incident_and_the_connection_stays(
    bench: Workbench, doctor: FarEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(token: str) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(bench.service.authenticator, "authenticate", fail)
    answer = await only(bench, doctor, type="auth", token=bench.token(), request_id="r")
    assert (answer["code"], answer["request_id"]) == (1015, "r")
    assert doctor.close_code is None


async def test_closing_the_router_stops_renewals_under_way(
    bench: Workbench, doctor: FarEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(token: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(bench.service.authenticator, "authenticate", never)
    doctor.send(type="auth", token="t")
    await bench.settle()
    assert len(bench.service.router._tasks) == 1
    await bench.service.router.close()
    await bench.settle()
    assert not bench.service.router._tasks
    await bench.service.router.close()


async def test_a_traced_broadcast_is_timed_from_before_it_was_read(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = await bench.client("d1", "service", patients=["1"])
    trace = bench.manager.traces.arm(TraceOrder(), "ops")
    decode = encoding.decode_command

    def slower(*given: Any) -> Any:
        bench.clock.advance(0.25)
        return decode(*given)

    monkeypatch.setattr(encoding, "decode_command", slower)
    await bench.ask(device, type="broadcast", target_type="patient", target_id="1", message={"n": 1})
    (seen,) = bench.manager.traces.latest(1)
    assert trace.messages == 1
    assert seen.as_dict()["stages"][1] == {"stage": "validated", "us": 250_000}
