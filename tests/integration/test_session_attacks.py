"""Session ids that are not one's own: no success, no hint which, and no harm to whom they belong."""

import json
import re
import secrets
from typing import Any

import pytest
from live_server import LiveServer, StartServer, token_of, until
from ward_client import WardClient

OWN = re.compile(r'("(?:connection_id|session_id|server_time)":)"[^"]*"')
"""What must differ from one answer to the next."""


async def come(server: LiveServer, user: str, session: Any = None) -> tuple[WardClient, str]:
    """Connect by the first frame; the client, and the text of the answer."""
    client = await server.connect()
    members = {} if session is None else {"session": session}
    await client.send("connect", token=token_of(user, patients=["1"]), **members)
    text = await client.socket.recv()
    assert isinstance(text, str)
    assert json.loads(text)["type"] == "connected", text
    return client, text


async def enter(server: LiveServer, user: str = "victim") -> tuple[WardClient, str, dict[str, int]]:
    """A client with a subscription: itself, its session id and its cursor."""
    client, text = await come(server, user)
    assert (await client.ask("subscribe", topic="patient:1"))["type"] == "subscription_confirmed"
    cursor = (await client.ask("ping"))["cursor"]
    return client, json.loads(text)["session_id"], cursor


async def gone(server: LiveServer, client: WardClient) -> None:
    """End a connection as a cut does, and wait until the server knows."""
    there = len(server.manager.connections)
    await client.abort()
    await until(lambda: len(server.manager.connections) < there)


def without_own(text: str) -> str:
    return OWN.sub(r'\1"…"', text)


def guess_like(session_id: str) -> str:
    """An id of the same form."""
    return secrets.token_urlsafe(64)[: len(session_id)]


async def test_every_id_that_is_not_ones_own_is_answered_byte_for_byte_alike(
    start_server: StartServer,
) -> None:
    server = await start_server()
    door = "patient/1"
    # Of the victim: one session whose connection is open, one that has lost it.
    open_client, open_id, cursor = await enter(server)
    lost_client, lost_id, _ = await enter(server)
    await gone(server, lost_client)
    # Of the attacker: one that it has ended, one that has been replaced.
    ended_client, ended_id, _ = await enter(server, "attacker")
    await ended_client.ask("ping")
    await ended_client.close()
    first_client, first_id, _ = await enter(server, "attacker")
    await gone(server, first_client)
    second_client, text = await come(server, "attacker", {"id": first_id, "cursor": cursor})
    assert json.loads(text)["session"]["resumed"], text
    await second_client.ask("ping")
    await server.publish(door, {"type": "vitals", "hr": 60})

    ids = {
        "open, of another": open_id,
        "lost, of another": lost_id,
        "ended": ended_id,
        "replaced": first_id,
        "guessed": guess_like(open_id),
        "one character off": ("A" if lost_id[0] != "A" else "B") + lost_id[1:],
        "cut off": lost_id[:-1],
        "other case": lost_id.swapcase(),
        "a connection's public id": next(iter(server.manager.connections)),
    }
    answers = {}
    for name, session_id in ids.items():
        client, text = await come(server, "attacker", {"id": session_id, "cursor": cursor})
        session = json.loads(text)["session"]
        assert session["resumed"] is False, name
        answers[name] = without_own(text)
        assert await client.published() == [], name
        await gone(server, client)
    assert len(set(answers.values())) == 1, answers

    # The victim has noticed nothing, and has its sessions still.
    assert len(await open_client.published()) == 1
    client, text = await come(server, "victim", {"id": lost_id, "cursor": cursor})
    assert json.loads(text)["session"]["resumed"]
    assert [message["hr"] for message in await client.published()] == [60]


async def test_an_expired_session_is_answered_as_one_that_never_was(start_server: StartServer) -> None:
    server = await start_server(session={"ttl": 0.2})
    client, session_id, cursor = await enter(server)
    await gone(server, client)
    await until(lambda: not len(server.manager.sessions), "the end of the session")
    _, expired = await come(server, "victim", {"id": session_id, "cursor": cursor})
    _, guessed = await come(server, "victim", {"id": guess_like(session_id), "cursor": cursor})
    assert json.loads(expired)["session"]["resumed"] is False
    assert without_own(expired) == without_own(guessed)


@pytest.mark.parametrize(
    "guesses", [200, pytest.param(20_000, marks=[pytest.mark.long, pytest.mark.timeout(1800)])]
)
async def test_guessing_does_not_succeed(start_server: StartServer, guesses: int) -> None:
    server = await start_server(
        rate_limit={"handshakes_per_ip": None},
        connection={"max_connections_per_user": 50},
        session={"ttl": 3600.0},
    )
    client, session_id, cursor = await enter(server)
    await gone(server, client)
    for _ in range(guesses):
        attacker, text = await come(server, "attacker", {"id": guess_like(session_id), "cursor": cursor})
        assert json.loads(text)["session"]["resumed"] is False
        server.clients.remove(attacker)
        await attacker.abort()
    _, text = await come(server, "victim", {"id": session_id, "cursor": cursor})
    assert json.loads(text)["session"]["resumed"]


async def test_the_id_stands_in_no_place_where_others_look(
    start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    server = await start_server()
    client, session_id, cursor = await enter(server)
    await gone(server, client)
    _, text = await come(server, "victim", {"id": session_id, "cursor": cursor})
    new_id = json.loads(text)["session_id"]
    assert new_id != session_id
    seen = caplog.text
    ops = token_of("ops", "admin", scope="admin:read metrics:read")
    for page in ("/ws/metrics", "/ws/connections", "/ws/events", "/ws/health"):
        seen += (await server.http("GET", page, token=ops)).body.decode()
    assert session_id not in seen
    assert new_id not in seen
