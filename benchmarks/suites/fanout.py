"""Fan-out: deliveries per second by subscribers and size, against the kernel's floor and the naive way.

From 1,000 to 18,000 subscribers get messages of 200 bytes, 2 kB and 64 kB: one at a time, and 16 that are
due at the same time, which leave in one send. The floor is a bare C loop of ``send`` over the same sockets,
with one message in each send and with 16. The naive way, ``await ws.send_str`` on aiohttp and uvloop, has
the 200 bytes to send.

All contestants take turns within one run, round after round in a changing order, so that a
busy machine hits all of them alike. The clock of a round starts before the first message is
published and stops when the kernel has got the last one for the last of the load client's connections,
each exactly once and in order: how lazily the client reads does not count. Ratios are medians of
ratios within a round. "By CPU" compares the server's processor time per delivery instead of the clock:
the figure to trust where others use the machine as well. A round in which the client, on another processor,
was more than 95 % busy may have measured the client: it is counted, and marks what it is part of.

Bytes in flight are capped, see `benchmarks.contest.flight`: large messages go one at a time, each when the
one before has been received. Sixteen of 64 kB are left out: that is a megabyte for each connection, of
which its receiver takes 64 KiB, so that the floor's sockets fill and the server gives messages up, as it
should.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from benchmarks.clients.load_client import load_client
from benchmarks.contest.contestants import (
    JOINED,
    MESSAGE_SIZE,
    Audience,
    Contestant,
    Floor,
    Naive,
    Ours,
    frame_start,
    like_ours,
    naive_server,
)
from benchmarks.contest.flight import FRAMING, Flight, cap
from benchmarks.contest.growth import growth
from benchmarks.contest.rounds import check_delivery, check_text, play_rounds
from benchmarks.contest.series import spread
from benchmarks.machine import facts, pin
from benchmarks.progress import say
from benchmarks.servers.real_server import (
    SUBSCRIBE,
    WARD,
    RealServer,
    load_profile,
    real_server,
    write_tokens,
)
from wsserver.loop.garbage import leave_the_living_alone

SIZES = (MESSAGE_SIZE, 2_000, 64_000)
"""Bytes of a message as its publisher hands it in."""

LARGEST_JOINED = 2_000
"""Bytes of a message up to which 16 are joined."""

OURS, FLOOR, NAIVE = "ours", "C loop of send", "await ws.send_str"
OURS_JOINED, FLOOR_JOINED = f"{OURS}, {JOINED} joined", f"{FLOOR}, {JOINED} joined"


async def fanout(crowds: Sequence[int], rounds: int, sizes: Sequence[int] = SIZES) -> dict[str, Any]:
    """Run the benchmark at each number of subscribers; the last one also gets the check of 20 broadcasts.

    The crowds grow from one to the next, so they are measured in rising order. Raises ReceivedWrong when a
    message came twice, out of order, or not at all.
    """
    core = pin()
    loaded = load_profile()
    machine = facts()
    crowds = sorted(crowds)
    async with AsyncExitStack() as stack:
        tokens = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "tokens"
        write_tokens(tokens, crowds[-1], loaded, ward=WARD)
        enter = stack.enter_async_context
        server, naive = await enter(real_server(loaded)), await enter(naive_server())
        leave_the_living_alone()
        client = await enter(load_client(server.port, SUBSCRIBE, core=core, tokens=tokens, kernel_time=True))
        ours = Audience(client, 0)
        naive.audience = Audience(
            await enter(load_client(naive.port, SUBSCRIBE, core=core, kernel_time=True)), 0
        )
        stages = []
        for crowd in crowds:
            say(f"{crowd:,} subscribers connect to each of two servers")
            for audience in (ours, naive.audience):
                await audience.grow(crowd)
            naive.start = await frame_start(server, ours)
            cells = [await _cell(server, naive, ours, size, rounds) for size in sizes]
            stages.append({"subscribers": crowd, "cells": cells})
        check = await check_delivery(Ours(server, ours))
    return {
        "benchmark": "fanout",
        "machine": machine,
        "pinned": core is not None,
        "rounds": rounds,
        "in_flight_cap_bytes": cap(),
        "left_out": [f"{JOINED} of {size:,} bytes at a time" for size in sizes if size > LARGEST_JOINED],
        "stages": stages,
        "growth": _growth(stages),
        "check": check,
    }


async def _cell(server: RealServer, naive: Naive, ours: Audience, size: int, rounds: int) -> dict[str, Any]:
    """All who send messages of this size to these subscribers."""
    say(f"{ours.size:,} subscribers, {size:,} bytes: {rounds} rounds")
    start = naive.start
    flight = Flight(cap()) if (size + FRAMING) * ours.size > cap() else None
    contestants: list[Contestant] = [
        Ours(server, ours, size=size, flight=flight),
        Floor(server, ours, start, size=size, flight=flight),
    ]
    if size <= LARGEST_JOINED:
        contestants += [
            Ours(server, ours, JOINED, size=size, flight=flight),
            Floor(server, ours, start, JOINED, size=size, flight=flight),
        ]
    if size == MESSAGE_SIZE:
        contestants.append(naive)
    series = await play_rounds(contestants, rounds, size)
    named = {one.name: one for one in series}
    floor = named[FLOOR]
    result: dict[str, Any] = {
        "message_bytes": size,
        "frame_bytes": len(like_ours(start, ours.sent, size)),
        "contestants": {one.name: one.summary(floor) for one in series},
    }
    if OURS_JOINED in named:
        own, other = named[OURS_JOINED], named[FLOOR_JOINED]
        result["joined_ratio"] = spread([a / b for a, b in zip(own.rates, other.rates, strict=True)])
        result["cpu_joined_ratio"] = spread([b / a for a, b in zip(own.costs, other.costs, strict=True)])
    if NAIVE in named:
        own, other = named[OURS], named[NAIVE]
        result["ours_to_naive"] = spread([a / b for a, b in zip(own.rates, other.rates, strict=True)])
        result["cpu_ours_to_naive"] = spread([b / a for a, b in zip(own.costs, other.costs, strict=True)])
    if flight is not None:
        result["held_back_s"] = flight.waited
    return result


def _growth(stages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of the smallest messages, one at a time."""
    smallest = [stage["cells"][0]["contestants"] for stage in stages]
    rates = {
        name: [contestants[name]["deliveries_per_second"]["median"] for contestants in smallest]
        for name in (OURS, FLOOR, NAIVE)
        if name in smallest[0]
    }
    return growth([stage["subscribers"] for stage in stages], rates)


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    return "\n".join(_lines(result))


