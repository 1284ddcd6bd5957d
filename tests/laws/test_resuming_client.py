"""The client does what the protocol asks of one, against a server that says what it is told to."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from laws.evidence import Client, Evidence
from laws.journal import Journal, read_journals
from laws.resuming_client import Refused, ResumingClient, Wanted

PATIENCE = 5.0


class ScriptedServer:
    """Hands each connection to the test, which plays the server."""

    def __init__(self) -> None:
        self.port = 0
        self.connections: asyncio.Queue[Far] = asyncio.Queue()

    async def serve(self, socket: ServerConnection) -> None:
        far = Far(socket)
        self.connections.put_nowait(far)
        await socket.wait_closed()

    async def next(self) -> "Far":
        async with asyncio.timeout(PATIENCE):
            return await self.connections.get()


class Far:
    """The server's end of one connection."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket

    async def heard(self, kind: str) -> dict[str, Any]:
        """The next command, which must be of this kind; pings before it are left unanswered."""
        async with asyncio.timeout(PATIENCE):
            while (command := json.loads(await self.socket.recv()))["type"] != kind:
                assert command["type"] == "ping", command
        return dict(command)

    async def say(self, **members: Any) -> None:
        await self.socket.send(json.dumps(members))

    async def connected(
        self, session_id: str, cursor: dict[str, int], *, topics: str = "", **session: Any
    ) -> None:
        subscriptions = [
            {"subscription_type": name, "target_id": target}
            for name, target in (topic.split(":") for topic in topics.split())
        ]
        members: dict[str, Any] = {"session": {"replayed": 0, "gaps": [], **session}} if session else {}
        await self.say(
            type="connected", session_id=session_id, cursor=cursor, subscriptions=subscriptions, **members
        )

    async def message(self, seq: int, log: str = "d") -> None:
        meta = {"id": f"m{seq}", "topic": "patient:1", "log": log, "seq": seq, "ts": ""}
        await self.say(_meta=meta, key=f"k{seq}")

    async def confirm(self) -> None:
        command = await self.heard("subscribe")
        await self.say(type="subscription_confirmed", request_id=command["request_id"])

    async def pong(self, cursor: dict[str, int]) -> None:
        command = await self.heard("ping")
        await self.say(type="pong", t=command["t"], cursor=cursor)

    def cut(self) -> None:
        self.socket.transport.abort()


@asynccontextmanager
async def playing(folder: Path, **how: Any) -> AsyncIterator[tuple[ResumingClient, ScriptedServer]]:
    script = ScriptedServer()
    async with serve(script.serve, "127.0.0.1", 0) as server:
        script.port = next(iter(server.sockets)).getsockname()[1]
        with Journal(folder / "c.journal") as journal:
            wanted = [Wanted("patient:1", {"hr": 1})]
            client = ResumingClient("c", lambda: "token", lambda: script.port, wanted, journal, **how)
            client.start()
            try:
                yield client, script
            finally:
                await client.stop()


def journal_of(folder: Path) -> Client:
    return Evidence(read_journals(folder)).clients["c"]


async def until(condition: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)


async def begin(script: ScriptedServer) -> Far:
    """A connection on which the client watches from 10 on and has handled 11 and 12."""
    far = await script.next()
    first = await far.heard("connect")
    assert first == {"type": "connect", "token": "token"}
    await far.connected("s1", {"d": 9})
    await far.confirm()
    await far.pong({"d": 10})
    await far.message(11)
    await far.message(12)
    return far


async def test_it_subscribes_and_watches_from_the_position_that_follows(tmp_path: Path) -> None:
    async with playing(tmp_path) as (client, script):
        await begin(script)
        await client.watching()
        await until(lambda: client.cursor == {"d": 12})
    told = journal_of(tmp_path)
    [watch] = told.watches
    assert (watch.topic, watch.filters, watch.position) == ("patient:1", {"hr": 1}, {"d": 10})
    assert [(one.seq, one.handled) for one in told.arrivals] == [(11, True), (12, True)]


