"""Latency: how late the last subscriber has a message, beside the bare loop and at an even pace.

One broadcast at low load: from the call that publishes it until the kernel has it for the last receiver,
against a bare C loop of ``send`` over the same sockets, by turns, each when the one before has arrived.

Open loop: messages are due at an even pace, a tenth, half and nine tenths of what was just measured to be
the most, whatever became of the one before. A latency counts from the moment at which the message was *due*:
one that had to wait, because the server was still busy with others, waited for all of that time (no
coordinated omission). It ends when the kernel has the message for its receiver. Told are all receivers, and
the last receiver of each message.

Left out is what would give too few messages for a percentile: what takes the server half a second, as 64 kB
to 18,000 may, comes once in five seconds at a tenth of its capacity.
"""

import asyncio
import gc
import itertools
import math
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from benchmarks.clients.load_client import load_client
from benchmarks.contest.contestants import (
    MESSAGE_SIZE,
    Audience,
    Contestant,
    Floor,
    Ours,
    frame_start,
    message,
)
from benchmarks.contest.pace import due_moments
from benchmarks.contest.rounds import play_round
from benchmarks.contest.series import BUSY_CLIENT, client_fault, spread
from benchmarks.machine import facts, pin
from benchmarks.progress import say
from benchmarks.reports.chart import Chart, Line
from benchmarks.reports.figure import Figure, aim_at, spread_figure
from benchmarks.servers.real_server import (
    SUBSCRIBE,
    SUBSCRIPTION_TYPE,
    WARD,
    RealServer,
    load_profile,
    real_server,
    write_tokens,
)
from wsserver.loop.garbage import leave_the_living_alone

SIZES = {1_000: (MESSAGE_SIZE, 64_000), 10_000: (MESSAGE_SIZE, 2_000), 18_000: (MESSAGE_SIZE,)}
"""Bytes of a message, by subscribers; other crowds get the smallest."""

SHARES = (0.1, 0.5, 0.9)
"""Parts of the capacity at which messages are due."""

REST = 0.02
"""Seconds between two single broadcasts, so that the last acknowledgements are on no clock."""

CAPACITY_ROUNDS = 5

FEWEST = 20
"""Messages at one rate, unless that would take more than three times the given time."""

MOST_OF_FLOOR = 1.10
"""Times the bare loop's latency that one broadcast may take."""

AIMED_AT = 10_000
"""Subscribers for whom that is demanded; the most there are tell if they are fewer."""

WINDOWS = 3
"""Parts of the time at one rate that are told by themselves: how much a latency moves by itself."""

FEWEST_OF_P99 = 100
"""Messages below which a p99 is the latest one, and not to be compared."""


async def latency(crowds: Sequence[int], broadcasts: int, seconds: float) -> dict[str, Any]:
    """Run the benchmark at each number of subscribers, with so many single broadcasts of either kind.

    ``seconds`` is how long messages are due at each rate. Raises ReceivedWrong when a message came twice,
    out of order, or not at all.
    """
    core = pin()
    loaded = load_profile()
    machine = facts()
    crowds = sorted(crowds)
    async with AsyncExitStack() as stack:
        tokens = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "tokens"
        write_tokens(tokens, crowds[-1], loaded, ward=WARD)
        server = await stack.enter_async_context(real_server(loaded))
        leave_the_living_alone()
        client = load_client(server.port, SUBSCRIBE, core=core, tokens=tokens, kernel_time=True)
        audience = Audience(await stack.enter_async_context(client), 0)
        cells = []
        for crowd in crowds:
            say(f"{crowd:,} subscribers connect")
            await audience.grow(crowd)
            start = await frame_start(server, audience)
            cells += [
                await _cell(server, audience, start, size, broadcasts, seconds)
                for size in SIZES.get(crowd, (MESSAGE_SIZE,))
            ]
    return {
        "benchmark": "latency",
        "machine": machine,
        "pinned": core is not None,
        "seconds": seconds,
        "cells": cells,
    }


