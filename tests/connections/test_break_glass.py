"""Breaking the glass: for one connection, one patient, a reason and a time; and nothing more."""

from typing import Any

import msgspec
import pytest
from far_end import FarEnd
from workbench import Workbench

from wsserver.access.claims import Claims
from wsserver.observe.alerts import Level
from wsserver.settings import RoleSettings

ROLES = {
    "doctor": RoleSettings(
        subscribe=("*",), wildcard=True, break_glass=True, publish=("patient",), publish_types=("*",)
    ),
    "nurse": RoleSettings(subscribe=("*",), wildcard=True),
    "porter": RoleSettings(subscribe=("system",), break_glass=True),
}
REASON = "no doctor of that ward can be reached"


@pytest.fixture
async def bench() -> Workbench:
    return await Workbench(access={"roles": ROLES, "break_glass_ttl": 40.0}).start()


async def breaks(bench: Workbench, client: FarEnd, patient: str = "9", **more: Any) -> dict[str, Any]:
    command = {"type": "subscribe", "topic": f"patient:{patient}", "break_glass": REASON, **more}
    (answer,) = await bench.ask(client, **command)
    return answer


def numbers(client: FarEnd) -> list[int]:
    return [message["n"] for message in client.take() if "_meta" in message]


def publish(bench: Workbench, patient: str, number: int) -> None:
    bench.manager.broadcast_to_patient(patient, {"n": number})
    bench.loop.run()


def noted(bench: Workbench, *actions: str) -> list[dict[str, Any]]:
    return [one.as_dict() for one in reversed(bench.manager.audit.latest(100)) if one.action in actions]


async def test_it_shows_that_patient_to_that_connection_and_no_other(bench: Workbench) -> None:
    client, other = await bench.client(patients=["1"]), await bench.client(patients=["1"])
    assert (await breaks(bench, client))["break_glass"] is True
    (refused,) = await bench.ask(other, type="subscribe", topic="patient:9")
    assert refused["code"] == 1011
    for far_end in (client, other):
        await bench.ask(far_end, type="subscribe", topic="patient:1")
    publish(bench, "9", 1)
    publish(bench, "8", 2)
    publish(bench, "1", 3)
    assert numbers(client) == [1, 3]
    assert numbers(other) == [3]


async def test_it_is_marked_noted_with_the_reason_and_alerted_without_anybodys_id(bench: Workbench) -> None:
    client = await bench.client("u1", patients=["1"])
    await breaks(bench, client)
    (record,) = noted(bench, "subscribe")
    assert (record["patient_id"], record["right"]) == ("9", "break_glass")
    assert record["details"] == {"reason": REASON}
    kinds = [event.kind for event in bench.manager.subscription_manager.history.latest()]
    assert kinds == ["break_glass", "subscribed"]
    alerts = bench.service.alerts
    assert alerts.level("break_glass") is Level.WARNING
    (change,) = alerts.history(10)
    assert change.as_dict()["details"] == {"count": 1}
    assert bench.service.glass.of(bench.owner(client)) == {"9": 40.0}
    info = bench.manager.get_connection_info(bench.owner(client).connection_id)
    assert [one.break_glass for one in info.subscribed] == [True]
    # Each time is told.
    other = await bench.client("u2", patients=["1"])
    await breaks(bench, other)
    assert [one.details for one in alerts.history(10)] == [{"count": 2}, {"count": 1}]
    assert bench.service.glass.broken == 2


async def test_an_ordinary_subscription_is_not_marked(bench: Workbench) -> None:
    client = await bench.client(patients=["1"])
    (answer,) = await bench.ask(client, type="subscribe", topic="patient:1")
    assert "break_glass" not in answer
    # Nor one that needs no glass to be broken.
    assert "break_glass" not in await breaks(bench, client, "1")
    assert len(bench.service.glass) == 0
    assert bench.service.alerts.level("break_glass") is Level.OK


@pytest.mark.parametrize("role", ["nurse", "porter"])
async def test_without_the_right_the_refusal_is_like_any_other(bench: Workbench, role: str) -> None:
    client = await bench.client("u1", role, patients=["1"])
    refused = await breaks(bench, client)
    (plain,) = await bench.ask(client, type="subscribe", topic="patient:9")
    assert refused == plain
    assert refused["code"] == 1011
    # Whoever has no right to it learns nothing more from a topic it would not go with.
    assert await breaks(bench, client, "*") == refused
    lacking = {"nurse": "break_glass", "porter": "subscribe"}[role]
    assert noted(bench, "subscribe")[0]["right"] == lacking


