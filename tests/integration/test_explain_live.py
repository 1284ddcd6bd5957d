"""Why somebody did or did not get a message, asked of a running server over real sockets."""

import asyncio
from typing import Any

import pytest
from live_server import ALL_SCOPES, LiveServer, StartServer, token_of, until
from raw_socket import command
from ward_client import WardClient

OPS = {"scope": "admin:read", "patients": "*"}


async def explain(server: LiveServer, target: str, **claims: Any) -> Any:
    token = token_of("ops", "admin", **{**OPS, **claims})
    return await server.http("GET", f"/ws/explain/{target}", token=token)


async def explained(server: LiveServer, message_id: str, connection_id: str) -> dict[str, Any]:
    answer = await explain(server, f"{message_id}?connection_id={connection_id}")
    assert answer.status == 200, answer
    (verdict,) = answer.json["data"]["connections"]
    assert verdict["connection_id"] == connection_id
    return verdict


def newest(server: LiveServer) -> str:
    return list(server.manager.connections)[-1]


async def watcher(server: LiveServer, user: str, *topics: str, **claims: Any) -> tuple[WardClient, str]:
    client = await server.enter(user, "doctor", *topics, **claims)
    return client, newest(server)


async def test_each_outcome_is_told_as_it_is(server: LiveServer) -> None:
    nurse, got = await watcher(server, "n1", "patient:1", patients=["1"])
    strict, filtered = await watcher(server, "n2", patients=["1"])
    assert (await strict.ask("subscribe", topic="patient:1", filters={"hr": {"$gt": 120}}))["filters"]
    _, denied = await watcher(server, "n3", "patient:*", patients=["2"])
    _, elsewhere = await watcher(server, "n4", "type:ecg", patients=["1"])
    gone_client, gone = await watcher(server, "n5", "patient:1", patients=["1"])
    await gone_client.close()
    await until(lambda: gone not in server.manager.connections)
    sent = await server.publish("patient/1", {"hr": 90, "note": "canary"}, patients="*")
    _, late = await watcher(server, "n6", "patient:1", patients=["1"])
    await nurse.everything()

    message_id = sent["message_id"]
    reasons = {
        name: (await explained(server, message_id, connection_id))["reason"]
        for name, connection_id in (
            ("got", got), ("filtered", filtered), ("denied", denied), ("elsewhere", elsewhere),
            ("gone", gone), ("late", late),
        )
    }  # fmt: skip
    assert reasons == {
        "got": "written", "filtered": "filtered", "denied": "denied", "elsewhere": "other_topic",
        "gone": "ended_before", "late": "connected_later",
    }  # fmt: skip
    verdict = await explained(server, message_id, filtered)
    assert "False: hr.$gt." in verdict["text"]
    assert "✗ hr is 90, wanted > 120" in verdict["subscriptions"][0]["text"]

    await nurse.send("ack", message_id=message_id)
    await nurse.everything()
    verdict = await explained(server, message_id, got)
    assert (verdict["reason"], verdict["open"], verdict["certain"]) == ("acknowledged", True, True)
    answer = await explain(server, message_id)
    assert answer.json["data"] == {
        "message": {
            **sent,
            "ts": answer.json["data"]["message"]["ts"],
            "type": None,
            "patient_id": "1",
            "size": len('{"hr":90,"note":"canary"}'),
            "direct": False,
            "outcome": {
                "written": 1,
                "queued": 0,
                "dropped": dict.fromkeys(("slow", "conflated", "expired", "closed", "shutdown"), 0),
            },
            "acknowledged": 1,
        },
        "connections": [],
    }
    assert b"canary" not in answer.body


async def test_values_of_a_patient_are_withheld_from_those_who_may_not_see_him(server: LiveServer) -> None:
    client, one = await watcher(server, "n1", patients=["1"])
    await client.ask("subscribe", topic="patient:1", filters={"code": "wanted"})
    sent = await server.publish("patient/1", {"code": "canary-found"}, patients="*")
    for patients, shown in (("*", True), (["1"], True), (["2"], False), ([], False)):
        answer = await explain(server, f"{sent['message_id']}?connection_id={one}", patients=patients)
        (verdict,) = answer.json["data"]["connections"]
        assert verdict["reason"] == "filtered"
        assert verdict["values_withheld"] is not shown
        assert ("canary-found" in str(verdict)) is shown


