"""Drain: clients are sent away by TERM and come back, to a successor in place or to another instance.

What is measured: whether whoever takes the clients sees the configured rate (handshakes in any
second and in any 100 ms), how long the process takes to end, and how long clients are away.
They obey ``reconnect_after_ms``, each changed by up to a tenth at random, as a client library
would do. In place the successor is started when the first process has ended.
"""

import math
import signal
import tempfile
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from benchmarks.clients.returning_client import returning_client
from benchmarks.contest.series import client_fault
from benchmarks.machine import facts, listen_drops, pin
from benchmarks.progress import say
from benchmarks.reports.figure import Figure, figure
from benchmarks.servers.real_server import load_profile, write_tokens
from benchmarks.servers.server_process import server_process

ADVICE_JITTER = 0.1
VARIANTS = ("in place", "elsewhere")


async def drain(clients: int, rate: float, variants: Iterable[str] = VARIANTS) -> dict[str, Any]:
    """Drain that many clients, returning at that rate, in each variant."""
    core = pin()
    machine = facts()
    loaded = load_profile()
    with tempfile.TemporaryDirectory() as directory:
        tokens = Path(directory) / "tokens"
        write_tokens(tokens, clients, loaded, ward=1)
        stages = [await _stage(variant, clients, rate, core, tokens) for variant in variants]
    return {"benchmark": "drain", "machine": machine, "clients": clients, "rate": rate, "stages": stages}


async def _stage(variant: str, clients: int, rate: float, core: int | None, tokens: Path) -> dict[str, Any]:
    say(f"{clients:,} clients sent away, {variant}")
    variables = {"WSSERVER_SHUTDOWN__RETURN_RATE": f"{rate:g}"}
    if variant == "elsewhere":
        variables["WSSERVER_SHUTDOWN__RESTART_TIME"] = "none"
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(server_process(**variables))
        events = tokens.with_name(f"events {variant}")
        client = await stack.enter_async_context(
            returning_client(first.port, tokens, core=core, events=events, advice_jitter=ADVICE_JITTER)
        )
        await client.connect(clients)
        other = None
        if variant == "elsewhere":
            other = await stack.enter_async_context(server_process(**variables))
            await client.go_to(other.port)
        await first.figures()
        await client.expect_return()
        drops = listen_drops()
        began = time.monotonic()
        first.send(signal.SIGTERM)
        status, figures = await first.ended(60)
        took = time.monotonic() - began
        if other is None:
            other = await stack.enter_async_context(server_process(first.port, **variables))
        report = await client.returned(60 + clients / rate)
        return {
            "variant": variant,
            "exit_status": status,
            "exit_s": round(took, 2),
            "drained": figures,
            "successor_started_after_s": round(other.started_after, 2),
            **client.record(began).as_dict(),
            "all_back_after_s": round(report["at"] - began, 2),
            "listen_drops": listen_drops() - drops,
            "client_strange": report["strange"],
            "client_cpu_share": client.busiest,
            "successor": await other.figures(),
        }


def figures(result: dict[str, Any]) -> list[Figure]:
    """For comparison with another run; of one drain each."""
    found = []
    for one in result["stages"]:
        who = f"{result['clients']:,} clients at {result['rate']:g} a second, {one['variant']}"
        peak = one["peak_per_second"] / result["rate"]
        stall = max(one["drained"]["worst_stall_ms"], one["successor"]["worst_stall_ms"])
        invalid = client_fault(one)
        found += [
            figure(f"{who}: most handshakes in a second", "times the rate", [peak], "less", invalid=invalid),
            figure(f"{who}: all back after", "s", [one["all_back_after_s"]], "less", invalid=invalid),
            figure(f"{who}: longest away", "s", [one["longest_away_s"]], "less", invalid=invalid),
            figure(f"{who}: the process ends after", "s", [one["exit_s"]], "less"),
            figure(f"{who}: worst stall of a loop", "ms", [stall], "less", is_tail=True),
        ]
    return found


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    rate = result["rate"]
    head = f"{result['clients']:,} clients, to return at {rate:,.0f} a second\n"
    return head + "".join(
        f"  {one['variant']}: exit {one['exit_status']} after {one['exit_s']:.1f} s, "
        f"all back after {one['all_back_after_s']:.1f} s\n"
        f"    handshakes: at most {one['peak_per_second']:,} in a second "
        f"({one['peak_per_second'] / rate:.2f} of the rate), "
        f"{one['peak_per_100_ms']:,} in 100 ms ({one['peak_per_100_ms'] * 10 / rate:.2f})\n"
        f"    away: half of them for {one['median_away_s']:.1f} s, at most {one['longest_away_s']:.1f} s; "
        f"{one['clients_refused']:,} clients refused, for {one['longest_refused_s']:.1f} s at most\n"
        f"    while it drains: worst stall of the loop {one['drained']['worst_stall_ms']:.0f} ms "
        f"(at most {one['drained']['most_work_at_a_time_ms']:.0f} ms of own work at a time)\n"
        f"    successor: worst stall of the loop {one['successor']['worst_stall_ms']:.0f} ms "
        f"(at most {one['successor']['most_work_at_a_time_ms']:.0f} ms of own work at a time); "
        f"{one['listen_drops']} connections dropped by the kernel's queue; "
        f"the clients at most {one.get('client_cpu_share', math.nan):.0%} busy in a second\n"
        for one in result["stages"]
    )
