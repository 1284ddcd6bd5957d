"""Replay: a thousand clients come back at once, each of which has missed a thousand messages.

Others watch a type of their own, on which messages go out at an even pace; latencies count from the
moment at which a message was due to the one at which their kernel had it, for they share their
processor with those who come back and read a million messages there. What is measured is how long the
replay takes, and what it does to them: first for a while with nothing else to do, then while the
others catch up.
"""

import asyncio
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.clients.load_client import LoadClient, load_client
from benchmarks.contest.pace import Pace
from benchmarks.contest.series import client_fault
from benchmarks.machine import facts, pin, processor_seconds
from benchmarks.progress import say
from benchmarks.reports.figure import Figure, aim_at, figure
from benchmarks.servers.real_server import (
    SUBSCRIBE,
    WARD,
    RealServer,
    load_profile,
    real_server,
    write_tokens,
)

WATCHERS: Final = 100
PER_SECOND: Final = 50.0
QUIET: Final = 4.0
"""Seconds of the measurement before."""

AIM, AIM_AT = 2.0, 1_000
"""Times what it is in peace, which the p99 of live messages may be while so many, or more, catch up."""

BODY: Final = {"type": "vitals", "heart_rate": 61, "spo2": 97, "note": "x" * 100}


class Crowd:
    """``benchmarks.clients.absent_crowd`` as a child process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    async def ask(self, words: str) -> dict[str, Any]:
        """Have it do something; back with its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{words}\n".encode())
        async with asyncio.timeout(120):
            return dict(json.loads(await self._process.stdout.readline()))


@asynccontextmanager
async def _crowd(
    port: int, tokens: Path, count: int, topic: str, *, core: int | None
) -> AsyncIterator[Crowd]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.clients.absent_crowd", str(port), str(tokens), str(count), topic,
        cwd=Path(__file__).parents[2], stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        if core is not None:
            # Else it would take the server's own processor from it, which a child inherits.
            os.sched_setaffinity(process.pid, {core})
        yield Crowd(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def replay(clients: int, messages: int, quiet_seconds: float = QUIET) -> dict[str, Any]:
    """Run it with so many clients, each of which misses so many messages; before that so long in peace."""
    core = pin()
    loaded = load_profile({"history.size": messages, "history.bytes": "64MiB"})
    machine = facts()
    with tempfile.TemporaryDirectory() as directory:
        watching, absent = Path(directory) / "watching", Path(directory) / "absent"
        write_tokens(watching, WATCHERS, loaded, ward=WARD)
        write_tokens(absent, clients, loaded, ward=WARD)
        async with (
            real_server(loaded) as server,
            load_client(server.port, SUBSCRIBE, core=core, tokens=watching, kernel_time=True) as watchers,
            _crowd(server.port, absent, clients, "type:ward", core=core) as crowd,
        ):
            await watchers.connect(WATCHERS)
            await watchers.subscribe()
            await crowd.ask("enter")
            await crowd.ask("leave")
            while len(server.manager.connections) > WATCHERS:
                await asyncio.sleep(0.01)
            for _ in range(messages):
                server.manager.broadcast_to_type("ward", BODY)
            say(f"nobody comes back, for {quiet_seconds:g} s")
            quiet, number = await _watch(server, watchers, asyncio.sleep(quiet_seconds), 0)
            say(f"{clients:,} come back to {messages:,} messages each")
            began = time.process_time()
            returned = asyncio.ensure_future(_return(crowd, watchers, messages))
            meanwhile, _ = await _watch(server, watchers, returned, number)
            processor = time.process_time() - began
            figures = server.manager.sessions.get_metrics()
    result = returned.result()
    return {
        "benchmark": "replay",
        "machine": machine,
        "clients": clients,
        "messages": messages,
        "watchers": WATCHERS,
        "quiet": quiet,
        "meanwhile": meanwhile,
        "p99_ratio": meanwhile["p99_us"] / quiet["p99_us"],
        "processor_seconds": processor,
        "per_second": result["received"] / result["complete_after"],
        "sessions": figures,
        **result,
    }


async def _return(crowd: Crowd, watchers: LoadClient, messages: int) -> dict[str, Any]:
    """Have them come back; their answer, with what all clients have used of their processor meanwhile."""
    pids = (crowd.pid, watchers.pid)
    used, began = sum(map(processor_seconds, pids)), time.monotonic()
    answer = await crowd.ask(f"return {messages}")
    share = (sum(map(processor_seconds, pids)) - used) / (time.monotonic() - began)
    return {**answer, "client_cpu_share": share}


async def _watch(
    server: RealServer, watchers: LoadClient, until: Any, number: int
) -> tuple[dict[str, Any], int]:
    """Publish to the watchers until something is over; their latencies, and the next number."""
    await watchers.clear()
    pace = Pace(server, PER_SECOND)
    over = asyncio.ensure_future(until)
    while not over.done():
        number = await pace.run(0.2, number)
    await asyncio.sleep(0.5)
    return await watchers.losses(), number


def figures(result: dict[str, Any]) -> list[Figure]:
    """For comparison with another run; of one return each."""
    who = f"{result['clients']:,} clients back to {result['messages']:,} messages each"
    aim = aim_at(AIM, result["clients"], AIM_AT)
    # What is live ends with the kernel's time: how busy its readers are does not matter to it.
    invalid, p99 = client_fault(result), f"{who}: p99 of live messages"
    return [
        figure(f"{who}: replayed", "messages/s", [result["per_second"]], "more", invalid=invalid),
        figure(f"{who}: all complete after", "s", [result["complete_after"]], "less", invalid=invalid),
        figure(p99, "ms", [result["meanwhile"]["p99_us"] / 1e3], "less", is_tail=True),
        figure(p99, "times p99 before", [result["p99_ratio"]], "less", is_tail=True, **aim),
        figure(f"{who}: not received", "messages", [result["promised"] - result["received"]], "less", aim=0),
    ]


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [
        f"{result['clients']:,} clients come back, each of which missed {result['messages']:,} messages: "
        f"{result['resumed']:,} resumed, {result['gaps']:,} gaps",
        f"  all connected after {result['connected_after']:.2f} s, all complete after "
        f"{result['complete_after']:.2f} s: {result['per_second']:,.0f} messages a second, "
        f"{result['processor_seconds']:.2f} s of a processor",
        f"  received {result['received']:,}, promised {result['promised']:,}; "
        f"the clients were {result.get('client_cpu_share', math.nan):.0%} busy",
        f"  {'latency of live messages, ms':34}{'p50':>9}{'p99':>9}{'max':>9}",
    ]
    for name, one in (("before", result["quiet"]), ("meanwhile", result["meanwhile"])):
        lines.append(
            f"  {name:34}{one['p50_us'] / 1e3:9.1f}{one['p99_us'] / 1e3:9.1f}{one['max_us'] / 1e3:9.1f}"
        )
    lines += [f"  p99 ratio {result['p99_ratio']:.2f}", ""]
    return "\n".join(lines)
