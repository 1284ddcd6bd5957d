"""The realistic ward: monitors, viewers of all sorts, some slow, some coming and going; where it breaks.

Each patient has a monitor: ECG at 250 Hz in chunks of 50 samples, vitals each second, alerts now and then.
The load grows with the monitors, and what each viewer watches stays: at a load of 0.1 a tenth of the patients
has one, at 2 each has two. Messages are published when they are due, whatever became of the ones before,
and latencies count from then.
"""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.clients.ward_client import WardClient, ward_client
from benchmarks.contest.series import client_fault
from benchmarks.machine import facts, pin
from benchmarks.progress import say
from benchmarks.reports.chart import Chart, Line
from benchmarks.reports.figure import Figure, aim_at, figure
from benchmarks.servers.real_server import load_profile
from benchmarks.ward.break_point import LADDER, LIMIT_MS, Step, first_broken, highest_held, next_load, verdict
from benchmarks.ward.monitors import PER_SECOND
from benchmarks.ward.plan import write_plan
from benchmarks.ward.population import Population, populate
from benchmarks.ward.publisher import own_cost
from benchmarks.ward.ward_server import WardServer, ward_server

CHURN_SHARE: Final = 0.01
"""Viewers that leave, and others that come, per second."""
WARM_UP: Final = 0.2
"""Part of what is measured that goes before it."""
HEAD_START: Final = 0.3
"""Seconds from the command to the first message, so that both sides are ready."""
SETTLING: Final = 3.0
"""Seconds of little load at the end, in which those who were slow are told what they have lost."""
PATIENCE: Final = 30.0
"""Seconds to wait behind each load for what is still on its way."""
TOLD_WITHIN: Final = 0.5
"""Seconds for the last gaps."""
ENOUGH, ENOUGH_AT = 1.0, 5_000
"""The load that must hold, the whole ward, with so many viewers or more."""
FEWEST: Final = 100
"""Latencies below which a p99 is the slowest one."""


async def ward(
    viewers: int, patients: int, seconds: float, ladder: Sequence[float] = LADDER, bisections: int = 2
) -> dict[str, Any]:
    """Run it with that many viewers, holding each load for that many seconds."""
    core = pin()
    loaded = load_profile()
    machine = facts()
    monitors = round(patients * max(ladder))
    population = populate(patients, viewers)
    publisher_us = own_cost(patients) * 1e6
    steps: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as directory:
        plan = Path(directory) / "plan"
        write_plan(plan, population, monitors, loaded)
        async with (
            ward_server(patients, monitors) as server,
            ward_client(server.port, plan, core=core) as client,
        ):
            say(f"{viewers:,} viewers come to {patients:,} patients")
            await client.open(population.present)
            run = _Run(server, client, patients, seconds, viewers * CHURN_SHARE)
            while (load := next_load([_decisive(step) for step in steps], ladder, bisections)) is not None:
                say(f"load {load:g} for {seconds:g} s")
                steps.append(await run.step(load))
            say("slow viewers read again")
            end = await run.end(min(ladder))
    return {
        "benchmark": "ward",
        "machine": machine,
        "viewers": viewers,
        "patients": patients,
        "seconds": seconds,
        "population": _census(population),
        "churn_per_second": viewers * CHURN_SHARE,
        "publisher_us_per_message": publisher_us,
        "steps": steps,
        "end": end,
        "verdict": verdict([_decisive(step) for step in steps]),
    }


class _Run:
    """One ward at several loads."""

    def __init__(
        self, server: WardServer, client: WardClient, patients: int, seconds: float, churn: float
    ) -> None:
        self._server, self._client = server, client
        self._patients, self._seconds, self._churn = patients, seconds, churn
        self._untold = self._left_owed = 0

    async def step(self, load: float) -> dict[str, Any]:
        """Serve that load; what both sides saw."""
        return await self._go(load, self._seconds, self._churn)

    async def end(self, load: float) -> dict[str, Any]:
        """Let everybody read again, and hold what came against what was published."""
        await self._client.settle()
        await self._go(load, min(SETTLING, self._seconds), 0)
        # Gaps come behind the messages.
        await asyncio.sleep(TOLD_WITHIN)
        final = await self._client.final(await self._server.numbers())
        return {
            "viewers": final["ready"],
            # Of those who are there at the end, and of those whom the server has ended as slow.
            "untold": final["untold"],
            "untold_closed": self._untold,
            "left_owed": self._left_owed,
            "missing": final["all_missing"],
            "told": final["all_told"],
        }

    async def _caught_up(self, numbers: Sequence[int]) -> bool:
        """Wait until nothing more is to come; False when something never does. What a kernel holds for
        somebody who has not read for long may take seconds: its timer for that doubles each time."""
        until = time.monotonic() + PATIENCE
        while await self._client.behind(numbers):
            if time.monotonic() > until:
                return False
            await asyncio.sleep(0.1)
        return True

    async def _go(self, load: float, seconds: float, churn: float) -> dict[str, Any]:
        warm_up = seconds * WARM_UP
        start = time.monotonic_ns() + int(HEAD_START * 1e9)
        since = start + int(warm_up * 1e9)
        await self._client.step(since, since + int(seconds * 1e9), churn)
        monitors = max(1, round(self._patients * load))
        server = await self._server.step(monitors, start, warm_up, seconds)
        # What was lost behind the last message would be seen at the next load only, and held against that.
        numbers = await self._server.numbers()
        whole = await self._caught_up(numbers)
        client = await (self._client.report() if whole else self._client.final(numbers))
        self._untold += client["untold_ended"]
        self._left_owed += client["left_owed"]
        return {
            "load": load,
            "monitors": monitors,
            "client_cpu_share": client["cpu_share"],
            "server": server,
            "client": client,
        }


