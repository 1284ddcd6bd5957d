"""What the audit says of clients, by what they do."""

from typing import Any

import pytest
from far_end import FarEnd
from workbench import Bench, Workbench

from wsserver.access.claims import Claims
from wsserver.audit.access_notes import MAX_LISTED
from wsserver.errors import INTERNAL_ERROR, ServerError
from wsserver.settings import RoleSettings

WATCHERS = {
    "doctor": RoleSettings(subscribe=("*",), wildcard=True),
    "porter": RoleSettings(subscribe=("system",)),
    "chief": RoleSettings(subscribe=("*",), wildcard=True, all_patients=True),
    "device": RoleSettings(publish=("patient",), publish_types=("note",)),
}


@pytest.fixture
async def bench() -> Workbench:
    return await Workbench(access={"roles": WATCHERS}).start()


def noted(bench: Bench, *actions: str) -> list[dict[str, Any]]:
    """The records, oldest first, without what differs from run to run."""
    records = [one.as_dict() for one in reversed(bench.manager.audit.latest(1000))]
    for record in records:
        del record["seq"], record["at"]
    return [one for one in records if not actions or one["action"] in actions]


def who(bench: Workbench, far_end: FarEnd, role: str = "doctor", user: str = "u1") -> dict[str, Any]:
    return {"actor": user, "role": role, "connection_id": bench.owner(far_end).connection_id}


async def test_who_subscribes_to_a_patient_is_noted_with_the_right_to_it(bench: Workbench) -> None:
    client = await bench.client(patients=["1"])
    await bench.ask(client, type="subscribe", topic="patient:1", filters={"canary": "canary-value"})
    await bench.ask(client, type="subscribe", topic="patient:1")
    first, again = noted(bench)
    assert first == {"action": "subscribe", "patient_id": "1", "right": "token", **who(bench, client)}
    assert again == {**first, "details": {"replaced": True}}
    assert "canary" not in str(bench.manager.audit.latest(10)[0].encode())


@pytest.mark.parametrize("topic", ["patient:*", "*", "ecg:*", "ecg:7"])
async def test_other_topics_are_noted_with_whom_they_may_show(bench: Workbench, topic: str) -> None:
    listed = await bench.client(patients=["2", "1"])
    await bench.ask(listed, type="subscribe", topic=topic)
    every = await bench.client("u2", "chief")
    await bench.ask(every, type="subscribe", topic=topic)
    many = await bench.client("u3", patients=[str(number) for number in range(MAX_LISTED + 1)])
    await bench.ask(many, type="subscribe", topic=topic)
    records = noted(bench)
    assert [one["topic"] for one in records] == [topic] * 3
    assert [one["details"]["sees"] for one in records] == [["1", "2"], "all", MAX_LISTED + 1]
    assert [one["right"] for one in records] == ["token", "all_patients", "token"]


async def test_the_right_may_come_from_a_provider_or_from_the_program_around() -> None:
    class Provider:
        async def patients(self, user_id: str, role: str, claims: Claims) -> list[str]:
            return ["1"]

    bench = await Workbench(provider=Provider()).start()
    client = await bench.client()
    await bench.ask(client, type="subscribe", topic="patient:1")
    connection_id, _ = bench.connect("u2", patient_id="1")
    bench.manager.subscribe(connection_id, "patient", "1")
    assert [one["right"] for one in noted(bench, "subscribe")] == ["provider", "host"]


@pytest.mark.parametrize(
    ("role", "topic", "lacking"),
    [
        ("doctor", "patient:9", "patients"),
        ("porter", "patient:1", "subscribe"),
        ("porter", "*", "subscribe"),
    ],
)
async def test_a_refusal_says_who_asked_for_what_and_which_right_is_lacking(
    bench: Workbench, role: str, topic: str, lacking: str
) -> None:
    client = await bench.client("u1", role, patients=["1"])
    (answer,) = await bench.ask(client, type="subscribe", topic=topic)
    assert answer["code"] == 1011
    place = {"topic": "*"} if topic == "*" else {"patient_id": topic.partition(":")[2]}
    assert noted(bench) == [
        {
            "action": "subscribe",
            "outcome": "refused",
            "code": 1011,
            "right": lacking,
            **place,
            **who(bench, client, role),
        }
    ]


async def test_a_wildcard_without_the_right_to_it_is_refused_as_that() -> None:
    roles = {"nurse": RoleSettings(subscribe=("patient",))}
    bench = await Workbench(access={"roles": roles}).start()
    client = await bench.client("u1", "nurse", patients=["1"])
    await bench.ask(client, type="subscribe", topic="patient:*")
    assert noted(bench)[0]["right"] == "wildcard"


async def test_a_mistake_is_no_refusal_of_access(bench: Workbench) -> None:
    client = await bench.client(patients=["1"])
    await bench.ask(client, type="subscribe", topic="patient:1", filters={"a": {"$nonsense": 1}})
    await bench.ask(client, type="subscribe", topic="patient:")
    assert noted(bench) == []


