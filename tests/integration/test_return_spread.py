"""A thousand real clients that lose one server do not come to the next one together.

They are one Node.js process; the server and its successor are processes of their own behind a proxy, which
notes when somebody comes. What is judged is how far apart they are, never how fast anything is.
"""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from chaos_proxy import KIND, ChaosProxy, Ending, Fate
from child_server import ChildServer
from live_server import SECRET

import wsserver

pytestmark = pytest.mark.asyncio

HERE = Path(__file__).parent
CLIENT = Path(wsserver.__file__).parent / "client" / "js" / "index.js"
MANY = 1000
PATIENCE = 120
SETTINGS = f"""
[connection]
max_connections_per_role = {2 * MANY}

[shutdown]
notice = 0.0
restart_time = 0.2
return_rate = 500.0
"""


class Crowd:
    """The clients, the server they are at, the one that follows, and the moments at which they come."""

    def __init__(self, proxy: ChaosProxy, first: ChildServer, second: ChildServer) -> None:
        self.proxy, self.first, self.second = proxy, first, second
        self.arrivals: list[float] = []
        proxy.fate = self._arrive
        self.program: asyncio.subprocess.Process | None = None

    def _arrive(self) -> Fate:
        self.arrivals.append(asyncio.get_running_loop().time())
        return KIND

    async def come(self, node: Path, **options: Any) -> None:
        """All of them are in."""
        address = f"ws://127.0.0.1:{self.proxy.port}/ws/connect"
        command = (node, HERE / "client_crowd.mjs", CLIENT, address, str(MANY), SECRET, json.dumps(options))
        self.program = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert await self._line() == "in"
        self.arrivals.clear()
        self.proxy.target = self.second.port

    async def back(self) -> dict[str, Any]:
        """What they tell when all of them are at the second server."""
        told: dict[str, Any] = json.loads(await self._line())
        assert len(self.arrivals) == MANY
        assert told["more"] == 0
        return told

    async def _line(self) -> str:
        assert self.program is not None
        assert self.program.stdout is not None
        async with asyncio.timeout(PATIENCE):
            line = await self.program.stdout.readline()
        assert line, "the clients have ended"
        return line.decode().rstrip()


@pytest.fixture
async def crowd(tmp_path: Path) -> AsyncIterator[Crowd]:
    servers = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        servers.append(await ChildServer.start(tmp_path / name, SETTINGS))
    async with ChaosProxy(servers[0].port) as proxy:
        made = Crowd(proxy, *servers)
        yield made
        if made.program is not None and made.program.returncode is None:
            made.program.kill()
        if made.program is not None:
            await made.program.wait()
    for server in servers:
        await server.stop()


def busiest(moments: list[float], width: float) -> float:
    """The largest part of the moments that lies within so many seconds."""
    ordered = sorted(moments)
    end = most = 0
    for start, moment in enumerate(ordered):
        while end < len(ordered) and ordered[end] <= moment + width:
            end += 1
        most = max(most, end - start)
    return most / len(ordered)


def far_from_even(values: list[float], least: float, most: float) -> float:
    """The largest distance of their distribution from the even one between the two (Kolmogorov-Smirnov)."""
    ordered = sorted(values)
    even = [(value - least) / (most - least) for value in ordered]
    count = len(ordered)
    return max(max((n + 1) / count - part, part - n / count) for n, part in enumerate(even))


@pytest.mark.parametrize(
    ("options", "least", "most"),
    [
        pytest.param({}, 900, 1100, id="default"),
        pytest.param({"jitterMode": "full"}, 500, 1500, id="full jitter", marks=pytest.mark.long),
    ],
)
async def test_first_attempts_are_spread_as_the_jitter_says(
    crowd: Crowd, node: Path, options: dict[str, Any], least: int, most: int
) -> None:
    await crowd.come(node, **options)
    lost = asyncio.get_running_loop().time()
    await crowd.first.stop()
    crowd.proxy.end_all(Ending.RESET)
    told = await crowd.back()
    waits = told["waits"]
    assert (len(waits), told["advised"]) == (MANY, 0)
    assert least <= min(waits)
    assert max(waits) <= most
    # With a thousand even ones it is over 0.07 once in 10,000 times.
    assert far_from_even(waits, least, most) < 0.085
    # Nobody comes before the time, however many are behind it on a busy machine.
    for arrival, wait in zip(sorted(crowd.arrivals), sorted(waits), strict=True):
        assert arrival - lost >= wait / 1000 - 0.01
    # Of those who keep to it a tenth comes in a tenth of the time; without jitter all would.
    assert busiest(crowd.arrivals, (most - least) / 10_000) < 0.5


async def test_after_a_drain_each_comes_in_the_slot_that_the_server_gave_it(crowd: Crowd, node: Path) -> None:
    await crowd.come(node, jitterMode="full")
    crowd.first.process.send_signal(signal.SIGTERM)
    told = await crowd.back()
    assert (len(told["waits"]), told["advised"]) == (MANY, MANY)
    # Each waits for its own slot, neither less nor more, and no two slots are the same.
    assert sorted(told["waits"]) == sorted(told["slots"])
    slots = sorted(told["slots"])
    assert len(set(slots)) > MANY * 0.4
    # 500 of them a second.
    assert busiest(crowd.arrivals, 0.2) < 0.5
    assert max(crowd.arrivals) - min(crowd.arrivals) > 0.8 * MANY / 500
