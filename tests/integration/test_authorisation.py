"""Nobody gets what they may not see, whatever they subscribe to and whichever door it came through."""

import asyncio
import json
from typing import Any
from urllib.parse import quote

import pytest
from live_server import ALL_SCOPES, LiveServer, token_of
from ward_client import WardClient

from wsserver.settings import RoleSettings, default_roles

CANARY = "canary-of-patient-"
MINE = ("1", "2")
OTHERS = [str(number) for number in range(3, 101)]
ROLES = {
    **default_roles(),
    "device": RoleSettings(publish=("patient", "type", "all"), publish_types=("*",)),
}


def canaries(messages: list[dict[str, Any]]) -> set[str]:
    text = json.dumps(messages)
    return {one for one in (*MINE, *OTHERS) if f"{CANARY}{one}!" in text}


async def publish_by_every_door(server: LiveServer, device: WardClient, patient: str) -> None:
    def message(door: str, **more: Any) -> dict[str, Any]:
        return {"type": "ecg_data", "canary": f"{CANARY}{patient}!", "door": door, **more}

    manager = server.manager
    number = int(patient)
    await manager.broadcast_to_patient(number, message("in process, patient"))
    await manager.broadcast_to_type("ecg", message("in process, type", patient_id=number))
    await manager.broadcast_to_type("patient", message("in process, type patient", patient_id=patient))
    await manager.broadcast_to_all(message("in process, all", patient_id=number))
    await manager.broadcast_to_subscribers(message("in process, by itself", patient_id=patient))
    for connection_id in list(manager.connections):
        manager.send_message(connection_id, message("in process, direct", patient_id=number))
    await asyncio.wrap_future(manager.publish_threadsafe(f"patient:{patient}", message("thread")))
    await asyncio.wrap_future(manager.publish_threadsafe("type:ecg", message("thread", patient_id=patient)))
    await asyncio.wrap_future(manager.publish_threadsafe("*", message("thread, all", patient_id=number)))
    await device.ask("broadcast", target_type="patient", target_id=patient, message=message("socket"))
    await device.ask("broadcast", target_type="ecg", message=message("socket, type", patient_id=number))
    await device.ask("broadcast", target_type="all", message=message("socket, all", patient_id=patient))
    if patient in (*MINE, "3", "50", "100"):  # each door once more by REST, which is slower
        await server.publish(f"patient/{patient}", message("rest"))
        await server.publish("type/ecg", message("rest, type", patient_id=number))
        await server.publish("type/patient", message("rest, type patient", patient_id=patient))
        await server.publish("all", message("rest, all", patient_id=number))


@pytest.mark.parametrize(
    "topics", [["patient:*"], ["type:ecg"], ["*"], ["patient:*", "type:ecg", "*", "patient:1"]]
)
@pytest.mark.parametrize("filters", [None, {}, {"type": "ecg_data"}])
async def test_a_nurse_gets_her_patients_and_nobody_elses_by_no_door(
    start_server, topics: list[str], filters: Any
) -> None:
    server = await start_server(access={"roles": ROLES}, rate_limit={"burst": 10_000})
    nurse = await server.enter("n1", "nurse", patients=list(MINE))
    doctor = await server.enter("d1", "doctor", "*")
    device = await server.enter("dev", "device")
    for topic in topics:
        answer = await nurse.ask(
            "subscribe", topic=topic, **({} if filters is None else {"filters": filters})
        )
        assert answer["type"] == "subscription_confirmed"
    for patient in (*MINE, *OTHERS):
        await publish_by_every_door(server, device, patient)
    got = await nurse.published()
    assert canaries(got) == set(MINE)
    everything = await doctor.published()
    assert canaries(everything) == {*MINE, *OTHERS}
    # Of her own patients she misses nothing that her topics cover.
    covered = {"patient:*": "patient:", "type:ecg": "ecg:", "*": ""}
    for patient in MINE:
        due = {
            message["_meta"]["id"]
            for message in everything
            if f"{CANARY}{patient}!" in message["canary"]
            and message["door"] != "in process, direct"
            and any(message["_meta"]["topic"].startswith(covered.get(topic, "-")) for topic in topics)
        }
        assert due <= {message["_meta"]["id"] for message in got}
    assert len({message["_meta"]["id"] for message in got}) == len(got)


