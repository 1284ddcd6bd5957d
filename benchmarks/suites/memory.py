"""Memory: what one idle, authenticated connection adds to the server's process, and whose it is.

Three passes, each in a process of its own, for tables that have once grown do not grow again. First
the resident memory of the process, grown from the first hundred connections on (what is made once
is there by then) to ten thousand more, idle and then with one subscription each; no TLS, garbage
collected before each reading. Kernel memory of the sockets is not in it. Then the same crowd once
more, of which a ledger tells what each object and table takes, and what a session takes that waits
for its client. What resident memory has grown by beyond that is the allocators': pages that are not
full. Last, a fifth of the crowd under tracemalloc, which tells where in the code memory was taken.
"""

import asyncio
import gc
import json
import subprocess
import sys
import sysconfig
import tempfile
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import uvloop

from benchmarks.accounting.ledger import Ledger
from benchmarks.accounting.owners import SESSION, by_owner
from benchmarks.clients.load_client import LoadClient, load_client
from benchmarks.machine import facts, pin, resident_bytes
from benchmarks.progress import say
from benchmarks.reports.chart import Chart, Line
from benchmarks.reports.figure import Figure, aim_at, figure
from benchmarks.servers.real_server import SUBSCRIBE, RealServer, load_profile, real_server, write_tokens

FIRST: Final = 100
AIM: Final = 4_000
"""Bytes below which a connection with one subscription must stay, session and heartbeat included."""
AIM_AT: Final = 10_000
"""Connections, or more: with few the free memory that a process has from its start makes them look small."""
REST: Final = "allocators and rest"
SHOWN_LINES: Final = 12
PATIENCE: Final = 60.0
"""Seconds until the server has noticed that everybody left."""


