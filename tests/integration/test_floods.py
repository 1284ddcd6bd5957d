"""Floods against a server of its own process (threats A10, C7, C8, C9): what they cost, and what others feel.

Each has a size for every run and a long one (``--long``).
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from child_server import ChildServer, Usage
from flooder import Flooder
from live_server import token_of, until
from raw_socket import PING, TEXT, RawSocket, command, frame, upgrade

from wsserver.settings import RateLimitSettings

RATES = RateLimitSettings()
SIZES = [pytest.param(2.0, id="small"), pytest.param(30.0, id="long", marks=pytest.mark.long)]
MOST_CPU = 0.05
"""Of one core, that one user may cost."""

FIRST_BURST = 0.1
"""Seconds of it that a burst may take once, besides."""

Start = Callable[..., Awaitable[ChildServer]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts ``python -m wsserver run`` with settings as TOML."""
    servers: list[ChildServer] = []

    async def run(settings: str = "") -> ChildServer:
        servers.append(await ChildServer.start(tmp_path, settings))
        return servers[-1]

    yield run
    for server in servers:
        await server.stop()


def is_little(usage: Usage) -> bool:
    """Judged in the long sizes alone: what a busy machine makes of two seconds says nothing."""
    return usage.passed < 10 or usage.used <= MOST_CPU * usage.passed + FIRST_BURST


def again(wire: bytes) -> Callable[[int], bytes]:
    return lambda count: wire * count


async def flood(server: ChildServer, wire: Callable[[int], bytes], rate: float, **how: Any) -> Flooder:
    """Flood until the end; the tasks of this test go on meanwhile."""
    flooder = Flooder(server.port, token_of("bad"), wire, rate, **how)
    await until(lambda: flooder.is_done, patience=how["seconds"] + 15)
    return flooder


# -- C9: rates of messages, bytes and cost

PADDED = frame(TEXT, b'{"type":"ack","message_id":"m"}'.ljust(65536))


@pytest.mark.parametrize("seconds", SIZES)
async def test_tiny_messages_are_nonsense_soon_and_cost_little(start: Start, seconds: float) -> None:
    server = await start()
    with server.cpu() as cpu:
        flooder = await flood(server, again(frame(TEXT, b"x")), 50_000, seconds=seconds)
    assert set(flooder.closes) - {0} <= {4503, 4110}
    # The eleventh is one too many, and one is forgiven every ten seconds.
    assert 11 <= flooder.closes[4503] <= 11 + seconds / 10
    assert flooder.closes[4110] > 0
    assert is_little(cpu), cpu


@pytest.mark.parametrize("seconds", SIZES)
async def test_commands_too_fast_get_1010_then_4110_and_cost_little(start: Start, seconds: float) -> None:
    server = await start()
    with server.cpu() as cpu:
        flooder = await flood(server, again(command("ack", message_id="m")), 50_000, seconds=seconds)
    assert set(flooder.closes) - {0} == {4110}
    assert set(flooder.errors) == {1010}
    assert flooder.errors[1010] <= (RATES.refusals + 2) * flooder.connections
    assert len(flooder.waits) == flooder.errors[1010]
    assert min(flooder.waits) > 0
    assert is_little(cpu), cpu


@pytest.mark.parametrize("seconds", SIZES)
async def test_large_messages_are_slowed_down_and_none_is_lost(start: Start, seconds: float) -> None:
    server = await start()
    with server.cpu() as cpu:
        flooder = await flood(server, again(PADDED), 100, seconds=seconds)
    assert (flooder.connections, dict(flooder.closes), dict(flooder.errors)) == (1, {0: 1}, {})
    # What the kernels of both ends hold comes on top of the rate.
    buffers = 8 << 20
    assert flooder.bytes_sent <= RATES.byte_burst + RATES.bytes_per_second * seconds + buffers
    assert is_little(cpu), cpu


@pytest.mark.parametrize("seconds", SIZES)
@pytest.mark.parametrize("filters", ["none", "patterns", "refused"])
async def test_subscribes_cost_little_whatever_their_filters(
    start: Start, filters: str, seconds: float
) -> None:
    numbers = itertools.count()

    def wire(count: int) -> bytes:
        return b"".join(command("subscribe", topic="type:ecg", **one(next(numbers))) for _ in range(count))

    def one(number: int) -> dict[str, Any]:
        if filters == "none":
            return {}
        taken, refused = f"^lead c{number}(I|II)*[a-z]{{2,5}}$", f"(a|b|c{number}){{1,20}}(x|y)*[a-z]q"
        return {"filters": {"text": {"$regex": taken if filters == "patterns" else refused}}}

    # The burst is the dear part and comes once: a tenth of it for the small size.
    burst, refusals = (20, 50) if seconds < 10 else (RATES.subscribe_burst, RATES.refusals)
    server = await start(f"[rate_limit]\nsubscribe_burst = {burst}\nrefusals = {refusals}\n")
    with server.cpu() as cpu:
        flooder = await flood(server, wire, 100, seconds=seconds)
    assert flooder.closes[4110] > 0
    assert flooder.errors[1010] > 0
    answered = sum(flooder.answers.values()) - flooder.answers["connected"] + flooder.errors[1008]
    assert answered <= flooder.connections * (burst + 1) + RATES.subscribes_per_second * (seconds + 1)
    assert is_little(cpu), cpu


