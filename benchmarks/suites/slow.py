"""Slow consumers: what a tenth of the clients, which stop reading, cost the others and the server.

Messages go out at an even pace, half of what the server was just measured to send, whatever
became of the one before: latencies count from the moment at which a message was due. First
everybody reads, for half as long as a tenth stops then, which reads again at the end. All is data
of one stream, but for one message a second, which is an alert or critical by turns.
"""

import asyncio
import gc
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.clients.load_client import LoadClient, load_client
from benchmarks.contest.pace import PAYLOAD, Pace
from benchmarks.contest.series import client_fault
from benchmarks.machine import facts, kernel_socket_bytes, pin, resident_bytes
from benchmarks.progress import say
from benchmarks.reports.chart import Chart, Line
from benchmarks.reports.figure import Figure, figure
from benchmarks.servers.real_server import (
    HEARTBEATS,
    SUBSCRIBE,
    SUBSCRIPTION_TYPE,
    WARD,
    RealServer,
    load_profile,
    real_server,
    write_tokens,
)
from wsserver.protocol.report import DeliveryReport

SHARE_OF_CAPACITY = 0.5
STALLED_SHARE = 0.1

CAPACITY_SECONDS = 1.5
"""How long it is measured what the server can send."""

MEMORY_ALLOWANCE = 1 << 20
"""Bytes by which the process may grow for each connection that does not read."""


async def slow(connections: int, seconds: float) -> dict[str, Any]:
    """Run it with that many connections, stalling a tenth of them for that many seconds."""
    core = pin()
    loaded = load_profile(HEARTBEATS)
    machine = facts()
    stalled = max(1, int(connections * STALLED_SHARE))
    with tempfile.TemporaryDirectory() as directory:
        tokens = Path(directory) / "tokens"
        write_tokens(tokens, connections, loaded, ward=WARD)
        async with (
            real_server(loaded) as server,
            load_client(server.port, SUBSCRIBE, core=core, tokens=tokens) as client,
        ):
            await client.connect(connections)
            await client.subscribe()
            say("how much the server can send")
            capacity, number = await _capacity(server, client)
            per_second = capacity * SHARE_OF_CAPACITY
            gc.collect()
            say(f"everybody reads, for {seconds / 2:g} s")
            everybody, number, first = await _run(server, client, per_second, seconds / 2, number)
            baseline = resident_bytes()
            say(f"{stalled:,} do not read, for {seconds:g} s")
            await client.stall(stalled)
            without, number, pace = await _run(server, client, per_second, seconds, number)
            figures = server.manager.backpressure.get_metrics()
            sockets = kernel_socket_bytes()
            await client.wake()
            awake = await _settle(server, client, number)
    return {
        "benchmark": "slow",
        "machine": machine,
        "connections": connections,
        "stalled": stalled,
        "seconds": seconds,
        "capacity": capacity * connections,
        "messages_per_second": per_second,
        "everybody_reads": everybody,
        "a_tenth_stalled": without,
        "p99_ratio": without["p99_us"] / everybody["p99_us"],
        "memory_growth": pace.peak_memory - baseline,
        "memory_growth_per_stalled": (pace.peak_memory - baseline) / stalled,
        "memory_allowance": MEMORY_ALLOWANCE,
        "kernel_socket_bytes": sockets,
        "alerts": first.alerts + pace.alerts,
        "while_stalled": figures,
        "after": awake,
        "outcomes": _outcomes(pace.reports),
    }


async def _capacity(server: RealServer, client: LoadClient) -> tuple[float, int]:
    """Messages per second when each is sent only after the one before has left every queue."""
    manager = server.manager
    number, began = 0, time.monotonic()
    while time.monotonic() - began < CAPACITY_SECONDS or number < 3:
        manager.broadcast_to_type(SUBSCRIPTION_TYPE, {"type": "ecg_data", "n": number, "text": "x" * PAYLOAD})
        number += 1
        while manager.hub.frames_queued:
            await asyncio.sleep(0)
    rate = number / (time.monotonic() - began)
    await client.expect(number)
    await client.done()
    return rate, number


async def _run(
    server: RealServer, client: LoadClient, per_second: float, seconds: float, number: int
) -> tuple[dict[str, Any], int, Pace]:
    await client.clear()
    pace = Pace(server, per_second)
    number = await pace.run(seconds, number)
    # Before it waits for the last ones: the share is that of the time in which messages were sent.
    report = await client.report()
    await asyncio.sleep(1)
    figures = await client.losses()
    figures |= {"client_cpu_share": report["cpu_share"], "worst_publish_delay_ms": pace.worst_delay * 1e3}
    return figures, number, pace


async def _settle(server: RealServer, client: LoadClient, number: int) -> dict[str, Any]:
    """Wait until everybody reads again and nothing waits; then what each was told of."""
    async with asyncio.timeout(60):
        while server.manager.hub.frames_queued or server.manager.hub.slow_count:
            await asyncio.sleep(0.05)
    server.manager.broadcast_to_type(
        SUBSCRIPTION_TYPE, {"type": "ecg_data", "n": number, "severity": "critical"}
    )
    await client.expect(number + 1)
    await client.done_with_losses()
    return await client.losses()