async def _cell(
    server: RealServer, audience: Audience, start: bytes, size: int, broadcasts: int, seconds: float
) -> dict[str, Any]:
    ours, floor = Ours(server, audience, size=size), Floor(server, audience, start, size=size)
    say(f"{audience.size:,} subscribers, {size:,} bytes: {broadcasts} single broadcasts each")
    single = await _single(ours, floor, broadcasts)
    rates = [(await play_round(ours, size))[0] for _ in range(CAPACITY_ROUNDS)]
    capacity = statistics.median(rates) / audience.size
    open_loop = []
    for share in SHARES:
        say(
            f"{audience.size:,} subscribers, {size:,} bytes: {share:.0%} of {capacity:,.1f} messages a second"
        )
        open_loop.append({"share": share, **await at_pace(server, audience, size, capacity * share, seconds)})
    return {
        "subscribers": audience.size,
        "message_bytes": size,
        "single": single,
        "capacity_per_second": capacity,
        "open_loop": open_loop,
    }


async def _single(ours: Contestant, floor: Contestant, broadcasts: int) -> dict[str, Any]:
    """Latencies of the last receiver in milliseconds, of both by turns."""
    taken: dict[str, list[float]] = {ours.name: [], floor.name: []}
    gc.collect()
    for number in range(-1, broadcasts):
        for contestant in (ours, floor) if number % 2 else (floor, ours):
            one = await _broadcast(contestant)
            if number >= 0:
                taken[contestant.name].append(one * 1e3)
    own, other = taken[ours.name], taken[floor.name]
    return {
        "broadcasts": broadcasts,
        "ours_ms": percentiles(own),
        "floor_ms": percentiles(other),
        "ratio_of_medians": statistics.median(own) / statistics.median(other),
        "ratio": spread([a / b for a, b in zip(own, other, strict=True)]),
    }


async def _broadcast(contestant: Contestant) -> float:
    audience = contestant.audience
    await asyncio.sleep(REST)
    await audience.client.expect(audience.sent + 1)
    began = time.monotonic()
    await contestant.publish(audience.sent, 1)
    done = await audience.client.done()
    audience.sent += 1
    return float(done["at"]) - began


async def at_pace(
    server: RealServer, audience: Audience, size: int, per_second: float, seconds: float
) -> dict[str, Any]:
    """Publish at an even pace; latencies in milliseconds from when each message was due."""
    messages = int(max(per_second * seconds, min(FEWEST, per_second * seconds * 3), 1))
    first, client = audience.sent, audience.client
    worst = 0.0
    await client.clear()
    await client.expect(first + messages)
    async for due in due_moments(per_second):
        worst = max(worst, time.monotonic() - due)
        server.manager.broadcast_to_type(SUBSCRIPTION_TYPE, message(audience.sent, size, due))
        audience.sent += 1
        if audience.sent == first + messages:
            break
    done = await client.done(timeout=60 + messages / per_second)
    found, last = await client.losses(), await client.last()
    if last["receivers"] != [audience.size] * messages:
        raise RuntimeError(f"not everybody's latency is known: {last['receivers']}")
    return {
        "messages_per_second": per_second,
        "messages": messages,
        "receiver_ms": {name: found[f"{name}_us"] / 1e3 for name in ("p50", "p99", "max")},
        "last_receiver_ms": percentiles([one / 1e3 for one in last["us"]]),
        "windows_ms": [percentiles([one / 1e3 for one in part]) for part in windows(last["us"])],
        "worst_publish_delay_ms": worst * 1e3,
        "client_cpu_share": done["cpu_share"],
        "rounds_limited_by_client": int(done["cpu_share"] > BUSY_CLIENT),
    }