def _census(population: Population) -> dict[str, Any]:
    sizes = sorted(len(one.patients) for one in population.viewers if one.view == "list")
    return {
        "present": population.present,
        "binary": population.count(binary=True),
        "slow": sum(one.slow != "" for one in population.viewers),
        "coming_and_going": population.count(place="coming and going"),
        "unit_stations": population.count(view="unit"),
        "house_stations": population.count(view="house"),
        "median_list": sizes[len(sizes) // 2],
        "mean_list": sum(sizes) / len(sizes),
        "longest_list": sizes[-1],
    }


def _decisive(step: dict[str, Any]) -> Step:
    """What of it decides."""
    server, client = step["server"], step["client"]
    return Step(
        step["load"],
        client["all"]["p99_us"] / 1e3,
        alert_p99_ms=client["alert"]["p99_us"] / 1e3,
        lost=client["missing"],
        closed=sum(one["prompt"] for one in client["closes"].values()),
        refused=server["all_refused"],
        unpublished=server["unpublished"],
        faults=client["duplicates"] + client["disorder"] + client["foreign"],
        churn_asked=client["asked"],
        churn_done=client["done"],
        overloaded=bool(server["overload"]) or "overload" in server["first"],
        server_share=server["cpu_share"],
        waited_share=server["waited_share"],
        loop_lag_ms=server["loop_lag_ms"],
        collection_ms=server["collections"]["longest_ms"],
        client_share=client["cpu_share"],
        first=server["first"],
    )


def _sorted(result: dict[str, Any]) -> list[dict[str, Any]]:
    return sorted(result["steps"], key=lambda step: float(step["load"]))


def _best(result: dict[str, Any]) -> dict[str, Any] | None:
    held = highest_held([_decisive(step) for step in result["steps"]])
    return next((step for step in result["steps"] if held is not None and step["load"] == held.load), None)


def _deliveries(step: dict[str, Any]) -> float:
    """Per second, to all; of those who read slowly what they have read meanwhile."""
    client = step["client"]
    return float(client["deliveries"] + client["slow_deliveries"]) / float(step["server"]["seconds"])


def _per_second(step: dict[str, Any], name: str) -> float:
    return float(step["server"][name]) / float(step["server"]["seconds"])


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    people, end = result["population"], result["end"]
    share = result["publisher_us_per_message"] * result["patients"] * PER_SECOND / 1e6
    lines = [
        f"{result['viewers']:,} viewers of {result['patients']:,} patients (lists of "
        f"{people['median_list']} in the middle, {people['mean_list']:.1f} on the average, "
        f"up to {people['longest_list']}; "
        f"{people['unit_stations']} unit and {people['house_stations']} house stations)",
        f"  {people['binary']:,} in binary, {people['slow']:,} read slowly, "
        f"{result['churn_per_second']:g} leave and come per second; each load for {result['seconds']:g} s",
        "",
        f"  {'load':>6}{'messages/s':>12}{'deliveries/s':>14}{'filtered/s':>12}{'server':>8}{'client':>8}"
        f"{'lag':>8}   {'all, ms from due: p50':>21}{'p99':>9}{'p99.9':>9}{'max':>9}{'alerts':>9}"
        f"{'last p50':>9}{'last p99':>9}{'lost':>8}  holds",
    ]
    lines += map(_row, _sorted(result))
    lines += ["", f"  {result['verdict']}"]
    best, broken = _best(result), first_broken([_decisive(step) for step in result["steps"]])
    if broken is not None:
        step = _at(result, broken.load)
        lines.append(
            f"  Alerts there: p99 {step['client']['alert']['p99_us'] / 1e3:.1f} ms, "
            f"{step['client']['alerts_missing']:,} lost by viewers who read"
        )
    clients = [step["client"] for step in result["steps"]]
    exchanged, asked = (sum(step[name] for step in clients) for name in ("done", "asked"))
    arrival = "" if best is None else f"{best['client']['arrival']['p99_us'] / 1e3:.1f} ms (p99)"
    collections = [step["server"]["collections"] for step in result["steps"]]
    last = result["steps"][-1]["server"]["backpressure"]
    conflated, dropped, closed = (last[name] for name in ("conflated", "dropped_slow", "closed_slow"))
    lines += [
        f"  Exchanged: {exchanged:,} of {asked:,} asked"
        + (f", up to the last subscription in {arrival}" if arrival else ""),
        f"  Slow viewers: {conflated + dropped:,} messages made way for newer ones or were dropped, "
        f"{closed:,} viewers closed (4005)",
        f"  Accounts of the {end['viewers']:,} viewers at the end: {end['missing']:,} messages lost, "
        f"{end['told']:,} told of in gaps; {end['untold']} viewers where the two differ",
        f"  Of those closed (4005) {end['untold_closed']} lacked something untold; {end['left_owed']} left, "
        "or were cut off, before they could be told",
        f"  Garbage collection: {sum(one['full'] for one in collections)} full ones, the longest held the "
        f"loop for {max(one['longest_ms'] for one in collections):.0f} ms",
        f"  The backend's own part: {result['publisher_us_per_message']:.1f} µs a message, "
        f"{share:.1%} of the processor at a load of 1",
        "",
    ]
    return "\n".join(lines)


def _row(step: dict[str, Any]) -> str:
    server, client, decisive = step["server"], step["client"], _decisive(step)
    latencies = [client["all"][name] for name in ("p50_us", "p99_us", "p999_us", "max_us")]
    latencies += [client["alert"]["p99_us"], client["last"]["p50_us"], client["last"]["p99_us"]]
    said = "yes" if decisive.holds else "no" if decisive.is_valid else "INVALID: the client was busy"
    return (
        f"  {step['load']:6g}{_per_second(step, 'published'):12,.0f}{_deliveries(step):14,.0f}"
        f"{_per_second(step, 'filtered'):12,.0f}{server['cpu_share']:8.0%}{client['cpu_share']:8.0%}"
        f"{server['loop_lag_ms']:8,.0f}   {latencies[0] / 1e3:21.1f}"
        + "".join(f"{one / 1e3:9.1f}" for one in latencies[1:])
        + f"{client['missing']:8,}  {said}"
    )


def figures(result: dict[str, Any]) -> list[Figure]:
    """The highest load that held, and the latencies of each load that every run tries."""
    best, broken = _best(result), first_broken([_decisive(step) for step in result["steps"]])
    who = f"ward of {result['patients']:,} patients and {result['viewers']:,} viewers"
    # A load at which the client was too busy ends the climb, and says nothing about the server.
    invalid = None if broken is None or broken.is_valid else client_fault(_at(result, broken.load))
    held = 0.0 if best is None else float(best["load"])
    aim = aim_at(ENOUGH, result["viewers"], ENOUGH_AT)
    found = [figure(f"{who}: highest load held", "of the ward", [held], "more", invalid=invalid, **aim)]
    if best is not None:
        name = f"{who}: deliveries at the highest load held"
        found.append(figure(name, "1/s", [_deliveries(best)], "more", invalid=invalid))
    for step in _sorted(result):
        # Loads between two of the ladder are another run's others.
        if step["load"] not in LADDER:
            continue
        for name, key in (("p99", "all"), ("p99 of alerts", "alert")):
            one = step["client"][key]
            if one["samples"] >= FEWEST:
                where, value = f"{who}: {name} at a load of {step['load']:g}", one["p99_us"] / 1e3
                fault = client_fault(step)
                found.append(figure(where, "ms", [value], "less", invalid=fault, is_tail=True))
    return found


def _at(result: dict[str, Any], load: float) -> dict[str, Any]:
    """What was measured at that load."""
    found: dict[str, Any] = next(step for step in result["steps"] if step["load"] == load)
    return found


def charts(result: dict[str, Any]) -> list[Chart]:
    """Latency, deliveries and processors against the load."""
    steps = _sorted(result)
    loads = [float(step["load"]) for step in steps]
    clients = [step["client"] for step in steps]

    def milliseconds(name: str, share: str) -> list[float | None]:
        return [one[name][share] / 1e3 if one[name]["samples"] else None for one in clients]

    return [
        Chart(
            "ward-latency",
            "The ward: latency from the moment a message was due",
            "load, parts of the ward",
            "ms",
            loads,
            [
                Line("p50", milliseconds("all", "p50_us")),
                Line("p99", milliseconds("all", "p99_us")),
                Line("alerts, p99", milliseconds("alert", "p99_us")),
                Line("what it may be", [LIMIT_MS] * len(loads), is_reference=True),
            ],
            x_logarithmic=True,
            y_logarithmic=True,
            sentence=result["verdict"],
        ),
        Chart(
            "ward-deliveries",
            "The ward: deliveries",
            "load, parts of the ward",
            "per second",
            loads,
            [Line("deliveries", [_deliveries(step) for step in steps])],
        ),
        Chart(
            "ward-processors",
            "The ward: processors",
            "load, parts of the ward",
            "% of one core",
            loads,
            [
                Line("server", [100 * step["server"]["cpu_share"] for step in steps]),
                Line("load client", [100 * one["cpu_share"] for one in clients]),
            ],
        ),
    ]
