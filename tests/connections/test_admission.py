"""Who gets in, in which order things are checked, and how the others are told."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from far_end import BINARY, FarEnd, masked
from workbench import Workbench, assert_nothing_left

from wsserver.access.claims import Claims
from wsserver.connections import admission
from wsserver.connections.admission import MAX_FAULTS, MOST_HELD_OFF
from wsserver.rate_limiter import OFFENDERS


@pytest.fixture
async def bench() -> Workbench:
    return await Workbench().start()


class Gate:
    """An access provider that answers when the test opens it."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def patients(self, user_id: str, role: str, claims: Claims) -> list[str]:
        await self.open.wait()
        return ["1"]


async def test_a_valid_connect_is_answered_with_everything_a_client_needs(bench: Workbench) -> None:
    far_end = bench.newcomer()
    far_end.send(
        type="connect",
        request_id="r",
        token=bench.token("user123", "doctor", patients=["123"]),
        user_id="user123",
        role="doctor",
        patient_id=123,
        subscriptions=["patient:123", "type:ecg", "patient:9"],
        session={"id": "s", "cursor": {}},
    )
    await bench.settle()
    (answer,) = far_end.take()
    ids = [one.pop("subscription_id") for one in answer["subscriptions"]]
    (connection_id,) = bench.manager.connections
    assert len(set(ids)) == 2
    assert answer.pop("errors")[0]["code"] == 1011
    assert len(answer.pop("session_id")) == 43
    assert answer == {
        "type": "connected",
        "request_id": "r",
        "connection_id": connection_id,
        "user_id": "user123",
        "role": "doctor",
        "protocol": "wsserver.v1.json",
        "heartbeat_interval": 30.0,
        "max_message_size": 1048576,
        "server_time": "2027-01-15T08:00:00.000Z",
        "session_ttl": 120.0,
        "session": {"resumed": False, "replayed": 0, "gaps": []},
        "cursor": dict.fromkeys(bench.manager.broadcasts.logs.cursor(), 0),
        "subscriptions": [
            {"subscription_type": "patient", "target_id": "123", "filters": {}},
            {"subscription_type": "ecg", "target_id": "*", "filters": {}},
        ],
    }
    assert bench.manager.connections[connection_id].patient_id == "123"
    assert len(bench.service.admission) == 0


async def test_after_admission_larger_messages_are_read(bench: Workbench) -> None:
    far_end = bench.newcomer()
    far_end.send(type="connect", token=bench.token(), user_id="x" * 20_000)
    await bench.settle()
    assert (far_end.take()[-1]["code"], far_end.close_code) == (1004, 4501)
    client = await bench.client()
    (answer,) = await bench.ask(client, type="ping", request_id="r", t="x" * 20_000)
    assert answer["code"] == 1003


async def refusal(bench: Workbench, **command: Any) -> tuple[int, int | None]:
    far_end = bench.newcomer()
    far_end.send(type="connect", **command)
    await bench.settle()
    (answer,) = far_end.take()
    assert answer["type"] == "error"
    assert len(bench.service.admission) == 0
    assert far_end.connection is not None
    assert far_end.connection.close_reason == answer["name"]
    return answer["code"], far_end.close_code


async def test_what_the_client_says_of_itself_must_agree_with_its_token(bench: Workbench) -> None:
    token = bench.token("7", "doctor")
    for said in ({"user_id": "8"}, {"user_id": "07"}, {"user_id": "a b"}, {"role": "nurse"}, {"role": ""}):
        assert await refusal(bench, token=token, **said) == (1001, 4501)
    far_end = bench.newcomer()
    far_end.send(type="connect", token=token, user_id=7, role="doctor")
    await bench.settle()
    assert far_end.take()[0]["user_id"] == "7"


