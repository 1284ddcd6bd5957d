"""The clients that come back do what their policy says, and their record is read rightly."""

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from wsserver_core.frames import TEXT, encode_close, encode_frame

ROOT = Path(__file__).parents[2]
UPGRADE = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
GREETING = encode_frame(TEXT, b'{"type":"connected"}') + encode_frame(TEXT, b'{"type":"hint"}')
CONFIRMED = encode_frame(TEXT, b'{"type":"subscription_confirmed"}')
SHUTDOWN = encode_frame(TEXT, b'{"type":"system_shutdown","message":"x","reconnect_after_ms":400}')


@pytest.fixture(autouse=True)
def clients_can_be_built(require_tool: Callable[[bool, str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    require_tool(shutil.which("cc") is not None, "a C compiler")
    monkeypatch.syspath_prepend(str(ROOT))


class Ward:
    """A server that sends everybody away once, as a test says, and then keeps them."""

    def __init__(self, farewell: bytes, refusals: int = 0) -> None:
        self.farewell = farewell
        self.refusals = refusals
        self.port = 0
        self.handshakes: list[float] = []
        self.closing = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.handshakes.append(time.monotonic())
        if self.closing.is_set() and self.refusals:
            self.refusals -= 1
            writer.write(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
        else:
            stays = self.closing.is_set()
            writer.write(UPGRADE + GREETING)
            await reader.read(1000)
            # Cut in the middle of a frame, as a socket may do.
            writer.write(CONFIRMED[:5])
            await writer.drain()
            writer.write(CONFIRMED[5:])
            if stays:
                await reader.read()
            else:
                await self.closing.wait()
                writer.write(self.farewell)
        writer.close()


@asynccontextmanager
async def returning(
    ward: Ward, directory: Path, clients: int, **options: float
) -> AsyncIterator[tuple[object, float]]:
    """That many clients of a ward, told to go: the driver, and when that was."""
    from benchmarks.clients.returning_client import returning_client

    tokens = directory / "tokens"
    tokens.write_text("token\n")
    async with (
        await asyncio.start_server(ward.serve, "127.0.0.1", 0) as server,
        returning_client(
            server.sockets[0].getsockname()[1], tokens, core=None, events=directory / "events", **options
        ) as client,
    ):
        await client.connect(clients)
        await client.expect_return()
        began = time.monotonic()
        ward.closing.set()
        yield client, began


async def test_they_obey_the_advice_counted_from_the_close(tmp_path: Path) -> None:
    ward = Ward(
        SHUTDOWN + encode_frame(TEXT, b'{"type":"hint"}') + encode_frame(8, encode_close(4020, "")[2:])
    )
    async with returning(ward, tmp_path, 20) as (client, began):
        await client.returned(10)
        record = client.record(began)
        assert 0 < client.busiest < 1.1
    assert record.as_dict()["returned"] == 20
    for number, at in record.ended.items():
        assert record.ready[number] - at >= 0.4
    assert min(record.handshakes) - began >= 0.4


async def test_advice_changes_by_its_jitter_and_is_not_used_twice(tmp_path: Path) -> None:
    ward = Ward(SHUTDOWN, refusals=20)
    options = {"advice_jitter": 0.5, "initial": 50, "cap": 50}
    async with returning(ward, tmp_path, 20, **options) as (client, began):
        await client.returned(10)
        record = client.record(began)
    first = sorted(record.handshakes)[:20]
    assert first[0] - began >= 0.2
    assert first[-1] - first[0] > 0.05, "all at once is no jitter"
    figures = record.as_dict()
    assert (figures["handshakes"], figures["refused_over_http"], figures["returned"]) == (40, 20, 20)
    # A second wait of 0.4 s would show.
    assert figures["longest_refused_s"] < 0.4


async def test_the_busiest_while_of_their_return_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.clients import returning_client

    used = [0.0, 0.0, 0.0, 100.0]
    monkeypatch.setattr(returning_client, "_LOOK", 0.05)
    monkeypatch.setattr(returning_client, "processor_seconds", lambda _: used.pop(0) if used[1:] else used[0])
    async with returning(Ward(b""), tmp_path, 2, initial=600, floor=600) as (client, _):
        await client.returned(10)
        # Idle for two looks and at the end, and busy for one.
        assert client.busiest > 10


async def test_without_advice_they_wait_a_random_part_over_a_floor(tmp_path: Path) -> None:
    async with returning(Ward(b""), tmp_path, 50, initial=200, floor=100) as (client, began):
        await client.returned(10)
        record = client.record(began)
    waits = sorted(record.ready[number] - at for number, at in record.ended.items())
    assert waits[0] >= 0.1
    assert waits[40] - waits[10] > 0.02


async def test_what_does_not_come_back_is_told(tmp_path: Path) -> None:
    async with returning(Ward(b""), tmp_path, 2, initial=60_000, floor=60_000) as (client, _):
        with pytest.raises(TimeoutError, match=r"not all are back after 0\.2 s: .*'ready': 0"):
            await client.returned(0.2)


def test_figures_are_those_of_the_record() -> None:
    from benchmarks.clients.returning_client import Returns

    returns = Returns(
        ended={1: 10.0, 2: 10.5, 3: 11.0},
        ready={1: 12.0, 2: 15.5, 3: 11.5},
        refused={2: 11.0},
        handshakes=[11.0, 11.05, 11.2, 11.99, 12.0, 15.0],
        refusals=Counter(http=1),
    )
    assert returns.peak(1.0) == 4, "the window is half open"
    assert returns.peak(0.1) == 2
    assert (returns.longest_away(), returns.longest_refused()) == (5.0, 4.5)
    assert returns.as_dict()["median_away_s"] == 2.0


def test_what_is_sustained_is_the_rate_without_the_first_and_the_last_tenth() -> None:
    from benchmarks.clients.returning_client import Returns

    # Ten a second, but for one who was early and one who was late.
    ready = {client: client / 10 for client in range(1, 19)} | {0: -50.0, 19: 90.0}
    assert Returns({}, ready, {}, [], Counter()).sustained() == pytest.approx(10.0)
    assert Returns({}, {}, {}, [], Counter()).sustained() == 0.0
    assert Returns({}, {1: 2.0}, {}, [], Counter()).sustained() == 0.0
