"""A whole server in a process of its own that publishes when it is told to.

``python -m benchmarks.contest.crowd_server`` prints its port. Each line on its standard input is ``SIZE FIRST
COUNT``: so many numbered messages to as many subscribers. The answer is a line with the processor seconds
that it took, the bytes that were written, and the messages that were encoded in binary.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import uvloop

from benchmarks.clients.load_client import LoadClient
from benchmarks.contest.contestants import Audience, Ours
from benchmarks.servers.real_server import load_profile, real_server


class CrowdServer:
    """The child process, as a contestant."""

    joined = 1

    def __init__(self, name: str, process: asyncio.subprocess.Process, port: int) -> None:
        self.name = name
        self.port = port
        self.audience: Audience
        self.bytes_written = 0
        """By the latest call of ``publish``."""
        self.encoded = 0
        """Messages that were encoded in binary since the start."""
        self._process = process

    async def publish(self, first: int, count: int) -> float:
        """Have the child publish; returns its processor seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"%d %d %d\n" % (self.audience.size, first, count))
        cost, written, encoded = (await self._process.stdout.readline()).split()
        self.bytes_written, self.encoded = int(written), self.encoded + int(encoded)
        return float(cost)


@asynccontextmanager
async def crowd_server(name: str) -> AsyncIterator[CrowdServer]:
    """A server, ended with the block; it inherits the processor of this process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.contest.crowd_server",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        yield CrowdServer(name, process, int(await process.stdout.readline()))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _serve() -> None:
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with real_server(load_profile()) as server:
        print(server.port, flush=True)
        ours = Ours(server, Audience(cast(LoadClient, None), 0))
        manager = server.manager
        while line := await reader.readline():
            ours.audience.size, first, count = map(int, line.split())
            before = manager.hub.bytes_written, manager.binary.encoded
            cost = await ours.publish(first, count)
            written, encoded = manager.hub.bytes_written - before[0], manager.binary.encoded - before[1]
            print(cost, written, encoded, flush=True)


if __name__ == "__main__":
    uvloop.run(_serve())