async def test_a_user_without_patients_gets_no_patients_message_at_all(start_server) -> None:
    server = await start_server(access={"roles": ROLES}, rate_limit={"burst": 10_000})
    device = await server.enter("dev", "device")
    for name, patients in (("none listed", None), ("an empty list", [])):
        client = await server.enter(
            f"n-{len(name)}", "nurse", "patient:*", "type:ecg", "*", patients=patients
        )
        for patient in ("1", "2", "3"):
            await publish_by_every_door(server, device, patient)
        assert canaries(await client.published()) == set(), name


@pytest.mark.parametrize("topic", ["patient:3", "patient:100", "patient:01", "patient:1.0"])
async def test_a_nurse_cannot_subscribe_to_other_patients(server: LiveServer, topic: str) -> None:
    nurse = await server.enter("n1", "nurse", patients=list(MINE))
    answer = await nurse.ask("subscribe", topic=topic)
    assert (answer["code"], answer["message"]) == (1011, "Not allowed.")
    assert "details" not in answer


@pytest.mark.parametrize(
    ("role", "topic", "allowed"),
    [
        ("patient", "patient:1", True),
        ("patient", "patient:*", False),
        ("patient", "*", False),
        ("patient", "type:ecg", False),
        ("patient", "type:system", True),
        ("technician", "type:ecg", True),
        ("technician", "ecg:bed", True),
        ("technician", "patient:*", False),
        ("technician", "*", False),
        ("technician", "type:billing", False),
        ("service", "patient:1", False),
        ("service", "type:ecg", False),
        ("service", "*", False),
        ("nurse", "*", True),
        ("doctor", "patient:*", True),
        ("admin", "type:anything", True),
    ],
)
async def test_the_example_policy_role_by_role(
    server: LiveServer, role: str, topic: str, allowed: bool
) -> None:
    client = await server.enter("u", role, patients=["1"])
    answer = await client.ask("subscribe", topic=topic)
    assert answer.get("code") == (None if allowed else 1011)


async def test_a_type_message_with_a_patient_reaches_only_those_who_may_see_the_patient(
    server: LiveServer,
) -> None:
    seven = await server.enter("n7", "nurse", "type:ecg", patients=["7"])
    eight = await server.enter("n8", "nurse", "type:ecg", patients=["8"])
    report = await server.publish("type/ecg", {"patient_id": 7})
    assert (report["considered"], report["denied"], report["matched"], report["delivered"]) == (2, 1, 1, 1)
    assert (len(await seven.published()), len(await eight.published())) == (1, 0)


async def test_path_and_body_must_agree(server: LiveServer) -> None:
    token = token_of("b", "service", scope=ALL_SCOPES)
    for body, status in (({"patient_id": 7}, 200), ({"patient_id": "7"}, 200), ({"patient_id": "07"}, 400),
                         ({"patient_id": 8}, 400), ({"patient_id": None}, 200)):  # fmt: skip
        answer = await server.http("POST", "/ws/broadcast/patient/7", body, token=token)
        assert answer.status == status, body


async def test_counters_of_a_nurse_do_not_move_with_traffic_she_may_not_see(server: LiveServer) -> None:
    """A filter on forbidden data is no oracle: what she may not see is denied before any filter looks."""
    nurse = await server.enter("n1", "nurse", patients=["1"])
    await nurse.ask("subscribe", topic="patient:*", filters={"diagnosis": "x"})
    first = await nurse.ask("health_check")
    for diagnosis in ("x", "y"):
        report = await server.publish("patient/9", {"diagnosis": diagnosis})
        assert (report["considered"], report["denied"], report["filtered"]) == (1, 1, 0)
    figures = server.manager.broadcasts.filter_operations
    second = await nurse.ask("health_check")
    assert {**first, "request_id": 0, "sent": 0, "received": 0, "bytes_sent": 0, "bytes_received": 0} == {
        **second, "request_id": 0, "sent": 0, "received": 0, "bytes_sent": 0, "bytes_received": 0,
    }  # fmt: skip
    assert second["sent"] - first["sent"] == 1, "the answer to her own first question"
    assert figures == 0
    # The cursor is the server's position: it must not tell how much others were sent... except as a number.
    assert await nurse.published() == []