@pytest.mark.parametrize("seconds", SIZES)
async def test_ten_connections_of_a_user_share_its_rate(start: Start, seconds: float) -> None:
    burst, rate = 300, 100.0
    server = await start(f"[rate_limit]\nuser_burst = {burst}\nuser_messages_per_second = {rate}\n")
    with server.cpu() as cpu:
        flooders = [
            Flooder(server.port, token_of("bad"), again(command("ping")), 45, seconds=seconds)
            for _ in range(10)
        ]
        await until(lambda: all(one.is_done for one in flooders), patience=seconds + 15)
    answered = sum(one.answers["pong"] for one in flooders)
    assert answered >= burst
    # The first connection is not counted until there is a second.
    assert answered <= burst + RATES.burst + rate * (seconds + 1)
    assert is_little(cpu), cpu


# -- C8: control frames


@pytest.mark.parametrize("seconds", SIZES)
@pytest.mark.parametrize("reads", [True, False], ids=["reading", "never reading"])
async def test_who_floods_with_pings_is_closed_and_others_do_not_feel_it(
    start: Start, reads: bool, seconds: float
) -> None:
    server = await start()
    other = await server.enter("other")
    calm = await round_trips(other, 1.0)
    with server.cpu() as cpu:
        flooder = Flooder(
            server.port, token_of("bad"), again(frame(PING, b"x" * 100)), 100_000,
            seconds=seconds, reads=reads,
        )  # fmt: skip
        busy = await round_trips(other, seconds - 0.5)
    await until(lambda: flooder.is_done, patience=15)
    if reads:
        assert set(flooder.closes) - {0} == {4110}
        assert flooder.pongs <= (RATES.control_burst + 1) * flooder.connections
    assert is_little(cpu), cpu
    assert busy, "it was served all the time"
    if seconds > 10:
        # Ten milliseconds are what a loaded machine may add to anything.
        assert worst(busy) <= 2 * worst(calm) + 0.01, (worst(busy), worst(calm))
    await other.abort()


async def round_trips(client: Any, seconds: float) -> list[float]:
    """How long each of about 40 commands a second took."""
    took, ends = [], time.monotonic() + seconds
    while time.monotonic() < ends:
        started = time.perf_counter()
        assert (await client.ask("ping"))["type"] == "pong"
        took.append(time.perf_counter() - started)
        await asyncio.sleep(0.025)
    return took


def worst(took: list[float]) -> float:
    """The 99th percentile; of fewer than a hundred, the second longest: the longest is chance."""
    return sorted(took)[min(int(len(took) * 0.99), len(took) - 2)]


# -- C7: unfinished messages


@pytest.mark.parametrize(
    ("sockets", "budget"),
    [
        pytest.param(300, 8 << 20, id="small"),
        pytest.param(8_000, 256 << 20, id="long", marks=pytest.mark.long),
    ],
)
async def test_unfinished_messages_never_take_more_than_their_budget(
    start: Start, sockets: int, budget: int
) -> None:
    server = await start(
        f"[connection]\nmax_connections = {sockets + 10}\nmax_connections_per_role = {sockets + 10}\n"
        f"[inbound]\nmax_unfinished_total = {budget}\nmessage_deadline = '{3 if sockets < 1000 else 10}s'\n"
    )
    held = [await RawSocket.open(server.port, token_of(f"u{number}")) for number in range(sockets)]
    for raw in held:
        assert (await raw.read_message())["type"] == "connected"
    before = server.process.memory_info().rss
    part = frame(TEXT, b"x" * 65_000)[: 63 << 10]
    peak = 0
    for number, raw in enumerate(held):
        with contextlib.suppress(OSError):
            await raw.send(part)
        if number % 50 == 49:
            peak = max(peak, server.process.memory_info().rss)
    ends = [asyncio.create_task(raw.read_close()) for raw in held]
    while not all(end.done() for end in ends):
        peak = max(peak, server.process.memory_info().rss)
        await asyncio.sleep(0.05)
    assert {(await end)[0] for end in ends} == {1009}
    assert peak - before <= budget * 1.1 + (8 << 20)
    for raw in held:
        await raw.abort()
    await (await server.enter("after")).abort()


# -- A10: those who never say who they are


@pytest.mark.long
async def test_two_thousand_silent_and_dripping_sockets_are_cut_and_others_come_in(start: Start) -> None:
    each = 500
    server = await start("[auth]\ntimeout = '5s'\n[connection]\nmax_unauthenticated = 2000\n")

    async def comes_in(count: int) -> list[float]:
        took = []
        for number in range(count):
            started = time.perf_counter()
            await (await server.enter(f"u{number}")).abort()
            took.append(time.perf_counter() - started)
            await asyncio.sleep(0.02)
        return took

    calm = await comes_in(100)
    started = time.monotonic()
    silent = [await RawSocket.dial(server.port) for _ in range(each)]
    dripping = [await RawSocket.dial(server.port) for _ in range(each)]
    upgraded = [await RawSocket.open(server.port) for _ in range(each)]
    half = command("connect", token=token_of())[:20]
    stuck = [await RawSocket.open(server.port, behind=half) for _ in range(each)]
    opened = time.monotonic() - started

    async def drip() -> None:
        for byte in upgrade(server.port)[:60]:
            for raw in dripping:
                with contextlib.suppress(OSError):
                    raw.sock.send(bytes([byte]))
            await asyncio.sleep(1)

    async def cut(raw: RawSocket, limit: float) -> None:
        async with asyncio.timeout(limit):
            while await asyncio.get_running_loop().sock_recv(raw.sock, 4096):
                pass

    dripper = asyncio.create_task(drip())
    cuts = asyncio.gather(
        *(cut(raw, opened + 11) for raw in silent + dripping + upgraded + stuck), return_exceptions=True
    )
    busy = await comes_in(200)
    outcomes = await cuts
    dripper.cancel()
    assert [one for one in outcomes if isinstance(one, TimeoutError)] == []
    assert worst(busy) <= 2 * worst(calm) + 0.02, (worst(busy), worst(calm))
    for raw in silent + dripping + upgraded + stuck:
        await raw.abort()
