"""Taking sockets over from a real aiohttp, step by step: on both loops, plain and over TLS."""

import asyncio
import gc
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
import uvloop
from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from recording_sink import RecordingSink
from reference_frames import BINARY, CLOSE, PING, TEXT, client_frame, reference_encode
from self_signed import make_contexts

from wsserver.web.takeover import Handed, is_tls, take_over
from wsserver_core.connection import PAUSED_FOR_TURN, Connection
from wsserver_core.frames import ReadLimits, UnfinishedBudget
from wsserver_core.hub import Hub
from wsserver_core.inlet import Inlet
from wsserver_core.outgoing import Frame

REQUEST = (
    b"GET /ws HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
HEAD = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
HELLO, ECHO = client_frame(TEXT, b"Hello"), b"\x81\x05Hello"
SEND_BUFFER = 64 * 1024


class EchoingSink(RecordingSink):
    """Sends every message back."""

    def message_received(self, connection: Connection, opcode: int, payload: bytes) -> None:
        super().message_received(connection, opcode, payload)
        connection.send_frame(Frame(reference_encode(opcode, payload)))


class House:
    """An aiohttp server whose one WebSocket route is taken over, and raw clients for it."""

    def __init__(self, tls: tuple[ssl.SSLContext, ssl.SSLContext] | None) -> None:
        loop = asyncio.get_running_loop()
        self.tls = tls
        self.hub = Hub(loop, max_queue_messages=100_000, max_queue_bytes=1 << 30)
        self.sink = EchoingSink()
        self.inlet = Inlet(self.hub, self.sink, UnfinishedBudget(1 << 20))
        self.connections: list[Connection] = []
        self.waiting: RequestHandler | None = None
        self.others = 0
        self.entered = asyncio.Event()
        self.proceed = asyncio.Event()
        self.proceed.set()
        self.refusals: list[Exception] = []
        self.faults: list[dict[str, object]] = []
        loop.set_exception_handler(lambda _, context: self.faults.append(context))

    async def connect(self, request: web.Request) -> web.StreamResponse:
        connection = Connection(self.inlet, ReadLimits(1 << 20, 1 << 21, 128))
        self.entered.set()
        if not self.proceed.is_set():
            self.waiting = request.protocol
            await self.proceed.wait()
            self.waiting = None
        try:
            leftover = take_over(request, connection, HEAD, send_buffer=SEND_BUFFER)
        except ConnectionResetError as refusal:
            self.refusals.append(refusal)
            raise
        self.connections.append(connection)
        connection.feed(leftover)
        return Handed()

    async def other(self, request: web.Request) -> web.Response:
        self.others += 1
        return web.Response(text="other")

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_get("/ws", self.connect)
        app.router.add_get("/other", self.other)
        # The timeout of idle HTTP connections is long, so that a timer left behind is seen.
        self.runner = web.AppRunner(app, access_log=None, keepalive_timeout=1000, shutdown_timeout=0.5)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0, ssl_context=self.tls and self.tls[0])
        await site.start()
        try:
            yield
        finally:
            self.inlet.abort_all()
            await self.runner.cleanup()
            await eventually(lambda: self.hub.open_count == 0)

    async def client(self, first: bytes = REQUEST) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self.runner.addresses[0]
        reader, writer = await asyncio.open_connection(
            host, port, ssl=self.tls and self.tls[1], limit=1 << 25
        )
        writer.write(first)
        return reader, writer

    async def connected(self, first: bytes = REQUEST) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await self.client(first)
        assert await reader.readexactly(len(HEAD)) == HEAD
        return reader, writer


async def eventually(true: Callable[[], object]) -> None:
    """Let the loop run until it is so; the deadline is far beyond what a busy machine needs."""
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.001)