@pytest.mark.parametrize(
    "reason",
    [
        "short",
        "x" * 201,
        "a\nreason on two lines",
        "a reason with \x00 in it",
        "        ",
        "a\u202ereason",
        "",
    ],
)
async def test_a_reason_is_a_line_of_8_to_200_characters(bench: Workbench, reason: str) -> None:
    client = await bench.client(patients=["1"])
    answer = await breaks(bench, client, break_glass=reason)
    assert (answer["code"], answer["details"]["path"]) == (1003, "break_glass")
    assert len(bench.service.glass) == 0
    assert bench.owner(client).principal.beyond == frozenset()


@pytest.mark.parametrize("topic", ["patient:*", "*", "ecg:*"])
async def test_it_goes_with_one_patient_only(bench: Workbench, topic: str) -> None:
    client = await bench.client(patients=["1"])
    answer = await breaks(bench, client, topic=topic)
    assert (answer["code"], answer["details"]["path"]) == (1003, "break_glass")


async def test_a_subscription_that_fails_leaves_nothing_behind(bench: Workbench) -> None:
    client = await bench.client(patients=["1"])
    await bench.ask(client, type="subscribe", topic="patient:*")
    before = bench.owner(client).principal
    answer = await breaks(bench, client, filters={"a": {"$nonsense": 1}})
    assert answer["code"] == 1008
    assert bench.owner(client).principal is before
    assert len(bench.service.glass) == 0
    publish(bench, "9", 1)
    assert numbers(client) == []


async def test_it_is_over_when_its_time_is_and_the_client_is_told(bench: Workbench) -> None:
    client = await bench.client(patients=["1"])
    await breaks(bench, client)
    bench.pass_time(39)
    publish(bench, "9", 1)
    assert numbers(client) == [1]
    bench.pass_time(1)
    (told,) = [one for one in client.take() if one["type"] == "error"]
    assert (told["code"], told["details"]) == (1011, {"subscription_type": "patient", "target_id": "9"})
    publish(bench, "9", 2)
    assert numbers(client) == []
    assert bench.owner(client).principal.patients == {"1"}
    assert noted(bench, "break_glass_end")[0]["details"] == {"reason": "time"}
    assert bench.service.alerts.level("break_glass") is Level.OK


async def test_what_waits_for_a_slow_reader_does_not_leave_after_its_time(bench: Workbench) -> None:
    client = await bench.client(patients=["1"])
    await breaks(bench, client)
    bench.clock.advance(40)
    bench.manager.broadcast_to_patient("9", {"n": 1})
    bench.manager.broadcast_to_patient("1", {"n": 2})
    bench.service.glass.tick()
    bench.loop.run()
    assert numbers(client) == []


async def test_it_is_over_when_the_subscription_is(bench: Workbench) -> None:
    client = await bench.client(patients=["1"])
    await bench.ask(client, type="subscribe", topic="patient:*")
    await breaks(bench, client)
    publish(bench, "9", 1)
    assert numbers(client) == [1]
    await bench.ask(client, type="unsubscribe", topic="patient:9")
    publish(bench, "9", 2)
    assert numbers(client) == []
    assert noted(bench, "break_glass_end")[0]["details"] == {"reason": "ended"}
    bench.service.glass.tick()
    assert bench.service.alerts.level("break_glass") is Level.OK


async def test_asking_again_with_a_reason_begins_a_new_time(bench: Workbench) -> None:
    client = await bench.client(patients=["1"])
    await breaks(bench, client)
    bench.pass_time(30)
    answer = await breaks(bench, client)
    assert (answer["replaced"], answer["break_glass"]) == (True, True)
    bench.pass_time(30)
    assert bench.service.glass.of(bench.owner(client)) == {"9": pytest.approx(10.0)}
    # Without one the filter is replaced, and the time stays what it was.
    (answer,) = await bench.ask(client, type="subscribe", topic="patient:9", filters={"n": 1})
    assert answer["break_glass"] is True
    bench.pass_time(10)
    assert len(bench.service.glass) == 0