def _lines(result: dict[str, Any]) -> Iterator[str]:
    for stage in result["stages"]:
        for cell in stage["cells"]:
            yield from _cell_lines(stage["subscribers"], result["rounds"], cell)
    yield f"  left out: {'; '.join(result['left_out']) or 'nothing'}. In flight at most: " + (
        f"{result['in_flight_cap_bytes'] / 1e6:,.0f} MB"
    )
    for name, one in result["growth"]["contestants"].items():
        times = ", ".join(f"{time:,.1f}" for time in one["broadcast_ms"])
        line = f"  {name:26}{times} ms for one broadcast to {_crowds(result)}"
        if one["last_to_first"] is not None:
            line += f"; a delivery takes {one['last_to_first']:.2f} times as long at the largest"
        if one["r_squared"] is not None:
            line += f", R² of a straight line {one['r_squared']:.4f}"
        yield line
    yield f"  check: {check_text(result['check'])}"
    yield ""


def _crowds(result: dict[str, Any]) -> str:
    return ", ".join(f"{crowd:,}" for crowd in result["growth"]["subscribers"])


def _cell_lines(crowd: int, rounds: int, cell: dict[str, Any]) -> Iterator[str]:
    yield (
        f"{crowd:,} subscribers, {rounds} rounds, a message of {cell['message_bytes']:,} bytes "
        f"({cell['frame_bytes']:,} on the wire)"
    )
    yield (
        f"  {'':26}{'deliveries/s':>13}{'min':>12}{'max':>12}{'/ C loop':>10}{'min':>7}{'max':>7}"
        f"{'by CPU':>8}{'µs CPU':>8}{'client':>8}"
    )
    for name, one in cell["contestants"].items():
        rate, ratio = one["deliveries_per_second"], one["ratio_to_floor"]
        limited = one["rounds_limited_by_client"]
        invalid = f"  INVALID: {limited} of {rounds} rounds client-limited" if limited else ""
        yield (
            f"  {name:26}{rate['median']:13,.0f}{rate['min']:12,.0f}{rate['max']:12,.0f}"
            f"{ratio['median']:10.2f}{ratio['min']:7.2f}{ratio['max']:7.2f}"
            f"{one['cpu_ratio_to_floor']['median']:8.2f}"
            f"{one['server_cpu_us_per_delivery']['median']:8.2f}{one['client_cpu_share']:8.0%}{invalid}"
        )
    for key, words in (
        ("joined_ratio", f"{OURS_JOINED} / {FLOOR_JOINED}"),
        ("ours_to_naive", f"{OURS} / {NAIVE}"),
    ):
        if ratio := cell.get(key):
            yield (
                f"  {words}: {ratio['median']:.2f} (min {ratio['min']:.2f}, max {ratio['max']:.2f}), "
                f"by CPU {cell[f'cpu_{key}']['median']:.2f}"
            )
    if held := cell.get("held_back_s"):
        yield f"  held back for {held:.1f} s in all, as the kernel held as many bytes as may be in flight"
    yield ""