@pytest.mark.parametrize("fault", ["garbage", "signature", "role", "expired", "revoked"])
async def test_whatever_is_wrong_with_a_token_the_text_is_the_same(bench: Workbench, fault: str) -> None:
    tokens: dict[str, Callable[[], str]] = {
        "garbage": lambda: "garbage",
        "signature": lambda: bench.token()[:-4] + "AAAA",
        "role": lambda: bench.token(role="stranger"),
        "expired": lambda: bench.token(lifetime=1),
        "revoked": bench.token,
    }
    token = tokens[fault]()
    if fault == "revoked":
        bench.service.revocations.revoke_user("u1")
    if fault == "expired":
        bench.clock.advance(60)
    far_end = bench.newcomer()
    far_end.send(type="connect", token=token)
    await bench.settle()
    (answer,) = far_end.take()
    assert (answer["code"], answer["message"]) == (1001, "Authentication failed.")
    assert far_end.close_code == (4001 if fault == "expired" else 4501)


async def test_the_token_is_checked_before_claims_accepting_patient_and_limits(bench: Workbench) -> None:
    bench.manager.limits.max_connections = 0
    bench.manager.set_accept_connections(False)
    everything: dict[str, Any] = {"user_id": "other", "patient_id": 9}
    good = bench.token()
    assert await refusal(bench, token="bad", **everything) == (1001, 4501)
    assert await refusal(bench, token=good, **everything) == (1001, 4501)
    assert await refusal(bench, token=good, patient_id=9) == (1013, 4020)
    bench.manager.set_accept_connections(True)
    assert await refusal(bench, token=good, patient_id=9) == (1011, 4501)
    assert await refusal(bench, token=good) == (1002, 4102)
    bench.manager.limits.max_connections = 1
    await bench.client()


async def test_a_limit_is_told_with_its_scope_and_when_to_come_back() -> None:
    bench = await Workbench(connection={"max_connections_per_user": 1}).start()
    await bench.client()
    far_end = bench.newcomer()
    far_end.send(type="connect", token=bench.token(), request_id="r")
    await bench.settle()
    (answer,) = far_end.take()
    assert (answer["code"], answer["details"], answer["request_id"]) == (1002, {"scope": "user"}, "r")
    assert answer["retry_after_ms"] > 0
    assert far_end.close_code == 4102
    assert bench.manager.limits.total == 1


async def test_who_says_nothing_in_time_is_told_1001_and_closed_4001(bench: Workbench) -> None:
    silent = bench.newcomer()
    bench.pass_time(5)
    later = bench.newcomer()
    bench.pass_time(4.75)
    assert silent.close_code is None
    bench.pass_time(0.25)
    assert (silent.take()[0]["code"], silent.close_code) == (1001, 4001)
    assert later.close_code is None
    assert len(bench.service.admission) == 1
    bench.pass_time(5)
    assert later.close_code == 4001
    assert len(bench.service.admission) == 0


async def test_the_third_frame_that_is_no_connect_ends_it_with_4503(bench: Workbench) -> None:
    far_end = bench.newcomer()
    assert MAX_FAULTS == 3
    far_end.send(type="ping", request_id="r1")
    far_end.send_raw(BINARY, b"x")
    assert far_end.close_code is None
    far_end.send(type="nonsense", request_id="r3")
    await bench.settle()
    answers = far_end.take()
    assert [(one["code"], one.get("request_id")) for one in answers] == [
        (1001, "r1"),
        (1003, None),
        (1003, "r3"),
    ]
    assert far_end.close_code == 4503
    assert len(bench.service.admission) == 0


async def test_one_fault_is_forgiven(bench: Workbench) -> None:
    far_end = bench.newcomer()
    far_end.send(type="nonsense")
    far_end.send(type="connect", token=bench.token())
    await bench.settle()
    assert far_end.types == ["error", "connected"]


async def test_frames_behind_a_connect_wait_for_its_answer_and_are_handled_in_order() -> None:
    gate = Gate()
    bench = await Workbench(provider=gate).start()
    far_end = bench.newcomer()
    frames = [
        {"type": "connect", "token": bench.token()},
        {"type": "subscribe", "topic": "patient:1", "request_id": "a"},
        {"type": "ping", "request_id": "b"},
        {"type": "unsubscribe", "topic": "patient:1", "request_id": "c"},
    ]
    far_end.feed(b"".join(masked(1, json.dumps(frame).encode()) for frame in frames))
    await bench.settle()
    assert far_end.take() == []
    assert not far_end.reading
    gate.open.set()
    await bench.settle()
    assert far_end.reading
    answers = far_end.take()
    assert [one["type"] for one in answers] == ["connected", "subscription_confirmed", "pong", "unsubscribed"]
    assert [one.get("request_id") for one in answers] == [None, "a", "b", "c"]


