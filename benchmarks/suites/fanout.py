"""Fan-out: deliveries per second of a 200-byte message, against the kernel's floor and the naive way.

All contestants take turns within one run, round after round in a changing order, so that a
busy machine hits all of them alike. The clock of a round starts before the first message is
published and stops when the load client, on another processor, has got the last one at the
last of its connections, each exactly once and in order. Ratios are medians of ratios within a
round. "By CPU" compares the server's processor time per delivery instead of the clock: the
figure to trust where others use the machine as well.
"""

import asyncio
import gc
import tempfile
from collections.abc import Sequence
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
from benchmarks.contest.rounds import check_delivery, play_round
from benchmarks.contest.series import Series, note, spread
from benchmarks.machine import facts, pin
from benchmarks.servers.real_server import (
    SUBSCRIBE,
    WARD,
    RealServer,
    load_profile,
    real_server,
    write_tokens,
)


async def fanout(sizes: Sequence[int], rounds: int) -> dict[str, Any]:
    """Run the benchmark at each number of subscribers; the last size also gets the check of 20 broadcasts.

    Raises ReceivedWrong when a message came twice, out of order, or not at all.
    """
    core = pin()
    loaded = load_profile()
    machine = facts()
    with tempfile.TemporaryDirectory() as directory:
        tokens = Path(directory) / "tokens"
        write_tokens(tokens, max(sizes), loaded, ward=WARD)
        async with real_server(loaded) as server, naive_server() as naive:
            stages = [
                await _stage(server, naive, size, rounds, tokens, core, check=size == max(sizes))
                for size in sizes
            ]
    return {"benchmark": "fanout", "machine": machine, "pinned": core is not None, "stages": stages}


async def _stage(
    server: RealServer, naive: Naive, size: int, rounds: int, tokens: Path, core: int | None, *, check: bool
) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        ours = Audience(await enter(load_client(server.port, SUBSCRIBE, core=core, tokens=tokens)), size)
        naive.audience = Audience(await enter(load_client(naive.port, SUBSCRIBE, core=core)), size)
        for audience in (ours, naive.audience):
            await audience.client.connect(size)
            await audience.client.subscribe()
        naive.start = start = await frame_start(server, ours)
        contestants: list[Contestant] = [
            Ours(server, ours),
            Floor(server, ours, start),
            naive,
            Ours(server, ours, JOINED),
            Floor(server, ours, start, JOINED),
        ]
        gc.collect()
        series = [Series(contestant.name) for contestant in contestants]
        for number in range(-1, rounds):
            shift = number % len(contestants)
            for place in [*range(shift, len(contestants)), *range(shift)]:
                measured = await play_round(contestants[place])
                if number >= 0:
                    note(series[place], *measured)
        own, naives = series[0], series[2]
        result: dict[str, Any] = {
            "subscribers": size,
            "rounds": rounds,
            "message_bytes": MESSAGE_SIZE,
            "frame_bytes": len(like_ours(start, ours.sent)),
            "contestants": {one.name: one.summary(series[1]) for one in series},
            "ours_to_naive": spread([a / b for a, b in zip(own.rates, naives.rates, strict=True)]),
            "cpu_ours_to_naive": spread([b / a for a, b in zip(own.costs, naives.costs, strict=True)]),
        }
        if check:
            result["check"] = await check_delivery(contestants[0])
    # The next stage begins when the server has seen all of them leave.
    while server.manager.hub.open_count:
        await asyncio.sleep(0.01)
    return result


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = []
    for stage in result["stages"]:
        lines.append(
            f"{stage['subscribers']:,} subscribers, {stage['rounds']} rounds, a message of "
            f"{stage['message_bytes']} bytes ({stage['frame_bytes']} on the wire)"
        )
        lines.append(
            f"  {'':26}{'deliveries/s':>13}{'min':>12}{'max':>12}{'/ C loop':>10}{'by CPU':>8}"
            f"{'µs CPU':>8}{'client':>8}"
        )
        for name, one in stage["contestants"].items():
            rate = one["deliveries_per_second"]
            invalid = "  client-limited" if one["rounds_limited_by_client"] else ""
            lines.append(
                f"  {name:26}{rate['median']:13,.0f}{rate['min']:12,.0f}{rate['max']:12,.0f}"
                f"{one['ratio_to_floor']['median']:10.2f}{one['cpu_ratio_to_floor']['median']:8.2f}"
                f"{one['server_cpu_us_per_delivery']['median']:8.2f}{one['client_cpu_share']:8.0%}{invalid}"
            )
        ratio = stage["ours_to_naive"]
        lines.append(
            f"  ours / await ws.send_str: {ratio['median']:.2f} "
            f"(min {ratio['min']:.2f}, max {ratio['max']:.2f}), "
            f"by CPU {stage['cpu_ours_to_naive']['median']:.2f}"
        )
        if check := stage.get("check"):
            lines.append(
                f"  check: {check['connections']:,} connections, {check['broadcasts']} broadcasts, "
                f"{check['received']:,} received; missing {check['missing']}, twice {check['duplicates']}, "
                f"out of order {check['disorder']}, foreign {check['foreign']}, lost {check['lost']}"
            )
        lines.append("")
    return "\n".join(lines)