def _outcomes(reports: list[DeliveryReport]) -> dict[str, Any]:
    """The sums over all messages published while a tenth was stalled, and whether they add up."""
    totals: dict[str, int] = dict.fromkeys(("matched", "delivered", "refused", "written", "queued"), 0)
    dropped: dict[str, int] = {}
    for report in reports:
        outcome = report.outcome()
        totals["matched"] += report.matched
        totals["delivered"] += report.delivered
        totals["refused"] += sum(report.refused.values())
        totals["written"] += outcome["written"]
        totals["queued"] += outcome["queued"]
        for reason, count in outcome["dropped"].items():
            dropped[reason] = dropped.get(reason, 0) + count
    adds_up = totals["matched"] == totals["delivered"] + totals["refused"] and totals["delivered"] == totals[
        "written"
    ] + totals["queued"] + sum(dropped.values())
    return {**totals, "dropped": dropped, "adds_up": adds_up}


def figures(result: dict[str, Any]) -> list[Figure]:
    """For comparison with another run; most are of one measurement and have no spread."""
    before, during, end = result["everybody_reads"], result["a_tenth_stalled"], result["after"]
    who = f"{result['connections']:,} connections, a tenth stalled for {result['seconds']:g} s"
    invalid = client_fault(before, during)
    unequal = 0 if result["outcomes"]["adds_up"] else 1
    p99, late, ratio = f"{who}: p99 of the others", [during["p99_us"] / 1e3], [result["p99_ratio"]]
    return [
        figure(p99, "ms", late, "less", invalid=invalid, is_tail=True),
        figure(p99, "times p99 before", ratio, "less", invalid=invalid, is_tail=True),
        figure(f"{who}: missed by the others", "messages", [during["missing_elsewhere"]], "less", aim=0),
        figure(
            f"{who}: memory for each stalled one",
            "bytes",
            [result["memory_growth_per_stalled"]],
            "less",
            aim=result["memory_allowance"],
        ),
        figure(
            f"{who}: told another loss than there was", "clients", [end["untold_connections"]], "less", aim=0
        ),
        figure(
            f"{who}: alerts not received",
            "messages",
            [result["alerts"] - end["fewest_alerts"]],
            "less",
            aim=0,
        ),
        figure(f"{who}: accounts that do not add up", "accounts", [unequal], "less", aim=0),
    ]


def charts(result: dict[str, Any]) -> list[Chart]:
    """Latencies before and while a tenth is stalled."""
    keys = {"p50": "p50_us", "p99": "p99_us", "p99.9": "p999_us", "max": "max_us"}
    lines = [
        Line(name, [result[stage][key] / 1e3 for key in keys.values()])
        for name, stage in (
            ("everybody reads", "everybody_reads"),
            ("a tenth stalled, the others", "a_tenth_stalled"),
        )
    ]
    title = f"Latency at half of the capacity, {result['connections']:,} connections"
    return [Chart("slow-latency", title, "share of the messages", "ms", list(keys), lines)]


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    before, after = result["everybody_reads"], result["a_tenth_stalled"]
    end, outcomes = result["after"], result["outcomes"]
    lines = [
        f"{result['connections']:,} connections, {result['messages_per_second']:.1f} messages of 2 kB a "
        f"second, half of {result['capacity']:,.0f} deliveries/s, for {result['seconds']:.0f} s",
        f"  {'latency, ms':34}{'p50':>9}{'p99':>9}{'p99.9':>9}{'max':>9}",
    ]
    for name, one in (("everybody reads", before), (f"{result['stalled']:,} stalled, the others", after)):
        lines.append(
            f"  {name:34}{one['p50_us'] / 1e3:9.1f}{one['p99_us'] / 1e3:9.1f}{one['p999_us'] / 1e3:9.1f}"
            f"{one['max_us'] / 1e3:9.1f}"
        )
    dropped = sum(outcomes["dropped"].values())
    lines += [
        f"  p99 ratio {result['p99_ratio']:.2f}; the others missed {after['missing_elsewhere']}; "
        f"connections lost {after['lost']}",
        f"  memory grew by {result['memory_growth'] / 1e6:.1f} MB, "
        f"{result['memory_growth_per_stalled'] / 1024:.0f} KiB for each stalled one; "
        f"{result['while_stalled']['slow_connections']:,} counted as slow",
        f"  when all read again: {end['missing']:,} not delivered, {end['told']:,} told of in gaps, "
        f"{end['untold_connections']} connections where the two differ",
        f"  alerts and critical messages: {result['alerts']} published, "
        f"{end['fewest_alerts']} to {end['most_alerts']} received by each",
        f"  accounts: {outcomes['matched']:,} matched = {outcomes['delivered']:,} delivered"
        f" + {outcomes['refused']:,} refused",
        f"    delivered = {outcomes['written']:,} written + {outcomes['queued']:,} queued + {dropped:,} "
        f"dropped: {'adds up' if outcomes['adds_up'] else 'DOES NOT ADD UP'}",
        "",
    ]
    return "\n".join(lines)
