"""The load client counts rightly, and tells by whose clock."""

import array
import asyncio
import fcntl
import os
import shutil
import signal
import termios
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from wsserver_core.frames import PING, TEXT, encode_frame

ROOT = Path(__file__).parents[2]
SUBSCRIBE = '{"type":"subscribe"}'


@pytest.fixture(autouse=True)
def load_client_can_be_built(
    require_tool: Callable[[bool, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    require_tool(shutil.which("cc") is not None, "a C compiler")
    monkeypatch.syspath_prepend(str(ROOT))


LONG_PING = b"\x89\x7e" + (126).to_bytes(2) + bytes(126)
"""Longer than a control frame may be."""


def published(*numbers: int, behind: str = "") -> bytes:
    texts = (f'{{"_meta":{{"seq":7}},"n":{number}{behind}}}'.encode() for number in numbers)
    return b"".join(encode_frame(TEXT, text) for text in texts)


@asynccontextmanager
async def server_that_sends(
    pieces: Sequence[bytes], when: asyncio.Event | None = None
) -> AsyncIterator[tuple[int, list[asyncio.StreamWriter]]]:
    """Upgrades anybody, greets, confirms the first command and then sends the pieces, one write each."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        writer.write(encode_frame(TEXT, b'{"type":"connected"}'))
        await reader.readexactly(6 + len(SUBSCRIBE))
        writer.write(encode_frame(TEXT, b'{"type":"subscription_confirmed"}'))
        if when is not None:
            await when.wait()
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], writers


async def receive(pieces: Sequence[bytes], messages: int, connections: int = 1) -> dict[str, Any]:
    from benchmarks.clients.load_client import load_client

    async with server_that_sends(pieces) as (port, _), load_client(port, SUBSCRIBE, core=None) as client:
        await client.connect(connections)
        await client.subscribe()
        await client.expect(messages)
        return await client.done(timeout=10)


async def test_the_load_client_counts_messages_however_they_are_cut() -> None:
    stream = published(0, 1, 2) + encode_frame(PING, b"") + published(3)
    report = await receive([stream[i : i + 5] for i in range(0, len(stream), 5)], 4, 3)
    assert (report["messages"], report["confirmed"], report["missing"]) == (12, 3, 0)


@pytest.mark.parametrize(
    ("pieces", "fault"),
    [
        ([published(0, 1, 1, 2)], "duplicates 1"),
        ([published(0, 2)], "missing 1"),
        ([published(1, 0, 2)], "disorder 1"),
        ([encode_frame(TEXT, b'{"_meta":{}}'), published(0, 1, 2)], "foreign 1"),
        ([encode_frame(TEXT, b'{"type":"error","code":1010}'), published(0, 1, 2)], "errors 1"),
        ([LONG_PING, published(0, 1, 2)], "lost 1"),
    ],
    ids=["twice", "missing", "out of order", "foreign", "error", "long ping"],
)
async def test_the_load_client_reports_what_came_wrong(pieces: list[bytes], fault: str) -> None:
    from benchmarks.clients.load_client import ReceivedWrong

    with pytest.raises(ReceivedWrong, match=fault):
        await receive(pieces, 3)


async def test_a_refused_handshake_is_told_with_the_answer() -> None:
    from benchmarks.clients.load_client import ReceivedWrong, load_client

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 d\xe9j\xe0 vu\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with load_client(port, SUBSCRIBE, core=None) as client:
            with pytest.raises(ReceivedWrong, match=r"503 d.j. vu"):
                await client.connect(1)


async def acknowledged(writer: asyncio.StreamWriter) -> None:
    """Wait until the other end's kernel has all that was written."""
    unsent = array.array("i", [1])
    while unsent[0]:
        await asyncio.sleep(0.001)
        # SIOCOUTQ has the number of TIOCOUTQ.
        fcntl.ioctl(writer.get_extra_info("socket"), termios.TIOCOUTQ, unsent)


@pytest.mark.parametrize("kernel_time", [True, False], ids=["kernel", "own"])
async def test_a_round_ends_by_the_kernels_clock_or_by_the_clients_own(kernel_time: bool) -> None:
    from benchmarks.clients.load_client import load_client

    go = asyncio.Event()
    async with (
        server_that_sends([published(0), published(1)], go) as (port, writers),
        load_client(port, SUBSCRIBE, core=None, kernel_time=kernel_time) as client,
    ):
        await client.connect(2)
        await client.subscribe()
        await client.expect(2)
        began = time.monotonic()
        os.kill(client.pid, signal.SIGSTOP)
        try:
            go.set()
            async with asyncio.timeout(10):
                for writer in writers:
                    await acknowledged(writer)
            arrived = time.monotonic()
        finally:
            os.kill(client.pid, signal.SIGCONT)
        done = await client.done(timeout=10)
        assert began < done["at"]
        assert (done["at"] <= arrived) is kernel_time


async def test_latencies_count_from_the_moment_that_a_message_says() -> None:
    from benchmarks.clients.load_client import load_client

    due = time.monotonic() - 100
    pieces = [
        published(0),
        published(1, behind=f',"at":{int(due * 1e9)}'),
        published(2, behind=f',"at":{int((due - 100) * 1e9)},"alert":1'),
        # Not where they are looked for.
        published(3, behind=f',"type":"x","at":{int((due - 200) * 1e9)},"alert":1'),
    ]
    async with (
        server_that_sends(pieces) as (port, _),
        load_client(port, SUBSCRIBE, core=None, kernel_time=True) as client,
    ):
        await client.connect(3)
        await client.subscribe()
        await client.expect(4)
        await client.done(timeout=10)
        losses, last = await client.losses(), await client.last()
        late = time.monotonic() - due
        assert losses["samples"] == 6
        assert (losses["fewest_alerts"], losses["most_alerts"]) == (1, 1)
        assert 200e6 < losses["max_us"] <= (late + 100) * 1e6
        # Buckets are 3 % wide, but nothing is later than the latest.
        assert losses["p50_us"] <= losses["p99_us"] == losses["max_us"]
        assert 100e6 <= losses["p50_us"] <= 1.04 * late * 1e6
        assert (last["first"], last["receivers"]) == (1, [3, 3])
        first, second = last["us"]
        assert 100e6 <= first <= late * 1e6
        assert second - first >= 100e6
        await client.clear()
        assert (await client.last())["us"] == []


async def test_numbers_are_found_wherever_they_stand() -> None:
    long = f'"pad":"{"x" * 300}",'
    moved = [
        encode_frame(TEXT, f'{{"_meta":{{"seq":{seq}}},{pad}"n":{number}}}'.encode())
        for number, (seq, pad) in enumerate([(9, ""), (10, ""), (10, long), (11, ""), (1000, long)])
    ]
    report = await receive(moved, 5, 2)
    assert (report["messages"], report["missing"]) == (10, 0)


async def test_only_what_begins_a_measurement_starts_the_clients_time_anew() -> None:
    from benchmarks.clients.load_client import LoadClient, load_client

    async def beginning(client: LoadClient) -> float:
        report = await client.report()
        return float(report["at"] - report["wall"])

    async with server_that_sends([]) as (port, _), load_client(port, SUBSCRIBE, core=None) as client:
        await client.connect(1)
        await client.subscribe()
        began = await beginning(client)
        for look in (client.report, client.losses, client.last, lambda: client.stall(1), client.wake):
            await look()
            # Both are told in nanoseconds.
            assert await beginning(client) == pytest.approx(began, rel=0, abs=1e-6)
        for begin in (client.clear, lambda: client.expect(1)):
            await begin()
            assert await beginning(client) > began + 1e-6
            began = await beginning(client)
