"""Accept rate: connections per second, from SYN to ``connected``, each with a token of its own to check."""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.clients.load_client import load_client
from benchmarks.machine import facts, pin
from benchmarks.servers.real_server import SUBSCRIBE, load_profile, real_server, write_tokens


async def accept(connections: int, rounds: int) -> dict[str, Any]:
    """Open that many connections, close them, and again, ``rounds`` times after a warm-up."""
    core = pin()
    loaded = load_profile()
    machine = facts()
    rates, costs, shares = [], [], []
    with tempfile.TemporaryDirectory() as directory:
        tokens = Path(directory) / "tokens"
        write_tokens(tokens, connections, loaded, ward=1)
        async with real_server(loaded) as server:
            for number in range(-1, rounds):
                async with load_client(server.port, SUBSCRIBE, core=core, tokens=tokens) as client:
                    before = time.process_time()
                    accepted = await client.connect(connections)
                    cost = time.process_time() - before
                while server.manager.hub.open_count:
                    await asyncio.sleep(0.01)
                if number >= 0:
                    rates.append(connections / accepted["wall"])
                    costs.append(cost / connections)
                    shares.append(accepted["cpu_share"])
    return {
        "benchmark": "accept",
        "machine": machine,
        "connections": connections,
        "rounds": rounds,
        "accepted_per_second": {"median": statistics.median(rates), "min": min(rates), "max": max(rates)},
        "server_cpu_us_per_connection": statistics.median(costs) * 1e6,
        "client_cpu_share": max(shares),
    }


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    rate = result["accepted_per_second"]
    return (
        f"{result['connections']:,} connections, {result['rounds']} rounds:\n"
        f"  {rate['median']:,.0f} accepted per second with token check "
        f"(min {rate['min']:,.0f}, max {rate['max']:,.0f}),\n"
        f"  {result['server_cpu_us_per_connection']:,.0f} µs of the server's processor each; "
        f"client {result['client_cpu_share']:.0%} busy\n"
    )