async def test_frames_behind_a_disconnect_are_not_handled() -> None:
    gate = Gate()
    bench = await Workbench(provider=gate).start()
    far_end = bench.newcomer()
    far_end.send(type="connect", token=bench.token())
    far_end.send(type="disconnect")
    far_end.send(type="ack", message_id="m")
    gate.open.set()
    await bench.settle()
    assert bench.service.router.acknowledged == 0
    assert far_end.types == ["connected"]
    assert far_end.close_code == 1000


@pytest.mark.parametrize("end", ["left", "late"])
async def test_a_check_that_ends_after_its_newcomer_is_gone_changes_nothing(end: str) -> None:
    gate = Gate()
    bench = await Workbench(provider=gate).start()
    far_end = bench.newcomer()
    far_end.send(type="connect", token=bench.token())
    far_end.send(type="ping")
    await bench.settle()
    if end == "left":
        far_end.leave()
        bench.loop.run()
    else:
        bench.pass_time(10)
        assert far_end.close_code == 4001
    gate.open.set()
    await bench.settle()
    assert "connected" not in far_end.types
    assert_nothing_left(bench.manager)
    assert len(bench.service.admission) == 0


async def test_a_fault_of_ours_is_1015_and_closes_with_1011(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(token: str) -> None:
        raise RuntimeError(token)

    monkeypatch.setattr(bench.service.authenticator, "authenticate", fail)
    assert await refusal(bench, token="the-token") == (1015, 1011)
    assert "incident" in caplog.text
    assert "the-token" not in caplog.text


async def test_a_welcome_that_fails_ends_the_connection_and_gives_everything_back(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(bench.manager.subscription_manager, "initialize_subscriptions", fail)
    far_end = bench.newcomer()
    far_end.send(type="connect", token=bench.token(), request_id="r")
    await bench.settle()
    (answer,) = far_end.take()
    assert (answer["code"], answer["request_id"], far_end.close_code) == (1015, "r", 1011)
    assert_nothing_left(bench.manager)
    far_end.leave()
    bench.loop.run()
    assert bench.left == 1


async def test_credentials_of_the_handshake_admit_at_once(bench: Workbench) -> None:
    far_end = bench.newcomer()
    assert far_end.connection is not None
    outcome = await bench.service.admission.check(bench.token("u1", patients=["5"]))
    bench.service.admission.admit(far_end.connection.owner, outcome, subscriptions=["patient:5"])
    bench.loop.run()
    (answer,) = far_end.take()
    assert answer["type"] == "connected"
    assert "session" not in answer
    assert bench.manager.broadcast_to_patient(5, {}) == 1


async def test_closing_stops_checks_under_way() -> None:
    bench = await Workbench(provider=Gate()).start()
    far_end: FarEnd = bench.newcomer()
    far_end.send(type="connect", token=bench.token())
    await bench.settle()
    await bench.service.admission.close()
    assert not bench.service.admission._tasks
    await bench.service.admission.close()
    await bench.service.authenticator.close()


async def test_who_comes_back_at_once_again_and_again_is_kept_waiting_for_the_refusal(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "HOLD_OFF", 3600.0)
    for _ in range(OFFENDERS + 1):
        bench.service.rates.hold_against("u1")
    comers = [bench.newcomer() for _ in range(MOST_HELD_OFF + 2)]
    for comer in comers:
        comer.send(type="connect", token=bench.token())
    await bench.settle()
    assert [comer.close_code for comer in comers] == [None] * MOST_HELD_OFF + [4110] * 2
    await bench.client("u2")
    await bench.service.admission.close()
    assert not bench.service.admission._held_off


async def test_the_wait_for_a_refusal_ends(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "HOLD_OFF", 0)
    for _ in range(OFFENDERS + 1):
        bench.service.rates.hold_against("u1")
    comer = bench.newcomer()
    comer.send(type="connect", token=bench.token())
    await bench.settle()
    (error,) = comer.take()
    assert (error["code"], error["details"]["limit"], comer.close_code) == (1010, "offences", 4110)
    assert error["retry_after_ms"] > 0
    assert not bench.service.admission._held_off
