"""Who competes in the fan-out benchmark: ways to get one message to every subscriber."""

import asyncio
import math
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import msgspec

from benchmarks.clients.load_client import LoadClient
from benchmarks.contest.flight import LOOK, PORTION, Flight
from benchmarks.contest.floor import BareLoop
from benchmarks.servers.real_server import SUBSCRIPTION_TYPE, RealServer
from wsserver.clock import utc_text
from wsserver.protocol.meta import Meta
from wsserver_core.frames import TEXT, encode_frame

MESSAGE_SIZE = 200
"""Bytes of a message as its publisher hands it in."""

JOINED = 16
"""Messages that are due at the same time in the joined mode."""


class Audience:
    """The connections of one load client; every message to them has the next number."""

    def __init__(self, client: LoadClient, size: int) -> None:
        self.client = client
        self.size = size
        self.sent = 0

    async def grow(self, size: int) -> None:
        """Connect and subscribe until there are so many."""
        await self.client.connect(size - self.size)
        await self.client.subscribe(self.sent)
        self.size = size


class Contestant(Protocol):
    """One way to send numbered messages to an audience."""

    name: str
    audience: Audience
    joined: int
    """Messages in one send."""

    async def publish(self, first: int, count: int) -> float:
        """Send ``count`` messages, the first one numbered ``first``; returns processor seconds of the server.

        When it returns the server has done its part; the last bytes may still be on their way.
        """


def message(number: int, size: int = MESSAGE_SIZE, due: float | None = None) -> dict[str, Any]:
    """The message with this number, of so many bytes of JSON; ``due`` is when its latency begins."""
    body: dict[str, Any] = {"type": "ecg_data", "n": number}
    if due is not None:
        body["at"] = int(due * 1e9)
    body["pad"] = ""
    body["pad"] = "x" * (size - len(msgspec.json.encode(body)))
    return body


class Ours:
    """``connection_manager.broadcast_to_type``; ``joined`` messages are published per turn of the loop."""

    def __init__(
        self,
        server: RealServer,
        audience: Audience,
        joined: int = 1,
        *,
        size: int = MESSAGE_SIZE,
        flight: Flight | None = None,
    ) -> None:
        """``flight`` is asked every few milliseconds whether more may be sent."""
        self.name = "ours" if joined == 1 else f"ours, {joined} joined"
        self.audience = audience
        self._manager = server.manager
        self.joined = joined
        self._size = size
        self._flight = flight
        self._shortest = math.inf

    async def publish(self, first: int, count: int) -> float:
        """Publish, and wait after each turn until the hub has sent all of it: nothing else joins."""
        before = time.process_time()
        for number in range(first, first + count, self.joined):
            for each in range(number, min(number + self.joined, first + count)):
                report = self._manager.broadcast_to_type(SUBSCRIPTION_TYPE, message(each, self._size))
                if int(report) != self.audience.size:
                    raise RuntimeError(f"{int(report)} of {self.audience.size} were reached: {report}")
            await self._drained()
        return time.process_time() - before

    async def _drained(self) -> None:
        if self._flight is not None:
            while self._manager.hub.dirty_connections:
                # The hub sends in turns of the loop: whoever holds the loop up holds it back.
                self._flight.wait()
                await asyncio.sleep(LOOK)
            return
        # A look at each turn of the loop would be measured as the server's work: sleep through most of them.
        began = time.monotonic()
        if 0.005 < self._shortest < math.inf:
            await asyncio.sleep(0.8 * self._shortest)
        while self._manager.hub.dirty_connections:
            await asyncio.sleep(0)
        self._shortest = min(self._shortest, time.monotonic() - began)


class Floor:
    """A bare C loop of ``send`` over the server's own sockets, with frames just like the server's.

    ``joined`` frames go into one ``send``.
    """

    def __init__(
        self,
        server: RealServer,
        audience: Audience,
        start: bytes,
        joined: int = 1,
        *,
        size: int = MESSAGE_SIZE,
        flight: Flight | None = None,
    ) -> None:
        """``start`` is how a frame's text begins, see `frame_start`; ``flight`` when more may be sent."""
        self.name = "C loop of send" if joined == 1 else f"C loop of send, {joined} joined"
        self.audience = audience
        self._loop = BareLoop(server.descriptors())
        self._start = start
        self.joined = joined
        self._size = size
        self._flight = flight

    async def publish(self, first: int, count: int) -> float:
        """Send with no event loop in between. Raises BlockingIOError when a socket is full."""
        before = time.process_time()
        for number in range(first, first + count, self.joined):
            numbers = range(number, min(number + self.joined, first + count))
            frames = b"".join(like_ours(self._start, each, self._size) for each in numbers)
            if self._flight is None:
                self._loop.send(frames)
                continue
            step = max(1, PORTION // len(frames))
            for at in range(0, self.audience.size, step):
                self._flight.wait()
                self._loop.send(frames, at, step)
        return time.process_time() - before


async def frame_start(server: RealServer, audience: Audience) -> bytes:
    """Send one message and return how the server begins a frame's text: ``{"_meta":{…},``.

    Raises RuntimeError when frames built from it would not be as long as the server's.
    """
    hub = server.manager.hub
    before = hub.bytes_written
    await audience.client.expect(audience.sent + 1)
    report = server.manager.broadcast_to_type(SUBSCRIPTION_TYPE, message(audience.sent))
    await audience.client.done()
    meta = Meta(report.message_id, report.topic, report.log, report.seq, utc_text(0))
    start = b'{"_meta":' + msgspec.json.encode(meta) + b","
    frame = like_ours(start, audience.sent)
    audience.sent += 1
    written = hub.bytes_written - before
    if written != len(frame) * audience.size:
        raise RuntimeError(f"{written} bytes were written, {audience.size} frames of {len(frame)} were due")
    return start


def like_ours(start: bytes, number: int, size: int = MESSAGE_SIZE) -> bytes:
    """The frame of the message with this number and of so many bytes."""
    return encode_frame(TEXT, start + msgspec.json.encode(message(number, size))[1:])


class Naive:
    """aiohttp on uvloop with ``await ws.send_str`` in a loop, in a process of its own."""

    name = "await ws.send_str"
    joined = 1

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.port = port
        self.pid = process.pid
        self.audience: Audience
        self.start = b""

    async def publish(self, first: int, count: int) -> float:
        """Have it send texts of the same length as the others' frames."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        text = (self.start + msgspec.json.encode(message(first))[1:]).replace(b'"n":%d,' % first, b'"n":%d,')
        self._process.stdin.write(b"%d %d 1 %b\n" % (first, count, text))
        return float(await self._process.stdout.readline())


@asynccontextmanager
async def naive_server() -> AsyncIterator[Naive]:
    """The naive server, ended with the block; it inherits the processor of this process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.peers.aiohttp_server",
        "loop",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        yield Naive(process, int(await process.stdout.readline()))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