async def test_unsubscribe_and_errors_do_not_tell_which_patients_exist(server: LiveServer) -> None:
    await server.enter("d1", "doctor", "patient:3")
    nurse = await server.enter("n1", "nurse", patients=["1"])
    known, unknown = [await nurse.ask("subscribe", topic=f"patient:{one}") for one in ("3", "999")]
    assert {**known, "request_id": 0} == {**unknown, "request_id": 0}


BROADCASTS: list[tuple[dict[str, Any], int]] = [
    ({"target_type": "patient", "target_id": "3", "message": {"type": "note"}}, 1011),
    ({"target_type": "system", "message": {"type": "note"}}, 1011),
    ({"target_type": "all", "message": {"type": "note"}}, 1011),
    ({"target_type": "patient", "target_id": "1", "message": {"type": "note"}}, 1011),
]


@pytest.mark.parametrize(("broadcast", "code"), BROADCASTS)
async def test_a_nurse_may_not_broadcast(server: LiveServer, broadcast: dict[str, Any], code: int) -> None:
    doctor = await server.enter("d", "doctor", "*")
    nurse = await server.enter("n", "nurse", patients=["1"])
    assert (await nurse.ask("broadcast", **broadcast))["code"] == code
    assert await doctor.published() == []


async def test_a_role_that_may_broadcast_stays_within_its_doors_types_and_patients(start_server) -> None:
    roles = {
        **default_roles(),
        "tagger": RoleSettings(publish=("patient",), publish_types=("note",)),
        "caller": RoleSettings(publish=("type",), publish_types=("*",)),
    }
    server = await start_server(access={"roles": roles})
    doctor = await server.enter("d", "doctor", "*", "patient:*")
    tagger = await server.enter("t", "tagger", patients=["1"])
    caller = await server.enter("c", "caller", patients=["1"])
    note = {"type": "note"}
    for client, expected, target, message in (
        (tagger, None, {"target_type": "patient", "target_id": "1"}, note),
        (tagger, 1011, {"target_type": "patient", "target_id": "2"}, note),
        (tagger, 1011, {"target_type": "patient", "target_id": "1"}, {"type": "ecg_data"}),
        (tagger, 1011, {"target_type": "patient", "target_id": "1"}, {}),
        (tagger, 1011, {"target_type": "ecg"}, note),
        (tagger, 1011, {"target_type": "all"}, note),
        (tagger, 1011, {"target_type": "patient", "target_id": "*"}, note),
        (caller, None, {"target_type": "ecg"}, {"patient_id": 1}),
        (caller, 1011, {"target_type": "ecg"}, {"patient_id": 2}),
        (caller, 1011, {"target_type": "patient", "target_id": "*"}, {"patient_id": 1}),
        (caller, 1011, {"target_type": "patient", "target_id": "1"}, {}),
        (caller, 1003, {"target_type": "ecg"}, {"type": "system_shutdown"}),
        (caller, 1003, {"target_type": "ecg"}, {"type": "error"}),
        (caller, 1003, {"target_type": "ecg"}, {"type": "connected"}),
    ):
        answer = await client.ask("broadcast", message=message, **target)
        assert answer.get("code") == expected, (target, message)
    assert [message["sender"] for message in await doctor.published()] == ["t", "c"]


# -- one spelling per thing

SPELLINGS: list[Any] = [
    "123", 123, "0123", "00123", " 123", "123 ", "\t123", "123\n", "123\x00", "+123", "-123", "123.", "123.0",
    123.0, "1.23e2", 123.5, "1e2", "0x7b", "0b1", "1_23", "1,23", "1 23", "12３", "１２３", "١٢٣", "१२३", "²",
    "Ⅻ", "𝟙𝟚𝟛", "٠", "abc", "ABC", "Abc", "ａｂｃ", "àbc", "a\u0300bc", "аbc", "a\u200bbc", "a\ufeffbc",
    "a\u202ebc", "a\u00adbc", "ß", "İ", "ı", "K", "ſ", "a/b", "a%2Fb", "a%62", "..", ".", "../a", "a..b",
    ".a", "-a", "_a", "a.b", "a-b", "a_b", "a:b", "patient:1", "*", "a*", "", "a" * 64, "a" * 65, 0, "0", -1,
    2**53, "9007199254740992", True, False, None, [], ["1"], {}, {"id": "1"}, "null", "true", "NaN", "a\"b",
    "a'b", "a;b", "a\\b", "<a>", "{a}", "a\r\nb",
]  # fmt: skip


