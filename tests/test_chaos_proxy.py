"""The proxy does to a connection what its fate says, to the byte, and the same again by the same seed."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from chaos_proxy import ChaosProxy, Ending, Fate, Fates, Way

Linked = tuple["Peer", ChaosProxy, asyncio.StreamReader, asyncio.StreamWriter]
PATIENCE = 5.0
HELLO = bytes(range(256)) * 40


class Peer:
    """A server that greets with many bytes, echoes, and tells how each connection ended."""

    def __init__(self) -> None:
        self.port = 0
        self.heard: list[bytes] = []
        self.ends: asyncio.Queue[str] = asyncio.Queue()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        place = len(self.heard)
        self.heard.append(b"")
        writer.write(HELLO)
        try:
            while data := await reader.read(1 << 16):
                self.heard[place] += data
                writer.write(data)
            self.ends.put_nowait("end")
        except ConnectionResetError:
            self.ends.put_nowait("reset")
        finally:
            writer.close()

    async def end(self) -> str:
        async with asyncio.timeout(PATIENCE):
            return await self.ends.get()


@asynccontextmanager
async def through(fate: Fate) -> AsyncIterator[Linked]:
    peer = Peer()
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    async with ChaosProxy(peer.port, lambda: fate) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        try:
            yield peer, proxy, reader, writer
        finally:
            writer.transport.abort()
    server.close()


async def rest_of(reader: asyncio.StreamReader) -> tuple[bytes, str]:
    """All that still comes, and how it ends."""
    got = b""
    async with asyncio.timeout(PATIENCE):
        try:
            while data := await reader.read(1 << 16):
                got += data
        except ConnectionResetError:
            return got, "reset"
    return got, "end"


async def test_a_connection_without_a_fate_passes_everything_both_ways() -> None:
    async with through(Fate()) as (peer, proxy, reader, writer):
        assert await reader.readexactly(len(HELLO)) == HELLO
        writer.write(b"ping")
        assert await reader.readexactly(4) == b"ping"
        writer.write_eof()
        assert await rest_of(reader) == (b"", "end")
        assert await peer.end() == "end"
    assert proxy.met == dict.fromkeys(Ending, 0)


@pytest.mark.parametrize("after", [0, 1, 1000, len(HELLO) - 1])
async def test_a_cut_falls_behind_the_byte_that_was_named(after: int) -> None:
    async with through(Fate(Ending.CLOSE, Way.TO_CLIENT, after)) as (peer, proxy, reader, _):
        assert await rest_of(reader) == (HELLO[:after], "end")
        assert await peer.end() in {"end", "reset"}
        assert proxy.met[Ending.CLOSE] == 1
        assert proxy.open_count == 0


async def test_a_cut_on_the_way_to_the_server_falls_behind_the_byte_that_was_named() -> None:
    async with through(Fate(Ending.CLOSE, Way.TO_SERVER, 3)) as (peer, _, reader, writer):
        await reader.readexactly(len(HELLO))
        writer.write(b"hello")
        await rest_of(reader)
        await peer.end()
        assert peer.heard == [b"hel"]


async def test_a_reset_reaches_both_ends() -> None:
    async with through(Fate(Ending.RESET, Way.TO_SERVER, 1)) as (peer, _, reader, writer):
        await reader.readexactly(len(HELLO))
        writer.write(b"x")
        assert (await rest_of(reader))[1] == "reset"
        assert await peer.end() == "reset"


async def test_half_of_a_connection_goes_on_when_the_other_half_is_closed() -> None:
    async with through(Fate(Ending.HALF_CLOSE, Way.TO_CLIENT, 10)) as (peer, _, reader, writer):
        assert await rest_of(reader) == (HELLO[:10], "end")
        writer.write(b"still here")
        writer.write_eof()
        await peer.end()
        assert peer.heard == [b"still here"]


async def test_in_a_black_hole_nothing_passes_and_nothing_ends() -> None:
    async with through(Fate(Ending.BLACKHOLE, Way.TO_CLIENT, 10)) as (peer, proxy, reader, writer):
        assert await reader.readexactly(10) == HELLO[:10]
        writer.write(b"anybody?")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await reader.read(1)
        assert peer.heard == [b""]
        assert peer.ends.empty()
        assert proxy.open_count == 1


async def test_connections_can_be_swallowed_and_ended_from_outside() -> None:
    async with through(Fate()) as (peer, proxy, reader, writer):
        await reader.readexactly(len(HELLO))
        proxy.swallow()
        writer.write(b"anybody?")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await reader.read(1)
        proxy.end_all(Ending.RESET)
        assert (await rest_of(reader))[1] == "reset"
        assert await peer.end() == "reset"


async def test_a_delay_and_a_rate_hold_bytes_back() -> None:
    async with through(Fate(delay=0.05, rate=len(HELLO) / 0.1)) as (_, _, reader, _):
        began = time.monotonic()
        assert await reader.readexactly(len(HELLO)) == HELLO
        assert time.monotonic() - began >= 0.15


async def test_a_server_that_is_not_there_is_a_reset() -> None:
    async with through(Fate()) as (_, proxy, _, _):
        proxy.target = 1
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await rest_of(reader) == (b"", "reset")
        writer.transport.abort()


def test_the_same_seed_draws_the_same_fates_and_another_seed_others() -> None:
    def draw(seed: int) -> list[Fate]:
        fates = Fates(seed, 5000)
        return [fates() for _ in range(200)]

    assert draw(7) == draw(7)
    assert draw(7) != draw(8)
    assert {fate.ending for fate in draw(7)} == set(Ending)
    assert {fate.way for fate in draw(7)} == set(Way)
    assert all(fate.after < 5000 for fate in draw(7))
