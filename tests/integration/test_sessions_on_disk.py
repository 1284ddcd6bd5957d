"""Clients that go on where they were after their server has ended, or was killed."""

import asyncio
from pathlib import Path
from typing import Any

import apsw
import pytest
from live_server import ALL_SCOPES, LiveServer, token_of, until
from raw_socket import TEXT, RawSocket, command

FILTER = {"n": {"$lt": 1000}}


def in_file(folder: Path, **sections: Any) -> dict[str, Any]:
    return {"store": {"url": f"sqlite:///{folder}/store.db"}, **sections}


def stored_sessions(folder: Path) -> int:
    with apsw.Connection(str(folder / "store.db"), flags=apsw.SQLITE_OPEN_READONLY) as file:
        return int(file.execute("SELECT count(*) FROM sessions").fetchone()[0])


class Returning:
    """A client that remembers its session and how far it got."""

    def __init__(self, user: str = "u1", **claims: Any) -> None:
        self.token = token_of(user, "doctor", **claims)
        self.session_id: str | None = None
        self.cursor: dict[str, int] = {}
        self.handled: list[int] = []
        self.gaps: list[dict[str, Any]] = []
        self.raw: RawSocket | None = None

    async def come(self, server: LiveServer) -> dict[str, Any]:
        session = (
            {} if self.session_id is None else {"session": {"id": self.session_id, "cursor": self.cursor}}
        )
        self.raw = await server.raw()
        await self.raw.send(command("connect", token=self.token, **session))
        connected: dict[str, Any] = await self.raw.read_message()
        assert connected["type"] == "connected", connected
        self.session_id = connected["session_id"]
        self.gaps += (connected.get("session") or {}).get("gaps", [])
        if not session:
            self.cursor = connected["cursor"]
        return connected

    async def subscribe(self, topic: str, filters: dict[str, Any]) -> None:
        assert self.raw is not None
        await self.raw.send(command("subscribe", topic=topic, filters=filters))
        assert (await self.raw.read_message())["type"] == "subscription_confirmed"

    async def take(self, count: int) -> None:
        """Handle so many messages."""
        assert self.raw is not None
        while count:
            frame = await self.raw.read_frame()
            assert frame is not None
            if frame.opcode != TEXT:
                continue
            message = frame.json
            if message["type"] == "gap":
                self.gaps.append(message)
            if "_meta" in message:
                meta = message["_meta"]
                assert meta["seq"] > self.cursor.get(meta["log"], 0)
                self.cursor[meta["log"]] = meta["seq"]
                self.handled.append(message["n"])
                count -= 1

    async def vanish(self) -> None:
        assert self.raw is not None
        await self.raw.abort()


async def publish(server: LiveServer, *numbers: int, patient: int = 1) -> None:
    for number in numbers:
        report = await server.publish(f"patient/{patient}", {"type": "note", "n": number}, scope=ALL_SCOPES)
        assert report["durability"] == "fsync"


@pytest.mark.parametrize("is_open", [True, False], ids=["open at the end", "gone before"])
async def test_after_a_restart_a_client_has_what_was_stored_meanwhile(
    start_server: Any, tmp_path: Path, is_open: bool
) -> None:
    first: LiveServer = await start_server(**in_file(tmp_path))
    client = Returning()
    await client.come(first)
    await client.subscribe("patient:1", FILTER)
    await publish(first, 0, 1, 2000)
    await client.take(2)
    if not is_open:
        await client.vanish()
        await until(lambda: not first.manager.connections)
        await publish(first, 2, 2001, 3)
    await first.end()
    assert stored_sessions(tmp_path) == 1

    second: LiveServer = await start_server(**in_file(tmp_path))
    await publish(second, 4)
    connected = await client.come(second)
    assert connected["session"]["resumed"]
    assert [one["filters"] for one in connected["subscriptions"]] == [FILTER]
    expected = [4] if is_open else [2, 3, 4]
    assert connected["session"]["replayed"] == len(expected)
    await client.take(len(expected))
    await publish(second, 5)
    await client.take(1)
    assert client.handled == [0, 1, *expected, 5]
    # Only the volatile log is another; nothing of the durable one is missing.
    assert {gap["reason"] for gap in client.gaps} <= {"restart"}
    assert not {gap["log"] for gap in client.gaps} & set(connected["cursor"])


