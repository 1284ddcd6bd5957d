"""Threat M1: descriptors change hands at full speed, and no byte reaches a stranger.

Every client is subscribed to its own patient only, and each patient's messages are made of
his number. While all are published, connections are ended in every way there is, new ones
take over their descriptor numbers, and files and socket pairs of bystanders shuffle them.
"""

import asyncio
import random
import resource
import socket
import struct
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from typing import IO

import pytest
import uvloop
from recording_sink import RecordingSink
from reference_frames import BINARY, CLOSE, client_frame, reference_encode

from wsserver_core.connection import Connection
from wsserver_core.filters import FilterLimits, compile_filter
from wsserver_core.frames import ReadLimits, UnfinishedBudget
from wsserver_core.hub import Hub
from wsserver_core.inlet import Inlet
from wsserver_core.outgoing import Frame
from wsserver_core.recipients import Recipients
from wsserver_core.scopes import Scope
from wsserver_core.topics import TopicIndex

ID_SIZE = 8
EVERYTHING = compile_filter(None, FilterLimits())


def wire_of(number: int) -> bytes:
    """A patient's message: whichever piece of it is misplaced, it says whose it is."""
    return reference_encode(BINARY, b"<%08d>" % number * 20)


class Client:
    """The far end of one connection."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.wire = wire_of(number)
        self.frames = 0
        self.rest = b""
        self.sock = socket.socket()
        self.sock.setblocking(False)

    async def connect(self, address: tuple[str, int]) -> None:
        await asyncio.get_running_loop().sock_connect(self.sock, address)
        self.sock.send(b"%08d" % self.number)

    def read(self) -> None:
        """Take what is there; everything must be this client's, frame for frame."""
        while True:
            try:
                part = self.sock.recv(1 << 18)
            except (BlockingIOError, ConnectionResetError):
                return
            if not part:
                return
            data = self.rest + part
            whole = len(data) // len(self.wire)
            while whole and data[: whole * len(self.wire)] != self.wire * whole:
                whole -= 1
            self.frames += whole
            self.rest = data[whole * len(self.wire) :]
            ours = self.wire.startswith(self.rest) or self.rest[0] == 0x80 | CLOSE
            assert ours, f"foreign bytes at client {self.number}: {self.rest[:60]!r}"


