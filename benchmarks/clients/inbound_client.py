"""The compiled inbound client as a child process: connections that send commands and check the answers."""

import asyncio
import os
import struct
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.build import build
from wsserver_core.envelope import encode_control
from wsserver_core.frames import BINARY, TEXT

_SOURCE = Path(__file__).with_name("inbound_client.c")

ID: Final = "########"
"""Where a command carries its id."""

PLACE: Final = "@@@@@"
"""Where a command carries the number of its connection, or of its group of connections."""


class AnsweredWrong(Exception):
    """A command was not answered, or with something else than it asks for."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command as it is sent, and what its answer must hold."""

    opcode: int
    payload: bytes
    word: bytes

    def record(self) -> bytes:
        """As the client reads it."""
        return struct.pack("<BII", self.opcode, len(self.payload), len(self.word)) + self.payload + self.word


@dataclass(frozen=True, slots=True)
class Speech:
    """What connections say, in which protocol, and what comes of it."""

    commands: Sequence[Command]
    """Sent in turn."""
    prologue: Sequence[Command] = ()
    """Sent by each connection before, once."""
    protocol: str | None = None
    """The subprotocol that is offered."""
    mark: bytes = b'"request_id":"'
    """What stands before the id in an answer."""
    message: bytes = b""
    """How a published message begins, as opposed to an answer."""
    group: int = 1
    """Connections that are given the same number."""
    copies: int = 0
    """Published messages that each command brings about."""


JSON_MARK: Final = b'"request_id":"'
BINARY_MARK: Final = b"\xaarequest_id\xa8"


class InboundClient:
    """Many connections that send commands, see ``inbound_client.c``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self._commands, self._answers = process.stdin, process.stdout

    async def connect(self, connections: int, *, timeout: float = 120.0) -> dict[str, Any]:
        """Open the connections, each up to the server's greeting."""
        return await self._ask(f"connect {connections}", "connected", timeout)

    async def prepare(self, *, timeout: float = 120.0) -> dict[str, Any]:
        """Send the prologue on each connection."""
        return await self._ask("prepare", "prepared", timeout)

    async def run(self, seconds: float, *, timeout: float = 60.0) -> dict[str, Any]:
        """Send commands for so long and wait until all of them are answered.

        ``wall`` are the seconds until the last answer or message was read, ``cpu_share`` is the client's own
        share of its core meanwhile. Raises AnsweredWrong when an answer is wrong, missing or an error.
        """
        return await self._ask(f"run {round(seconds * 1000)}", "done", timeout)

    async def _ask(self, command: str, word: str, timeout: float) -> dict[str, Any]:
        self._commands.write(f"{command}\n".encode())
        try:
            async with asyncio.timeout(timeout):
                line = await self._answers.readline()
        except TimeoutError:
            raise AnsweredWrong(f"{command}: not all was answered in {timeout:g} s") from None
        found, _, members = line.partition(b" ")
        if found.decode() != word:
            raise RuntimeError(f"the inbound client said {line!r} instead of {word!r}")
        report = msgspec.json.decode(members, type=dict[str, Any])
        if report["errors"] or report["lost"]:
            raise AnsweredWrong(f"{report['errors']} errors, {report['lost']} lost: {report['first_error']}")
        return report


@asynccontextmanager
async def inbound_client(
    port: int,
    speech: Speech,
    *,
    core: int | None,
    path: str = "/ws/connect",
    tokens: Path | None = None,
    window: int = 1,
    every: int = 1,
) -> AsyncIterator[InboundClient]:
    """A client of ``127.0.0.1:port``, ended with the block.

    One of ``every`` connections speaks, with ``window`` commands under way at a time; the others only listen.
    """
    with tempfile.TemporaryDirectory() as directory:
        files = {"--commands": speech.commands, "--prologue": speech.prologue}
        options: list[str | bytes | Path] = [
            "--port", str(port), "--path", path, "--window", str(window), "--every", str(every),
            "--group", str(speech.group), "--copies", str(speech.copies), "--mark", speech.mark,
        ]  # fmt: skip
        for name, commands in files.items():
            file = Path(directory) / name
            file.write_bytes(b"".join(command.record() for command in commands))
            options += [name, file]
        if speech.message:
            options += ["--message", speech.message]
        if speech.protocol is not None:
            options += ["--protocol", speech.protocol]
        if tokens is not None:
            options += ["--tokens", tokens]
        process = await asyncio.create_subprocess_exec(
            build(_SOURCE), *options, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        try:
            if core is not None:
                os.sched_setaffinity(process.pid, {core})
            yield InboundClient(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


def command(body: dict[str, Any], word: str, *, binary: bool = False) -> Command:
    """A command with an id of its own, whose answer is of the type ``word``."""
    body = {**body, "request_id": ID}
    if binary:
        return Command(BINARY, encode_control(body, time=0), bytes([0xA0 + len(word)]) + word.encode())
    return Command(TEXT, msgspec.json.encode(body), f'"type":"{word}"'.encode())