async def leave(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        await writer.wait_closed()
    except (ConnectionError, ssl.SSLError):
        return


def reset(writer: asyncio.StreamWriter) -> None:
    """Go away without a word: RST instead of FIN."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return make_contexts(tmp_path_factory.mktemp("tls"))


Scenario = Callable[[House], Awaitable[None]]


@pytest.fixture(params=["uvloop", "asyncio"])
def loop_factory(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    return uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop


@pytest.fixture(params=["plain", "tls"])
def play(
    request: pytest.FixtureRequest,
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> Iterator[Callable[[Scenario], None]]:
    def play(scenario: Scenario) -> None:
        async def run() -> None:
            house = House(contexts if request.param == "tls" else None)
            async with asyncio.timeout(60), house.serve():
                await scenario(house)
            assert house.faults == []

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(run())

    return play


Play = Callable[[Scenario], None]


class TestTheFirstBytes:
    def test_bytes_sent_with_the_request_are_not_lost(self, play: Play) -> None:
        async def scenario(house: House) -> None:
            reader, writer = await house.connected(REQUEST + HELLO + client_frame(PING, b"!"))
            assert await reader.readexactly(10) == ECHO + b"\x8a\x01!"
            assert house.connections[0].bytes_received == len(HELLO) + 7
            await leave(writer)

        play(scenario)

    @pytest.mark.parametrize("cut", [1, 2, 6, 10])
    def test_a_frame_cut_by_the_takeover_is_put_together(self, play: Play, cut: int) -> None:
        async def scenario(house: House) -> None:
            house.proceed.clear()
            reader, writer = await house.client(REQUEST + HELLO[:cut])
            await house.entered.wait()
            house.proceed.set()
            assert await reader.readexactly(len(HEAD)) == HEAD
            writer.write(HELLO[cut:])
            assert await reader.readexactly(len(ECHO)) == ECHO
            await leave(writer)

        play(scenario)

    def test_what_arrives_while_the_handler_still_waits_is_kept_in_order(self, play: Play) -> None:
        async def scenario(house: House) -> None:
            house.proceed.clear()
            reader, writer = await house.client()
            await house.entered.wait()
            messages = [b"%d" % number for number in range(2_000)]
            for message in messages:
                writer.write(client_frame(BINARY, message))
                await writer.drain()
            house.proceed.set()
            assert await reader.readexactly(len(HEAD)) == HEAD
            expected = b"".join(reference_encode(BINARY, message) for message in messages)
            assert await reader.readexactly(len(expected)) == expected
            await leave(writer)

        play(scenario)

    def test_nothing_is_written_before_the_101(self, play: Play) -> None:
        async def scenario(house: House) -> None:
            house.proceed.clear()
            reader, writer = await house.client(REQUEST + HELLO)
            await house.entered.wait()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.05)
            house.proceed.set()
            assert await reader.readexactly(len(HEAD + ECHO)) == HEAD + ECHO
            await leave(writer)

        play(scenario)

    def test_a_second_request_behind_the_first_is_websocket_data_and_breaks_the_protocol(
        self, play: Play
    ) -> None:
        async def scenario(house: House) -> None:
            reader, writer = await house.connected(REQUEST + b"GET /other HTTP/1.1\r\nHost: here\r\n\r\n")
            # "G" is 0x47: a reserved bit.
            assert await reader.readexactly(4) == b"\x88\x12\x03\xea"
            assert await reader.read() == b"reserved bit set"
            assert house.others == 0
            await leave(writer)

        play(scenario)


class TestAiohttpForgets:
    def test_its_task_ends_and_it_keeps_neither_connection_nor_timer(self, play: Play) -> None:
        async def scenario(house: House) -> None:
            before = asyncio.all_tasks()
            reader, writer = await house.connected()
            await eventually(lambda: asyncio.all_tasks() == before)
            server = house.runner.server
            assert server is not None
            assert server.connections == []
            gc.collect()
            left = [thing for thing in gc.get_objects() if isinstance(thing, RequestHandler)]
            assert left == [], "something still holds aiohttp's protocol: a timer?"
            writer.write(HELLO)
            assert await reader.readexactly(len(ECHO)) == ECHO
            await leave(writer)

        play(scenario)

    def test_its_shutdown_leaves_our_sockets_alone(self, play: Play) -> None:
        async def scenario(house: House) -> None:
            reader, writer = await house.connected()
            server = house.runner.server
            assert server is not None
            await server.shutdown(0.1)
            writer.write(HELLO)
            assert await reader.readexactly(len(ECHO)) == ECHO
            await leave(writer)

        play(scenario)

    def test_requests_that_are_no_websockets_are_still_answered(self, play: Play) -> None:
        async def scenario(house: House) -> None:
            _, writer = await house.connected()
            reader, other = await house.client(
                b"GET /other HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
            )
            assert (await reader.read()).endswith(b"\r\n\r\nother")
            await leave(other)
            await leave(writer)

        play(scenario)


class TestTheClientIsGone:
    def test_before_the_takeover_the_handler_learns_it_and_nothing_is_opened(self, play: Play) -> None:
        async def scenario(house: House) -> None:
            house.proceed.clear()
            _, writer = await house.client()
            await house.entered.wait()
            reset(writer)
            await eventually(lambda: house.waiting is not None and house.waiting.transport is None)
            house.proceed.set()
            await eventually(lambda: house.refusals)
            assert (house.hub.open_count, house.connections) == (0, [])

        play(scenario)

    @pytest.mark.parametrize("go", [reset, lambda writer: writer.close()], ids=["reset", "end"])
    def test_after_it_the_sink_is_told_once(
        self, play: Play, go: Callable[[asyncio.StreamWriter], None]
    ) -> None:
        async def scenario(house: House) -> None:
            _, writer = await house.connected()
            go(writer)
            await eventually(lambda: house.sink.closed)
            assert house.sink.closed == [(house.connections[0], 1006, "")]
            assert house.hub.open_count == 0

        play(scenario)


class TestTheSocketAfterwards:
    def test_plain_sockets_are_sent_on_directly_and_tls_never(self, play: Play) -> None:
        async def scenario(house: House) -> None:
            reader, writer = await house.connected(REQUEST + HELLO)
            await reader.readexactly(len(ECHO))
            connection = house.connections[0]
            assert is_tls(connection.transport) == (house.tls is not None)
            assert (house.hub.fileno(connection.handle) == -1) == (house.tls is not None)
            assert (house.hub.send_calls == 0) == (house.tls is not None)
            await leave(writer)

        play(scenario)

    def test_the_send_buffer_of_the_kernel_is_set(self, play: Play) -> None:
        async def scenario(house: House) -> None:
            _, writer = await house.connected()
            fd = house.connections[0].transport.get_extra_info("socket").fileno()
            with socket.socket(fileno=os.dup(fd)) as sock:
                # Linux doubles what it is told.
                assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * SEND_BUFFER
            await leave(writer)

        play(scenario)

    def test_a_slow_reader_gets_everything_in_order(self, play: Play) -> None:
        async def scenario(house: House) -> None:
            reader, writer = await house.connected()
            connection = house.connections[0]
            writer.transport.pause_reading()
            frames = [
                Frame(reference_encode(BINARY, b"%06d" % number + b"x" * (number * 37 % 30_000)))
                for number in range(600)
            ]
            for frame in frames:
                assert connection.send_frame(frame) == 0
            await eventually(lambda: house.hub.is_blocked(connection.handle))
            connection.close(4000)
            assert house.hub.frames_queued > 100
            writer.transport.resume_reading()
            expected = b"".join(frame.wire for frame in frames) + b"\x88\x02\x0f\xa0"
            assert await reader.readexactly(len(expected)) == expected
            writer.write(client_frame(CLOSE, b"\x0f\xa0"))
            assert await reader.read() == b""
            assert all(frame.written == 1 for frame in frames)
            await leave(writer)

        play(scenario)

    def test_the_client_closes(self, play: Play) -> None:
        async def scenario(house: House) -> None:
            reader, writer = await house.connected()
            writer.write(client_frame(CLOSE, b"\x03\xe8"))
            assert await reader.read() == b"\x88\x02\x03\xe8"
            await eventually(lambda: house.sink.closed)
            assert house.sink.closed == [(house.connections[0], 1000, "")]
            await leave(writer)

        play(scenario)

    def test_one_who_breaks_the_protocol_gets_the_close_frame_although_he_goes_on_sending(
        self, play: Play
    ) -> None:
        async def scenario(house: House) -> None:
            reader, writer = await house.connected()
            for _ in range(50):
                writer.write(b"\x81\x05Hello" * 1000)
            expected = b"\x88\x12\x03\xeaframe not masked"
            assert await reader.readexactly(len(expected)) == expected
            await leave(writer)
            await eventually(lambda: house.sink.closed)
            assert house.sink.closed == [(house.connections[0], 1002, "frame not masked")]

        play(scenario)

    def test_reading_can_be_paused(self, play: Play) -> None:
        async def scenario(house: House) -> None:
            reader, writer = await house.connected()
            connection = house.connections[0]
            connection.pause_reading(PAUSED_FOR_TURN)
            writer.write(HELLO)
            await writer.drain()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.05)
            connection.resume_reading(PAUSED_FOR_TURN)
            assert await reader.readexactly(len(ECHO)) == ECHO
            await leave(writer)

        play(scenario)


def test_one_who_ends_his_half_right_behind_his_close_frame_still_gets_ours(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def run() -> None:
        house = House(None)
        async with asyncio.timeout(60), house.serve():
            # The answer waits for the interval; the end of the client's half arrives long before.
            house.hub.flush_interval = 0.05
            reader, writer = await house.connected()
            writer.write(client_frame(CLOSE, b"\x03\xe8"))
            writer.write_eof()
            assert await reader.read() == b"\x88\x02\x03\xe8"
            await leave(writer)
            await eventually(lambda: house.sink.closed)
            assert house.sink.closed == [(house.connections[0], 1000, "")]

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(run())