def windows(values: Sequence[float]) -> list[Sequence[float]]:
    """Them in their order, cut into parts of about the same size; fewer where there are too few values."""
    count = min(WINDOWS, len(values))
    edges = [len(values) * place // count for place in range(count + 1)]
    return [values[first:end] for first, end in itertools.pairwise(edges)]


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Of all values; a percentile is the least value that so many do not pass."""
    ordered = sorted(values)
    return {
        "p50": ordered[math.ceil(0.5 * len(ordered)) - 1],
        "p99": ordered[math.ceil(0.99 * len(ordered)) - 1],
        "max": ordered[-1],
    }


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    return "\n".join(_lines(result))


def _lines(result: dict[str, Any]) -> Iterator[str]:
    for cell in result["cells"]:
        single = cell["single"]
        yield f"{_where(cell)}: latency in ms"
        yield f"  {'':46}{'p50':>9}{'p99':>9}{'max':>9}"
        for name, one in (
            (f"one broadcast, last receiver ({single['broadcasts']}): ours", single["ours_ms"]),
            ("the same: C loop of send", single["floor_ms"]),
        ):
            yield f"  {name:46}{one['p50']:9.2f}{one['p99']:9.2f}{one['max']:9.2f}"
        ratio = single["ratio"]
        yield (
            f"  ratio of pairs {ratio['median']:.3f} (min {ratio['min']:.3f}, max {ratio['max']:.3f}), "
            f"of the medians {single['ratio_of_medians']:.3f}"
        )
        for one in cell["open_loop"]:
            rate = f"{one['share']:.0%}, {one['messages_per_second']:,.1f}/s, {one['messages']:,} messages"
            for name, many in (("receivers", one["receiver_ms"]), ("the last", one["last_receiver_ms"])):
                title = f"{rate}: {name}"
                yield f"  {title:46}{many['p50']:9.2f}{many['p99']:9.2f}{many['max']:9.2f}"
            if one["rounds_limited_by_client"]:
                yield f"  INVALID: the load client was {one['client_cpu_share']:.0%} busy"
        yield ""


def figures(result: dict[str, Any]) -> list[Figure]:
    """Latencies by which two runs are compared."""
    return list(_figures(result))


def _figures(result: dict[str, Any]) -> Iterator[Figure]:
    main = _main_cell(result)
    for cell in result["cells"]:
        where = _where(cell)
        aim = aim_at(MOST_OF_FLOOR, cell["subscribers"], AIMED_AT) if cell is main else {}
        name = f"{where}, one broadcast: ours to the bare loop, to the last receiver, by pairs"
        yield spread_figure(name, "ratio", cell["single"]["ratio"], "less", **aim)
        for one in cell["open_loop"]:
            for name in ("p50", "p99") if one["messages"] >= FEWEST_OF_P99 else ("p50",):
                value = one["last_receiver_ms"][name]
                # Runs that were kept before have no windows.
                parts = [value, *(part[name] for part in one.get("windows_ms", ()))]
                yield Figure(
                    f"{where}, {one['share']:.0%} of capacity: {name} to the last receiver", "ms",
                    value, min(parts), max(parts), "less", None, client_fault(one),
                )  # fmt: skip


def _main_cell(result: dict[str, Any]) -> dict[str, Any]:
    """The smallest messages to the crowd that has the aim, or to the largest one."""
    cells: list[dict[str, Any]] = [one for one in result["cells"] if one["message_bytes"] == MESSAGE_SIZE]
    return next((one for one in cells if one["subscribers"] >= AIMED_AT), cells[-1])


def charts(result: dict[str, Any]) -> list[Chart]:
    """Latency at each rate, to the crowd that has the aim."""
    cell = _main_cell(result)
    rates = cell["open_loop"]
    return [
        Chart(
            "latency-open-loop",
            f"Latency from when a message was due: {_where(cell)}",
            "of capacity",
            "ms",
            [f"{one['share']:.0%}" for one in rates],
            [
                Line(f"{name}, {who}", [one[key][name] for one in rates])
                for key, who in (("receiver_ms", "receivers"), ("last_receiver_ms", "the last receiver"))
                for name in ("p50", "p99")
            ],
            sentence=(
                f"The bare loop needs {cell['single']['floor_ms']['p50']:.1f} ms to the last receiver of one "
                f"message, this server {cell['single']['ours_ms']['p50']:.1f} ms."
            ),
        )
    ]


def _where(cell: dict[str, Any]) -> str:
    size = cell["message_bytes"]
    return f"{cell['subscribers']:,} subscribers, " + (f"{size} B" if size < 1000 else f"{size / 1000:g} kB")