async def memory(connections: int) -> dict[str, Any]:
    """Measure it with that many connections beyond the first hundred."""
    machine = facts()
    say(f"resident memory with {connections:,} connections")
    resident = await _resident(connections)
    say("whose it is")
    owners = _elsewhere("owners", connections)
    traced = max(connections // 5, 1)
    say(f"where it was taken, with {traced:,}")
    lines = _elsewhere("lines", traced)
    idle = (resident["connected"] - resident["before"]) / connections
    subscribed = (resident["subscribed"] - resident["before"]) / connections
    return {
        "benchmark": "memory",
        "machine": machine,
        "connections": connections,
        "subscriptions": resident["subscriptions"],
        "token_bytes": resident["token_bytes"],
        "resident_before": resident["before"],
        "resident_after": resident["subscribed"],
        "bytes_per_idle_connection": idle,
        "bytes_per_connection": subscribed,
        "of_which_subscription": subscribed - idle,
        "accepted_per_second": resident["accepted_per_second"],
        **owners,
        **lines,
    }


def _elsewhere(name: str, connections: int) -> dict[str, Any]:
    """A pass in another process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.suites.memory", name, str(connections)],
        check=True,
        stdout=subprocess.PIPE,
    )
    return dict(json.loads(done.stdout))


class _Scene:
    """A server, and clients with a token each."""

    def __init__(self, server: RealServer, tokens: Path, token_bytes: int, core: int | None) -> None:
        self.server, self.token_bytes = server, token_bytes
        self._tokens, self._core = tokens, core

    @asynccontextmanager
    async def clients(self) -> AsyncIterator[LoadClient]:
        """With the first hundred connected and subscribed; they end without a word."""
        port, tokens = self.server.port, self._tokens
        async with load_client(port, SUBSCRIBE, core=self._core, tokens=tokens) as client:
            await client.connect(FIRST)
            await client.subscribe()
            yield client


@asynccontextmanager
async def _scene(connections: int) -> AsyncIterator[_Scene]:
    core = pin()
    loaded = load_profile()
    with tempfile.TemporaryDirectory() as directory:
        tokens = Path(directory) / "tokens"
        token_bytes = write_tokens(tokens, FIRST + connections, loaded, ward=1)
        async with real_server(loaded) as server:
            yield _Scene(server, tokens, token_bytes, core)


async def _resident(connections: int) -> dict[str, Any]:
    async with _scene(connections) as scene, scene.clients() as client:
        before = await _reading()
        accepted = await client.connect(connections)
        connected = await _reading()
        await client.subscribe()
        subscribed = await _reading()
        return {
            "before": before,
            "connected": connected,
            "subscribed": subscribed,
            "subscriptions": len(scene.server.manager.index),
            "token_bytes": scene.token_bytes,
            "accepted_per_second": connections / accepted["wall"],
        }


async def _reading() -> int:
    # Two turns: what the last answers left behind is let go of first.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
    return resident_bytes()


async def _owners(connections: int) -> dict[str, Any]:
    async with _scene(connections) as scene:
        async with scene.clients() as client:
            ledger = Ledger()
            await client.connect(connections)
            idle = ledger.entries()
            await client.subscribe()
            subscribed = ledger.entries()
        # Nobody took leave, so that the sessions wait for their clients.
        await _until_empty(scene.server)
        waiting = by_owner(ledger.entries())[SESSION]
        sessions = len(scene.server.manager.sessions) - FIRST
        ledger.close()

    def per_connection(sizes: dict[str, int]) -> dict[str, float]:
        return {name: size / connections for name, size in sizes.items()}

    return {
        "idle": per_connection(by_owner(idle)),
        "subscribed": per_connection(by_owner(subscribed)),
        "entries": per_connection(subscribed),
        "waiting_sessions": sessions,
        "bytes_per_waiting_session": waiting / sessions,
    }


async def _until_empty(server: RealServer) -> None:
    async with asyncio.timeout(PATIENCE):
        while server.manager.connections:
            await asyncio.sleep(0.05)


async def _lines(connections: int) -> dict[str, Any]:
    async with _scene(connections) as scene, scene.clients() as client:
        tracemalloc.start()
        before = tracemalloc.take_snapshot()
        await client.connect(connections)
        await client.subscribe()
        gc.collect()
        grown = tracemalloc.take_snapshot().compare_to(before, "lineno")
        tracemalloc.stop()
    sizes = [(_place(one.traceback[0]), one.size_diff / connections) for one in grown]
    return {"lines": [(line, size) for line, size in sizes if size >= 1]}


def _place(frame: tracemalloc.Frame) -> str:
    """File and line without where the project or the interpreter lies, which is nobody else's."""
    path = Path(frame.filename)
    for root in (*map(Path, sys.path), Path(sysconfig.get_path("stdlib"))):
        if root != Path() and path.is_relative_to(root):
            return f"{path.relative_to(root)}:{frame.lineno}"
    return f"{path.name}:{frame.lineno}"


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    text = (
        f"{result['connections']:,} idle connections with one subscription each, "
        f"tokens of {result['token_bytes']} bytes\n"
        f"  {result['bytes_per_connection']:,.0f} bytes per connection, "
        f"of which {result['of_which_subscription']:,.0f} for the subscription\n"
        f"  {result['bytes_per_waiting_session']:,.0f} bytes for a session that waits for its client\n"
        f"  process: {result['resident_before'] / 1e6:.1f} MB before, "
        f"{result['resident_after'] / 1e6:.1f} MB after\n"
        f"  {result['accepted_per_second']:,.0f} connections accepted per second meanwhile\n\n"
        f"  {'bytes per connection':<46} {'idle':>7} {'subscribed':>11}\n"
    )
    for owner, idle, subscribed in _rows(result):
        text += f"  {owner:<46} {idle:>7,.0f} {subscribed:>11,.0f}\n"
    text += f"  {'resident memory':<46} {result['bytes_per_idle_connection']:>7,.0f} "
    text += f"{result['bytes_per_connection']:>11,.0f}\n\n  where it was taken, by tracemalloc\n"
    for line, size in result["lines"][:SHOWN_LINES]:
        text += f"  {size:>7,.0f}  {line}\n"
    return text


def _rows(result: dict[str, Any]) -> list[tuple[str, float, float]]:
    """Owners with what is theirs, idle and subscribed; the last one is the difference to resident memory."""
    idle, subscribed = result["idle"], result["subscribed"]
    rows = [(owner, idle.get(owner, 0.0), size) for owner, size in subscribed.items()]
    rest = (
        result["bytes_per_idle_connection"] - sum(idle.values()),
        result["bytes_per_connection"] - sum(subscribed.values()),
    )
    return [*rows, (REST, *rest)]


def figures(result: dict[str, Any]) -> list[Figure]:
    """Bytes per connection."""
    crowd = f"{result['connections']:,} connections"
    aim, each = aim_at(AIM, result["connections"], AIM_AT), [result["bytes_per_connection"]]
    return [
        figure(f"{crowd}, idle: memory each", "B", [result["bytes_per_idle_connection"]], "less"),
        figure(f"{crowd}, subscribed: memory each", "B", each, "less", **aim),
        figure("memory of a waiting session", "B", [result["bytes_per_waiting_session"]], "less"),
    ]


def charts(result: dict[str, Any]) -> list[Chart]:
    """Whose memory it is."""
    rows = _rows(result)
    return [
        Chart(
            name="memory-owners",
            title="What an idle connection takes, by owner",
            x_label="owner",
            y_label="bytes per connection",
            places=[owner for owner, _, _ in rows],
            lines=[
                Line("idle", [idle for _, idle, _ in rows]),
                Line("with a subscription", [subscribed for _, _, subscribed in rows]),
            ],
            sentence=f"In all {result['bytes_per_connection']:,.0f} bytes of resident memory, "
            f"of which {result['of_which_subscription']:,.0f} for the subscription.",
        )
    ]


if __name__ == "__main__":
    _pass = {"owners": _owners, "lines": _lines}[sys.argv[1]]
    print(json.dumps(uvloop.run(_pass(int(sys.argv[2])))))
