"""Accept rate: connections per second, from SYN to ``connected``, each with a token of its own to check.

Beside it aiohttp's own upgrade on uvloop, which checks nothing and only greets: the same client sends the
same requests, as many at a time, to each in turns. Both are processes of their own on the same processor.
A second figure of each is taken while a crowd as large as the one that comes is leaving.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.clients.load_client import load_client
from benchmarks.contest.contestants import naive_server
from benchmarks.contest.series import BUSY_CLIENT, client_fault, spread
from benchmarks.machine import facts, listen_drops, open_descriptors, pin, processor_seconds
from benchmarks.progress import say
from benchmarks.reports.figure import Figure, aim_at, figure, spread_figure
from benchmarks.servers.real_server import SUBSCRIBE, load_profile, write_tokens
from benchmarks.servers.server_process import server_process

OURS: Final = "ours"
BARE: Final = "aiohttp's upgrade, no token check"

AIM: Final = 0.8
"""Of the bare upgrade's rate."""
AIM_AT: Final = 2_000
"""Connections that come, or more: with few aiohttp collects no garbage."""

ALONE: Final = "alone"
CHURN: Final = "while as many leave"

_GONE_SECONDS: Final = 30.0


@dataclass
class Visits:
    """What the rounds of one server have given, in one mode."""

    rates: list[float] = field(default_factory=list)
    """Connections per second."""
    costs: list[float] = field(default_factory=list)
    """Processor seconds of the server per connection; while others leave, for both."""
    client_shares: list[float] = field(default_factory=list)
    drops: int = 0

    def summary(self) -> dict[str, Any]:
        """Medians and spreads."""
        return {
            "accepted_per_second": spread(self.rates),
            "server_cpu_us_per_connection": spread([cost * 1e6 for cost in self.costs]),
            "client_cpu_share": max(self.client_shares),
            "rounds_limited_by_client": sum(share > BUSY_CLIENT for share in self.client_shares),
            "listen_drops": self.drops,
            "rates": self.rates,
            "costs_us": [cost * 1e6 for cost in self.costs],
        }


class Door:
    """A server's process that is visited."""

    def __init__(self, name: str, port: int, pid: int) -> None:
        self.name = name
        self.visits = {ALONE: Visits(), CHURN: Visits()}
        self._port = port
        self._pid = pid
        self._at_rest = open_descriptors(pid)

    async def visit(
        self, mode: str, connections: int, folder: Path, core: int | None, *, counts: bool
    ) -> None:
        """Let that many connect, then leave, and wait until it has closed them all.

        Nobody comes twice: a token that was checked once might be cheaper the second time.
        """
        loaded = load_profile()
        tokens, others_tokens = folder / "tokens", folder / "others"
        for path in (tokens, others_tokens):
            write_tokens(path, connections, loaded, ward=1)
        drops = listen_drops()
        async with AsyncExitStack() as leaving:
            if mode == CHURN:
                others = await leaving.enter_async_context(
                    load_client(self._port, SUBSCRIBE, core=core, tokens=others_tokens)
                )
                await others.connect(connections)
            async with load_client(self._port, SUBSCRIBE, core=core, tokens=tokens) as client:
                before = processor_seconds(self._pid)
                connecting = asyncio.ensure_future(client.connect(connections))
                # The kernel closes what the ended client had.
                await leaving.aclose()
                accepted = await connecting
                cost = processor_seconds(self._pid) - before
        await self._gone()
        if counts:
            visits = self.visits[mode]
            visits.rates.append(connections / accepted["wall"])
            visits.costs.append(cost / connections)
            visits.client_shares.append(accepted["cpu_share"])
            visits.drops += listen_drops() - drops

    async def _gone(self) -> None:
        async with asyncio.timeout(_GONE_SECONDS):
            while open_descriptors(self._pid) > self._at_rest:
                await asyncio.sleep(0.01)


async def accept(connections: int, rounds: int) -> dict[str, Any]:
    """Open that many connections, close them, and again, ``rounds`` times after a warm-up.

    Raises ReceivedWrong when one is refused or lost, TimeoutError when a server keeps closed ones.
    """
    core = pin()
    machine = facts()
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        async with server_process(probed=False) as ours, naive_server() as bare:
            doors = [Door(OURS, ours.port, ours.pid), Door(BARE, bare.port, bare.pid)]
            for number in range(-1, rounds):
                say(f"accept: round {number + 1} of {rounds}")
                for mode in (ALONE, CHURN):
                    # Each goes first as often as the other.
                    for door in doors if number % 2 else reversed(doors):
                        await door.visit(mode, connections, folder, core, counts=number >= 0)
    return {
        "benchmark": "accept",
        "machine": machine,
        "connections": connections,
        "rounds": rounds,
        "modes": {mode: _contest(doors, mode) for mode in (ALONE, CHURN)},
    }


def _contest(doors: Sequence[Door], mode: str) -> dict[str, Any]:
    ours, bare = (door.visits[mode] for door in doors)
    return {
        "servers": {door.name: door.visits[mode].summary() for door in doors},
        "rate_ratio": spread([own / other for own, other in zip(ours.rates, bare.rates, strict=True)]),
        # As the rate's: more is better.
        "cpu_ratio": spread([other / own for own, other in zip(ours.costs, bare.costs, strict=True)]),
    }


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [f"{result['connections']:,} connections, {result['rounds']} rounds"]
    for mode, contest in result["modes"].items():
        lines.append(f"  {mode}")
        for name, one in contest["servers"].items():
            rate, cost = one["accepted_per_second"], one["server_cpu_us_per_connection"]
            lines.append(
                f"    {name:<34} {rate['median']:>7,.0f} per second "
                f"({rate['min']:,.0f} to {rate['max']:,.0f}), "
                f"{cost['median']:,.0f} µs of its processor each ({cost['min']:,.0f} to {cost['max']:,.0f}); "
                f"client {one['client_cpu_share']:.0%} busy, {one['listen_drops']} drops"
            )
        rate, cpu = contest["rate_ratio"], contest["cpu_ratio"]
        lines.append(
            f"    ours to it: {rate['median']:.2f} of the rate ({rate['min']:.2f} to {rate['max']:.2f}), "
            f"{cpu['median']:.2f} by processor time ({cpu['min']:.2f} to {cpu['max']:.2f})"
        )
    return "\n".join(lines) + "\n"


def figures(result: dict[str, Any]) -> list[Figure]:
    """For comparison with another run."""
    found = []
    for mode, contest in result["modes"].items():
        ours = contest["servers"][OURS]
        own, both = client_fault(ours), client_fault(*contest["servers"].values())
        where, rate = f"accept, {mode}", contest["rate_ratio"]
        aim = aim_at(AIM, result["connections"], AIM_AT) if mode == ALONE else {}
        to_bare = f"{where}: ours to aiohttp's bare upgrade"
        found += [
            figure(f"{where}: ours", "connections/s", ours["rates"], "more", invalid=own),
            figure(f"{where}: ours", "µs of processor", ours["costs_us"], "less"),
            spread_figure(to_bare, "of its rate", rate, "more", invalid=both, **aim),
        ]
    return found
