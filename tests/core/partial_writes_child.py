"""Run under ``short_writes.so``: many frames through disturbed sockets, every stream checked.

Arguments: frames, seed, transport (socketpair or tcp). Prints what was done as JSON; an
AssertionError, and so a status other than 0, means that a stream was wrong.
"""

import asyncio
import ctypes
import json
import random
import socket
import sys
from typing import Any

import uvloop
from recording_sink import RecordingSink
from reference_frames import BINARY, CLOSE, PING, PONG, TEXT, client_frame, reference_encode

from wsserver_core.connection import Connection
from wsserver_core.frames import ReadLimits, UnfinishedBudget
from wsserver_core.hub import Hub
from wsserver_core.inlet import Inlet
from wsserver_core.outgoing import Frame
from wsserver_core.recipients import Recipients

CLIENTS = 24
SEND_BUFFER = 4096
SIZES, WEIGHTS = (0, 5, 118, 122, 200, 5_000, 70_000), (20, 20, 20, 20, 20, 5, 0.3)
"""Bytes of payload around the steps of the frame's header, and some frames beyond a socket's buffer."""

shim = ctypes.CDLL(None)
shim.short_writes_count.restype = ctypes.c_uint64


class Client:
    """Reads its stream byte for byte and holds it against what was queued for it."""

    def __init__(self, connection: Connection, sock: socket.socket) -> None:
        self.connection = connection
        self.sock = sock
        self.stream = bytearray()
        self.expected: list[Frame | bytes] = []
        """What must arrive, in order: frames, and the bytes of pongs."""
        self.frames = self.pongs = 0
        self.ended = False

    async def read(self, pace: random.Random) -> None:
        loop = asyncio.get_running_loop()
        while part := await loop.sock_recv(self.sock, pace.choice([1, 50, 3_000, 60_000])):
            self.stream += part
            self.take_frames()
            if pace.random() < 0.02:
                await asyncio.sleep(0.001)
        self.ended = True
        assert not self.stream, "the stream ends inside a frame"

    def take_frames(self) -> None:
        at = 0
        while len(self.stream) - at >= 2:
            head, size, start = self.stream[at], self.stream[at + 1], at + 2
            if size >= 126:
                start += 2 if size == 126 else 8
                if len(self.stream) < start:
                    break
                size = int.from_bytes(self.stream[at + 2 : start], "big")
            if len(self.stream) < start + size:
                break
            self.check(head, bytes(self.stream[at : start + size]))
            at = start + size
        del self.stream[:at]

    def check(self, head: int, wire: bytes) -> None:
        assert head in (0x80 | TEXT, 0x80 | BINARY, 0x80 | PONG, 0x80 | CLOSE), hex(head)
        expected = self.expected.pop(0)
        if isinstance(expected, Frame):
            self.frames += 1
            assert wire == expected.wire
        else:
            self.pongs += 1
            assert wire == expected


async def connect(inlet: Inlet, how: str, number: int) -> Client:
    loop = asyncio.get_running_loop()
    if how == "tcp":
        with socket.create_server(("127.0.0.1", 0)) as listener:
            peer = socket.create_connection(listener.getsockname())
            ours, _ = listener.accept()
    else:
        ours, peer = socket.socketpair()
    peer.setblocking(False)
    connection = Connection(inlet, ReadLimits(1 << 20, 1 << 20, 8), number)
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    connection.attach(transport, sock.fileno())
    shim.short_writes_disturb(sock.fileno(), 1)
    return Client(connection, peer)


async def main(frames: int, seed: int, how: str) -> dict[str, Any]:
    chance = random.Random(seed)
    loop = asyncio.get_running_loop()
    hub = Hub(loop, batch_size=7, max_queue_messages=1 << 30, max_queue_bytes=1 << 40)
    sink = RecordingSink()
    inlet = Inlet(hub, sink, UnfinishedBudget(1 << 20))
    clients = [await connect(inlet, how, number) for number in range(CLIENTS)]
    readers = [
        asyncio.ensure_future(client.read(random.Random(seed + n))) for n, client in enumerate(clients)
    ]
    everything: list[Frame] = []
    recipients = Recipients()
    queued = 0
    while queued < frames:
        payload = b"%d." % queued + bytes(chance.choices(SIZES, WEIGHTS)[0])
        frame = Frame(reference_encode(chance.choice([TEXT, BINARY]), payload))
        everything.append(frame)
        chosen = chance.sample(clients, chance.choice([1, 3, CLIENTS]))
        recipients.clear()
        for client in chosen:
            recipients.add(client.connection.handle)
            client.expected.append(frame)
        taken, slow, closing, _ = hub.enqueue_many(recipients, frame)
        assert (taken, slow, closing) == (len(chosen), 0, 0)
        queued += taken
        if chance.random() < 0.3:
            ping(chance.choice(clients), b"p%d" % queued)
        if hub.frames_queued > 3_000 or chance.random() < 0.2:
            await asyncio.sleep(0)
        while hub.frames_queued > 3_000:
            await asyncio.sleep(0.0005)
            report_faults(readers)
    for client in clients:
        client.expected.append(Frame(b"\x88\x02\x0f\xa0"))
        assert client.connection.close(4000)
    while any(client.expected for client in clients):
        await asyncio.sleep(0.0005)
        report_faults(readers)
    for client in clients:
        await loop.sock_sendall(client.sock, client_frame(CLOSE, b"\x0f\xa0"))
    await asyncio.gather(*readers)
    while hub.open_count:
        await asyncio.sleep(0.0005)
    assert all(frame.queued == 0 and sum(frame.dropped.values()) == 0 for frame in everything)
    assert sum(frame.written for frame in everything) == queued
    assert sorted(code for _, code, _ in sink.closed) == [4000] * CLIENTS
    for client in clients:
        client.sock.close()
    return {
        "frames": sum(client.frames for client in clients) - CLIENTS,
        "pongs": sum(client.pongs for client in clients),
        "sends": hub.send_calls,
        "short": shim.short_writes_count(0),
        "eagain": shim.short_writes_count(1),
        "eintr": shim.short_writes_count(2),
    }


def report_faults(readers: list[asyncio.Future[None]]) -> None:
    """Raise what a reader found wrong now, not when everything else is through."""
    for reader in readers:
        if reader.done():
            reader.result()


def ping(client: Client, payload: bytes) -> None:
    """A ping as if it had arrived. Its pong is queued, or takes the place of the last one that waits."""
    figures = client.connection.figures
    assert figures is not None
    client.connection.feed(client_frame(PING, payload))
    after = client.connection.figures
    assert after is not None
    wire = reference_encode(PONG, payload)
    if after[2] > figures[2]:
        client.expected.append(wire)
        return
    place = max(place for place, entry in enumerate(client.expected) if isinstance(entry, bytes))
    client.expected[place] = wire


if __name__ == "__main__":
    print(json.dumps(uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))))