class Storm:
    def __init__(self, clients: int, seed: int) -> None:
        self.chance = random.Random(seed)
        self.wanted = clients
        # Small slices and an interval leave frames waiting while their connections end.
        self.hub = Hub(asyncio.get_running_loop(), batch_size=clients // 12)
        self.sink = RecordingSink()
        self.sink.on["closed"] = self.forget
        self.inlet = Inlet(self.hub, self.sink, UnfinishedBudget(1 << 20))
        self.index = TopicIndex()
        self.scope = Scope(None)
        self.recipients = Recipients()
        self.clients: dict[int, Client] = {}
        self.open: dict[int, tuple[Connection, int]] = {}
        self.number = 0
        self.frames = 0
        """That arrived whole at clients."""
        self.endings: Counter[str] = Counter()
        self.descriptors: Counter[int] = Counter()
        self.files: list[IO[bytes]] = []
        self.bystanders: list[tuple[socket.socket, socket.socket]] = []

    def __str__(self) -> str:
        most = max(self.descriptors.values())
        return (
            f"{self.frames} frames, {self.number} connections, up to {most} on one descriptor: {self.endings}"
        )

    # -- the server

    def admit(self, transport: asyncio.BaseTransport, number: int, leftover: bytes) -> None:
        connection = Connection(self.inlet, ReadLimits(1000, 1000, 8), number)
        fd = transport.get_extra_info("socket").fileno()
        handle = connection.attach(transport, fd)
        self.descriptors[fd] += 1
        patient = f"{number:08d}"
        self.index.admit(handle, self.scope, connection)
        self.open[number] = connection, self.index.add(handle, "patient", patient, EVERYTHING, 0.0)
        connection.feed(leftover)

    def forget(self, connection: Connection) -> None:
        _, subscription = self.open.pop(connection.owner)
        handle = self.index.record(subscription).handle
        self.index.remove(subscription)
        assert self.index.dismiss(handle)

    def publish(self) -> None:
        for number in self.clients:
            patient = f"{number:08d}"
            self.index.select("patient", patient, patient, {}, {}, self.recipients)
            if len(self.recipients):
                self.hub.enqueue_many(self.recipients, Frame(wire_of(number)))

    # -- the weather

    def churn(self, count: int) -> None:
        endings: list[Callable[[Client], None]] = [
            self.abort,
            self.close,
            self.fail,
            self.reset,
            self.half_close,
            self.leave_unread,
            self.say_goodbye,
        ]
        for number in self.chance.sample(sorted(self.clients), min(count, len(self.clients))):
            client = self.clients.pop(number)
            client.read()
            ending = self.chance.choice(endings)
            ending(client)
            client.read()
            client.sock.close()
            self.endings[ending.__name__] += 1

    def abort(self, client: Client) -> None:
        if client.number in self.open:
            self.open[client.number][0].abort()

    def close(self, client: Client) -> None:
        if client.number in self.open:
            self.open[client.number][0].close(4000)

    def fail(self, client: Client) -> None:
        client.sock.send(b"\x83\x80")

    def reset(self, client: Client) -> None:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def half_close(self, client: Client) -> None:
        client.sock.shutdown(socket.SHUT_WR)

    def leave_unread(self, client: Client) -> None:
        """Closing with unread bytes makes the kernel send RST."""

    def say_goodbye(self, client: Client) -> None:
        client.sock.send(client_frame(CLOSE, b"\x03\xe8"))

    def shuffle(self) -> None:
        """Let others of this process take and free descriptor numbers."""
        for _ in range(self.chance.randrange(6)):
            self.files.append(tempfile.TemporaryFile())  # noqa: SIM115  closed at random
            self.bystanders.append(socket.socketpair())
        while len(self.files) > 20:
            self.files.pop(self.chance.randrange(len(self.files))).close()
        while len(self.bystanders) > 20:
            self.dismiss(self.bystanders.pop(self.chance.randrange(len(self.bystanders))))

    def dismiss(self, pair: tuple[socket.socket, socket.socket]) -> None:
        for end in pair:
            end.setblocking(False)
            with pytest.raises(BlockingIOError):
                end.recv(1)
        for end in pair:
            end.close()

    # -- the run

    @property
    def is_one(self) -> bool:
        """Whether it was a storm: many frames, every ending, and numbers that changed hands many times."""
        return (
            self.frames > 20 * self.wanted
            and len(self.endings) == 7
            and min(self.endings.values()) > 5
            and max(self.descriptors.values()) > 10
        )

    async def run(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        storm = self

        class Greeter(asyncio.Protocol):
            """Stands for the HTTP layer: learns who it is and hands the socket over."""

            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.transport = transport

            def data_received(self, data: bytes) -> None:
                storm.admit(self.transport, int(data[:ID_SIZE]), data[ID_SIZE:])

        server = await loop.create_server(Greeter, "127.0.0.1", 0, backlog=4096)
        address = server.sockets[0].getsockname()
        started = time.monotonic()
        # A slow build on a busy machine gets the time it takes: what counts is what happened meanwhile.
        while (past := time.monotonic() - started) < seconds or (not self.is_one and past < 20 * seconds):
            while len(self.clients) < self.wanted:
                self.number += 1
                client = Client(self.number)
                await client.connect(address)
                self.clients[self.number] = client
            self.shuffle()
            self.hub.flush_interval = self.chance.choice([0.0, 0.0, 0.001, 0.005])
            for _ in range(self.chance.randrange(1, 4)):
                self.publish()
                # Sometimes the loop has turns in between, sometimes the endings come first.
                for _ in range(self.chance.randrange(4)):
                    await asyncio.sleep(0)
            self.churn(self.wanted // 12)
            self.publish()
            await asyncio.sleep(0)
            for client in self.clients.values():
                before = client.frames
                client.read()
                self.frames += client.frames - before
            self.inlet.sweep(self.hub.now + 0.05)
        # Publish into whatever is left, then let everything end.
        self.publish()
        while self.clients:
            self.churn(self.wanted)
        server.close()
        async with asyncio.timeout(30):
            while self.hub.open_count:
                self.inlet.sweep(self.hub.now + 1.0)
                await asyncio.sleep(0)
        await server.wait_closed()
        for pair in self.bystanders:
            self.dismiss(pair)
        for file in self.files:
            file.close()


def play(clients: int, seconds: float, seed: int) -> Storm:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 3 * clients + 500)), hard))

    async def run() -> Storm:
        faults: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        storm = Storm(clients, seed)
        try:
            await storm.run(seconds)
        finally:
            storm.inlet.abort_all()
            async with asyncio.timeout(30):
                while storm.hub.open_count:
                    await asyncio.sleep(0)
        assert faults == []
        return storm

    try:
        return uvloop.run(run())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def check(storm: Storm) -> None:
    # Nothing but the clients' own goodbyes came in: no frame went out at the wrong end of a pair.
    assert storm.sink.events == []
    assert {code for _, code, _ in storm.sink.closed} <= {1000, 1002, 1006, 4000}
    assert len(storm.sink.closed) == storm.descriptors.total()
    assert storm.hub.frames_queued == len(storm.index) == len(storm.open) == 0
    assert storm.is_one


def test_no_byte_reaches_a_stranger() -> None:
    storm = play(clients=200, seconds=8, seed=1)
    print(storm)
    check(storm)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_no_byte_reaches_a_stranger_in_a_long_storm() -> None:
    storm = play(clients=2_000, seconds=300, seed=2)
    print(storm)
    check(storm)
