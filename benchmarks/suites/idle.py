"""Idle: what connections cost that do nothing but answer heartbeats, in percent of one core.

The server's whole processor time, user and system, while all connections are open, subscribed
and silent but for their pongs. Nothing is subtracted: the housekeeping, the token and
subscription clocks and the alarms run as they always do.
"""

import asyncio
import gc
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.clients.load_client import load_client
from benchmarks.machine import facts, pin
from benchmarks.progress import say
from benchmarks.reports.figure import Figure, aim_at, figure
from benchmarks.servers.real_server import HEARTBEATS, SUBSCRIBE, load_profile, real_server, write_tokens
from wsserver.loop.garbage import leave_the_living_alone

SETTLING = 2.0
"""Seconds between the last subscribe and the measurement."""

WINDOW = 5.0
"""Seconds of one reading: their spread shows what else the machine did."""

AIM, AIM_AT = 1.0, 10_000
"""Percent of a core that so many idle connections, or more, may cost."""


async def idle(connections: int, seconds: float) -> dict[str, Any]:
    """Hold that many connections for that long. Raises ReceivedWrong when one is lost meanwhile."""
    core = pin()
    loaded = load_profile(HEARTBEATS)
    machine = facts()
    with tempfile.TemporaryDirectory() as directory:
        tokens = Path(directory) / "tokens"
        write_tokens(tokens, connections, loaded, ward=1)
        async with (
            real_server(loaded) as server,
            load_client(server.port, SUBSCRIBE, core=core, tokens=tokens) as client,
        ):
            leave_the_living_alone()
            await client.connect(connections)
            await client.subscribe()
            say(f"{connections:,} connections; looking on for {seconds:g} s")
            # As a server that has been up for a while.
            gc.collect()
            await asyncio.sleep(SETTLING)
            health = server.manager.health_monitor
            before = health.get_health_metrics()
            shares, used, began = [], resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
            while (left := began + seconds - time.monotonic()) > 0.001:
                cpu, wall = time.process_time(), time.monotonic()
                await asyncio.sleep(min(WINDOW, left))
                shares.append((time.process_time() - cpu) / (time.monotonic() - wall))
            wall = time.monotonic() - began
            now = resource.getrusage(resource.RUSAGE_SELF)
            after = health.get_health_metrics()
            await client.check()
    pings, pongs = after["pings"] - before["pings"], after["pongs"] - before["pongs"]
    user, system = now.ru_utime - used.ru_utime, now.ru_stime - used.ru_stime
    return {
        "benchmark": "idle",
        "machine": machine,
        "connections": connections,
        "seconds": wall,
        "percent_of_a_core": 100 * (user + system) / wall,
        "user_percent": 100 * user / wall,
        "system_percent": 100 * system / wall,
        "readings": [100 * share for share in shares],
        "pings": pings,
        "pongs": pongs,
        "missed": after["missed"] - before["missed"],
        "avg_latency_ms": after["avg_latency"],
        "us_per_heartbeat": 1e6 * (user + system) / pings if pings else None,
    }


def figures(result: dict[str, Any]) -> list[Figure]:
    """For comparison with another run."""
    who = f"{result['connections']:,} idle connections"
    aim = aim_at(AIM, result["connections"], AIM_AT)
    found = [figure(f"{who}: server", "% of a core", result["readings"], "less", **aim)]
    if result["us_per_heartbeat"] is not None:
        each = [result["us_per_heartbeat"]]
        found.append(figure(f"{who}: a ping and its pong, all told", "µs of processor", each, "less"))
    return found


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    each = result["us_per_heartbeat"]
    cost = "" if each is None else f", {each:.1f} µs for each ping and its pong, all told"
    return (
        f"{result['connections']:,} idle connections with heartbeats every 30 s, {result['seconds']:.0f} s:\n"
        f"  {result['percent_of_a_core']:.2f} % of one core "
        f"({result['user_percent']:.2f} user, {result['system_percent']:.2f} system; "
        f"readings {min(result['readings']):.2f} to {max(result['readings']):.2f})\n"
        f"  {result['pings']:,} pings, {result['pongs']:,} pongs, {result['missed']:,} missed{cost}\n"
    )