async def test_the_end_of_a_subscription_is_noted_with_its_reason(bench: Workbench) -> None:
    client = await bench.client(patients=["1", "2"])
    for topic in ("patient:1", "patient:2", "ecg:*"):
        await bench.ask(client, type="subscribe", topic=topic)
    await bench.ask(client, type="unsubscribe", topic="patient:1")
    await bench.ask(client, type="unsubscribe", topic="patient:1")
    await bench.service.revoke(user_id="u1", patients=["2"])
    ends = noted(bench, "end", "withdraw", "rights")
    me = who(bench, client)
    assert ends == [
        {"action": "end", "patient_id": "1", "details": {"reason": "unsubscribed"}, **me},
        {"action": "withdraw", "actor": "u1", "patient_id": "2"},
        {"action": "rights", "right": "token", "details": {"sees": ["1"]}, **me},
        {"action": "end", "patient_id": "2", "details": {"reason": "revoked"}, **me},
    ]


async def test_a_subscription_that_expires_is_noted_too() -> None:
    bench = await Workbench(subscription={"timeout": 20.0}).start()
    connection_id, _ = bench.connect("u1", patient_id="1")
    bench.manager.subscribe(connection_id, "patient", "1")
    bench.clock.advance(21)
    bench.manager.hub.now = bench.clock.monotonic()
    bench.manager.subscription_manager.cleanup()
    assert noted(bench, "end")[0]["details"] == {"reason": "expired"}


async def test_one_record_speaks_for_all_that_ends_with_a_connection(bench: Workbench) -> None:
    client = await bench.client(patients=["1", "2"])
    me = who(bench, client)
    for topic in ("patient:1", "patient:2"):
        await bench.ask(client, type="subscribe", topic=topic)
    bench.manager.disconnect(me["connection_id"], "operator")
    (record,) = noted(bench, "end", "disconnect")
    assert record == {"action": "disconnect", "details": {"subscriptions": 2, "close_code": 4523}, **me}
    idle = await bench.client("u2")
    idle.leave()
    bench.loop.run()
    assert len(noted(bench, "disconnect")) == 1


async def test_who_connects_for_a_patient_is_noted_and_who_may_not(bench: Workbench) -> None:
    for patient in ("1", "9"):
        far_end = bench.newcomer()
        far_end.send(type="connect", token=bench.token(patients=["1"]), patient_id=patient)
        await bench.settle()
    bench.manager.disconnect(next(iter(bench.manager.connections)))
    made, refused, gone = noted(bench)
    assert (made["action"], made["patient_id"], made["right"]) == ("connect", "1", "token")
    assert refused == {
        "action": "connect",
        "actor": "u1",
        "role": "doctor",
        "patient_id": "9",
        "right": "patients",
        "outcome": "refused",
        "code": 1011,
    }
    assert (gone["action"], gone["patient_id"]) == ("disconnect", "1")
    assert gone["details"]["subscriptions"] == 0


async def test_what_a_session_restores_and_replays_is_noted(bench: Workbench) -> None:
    client = bench.newcomer()
    client.send(
        type="connect", token=bench.token(patients=["1", "2"]), subscriptions=["patient:1", "patient:2"]
    )
    await bench.settle()
    told = client.take()[0]
    client.leave()
    await bench.settle()
    for number in range(3):
        bench.manager.broadcast_to_patient(1, {"n": number})
    again = bench.newcomer()
    session = {"id": told["session_id"], "cursor": told["cursor"]}
    again.send(type="connect", token=bench.token(patients=["1"]), session=session)
    await bench.settle()
    records = noted(bench, "restore", "replay", "subscribe")[2:]
    restored, refused, replay = records
    assert (restored["action"], restored["patient_id"]) == ("restore", "1")
    assert (refused["patient_id"], refused["outcome"]) == ("2", "refused")
    log = bench.manager.broadcasts.logs.durable.name
    assert replay["action"] == "replay"
    assert replay["details"]["messages"] == 3
    assert (replay["details"]["after"][log], replay["details"]["upto"][log]) == (0, 3)


async def test_publishing_about_a_patient_without_the_right_is_noted(bench: Workbench) -> None:
    client = await bench.client("d1", "device", patients=["1"])
    note = {"type": "note", "text": "canary"}
    for target, message in (("9", note), ("1", {"type": "other"}), ("1", note)):
        await bench.ask(client, type="broadcast", target_type="patient", target_id=target, message=message)
    records = noted(bench, "publish")
    assert [(one["patient_id"], one["right"], one["code"]) for one in records] == [
        ("9", "patients", 1011),
        ("1", "publish", 1011),
    ]
    assert "canary" not in str(records)


async def test_where_the_audit_is_required_and_fails_nobody_may_subscribe(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await bench.client(patients=["1"])
    await bench.ask(client, type="subscribe", topic="ecg:*")

    def fail() -> None:
        raise ServerError(INTERNAL_ERROR)

    monkeypatch.setattr(bench.manager.audit, "check", fail)
    for topic in ("patient:1", "patient:*", "vitals:*"):
        (answer,) = await bench.ask(client, type="subscribe", topic=topic)
        assert (answer["type"], answer["code"]) == ("error", 1015)
    assert len(bench.manager.subscription_manager) == 1
    assert [one["right"] for one in noted(bench)[1:]] == ["audit"] * 3
    monkeypatch.undo()
    (answer,) = await bench.ask(client, type="subscribe", topic="patient:1")
    assert answer["type"] == "subscription_confirmed"