async def test_one_that_reads_nothing_is_told_of_what_waits_what_was_replaced_and_what_was_dropped(
    start_server: StartServer,
) -> None:
    server = await start_server(backpressure={"max_queue_messages": 20, "send_buffer": 4096})
    stuck = await server.raw(token_of("n1", "doctor", patients=["1"]), receive_buffer=4096)
    assert (await stuck.read_message())["type"] == "connected"
    await stuck.send(command("subscribe", topic="patient:1"))
    assert (await stuck.read_message())["type"] == "subscription_confirmed"
    one = newest(server)
    big = {"type": "vitals", "pad": "x" * 20_000}
    hub = server.manager.hub
    handle = server.manager.connections[one].handle

    async def publish(message: dict[str, Any]) -> str:
        sent = await server.publish("patient/1", message, patients="*")
        return str(sent["message_id"])

    # Fill what the kernel takes with something that is not conflated.
    while hub.connection_figures(handle)[2] < 5:
        await publish({**big, "type": "note"})
        await asyncio.sleep(0)
    first = await publish(big)
    assert (await explained(server, first, one))["reason"] == "queued"
    for _ in range(6):
        await publish({**big, "type": "note"})
    assert hub.is_slow(handle)
    second = await publish(big)
    verdict = await explained(server, first, one)
    assert verdict["reason"] == "conflated"
    assert verdict["into"]["message_id"] == second
    assert (await explained(server, second, one))["reason"] == "queued"
    alerts = [await publish({"type": "alert", "severity": "critical", "n": number}) for number in range(25)]
    await until(lambda: one not in server.manager.connections)
    reasons = [(await explained(server, alert, one))["reason"] for alert in alerts]
    assert reasons[0] in ("closed", "queued")
    assert set(reasons[1:]) <= {"queued", "closed", "refused_slow", "refused_closing", "ended_before"}
    assert "refused_slow" in reasons
    assert (await explained(server, second, one))["reason"] == "slow"
    await stuck.abort()
    await until(lambda: not hub.open_count)
    verdict = await explained(server, alerts[0], one)
    assert (verdict["reason"], verdict["open"]) == ("closed", False)


async def test_a_user_is_asked_about_with_all_connections(server: LiveServer) -> None:
    client, first = await watcher(server, "n1", "patient:1", patients=["1"])
    await client.close()
    await until(lambda: first not in server.manager.connections)
    _, second = await watcher(server, "n1", "patient:1", patients=["1"])
    sent = await server.publish("patient/1", {}, patients="*")
    answer = await explain(server, f"{sent['message_id']}?user_id=n1")
    told = [(one["connection_id"], one["reason"]) for one in answer.json["data"]["connections"]]
    assert told == [(second, "written"), (first, "ended_before")]


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("?connection_id=c_nowhere", 404, "No such connection is open"),
        ("?user_id=nobody", 404, "has no connection"),
        ("?connection_id=a%20b", 400, "connection_id must be"),
        ("?user_id=", 400, "user_id must be"),
        ("?connection_id=a&user_id=b", 400, "not both"),
        ("?connection=a", 400, "known are connection_id, user_id"),
    ],
)
async def test_questions_that_cannot_be_answered(
    server: LiveServer, query: str, status: int, words: str
) -> None:
    sent = await server.publish("all", {})
    answer = await explain(server, f"{sent['message_id']}{query}")
    assert answer.status == status
    assert answer.json["error"]["code"] == (1014 if status == 404 else 1003)
    assert words in answer.json["error"]["message"]


async def test_of_a_message_that_is_not_kept_it_is_told_how_many_are(start_server: StartServer) -> None:
    server = await start_server(records={"messages": 2})
    ids = [(await server.publish("all", {"n": number}))["message_id"] for number in range(3)]
    for unknown in (ids[0], "m_unknown", "%F0%9F%92%A5"):
        answer = await explain(server, unknown)
        assert answer.status == 404
        error = answer.json["error"]
        assert error["code"] == 1014
        assert (
            error["message"]
            == "No such message is kept: the server keeps the newest 2 and as many alerts, 2 at the moment."
        )
        assert error["details"] == {"kept": 2, "messages": 2}
    assert (await explain(server, ids[1])).status == 200


async def test_only_with_the_scope(server: LiveServer) -> None:
    sent = await server.publish("all", {})
    assert (
        await explain(server, sent["message_id"], scope=ALL_SCOPES.replace("admin:read", ""))
    ).status == 403
    answer = await server.http("GET", f"/ws/explain/{sent['message_id']}")
    assert answer.status == 401


async def test_the_sums_are_told_and_add_up(server: LiveServer) -> None:
    client, _ = await watcher(server, "n1", "patient:1", patients=["1"])
    for number in range(5):
        await server.publish("patient/1", {"n": number}, patients="*")
    await client.everything()
    deliveries = (await server.metrics())["deliveries"]
    assert deliveries["matched"] == deliveries["delivered"] + sum(deliveries["refused"].values()) == 5
    assert deliveries["delivered"] + deliveries["replayed"] == (
        deliveries["written"] + deliveries["queued"] + sum(deliveries["dropped"].values())
    )
    assert deliveries["violations"] == 0
