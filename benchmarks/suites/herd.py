"""Herd: kill -9 under all clients, start again at once, and wait until all are back.

Nobody has told the clients anything, so each goes by its reconnect policy: 1 s doubled up to 30 s,
with one of three random parts. What is measured: how long until all are back, the longest time
that the new server's loop was held meanwhile, and what the kernel's queue of connections dropped
(the kernel tries those again, a second later at first).
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

INITIAL_MS = 1_000
CAP_MS = 30_000

POLICIES = {
    "half a second and full jitter": {"floor": 500},
    "full jitter": {},
    "a tenth of jitter": {"spread": 0.1},
}
"""As protocol.md asks for; the same without the least delay; and as many clients have it."""


async def herd(clients: int, rounds: int, policies: Iterable[str] = POLICIES) -> dict[str, Any]:
    """Let that many clients return to a server that was killed, ``rounds`` times under each policy."""
    core = pin()
    machine = facts()
    loaded = load_profile()
    with tempfile.TemporaryDirectory() as directory:
        tokens = Path(directory) / "tokens"
        write_tokens(tokens, clients, loaded, ward=1)
        stages = [
            {
                "policy": policy,
                "rounds": [await _round(policy, clients, n, core, tokens) for n in range(rounds)],
            }
            for policy in policies
        ]
    return {"benchmark": "herd", "machine": machine, "clients": clients, "stages": stages}


async def _round(policy: str, clients: int, number: int, core: int | None, tokens: Path) -> dict[str, Any]:
    say(f"killed under {clients:,} clients that wait by {policy}, round {number + 1}")
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(server_process())
        client = await stack.enter_async_context(
            returning_client(
                first.port, tokens, core=core, events=tokens.with_name(f"events {policy} {number}"),
                initial=INITIAL_MS, cap=CAP_MS, seed=number + 1, **POLICIES[policy],
            )
        )  # fmt: skip
        await client.connect(clients)
        await client.expect_return()
        drops = listen_drops()
        began = time.monotonic()
        first.send(signal.SIGKILL)
        await first.ended(10)
        second = await stack.enter_async_context(server_process(first.port))
        report = await client.returned(120)
        return {
            "successor_started_after_s": round(second.started_after, 2),
            "all_back_after_s": round(report["at"] - began, 2),
            **client.record(began).as_dict(),
            "listen_drops": listen_drops() - drops,
            "client_strange": report["strange"],
            "client_cpu_share": client.busiest,
            "successor": await second.figures(),
        }


def figures(result: dict[str, Any]) -> list[Figure]:
    """For comparison with another run."""
    found = []
    for stage in result["stages"]:
        who, rounds = f"{result['clients']:,} clients, {stage['policy']}", stage["rounds"]
        stalls = [one["successor"]["worst_stall_ms"] for one in rounds]
        after = [one["all_back_after_s"] for one in rounds]
        rates = [one["sustained_per_second"] for one in rounds]
        invalid = client_fault(*rounds)
        found += [
            figure(f"{who}: all back after", "s", after, "less", invalid=invalid),
            figure(f"{who}: came back", "clients/s", rates, "more", invalid=invalid),
            figure(f"{who}: worst stall of the new server's loop", "ms", stalls, "less"),
        ]
    return found


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    return f"{result['clients']:,} clients of a server that was killed\n" + "".join(
        f"  {stage['policy']}\n" + "".join(map(_row, stage["rounds"])) for stage in result["stages"]
    )


def _row(one: dict[str, Any]) -> str:
    return (
        f"    all back after {one['all_back_after_s']:.1f} s "
        f"(the new server took {one['successor_started_after_s']:.1f} s to start), "
        f"half were away for {one['median_away_s']:.1f} s; "
        f"{one['sustained_per_second']:,.0f} came back each second, "
        f"at most {one['peak_per_second']:,} tried in one\n"
        f"      worst stall of the loop {one['successor']['worst_stall_ms']:.0f} ms "
        f"(at most {one['successor']['most_work_at_a_time_ms']:.0f} ms of own work at a time), "
        f"{one['successor']['stalls_over_100_ms']} over 100 ms; "
        f"{one['listen_drops']:,} connections dropped by the kernel's queue; "
        f"the clients at most {one.get('client_cpu_share', math.nan):.0%} busy in a second\n"
    )
