"""A peer's process: started, told what to send, stopped between its turns, and looked at from outside."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from benchmarks.machine import processor_seconds

_ROOT = Path(__file__).parents[2]
_START = 20.0
"""Seconds that a peer has to come up."""
_ANSWER = 240.0
"""Seconds that it has to send what it was told: a burst to 10,000 takes the slowest half a minute."""
_SHOWN = 200
"""Bytes of what it said that are told."""


class PeerDied(Exception):
    """A peer did not start, has ended, or does not answer; the message says which."""


class Publisher(Protocol):
    """How a peer is told what to send."""

    async def publish(self, template: bytes, first: int, count: int, joined: int) -> None:
        """Have it send ``count`` messages, ``joined`` of them at once: the template, ``%d`` their number.

        Raises PeerDied.
        """

    async def close(self) -> None:
        """Let go of what it holds."""


class PeerProcess:
    """The operating system's view of a peer, and only that: no peer needs code for it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    def processor_seconds(self) -> float:
        """What all its threads have used so far. Raises PeerDied when it has ended."""
        try:
            return processor_seconds(self.process.pid)
        except OSError:
            raise PeerDied("its process has ended") from None

    def resident_bytes(self) -> int:
        """Its resident memory. Raises PeerDied when it has ended."""
        try:
            pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        except OSError:
            raise PeerDied("its process has ended") from None
        return int(pages) * os.sysconf("SC_PAGESIZE")

    def rest(self) -> None:
        """Stop it, so that nothing it does by itself is measured with the others; back when it stands."""
        self._signal(signal.SIGSTOP)
        # It stops when it is next on its processor, which may be after this process has used it for long.
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def wake(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    async def end(self) -> None:
        """End it now, whatever it does."""
        self._signal(signal.SIGKILL)
        await self.process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)


class ByLines:
    """A peer that is told by lines on its standard input; see ``control``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._commands, self._answers = process.stdin, process.stdout

    async def port(self) -> int:
        """The first that it says. Raises PeerDied."""
        line = await self._line(_START)
        try:
            return int(line)
        except ValueError:
            raise PeerDied(f"it said {line[:_SHOWN]!r} and not its port") from None

    async def publish(self, template: bytes, first: int, count: int, joined: int) -> None:
        """Tell it, and wait until it has done its part."""
        self._commands.write(b"%d %d %d %b\n" % (first, count, joined, template))
        await self._line(_ANSWER)

    async def close(self) -> None:
        """Its standard input ends with it."""

    async def _line(self, timeout: float) -> bytes:
        try:
            async with asyncio.timeout(timeout):
                line = await self._answers.readline()
        except TimeoutError:
            raise PeerDied(f"it has said nothing for {timeout:g} s") from None
        except (OSError, ValueError) as fault:
            # A line without an end is a ValueError.
            raise PeerDied(f"what it says cannot be read: {fault}") from None
        if not line:
            raise PeerDied("its process has ended")
        return line


async def start(
    command: Sequence[str], variables: Mapping[str, str] | None = None, *, talks: bool = True
) -> PeerProcess:
    """Start a peer on the processors of this process. Raises PeerDied.

    What one that does not talk says is thrown away: nobody reads it, and a full pipe would hold it up.
    """
    talk = asyncio.subprocess.PIPE if talks else asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": str(_ROOT), **(variables or {})},
            stdin=talk,
            stdout=talk,
        )
    except OSError as fault:
        raise PeerDied(str(fault)) from None
    return PeerProcess(process)


def free_port() -> int:
    """A port for a peer that cannot tell which one it was given."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


async def listening(peer: PeerProcess, port: int) -> None:
    """Wait until it takes connections. Raises PeerDied."""
    deadline = time.monotonic() + _START
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if peer.process.returncode is not None or time.monotonic() > deadline:
                raise PeerDied(f"it does not listen at port {port}") from None
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
