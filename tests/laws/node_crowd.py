"""The JavaScript client in a ward: one process of Node.js for all of them, told by JSON what to do."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from laws.journal import Cursor, Journal
from laws.resuming_client import PATIENCE, Wanted

PROGRAM = Path(__file__).with_name("node_clients.mjs")


class NodeClient:
    """One client of a ward, over however many connections; the face of ``ResumingClient``."""

    def __init__(
        self,
        crowd: "NodeCrowd",
        name: str,
        token: Callable[[], str],
        port: Callable[[], int],
        wanted: list[Wanted],
        journal: Journal,
        *,
        quiet: float = 0.4,
        pause: float = 0.005,
        codec: str = "json",
    ) -> None:
        self.name = self.user = name
        self.wanted = wanted
        self.quiet = quiet
        self.connection = self.dialed = self.replayed = 0
        """Known when it has been stopped."""
        self._crowd = crowd
        self._start = {
            "token": token(),
            "url": f"ws://127.0.0.1:{port()}/ws/connect",
            "wanted": [{"topic": one.topic, "filters": one.filters} for one in wanted],
            "journal": str(journal.file),
            "quiet": quiet * 1000,
            "pause": pause * 1000,
            "codec": codec,
        }
        self._done: dict[str, asyncio.Event] = {}
        self._faults: list[str] = []

    def start(self) -> None:
        """Begin, and go on coming back until ``stop``."""
        self._crowd.tell(self, "start", **self._start)

    async def watching(self, patience: float = PATIENCE) -> None:
        """Wait until every subscription holds."""
        await self._until("watching", patience)

    async def settle(self, until: Cursor, patience: float = 30.0) -> None:
        """Wait until it has come as far as ``until``: everything published so far is here or told missing."""
        self._crowd.tell(self, "settle", until=until)
        try:
            await self._until("settled", patience)
        except TimeoutError:
            raise AssertionError(f"{self.name} does not get to {until}") from None

    async def stop(self) -> None:
        """End for good; raises what went wrong meanwhile."""
        self._crowd.tell(self, "stop")
        await self._until("stopped", PATIENCE)
        self._check()

    async def _until(self, done: str, patience: float) -> None:
        event = self._done.setdefault(done, asyncio.Event())
        async with asyncio.timeout(patience):
            await event.wait()
        if done != "stopped":
            self._check()

    def _check(self) -> None:
        assert not self._faults, f"{self.name}: {self._faults}"

    def heard(self, done: str, counted: dict[str, int] | None, faults: list[str]) -> None:
        self._faults += faults
        if counted is not None:
            self.connection, self.dialed = counted["connection"], counted["dialed"]
            self.replayed = counted["replayed"]
        if done == "failed":
            # Nobody is to wait for what will not come.
            for event in self._done.values():
                event.set()
        self._done.setdefault(done, asyncio.Event()).set()


class NodeCrowd:
    """The process, and all its clients."""

    def __init__(self, node: Path) -> None:
        self._node = node
        self._clients: dict[str, NodeClient] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            self._node, PROGRAM, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 20
        )
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *fault: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._reader is not None
        self._process.stdin.close()
        await self._reader
        assert await self._process.wait() == 0

    def enrol(self, *who: Any, **how: Any) -> NodeClient:
        """A client that writes its own journal."""
        client = NodeClient(self, *who, **how)
        self._clients[client.name] = client
        return client

    def tell(self, client: NodeClient, what: str, **how: Any) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"what": what, "name": client.name, **how}).encode() + b"\n")

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            self._clients[said["name"]].heard(said["done"], said.get("counted"), said.get("faults", []))
