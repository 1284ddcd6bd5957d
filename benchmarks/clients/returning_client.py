"""The compiled clients that come back, as a child process, and what their records say."""

import asyncio
import os
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgspec

from benchmarks.build import build
from benchmarks.machine import processor_seconds
from benchmarks.servers.real_server import SUBSCRIBE

_SOURCE = Path(__file__).with_name("returning_client.c")

_LOOK = 1.0
"""Seconds over which it is told how busy it was."""


class ReturningClient:
    """Many clients with a reconnect policy; see ``returning_client.c``."""

    def __init__(self, process: asyncio.subprocess.Process, events: Path) -> None:
        self._process = process
        self._events = events
        self.busiest = 0.0
        """The largest part of its processor that it used in a second of the return."""
        self._used = self._since = 0.0
        self._watching: asyncio.Task[None] | None = None
        assert process.stdin is not None
        assert process.stdout is not None
        self._commands, self._answers = process.stdin, process.stdout

    async def connect(self, clients: int) -> dict[str, Any]:
        """Open that many, each up to its confirmed subscription."""
        self._say(f"connect {clients}")
        return await self._answer("connected", 120)

    async def go_to(self, port: int) -> None:
        """Reconnect to another port from now on."""
        self._say(f"port {port}")
        await self._answer("ok", 10)

    async def expect_return(self) -> None:
        """From now on each is to lose its connection and to get another."""
        self._say("await")
        await self._answer("armed", 10)
        self._used, self._since = processor_seconds(self._process.pid), time.monotonic()
        self._watching = asyncio.create_task(self._watch())

    async def returned(self, timeout: float) -> dict[str, Any]:
        """Wait until that is so. Raises TimeoutError with how far they are."""
        try:
            report = await self._answer("returned", timeout)
        except TimeoutError:
            self._say("report")
            report = await self._answer("report", 10)
            raise TimeoutError(f"not all are back after {timeout:g} s: {report}") from None
        self.look_away()
        if not self.busiest:
            # All were back within the first second.
            self._look()
        return report

    def look_away(self) -> None:
        """It is not told any more how busy it is."""
        if self._watching is not None:
            self._watching.cancel()

    async def _watch(self) -> None:
        # Second by second, as most of the whole return is waiting.
        while True:
            await asyncio.sleep(_LOOK)
            self._look()

    def _look(self) -> None:
        used, now = processor_seconds(self._process.pid), time.monotonic()
        self.busiest = max(self.busiest, (used - self._used) / (now - self._since))
        self._used, self._since = used, now

    def record(self, since: float) -> "Returns":
        """What happened since a moment of ``time.monotonic``."""
        return Returns.read(self._events, since)

    def _say(self, command: str) -> None:
        self._commands.write(f"{command}\n".encode())

    async def _answer(self, word: str, timeout: float) -> dict[str, Any]:
        async with asyncio.timeout(timeout):
            line = await self._answers.readline()
        found, _, members = line.partition(b" ")
        if found.decode() != word:
            raise RuntimeError(f"the clients said {line!r} instead of {word!r}")
        return msgspec.json.decode(members, type=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Returns:
    """How clients came back: moments in seconds, in order."""

    ended: dict[int, float]
    """When each client lost its connection."""
    ready: dict[int, float]
    """When it had another one, and its subscription."""
    refused: dict[int, float]
    """When those that were refused were refused for the first time."""
    handshakes: list[float]
    """When handshakes were sent to a server."""
    refusals: Counter[str]

    @classmethod
    def read(cls, path: Path, since: float) -> Self:
        """From the clients' record."""
        ended: dict[int, float] = {}
        ready: dict[int, float] = {}
        refused: dict[int, float] = {}
        handshakes: list[float] = []
        refusals: Counter[str] = Counter()
        for line in path.read_text().splitlines():
            moment, what, number = line.split()
            at, client = float(moment), int(number)
            if at < since:
                continue
            if what == "e":
                ended.setdefault(client, at)
            elif what == "r":
                ready[client] = at
            elif what == "s":
                handshakes.append(at)
            elif what in ("t", "h"):
                refused.setdefault(client, at)
                refusals["tcp" if what == "t" else "http"] += 1
        return cls(ended, ready, refused, handshakes, refusals)

    def peak(self, span: float) -> int:
        """The most handshakes within so many seconds."""
        moments = self.handshakes
        return max((bisect_left(moments, at + span) - n for n, at in enumerate(moments)), default=0)

    def sustained(self) -> float:
        """Clients per second that were served between the first and the last tenth of those who came back.

        0 when they all came back at once, or nobody.
        """
        moments = sorted(self.ready.values())
        tenth = len(moments) // 10
        among = moments[tenth : len(moments) - tenth]
        span = among[-1] - among[0] if among else 0.0
        return (len(among) - 1) / span if span > 0 else 0.0

    def longest_away(self) -> float:
        """Seconds from the end of a connection to the next one that works, of the slowest client."""
        return max((self.ready[client] - at for client, at in self.ended.items()), default=0.0)

    def longest_refused(self) -> float:
        """Seconds from the first refusal to the connection, of the client that was refused longest."""
        return max((self.ready[client] - at for client, at in self.refused.items()), default=0.0)

    def as_dict(self) -> dict[str, Any]:
        """The figures that both benchmarks give."""
        away = sorted(self.ready[client] - at for client, at in self.ended.items())
        return {
            "returned": len(away),
            "handshakes": len(self.handshakes),
            "sustained_per_second": round(self.sustained(), 1),
            "peak_per_second": self.peak(1.0),
            "peak_per_100_ms": self.peak(0.1),
            "refused_by_tcp": self.refusals["tcp"],
            "refused_over_http": self.refusals["http"],
            "clients_refused": len(self.refused),
            "longest_refused_s": round(self.longest_refused(), 2),
            "longest_away_s": round(self.longest_away(), 2),
            "median_away_s": round(away[len(away) // 2], 2) if away else 0.0,
        }


@asynccontextmanager
async def returning_client(
    port: int, tokens: Path, *, core: int | None, events: Path, **options: float
) -> AsyncIterator[ReturningClient]:
    """Clients of ``127.0.0.1:port``, ended with the block; ``options`` as in ``returning_client.c``."""
    given = [
        word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", f"{value:g}")
    ]
    process = await asyncio.create_subprocess_exec(
        build(_SOURCE), "--port", str(port), "--tokens", str(tokens), "--events", str(events),
        "--subscribe", SUBSCRIBE, *given, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    client = ReturningClient(process, events)
    try:
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        yield client
    finally:
        client.look_away()
        if process.returncode is None:
            process.kill()
        await process.wait()
