"""Why did this connection not get that message: one test for each answer, over HTTP and as a command."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from live_server import LiveServer, StartServer, token_of, until
from operator_accounts import ACCOUNTS
from operator_page import OperatorPage
from ward_client import WardClient

from wsserver.cli import main
from wsserver.publishing.delivery_verdict import REASONS, TEXTS
from wsserver.settings import RecordsSettings
from wsserver.settings.roles import RoleSettings, default_roles
from wsserver_core.outgoing import ALERT, DROP_REASONS, Frame

CLOSE_FRAME = b"\x88\x02\x03\xe8"


class Scene:
    """A server, a nurse who watches patient 1, and the ways to spoil it."""

    def __init__(self, server: LiveServer) -> None:
        self.server = server
        self.manager = server.manager
        self.hub = server.manager.hub

    async def nurse(self, topic: str | None = "patient:1", **how: Any) -> tuple[WardClient, str]:
        client = await self.server.enter("nurse7", "doctor", patients=how.pop("patients", ["1"]))
        if topic is not None:
            await client.ask("subscribe", topic=topic, **how)
        return client, list(self.manager.connections)[-1]

    def handle(self, connection_id: str) -> int:
        return self.manager.connections[connection_id].handle

    def publish(self, message: dict[str, Any] | None = None) -> str:
        return self.manager.broadcast_to_patient(1, message or {"type": "vitals", "hr": 90}).message_id

    async def stalled(self) -> tuple[WardClient, str]:
        """A nurse whose socket takes nothing, as far as the hub knows."""
        client, one = await self.nurse()
        self.hub.block(self.handle(one))
        return client, one


@pytest.fixture
async def server(start_server: StartServer) -> LiveServer:
    device = RoleSettings(subscribe=("patient",), publish=("patient",), publish_types=("*",))
    return await start_server(access={"roles": {**default_roles(), "device": device}})


Told = tuple[str, str]
Case = Callable[[Scene], Awaitable[Told]]


async def written(scene: Scene) -> Told:
    client, one = await scene.nurse()
    message_id = scene.publish()
    assert len(await client.published()) == 1
    return message_id, one


async def acknowledged(scene: Scene) -> Told:
    client, one = await scene.nurse()
    message_id = scene.publish()
    await client.everything()
    await client.send("ack", message_id=message_id)
    await client.everything()
    return message_id, one


async def replayed(scene: Scene) -> Told:
    client = await scene.server.connect()
    told = await client.ask("connect", token=token_of("nurse7"), subscriptions=["patient:1"])
    await client.abort()
    await until(lambda: not scene.manager.connections)
    message_id = scene.publish()
    session = {"id": told["session_id"], "cursor": told["cursor"]}
    client = await scene.server.connect()
    await client.ask("connect", token=token_of("nurse7"), session=session)
    assert (await client.receive())["_meta"]["id"] == message_id
    return message_id, next(iter(scene.manager.connections))


async def queued(scene: Scene) -> Told:
    _, one = await scene.stalled()
    return scene.publish(), one


async def conflated(scene: Scene) -> Told:
    _, one = await scene.stalled()
    scene.hub.max_queue_messages = 4
    first, *_ = [scene.publish() for _ in range(4)]
    return first, one


def dropped(reason: str) -> Case:
    async def case(scene: Scene) -> Told:
        _, one = await scene.stalled()
        message_id = scene.publish()
        scene.hub.discard(scene.handle(one), DROP_REASONS.index(reason))
        return message_id, one

    return case


async def uncertain(scene: Scene) -> Told:
    _, one = await scene.stalled()
    scene.manager.records.configure(RecordsSettings(messages=100_000, max_total_bytes=1 << 30))
    message_id = scene.publish()
    scene.hub.discard(scene.handle(one), DROP_REASONS.index("slow"))
    _, other = await scene.nurse("type:noise")
    scene.hub.block(scene.handle(other))
    scene.hub.max_queue_messages, scene.hub.max_queue_bytes = 100_000, 1 << 30
    for _ in range(8):
        for number in range(scene.hub.drops.capacity // 8):
            scene.manager.broadcast_to_type("noise", {"type": "note"})
            if number % 256 == 0:
                # Else the server counts as overloaded on a slow machine.
                await asyncio.sleep(0)
        scene.hub.discard(scene.handle(other), DROP_REASONS.index("slow"))
    return message_id, one


async def refused_slow(scene: Scene) -> Told:
    _, one = await scene.stalled()
    scene.hub.max_queue_messages = 1
    scene.hub.enqueue(scene.handle(one), Frame(b"\x89\x00", None, ALERT))
    return scene.publish(), one


async def refused_closing(scene: Scene) -> Told:
    _, one = await scene.nurse()
    scene.hub.enqueue(scene.handle(one), Frame(CLOSE_FRAME), True)
    return scene.publish(), one


async def refused_catching_up(scene: Scene) -> Told:
    _, one = await scene.nurse()
    scene.hub.set_out(scene.handle(one), (0, 0), True)
    return scene.publish(), one


async def own_message(scene: Scene) -> Told:
    device = await scene.server.enter("monitor1", "device", "patient:1", patients=["1"])
    answer = await device.ask("broadcast", target_type="patient", target_id="1", message={"n": 1})
    return answer["message_id"], next(iter(scene.manager.connections))


async def other_connection(scene: Scene) -> Told:
    _, one = await scene.nurse()
    _, other = await scene.nurse()
    return scene.manager.send_message(other, {"patient_id": 1}).message_id, one


async def connected_later(scene: Scene) -> Told:
    message_id = scene.publish()
    _, one = await scene.nurse()
    return message_id, one


async def ended_before(scene: Scene) -> Told:
    client, one = await scene.nurse()
    await client.close()
    await until(lambda: one not in scene.manager.connections)
    return scene.publish(), one


async def denied(scene: Scene) -> Told:
    _, one = await scene.nurse("patient:*", patients=["2"])
    return scene.publish(), one


async def not_subscribed(scene: Scene) -> Told:
    _, one = await scene.nurse(None)
    return scene.publish(), one


async def other_topic(scene: Scene) -> Told:
    _, one = await scene.nurse("type:ecg")
    return scene.publish(), one


async def subscribed_later(scene: Scene) -> Told:
    client, one = await scene.nurse(None)
    message_id = scene.publish()
    await client.ask("subscribe", topic="patient:1")
    return message_id, one


async def subscription_ended(scene: Scene) -> Told:
    client, one = await scene.nurse()
    await client.ask("unsubscribe", topic="patient:1")
    return scene.publish(), one


async def subscription_expired(scene: Scene) -> Told:
    _, one = await scene.nurse()
    scene.manager.subscription_manager.clear(scene.manager.connections[one], "expired")
    return scene.publish(), one


async def filtered(scene: Scene) -> Told:
    _, one = await scene.nurse(filters={"hr": {"$gt": 120}})
    return scene.publish(), one


async def changed(scene: Scene) -> Told:
    client, one = await scene.nurse(filters={"hr": {"$gt": 120}})
    message_id = scene.publish()
    await client.ask("subscribe", topic="patient:1", filters={"hr": {"$gt": 80}})
    return message_id, one


CASES: dict[str, Case] = {
    "acknowledged": acknowledged,
    "written": written,
    "replayed": replayed,
    "queued": queued,
    "conflated": conflated,
    **{reason: dropped(reason) for reason in ("slow", "expired", "closed", "shutdown")},
    "uncertain": uncertain,
    "refused_slow": refused_slow,
    "refused_closing": refused_closing,
    "refused_catching_up": refused_catching_up,
    "own_message": own_message,
    "other_connection": other_connection,
    "connected_later": connected_later,
    "ended_before": ended_before,
    "denied": denied,
    "not_subscribed": not_subscribed,
    "other_topic": other_topic,
    "subscribed_later": subscribed_later,
    "subscription_ended": subscription_ended,
    "subscription_expired": subscription_expired,
    "filtered": filtered,
    "changed": changed,
}


async def asked(server: LiveServer, message_id: str, connection_id: str) -> Any:
    token = token_of("ops", "admin", scope="admin:read", patients="*")
    return await server.http("GET", f"/ws/explain/{message_id}?connection_id={connection_id}", token=token)


async def commanded(server: LiveServer, message_id: str, connection_id: str) -> Result:
    token = token_of("ops", "admin", scope="admin:read", patients="*")
    arguments = [
        "explain", "--url", f"http://127.0.0.1:{server.port}", "--token", token, message_id,
        "--connection", connection_id,
    ]  # fmt: skip
    return await asyncio.to_thread(CliRunner().invoke, main, arguments)


@pytest.mark.parametrize("reason", REASONS)
async def test_the_answer_is_the_same_over_http_and_as_a_command(server: LiveServer, reason: str) -> None:
    message_id, connection_id = await CASES[reason](Scene(server))
    answer = await asked(server, message_id, connection_id)
    assert answer.status == 200, answer
    (verdict,) = answer.json["data"]["connections"]
    assert verdict["reason"] == reason
    assert verdict["text"].startswith(TEXTS[reason])
    result = await commanded(server, message_id, connection_id)
    assert result.exit_code == 0, result.output
    state = "" if verdict["open"] else " (has ended)"
    perhaps = "" if verdict["certain"] else ", perhaps"
    lines = result.stdout.splitlines()
    place = lines.index(f"{connection_id}{state}: {reason}{perhaps}")
    assert lines[place + 1] == f"    {verdict['text']}"
    if reason == "filtered":
        assert "    ✗ hr is 90, wanted > 120" in lines


async def test_a_client_that_was_told_of_its_gap_is_known_to_know(server: LiveServer) -> None:
    scene = Scene(server)
    client, one = await scene.stalled()
    scene.hub.max_queue_messages = 4
    first, *_ = [scene.publish() for _ in range(6)]
    scene.hub.unblock(scene.handle(one))
    await until(lambda: len(scene.manager.records.gaps))
    (gap,) = [message for message in await client.everything() if message["type"] == "gap"]
    answer = await asked(server, first, one)
    (verdict,) = answer.json["data"]["connections"]
    told = verdict["gap"]
    assert verdict["reason"] == gap["reason"] == told["reason"] == "conflated"
    assert (told["from"], told["to"], told["count"]) == (gap["from"], gap["to"], gap["count"])
    result = await commanded(server, first, one)
    assert f"Its client was told of the gap at {told['told_at']}." in result.stdout


async def test_a_connection_of_which_nothing_is_known_is_not_found(server: LiveServer) -> None:
    message_id = Scene(server).publish()
    answer = await asked(server, message_id, "c_unknown")
    assert (answer.status, answer.json["error"]["code"]) == (404, 1014)
    result = await commanded(server, message_id, "c_unknown")
    assert result.exit_code == 1
    assert "No such connection is open, and none has ended lately. (HTTP 404)" in result.output


async def test_a_message_that_is_not_kept_any_more_is_not_found(start_server: StartServer) -> None:
    server = await start_server(records={"messages": 1})
    scene = Scene(server)
    _, one = await scene.nurse()
    first, _ = scene.publish(), scene.publish()
    answer = await asked(server, first, one)
    assert (answer.status, answer.json["error"]["code"]) == (404, 1014)
    result = await commanded(server, first, one)
    assert result.exit_code == 1
    assert (
        "No such message is kept: the server keeps the newest 1 and as many alerts, 1 at the moment."
        in result.output
    )


async def test_a_page_does_not_see_whom_else_somebody_watches(start_server: StartServer) -> None:
    server = await start_server(operators={"accounts": ACCOUNTS})
    scene = Scene(server)
    _, one = await scene.nurse("patient:4711", patients=["1", "4711"])
    message_id = scene.publish()
    page = await OperatorPage.sign_in(server, "vera")
    answer = await page.get(f"/ws/explain/{message_id}?connection_id={one}")
    (verdict,) = answer.json["data"]["connections"]
    assert (verdict["reason"], verdict["topics"]) == ("other_topic", ["patient:•••11"])
    assert verdict["text"].endswith("These are patient:•••11.")
    assert b"4711" not in answer.body