async def test_it_comes_back_with_its_session_and_its_cursor(tmp_path: Path) -> None:
    async with playing(tmp_path) as (client, script):
        far = await begin(script)
        await until(lambda: client.cursor == {"d": 12})
        far.cut()
        again = await script.next()
        assert (await again.heard("connect"))["session"] == {"id": "s1", "cursor": {"d": 12}}
        # A cut before the answer: the same again.
        again.cut()
        again = await script.next()
        assert (await again.heard("connect"))["session"]["id"] == "s1"
        await again.connected("s2", {"d": 14}, topics="patient:1", resumed=True, replayed=2)
        await again.message(13)
        await until(lambda: client.cursor == {"d": 13})
        # In the middle of the replay the position of ``connected`` has not been reached.
        again.cut()
        again = await script.next()
        assert (await again.heard("connect"))["session"] == {"id": "s2", "cursor": {"d": 13}}
        await again.connected("s3", {"d": 15}, topics="patient:1", resumed=True, replayed=1)
        await again.message(14)
        await until(lambda: client.cursor == {"d": 15})
    told = journal_of(tmp_path)
    assert [(one.given, one.resumed) for one in told.opened] == [
        (None, False), ({"d": 12}, True), ({"d": 13}, True)
    ]  # fmt: skip
    assert len(told.watches) == 1


async def test_what_it_has_handled_is_not_handled_again_and_is_written_down(tmp_path: Path) -> None:
    async with playing(tmp_path) as (client, script):
        far = await begin(script)
        await far.message(12)
        await far.message(11)
        await far.message(13)
        await until(lambda: client.cursor == {"d": 13})
    handled = [(one.seq, one.handled) for one in journal_of(tmp_path).arrivals]
    assert handled == [(11, True), (12, True), (12, False), (11, False), (13, True)]


async def test_a_session_that_is_gone_begins_anew(tmp_path: Path) -> None:
    async with playing(tmp_path) as (client, script):
        far = await begin(script)
        await until(lambda: client.cursor == {"d": 12})
        far.cut()
        again = await script.next()
        await again.heard("connect")
        await again.connected("s2", {"d": 20}, resumed=False)
        await again.confirm()
        await again.pong({"d": 22})
        await until(lambda: client.cursor == {"d": 22})
        await client.watching()
    told = journal_of(tmp_path)
    assert [watch.position for watch in told.watches] == [{"d": 10}, {"d": 22}]
    assert not told.opened[1].resumed


async def test_losses_are_written_down_wherever_they_are_told(tmp_path: Path) -> None:
    gap = {"log": "d", "topic": "patient:1", "from": 13, "to": 15, "count": 3, "reason": "trimmed"}
    async with playing(tmp_path) as (client, script):
        far = await begin(script)
        await until(lambda: client.cursor == {"d": 12})
        far.cut()
        again = await script.next()
        await again.heard("connect")
        await again.connected("s2", {"d": 15}, topics="patient:1", resumed=True, gaps=[gap])
        await again.say(type="gap", log="old", **{"from": 3}, reason="restart")
        await again.pong({"d": 16})
        await until(lambda: client.cursor == {"d": 16})
    gaps = journal_of(tmp_path).gaps
    assert [(one.reason, one.log, one.topic, one.first, one.last, one.count) for one in gaps] == [
        ("trimmed", "d", "patient:1", 13, 15, 3),
        ("restart", "old", None, 3, None, None),
    ]


async def test_silence_is_an_end(tmp_path: Path) -> None:
    async with playing(tmp_path, quiet=0.05) as (client, script):
        await begin(script)
        # Nothing more is said, and its ping is not answered.
        again = await script.next()
        assert (await again.heard("connect"))["session"]["id"] == "s1"
    assert "TimeoutError" in client.ends


async def test_a_final_close_is_a_fault(tmp_path: Path) -> None:
    script = ScriptedServer()
    async with serve(script.serve, "127.0.0.1", 0) as server:
        script.port = next(iter(server.sockets)).getsockname()[1]
        with Journal(tmp_path / "c.journal") as journal:
            client = ResumingClient("c", lambda: "token", lambda: script.port, [], journal)
            client.start()
            far = await script.next()
            await far.socket.close(4511, "revoked")
            await until(lambda: client.has_stopped)
            with pytest.raises(Refused):
                await client.stop()


async def test_it_is_at_rest_when_it_has_come_as_far_as_it_should(tmp_path: Path) -> None:
    async with playing(tmp_path) as (client, script):
        far = await begin(script)
        await client.watching()
        resting = asyncio.create_task(client.settle({"d": 13}))
        await far.pong({"d": 12})
        await far.message(13)
        await until(lambda: client.cursor == {"d": 13})
        assert not resting.done()
        await far.pong({"d": 13})
        await resting
    rest = journal_of(tmp_path).rest
    assert rest is not None
    assert rest.asked <= rest.at
    assert rest.cursor == {"d": 13}
