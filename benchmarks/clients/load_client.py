"""The compiled load client as a child process: one line out, one line back."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.build import build
from benchmarks.clients.dialect import Dialect

FAULTS = ("lost", "lacking", "missing", "duplicates", "disorder", "foreign", "errors")


_SOURCE = Path(__file__).with_name("load_client.c")


class ReceivedWrong(Exception):
    """The clients did not get exactly what was sent, in order."""


class LoadClient:
    """Many WebSocket connections, each of which checks what it receives; see ``load_client.c``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self._commands, self._answers = process.stdin, process.stdout
        self.pid = process.pid

    async def connect(self, connections: int, *, timeout: float = 120.0) -> dict[str, Any]:
        """Open more connections, each up to the server's ``connected``."""
        return self._checked(await self._ask(f"connect {connections}", "connected", timeout))

    async def subscribe(self, first: int = 0, *, timeout: float = 120.0) -> dict[str, Any]:
        """Subscribe on every connection that has not yet; ``first`` is the number of the next message."""
        return self._checked(await self._ask(f"subscribe {first}", "subscribed", timeout))

    async def expect(self, messages: int) -> None:
        """Be ready to tell when every subscriber has had that many messages since it connected."""
        await self._ask(f"expect {messages}", "armed", 10.0)

    async def done(self, *, timeout: float = 60.0) -> dict[str, Any]:
        """Wait until that is so.

        ``at`` is the moment on the clock of ``time.monotonic``: when the last message was read, or with
        ``kernel_time`` when the kernel had it. ``cpu_share`` is the client's own share of its core from
        the first byte until it had read all. Raises ReceivedWrong when anything came
        twice, out of order, or not at all.
        """
        try:
            return self._checked(await self._answer("done", timeout))
        except TimeoutError:
            raise ReceivedWrong(f"not all has arrived in {timeout:g} s: {await self.report()}") from None

    async def done_with_losses(self, *, timeout: float = 60.0) -> dict[str, Any]:
        """As ``done``, where messages may be missing; see ``losses`` for whether they were told of."""
        return await self._answer("done", timeout)

    async def report(self) -> dict[str, Any]:
        """What has been received so far.

        ``cpu_share`` is the client's own share of its core since the last ``connect``, ``subscribe``,
        ``expect`` (from the first byte on) or ``clear``; no other command starts it anew.
        """
        return await self._ask("report", "report", 10.0)

    async def check(self) -> None:
        """Raise ReceivedWrong if a connection was lost or anything else has gone wrong so far."""
        self._checked(await self.report())

    async def stall(self, connections: int) -> None:
        """Stop reading on that many connections, the last ones."""
        await self._ask(f"stall {connections}", "stalled", 10.0)

    async def wake(self) -> None:
        """Read on the stalled connections again."""
        await self._ask("wake", "awake", 10.0)

    async def clear(self) -> None:
        """Forget the latencies measured so far, and count ``cpu_share`` from here."""
        await self._ask("clear", "cleared", 10.0)

    async def losses(self) -> dict[str, Any]:
        """Latencies of messages with a member ``at``, and what was lost and told of in gaps."""
        return await self._ask("losses", "losses", 10.0)

    async def last(self) -> dict[str, Any]:
        """How late the last receiver of each message with a member ``at`` had it, since ``clear``.

        ``us`` are microseconds and ``receivers`` how many have had it so far, a value each for the message
        numbered ``first`` and all behind it; the receivers of one that did not come are 0.
        """
        return await self._ask("last", "last", 10.0)

    async def _ask(self, command: str, word: str, timeout: float) -> dict[str, Any]:
        self._commands.write(f"{command}\n".encode())
        return await self._answer(word, timeout)

    async def _answer(self, word: str, timeout: float) -> dict[str, Any]:
        async with asyncio.timeout(timeout):
            line = await self._answers.readline()
        found, _, members = line.partition(b" ")
        if found.decode() != word:
            raise RuntimeError(f"the load client said {line!r} instead of {word!r}")
        return msgspec.json.decode(members, type=dict[str, Any])

    @staticmethod
    def _checked(report: dict[str, Any]) -> dict[str, Any]:
        if any(report[name] for name in FAULTS):
            raise ReceivedWrong(", ".join(f"{name} {report[name]}" for name in (*FAULTS, "first_error")))
        return report


@asynccontextmanager
async def load_client(
    port: int,
    subscribe: str,
    *,
    core: int | None,
    path: str = "/ws/connect",
    tokens: Path | None = None,
    kernel_time: bool = False,
    binary_every: int = 0,
    dialect: Dialect | None = None,
) -> AsyncIterator[LoadClient]:
    """A load client for ``127.0.0.1:port``, ended with the block.

    ``subscribe`` is the command that each connection sends, ``tokens`` a file with one token a
    line, ``core`` the only processor it may use. With ``kernel_time`` latencies and ``done`` end when the
    kernel has a message: for where others keep that processor busy as well, and so that it does not count
    how lazily the client reads. One of ``binary_every`` connections speaks the binary protocol, if that
    is not 0. ``dialect`` is for servers that speak otherwise.
    """
    options = ["--port", str(port), "--path", path, "--subscribe", subscribe]
    if tokens is not None:
        options += ["--tokens", str(tokens)]
    if kernel_time:
        options.append("--kernel-time")
    if binary_every:
        options += ["--binary-every", str(binary_every)]
    if dialect is not None:
        options += dialect.options()
    process = await asyncio.create_subprocess_exec(
        build(_SOURCE),
        *options,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # The answer to "last" has up to two numbers for each message.
        limit=1 << 24,
    )
    try:
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        yield LoadClient(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
