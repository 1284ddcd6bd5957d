"""The load client understands servers of other kinds."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from wsserver_core.frames import BINARY, TEXT, encode_frame

ROOT = Path(__file__).parents[2]
HELLO, SUBSCRIBE = "HELLO THERE", "SUB 1"


@pytest.fixture(autouse=True)
def benchmarks_can_be_built(
    require_tool: Callable[[bool, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    require_tool(shutil.which("cc") is not None, "a C compiler")
    monkeypatch.syspath_prepend(str(ROOT))


@asynccontextmanager
async def stranger(frames: Sequence[bytes]) -> AsyncIterator[int]:
    """Greets after a hello only, confirms a subscription, and sends the frames."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        await reader.readexactly(6 + len(HELLO))
        writer.write(encode_frame(TEXT, b"WELCOME\r\n"))
        await reader.readexactly(6 + len(SUBSCRIBE))
        writer.write(encode_frame(TEXT, b"FINE"))
        writer.write(b"".join(frames))
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def receive(frames: Sequence[bytes], messages: int, *, in_lines: bool) -> dict[str, Any]:
    from benchmarks.clients.dialect import Dialect
    from benchmarks.clients.load_client import load_client

    dialect = Dialect("WELCOME", "FINE", "=>", HELLO, in_lines)
    async with (
        stranger(frames) as port,
        load_client(port, SUBSCRIBE, core=None, dialect=dialect) as client,
    ):
        await client.connect(2)
        await client.subscribe()
        await client.expect(messages)
        return await client.done(timeout=10)


async def test_a_server_that_waits_for_a_hello_and_marks_its_messages_otherwise() -> None:
    frames = [encode_frame(TEXT, b'=>{"n":%d}' % number) for number in range(3)]
    report = await receive(frames, 3, in_lines=False)
    assert (report["messages"], report["confirmed"], report["foreign"]) == (6, 2, 0)


async def test_a_frame_of_several_lines_is_several_messages() -> None:
    frames = [
        encode_frame(BINARY, b'MSG 1 8\r\n=>{"n":0}\r\nMSG 1 8\r\n=>{"n":1}\r\n'),
        encode_frame(TEXT, b'=>{"n":2}\n=>{"n":3}'),
    ]
    report = await receive(frames, 4, in_lines=True)
    assert (report["messages"], report["duplicates"], report["disorder"]) == (8, 0, 0)
    # A greeting, a confirmation and two heads of messages each.
    assert report["control"] == 8


async def test_a_frame_is_one_message_unless_lines_are_meant() -> None:
    from benchmarks.clients.load_client import ReceivedWrong

    frames = [encode_frame(BINARY, b'=>{"n":0}'), encode_frame(TEXT, b'=>{"n":0}')]
    # The second connection may not have had its own when the first is told of.
    with pytest.raises(ReceivedWrong, match=r"foreign [12]"):
        await receive(frames, 1, in_lines=False)