async def test_a_session_is_good_once_the_client_has_shown_the_next_one(
    start_server: Any, tmp_path: Path
) -> None:
    first: LiveServer = await start_server(**in_file(tmp_path))
    client = Returning()
    await client.come(first)
    await client.subscribe("patient:1", {})
    await first.end()
    second: LiveServer = await start_server(**in_file(tmp_path))
    old_id = client.session_id
    assert (await client.come(second))["session"]["resumed"]
    # A cut before its first frame: both ids are good.
    await second.end()
    third: LiveServer = await start_server(**in_file(tmp_path))
    new_id, client.session_id = client.session_id, old_id
    assert (await client.come(third))["session"]["resumed"]
    await client.subscribe("patient:2", {})
    newest = client.session_id
    for spent in (old_id, new_id):
        other = Returning()
        other.session_id = spent
        assert not (await other.come(third))["session"]["resumed"]
        await other.vanish()
    await third.end()
    fourth: LiveServer = await start_server(**in_file(tmp_path))
    for spent, is_good in ((old_id, False), (new_id, False), (newest, True)):
        client.session_id = spent
        assert (await client.come(fourth))["session"]["resumed"] == is_good
        await client.vanish()


async def test_rights_are_those_of_the_day_on_which_it_comes_back(start_server: Any, tmp_path: Path) -> None:
    first: LiveServer = await start_server(**in_file(tmp_path))
    client = Returning(patients=["1", "2"])
    await client.come(first)
    for patient in (1, 2):
        await client.subscribe(f"patient:{patient}", {})
    await client.vanish()
    await until(lambda: not first.manager.connections)
    await publish(first, 1, patient=1)
    await publish(first, 2, patient=2)
    await first.end()
    second: LiveServer = await start_server(**in_file(tmp_path))
    client.token = token_of("u1", "doctor", patients=["2"])
    connected = await client.come(second)
    assert [one["target_id"] for one in connected["subscriptions"]] == ["2"]
    assert [error["code"] for error in connected["errors"]] == [1011]
    await client.take(1)
    assert client.handled == [2]
    somebody = Returning("u2")
    somebody.session_id, somebody.cursor = client.session_id, client.cursor
    assert not (await somebody.come(second))["session"]["resumed"]


async def test_a_session_that_ended_for_good_or_too_long_ago_is_not_kept(
    start_server: Any, tmp_path: Path
) -> None:
    first: LiveServer = await start_server(**in_file(tmp_path, session={"ttl": 0.5}))
    leaving, late = Returning("u1"), Returning("u2")
    for client in (leaving, late):
        await client.come(first)
    assert leaving.raw is not None
    await leaving.raw.send(command("disconnect"))
    await leaving.raw.read_close()
    await late.vanish()
    await until(lambda: first.manager.sessions.expired == 1)
    await first.end()
    assert stored_sessions(tmp_path) == 0


async def test_what_cannot_be_read_is_dropped_and_a_filter_over_todays_bounds_is_told(
    start_server: Any, tmp_path: Path
) -> None:
    first: LiveServer = await start_server(**in_file(tmp_path))
    client, other = Returning("u1"), Returning("u2")
    for one in (client, other):
        await one.come(first)
        await one.subscribe("patient:1", {"n": {"$in": list(range(40))}})
    await first.end()
    with apsw.Connection(str(tmp_path / "store.db")) as file:
        file.execute("INSERT INTO sessions VALUES (?, 9e12, ?)", (b"k" * 32, b"{}"))
    second: LiveServer = await start_server(**in_file(tmp_path, filter={"max_values": 20}))
    assert len(second.manager.sessions) == 2
    connected = await client.come(second)
    assert connected["subscriptions"] == []
    assert ("patient:1", "limit") in {
        (gap.get("topic"), gap["reason"]) for gap in connected["session"]["gaps"]
    }


async def test_sessions_of_open_connections_are_written_within_a_moment(
    start_server: Any, tmp_path: Path
) -> None:
    """So that a server which is killed knows them when it is back."""
    server: LiveServer = await start_server(**in_file(tmp_path))
    client = Returning()
    await client.come(server)
    await client.subscribe("patient:1", FILTER)
    await publish(server, 0)
    await client.take(1)
    async with asyncio.timeout(10):
        while not await asyncio.to_thread(_state_holds, tmp_path, '"$lt":1000'):
            await asyncio.sleep(0.05)
    await client.vanish()


def _state_holds(folder: Path, text: str) -> bool:
    with apsw.Connection(str(folder / "store.db"), flags=apsw.SQLITE_OPEN_READONLY) as file:
        return any(text in bytes(state).decode() for (state,) in file.execute("SELECT state FROM sessions"))


async def test_a_session_is_written_at_once_and_does_not_wait_for_the_housekeeping(
    start_server: Any, tmp_path: Path
) -> None:
    server: LiveServer = await start_server(**in_file(tmp_path))
    server.service.housekeeping.stop()
    clients = [Returning(f"u{number}") for number in range(60)]
    for client in clients:
        await client.come(server)
    await until(lambda: stored_sessions(tmp_path) == 60)
    await clients[0].subscribe("patient:1", FILTER)
    for client in clients[1:]:
        assert client.raw is not None
        await client.raw.send(command("disconnect"))
    await until(lambda: stored_sessions(tmp_path) == 1)