def canonical(spelling: Any) -> str | None:
    """The rule in one line, by another road than the server's: no regular expression, no parsing."""
    if isinstance(spelling, bool) or not isinstance(spelling, str | int):
        return None
    text = str(spelling)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    fits = 0 < len(text) <= 64 and text[0] in letters and all(one in letters + "._-" for one in text)
    return text if fits else None


async def test_each_spelling_of_an_id_is_the_same_id_everywhere_or_refused_everywhere(start_server) -> None:
    server = await start_server(rate_limit={"burst": 10_000})
    everyone = await server.enter("all", "doctor")
    service = token_of("b", "service", scope=ALL_SCOPES)
    assert len(SPELLINGS) >= 60
    for spelling in SPELLINGS:
        expected = canonical(spelling)
        found: dict[str, Any] = {}
        answer = await everyone.ask("subscribe", subscription_type="patient", target_id=spelling)
        found["subscribe"] = answer.get("target_id")
        if spelling == "*":
            assert found.pop("subscribe") == "*"
            await everyone.ask("unsubscribe", topic="patient:*")
        if isinstance(spelling, str | int) and not isinstance(spelling, bool):
            if spelling != "*":
                answer = await everyone.ask("subscribe", topic=f"patient:{spelling}")
                found["topic"] = answer.get("target_id")
            path = quote(str(spelling), safe="")
            answer_ = await server.http("POST", f"/ws/broadcast/patient/{path}", {}, token=service)
            assert answer_.status in (200, 400, 404)
            found["path"] = (
                answer_.json["data"]["topic"].removeprefix("patient:") if answer_.status == 200 else None
            )
        if spelling is not None:  # null is as good as no patient_id
            answer_ = await server.http(
                "POST", "/ws/broadcast/type/x", {"patient_id": spelling}, token=service
            )
            assert answer_.status in (200, 400)
            found["body"] = expected if answer_.status == 200 else None
            if answer_.status == 200:
                again = await server.http(
                    "POST", f"/ws/broadcast/patient/{expected}", {"patient_id": spelling}, token=service
                )
                assert again.status == 200, "the body's spelling is another patient than the path's"
        for claim in ("patients", "sub"):
            claims: dict[str, Any] = {"patients": [spelling]} if claim == "patients" else {"sub": spelling}
            client = await server.connect(token_of("u", "doctor", **{"patients": ["1"], **claims}))
            first = await client.receive()
            if claim == "sub":
                found["sub"] = first.get("user_id")
            elif first["type"] == "connected":
                seen = expected if expected is not None else "?"
                answer = await client.ask("subscribe", topic=f"patient:{seen}")
                found["claim"] = answer.get("target_id")
            else:
                found["claim"] = None
            await client.close()
        for unsubscribe in list(server.manager.subscription_manager.get_all_subscriptions()):
            await everyone.ask("unsubscribe", subscription_id=unsubscribe.subscription_id)
        for _ in range(3):  # good commands make up for the faults above
            await everyone.ask("ping")
        wrong = {place: got for place, got in found.items() if got != expected}
        assert not wrong, (spelling, expected, wrong)


async def test_a_filter_compares_ids_as_canonical_text(server: LiveServer) -> None:
    client = await server.enter("d", "doctor")
    await client.ask("subscribe", topic="patient:*", filters={"patient_id": 123})
    for patient_id in (123, "123"):
        await server.publish("type/patient", {"patient_id": patient_id})
    await server.publish("type/patient", {"patient_id": "0123"})
    assert [message["patient_id"] for message in await client.published()] == [123, "123"]