async def test_it_does_not_come_back_with_the_session(bench: Workbench) -> None:
    client = bench.newcomer()
    client.send(type="connect", token=bench.token(patients=["1"]), subscriptions=["patient:1"])
    await bench.settle()
    told = client.take()[0]
    await breaks(bench, client)
    client.leave()
    await bench.settle()
    publish(bench, "9", 1)
    publish(bench, "1", 2)
    bench.service.glass.tick()
    assert len(bench.service.glass) == 0
    again = bench.newcomer()
    session = {"id": told["session_id"], "cursor": told["cursor"]}
    again.send(type="connect", token=bench.token(patients=["1"]), session=session)
    await bench.settle()
    connected, *rest = again.take()
    assert [one["target_id"] for one in connected["subscriptions"]] == ["1"]
    assert connected["errors"][0]["code"] == 1011
    assert [message["n"] for message in rest] == [2]


async def test_a_renewed_token_leaves_it_as_long_as_the_role_may(bench: Workbench) -> None:
    client = await bench.client(patients=["1"])
    await breaks(bench, client)
    await bench.ask(client, type="auth", token=bench.token(patients=["2"]))
    publish(bench, "9", 1)
    assert numbers(client) == [1]
    assert bench.owner(client).principal.patients == {"2", "9"}
    await bench.ask(client, type="auth", token=bench.token("u1", "nurse", patients=["2"]))
    publish(bench, "9", 2)
    assert numbers(client) == []
    bench.service.glass.tick()
    assert len(bench.service.glass) == 0


async def test_a_token_that_lists_the_patient_makes_it_an_ordinary_subscription(bench: Workbench) -> None:
    client = await bench.client(patients=["1"])
    await breaks(bench, client)
    await bench.ask(client, type="auth", token=bench.token(patients=["1", "9"]))
    bench.service.glass.tick()
    assert len(bench.service.glass) == 0
    bench.pass_time(50)
    publish(bench, "9", 1)
    assert numbers(client) == [1]


async def test_a_revocation_ends_it_and_no_glass_helps_against_it(bench: Workbench) -> None:
    client = await bench.client(patients=["1"])
    await breaks(bench, client)
    await bench.service.revoke(user_id="u1", patients=["9"])
    publish(bench, "9", 1)
    assert numbers(client) == []
    answer = await breaks(bench, client)
    assert answer["code"] == 1011
    assert noted(bench, "subscribe")[-1]["right"] == "revoked"


async def test_a_provider_that_is_asked_again_and_again_does_not_end_it() -> None:
    class Provider:
        def __init__(self) -> None:
            self.seen = ["1"]

        async def patients(self, user_id: str, role: str, claims: Claims) -> list[str]:
            return self.seen

    provider = Provider()
    bench = await Workbench(provider=provider, access={"roles": ROLES}).start()
    client = await bench.client()
    await breaks(bench, client)
    widened = bench.owner(client).principal
    bench.clock.advance(2)
    await bench.service.rights.refresh_user("u1")
    assert bench.owner(client).principal is widened
    provider.seen = ["2"]
    bench.clock.advance(2)
    await bench.service.rights.refresh_user("u1")
    assert bench.owner(client).principal.patients == {"2", "9"}
    provider.seen = ["2", "9"]
    bench.clock.advance(2)
    await bench.service.rights.refresh_user("u1")
    assert bench.owner(client).principal.beyond == frozenset()


async def test_it_shows_and_does_not_let_publish(bench: Workbench) -> None:
    client = await bench.client(patients=["1"])
    await breaks(bench, client)
    for patient, outcome in (("1", "broadcast_ack"), ("9", "error")):
        (answer,) = await bench.ask(
            client, type="broadcast", target_type="patient", target_id=patient, message={"type": "note"}
        )
        assert answer["type"] == outcome


async def test_settings_that_take_the_right_away_end_it(bench: Workbench) -> None:
    client = await bench.client(patients=["1"])
    await breaks(bench, client)
    settings = bench.manager.settings
    roles = {**ROLES, "doctor": msgspec.structs.replace(ROLES["doctor"], break_glass=False)}
    access = msgspec.structs.replace(settings.access, roles=roles)
    await bench.service.reconfigure(msgspec.structs.replace(settings, access=access))
    publish(bench, "9", 1)
    assert numbers(client) == []
    bench.service.glass.tick()
    assert noted(bench, "break_glass_end")[0]["details"] == {"reason": "rights"}
