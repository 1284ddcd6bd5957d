"""What the message trace costs: without it, with nothing armed, with one armed for others, and for these.

The four take turns in one process, round by round in a changing order, on the same server and the same
connections; a ratio is that of two rounds of the same turn. Once the messages are for nobody, so that
nothing but publishing is measured, and once for a crowd that reads them.
"""

import asyncio
import gc
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.clients.load_client import load_client
from benchmarks.contest.contestants import Audience, Ours, message
from benchmarks.contest.rounds import check_delivery, play_round
from benchmarks.contest.series import spread
from benchmarks.machine import facts, pin
from benchmarks.progress import say
from benchmarks.reports.chart import Chart, Line
from benchmarks.reports.figure import Figure, spread_figure
from benchmarks.servers.real_server import SUBSCRIBE, WARD, load_profile, real_server, write_tokens
from benchmarks.servers.untraced import untraced
from wsserver.connection_manager import ConnectionManager
from wsserver.observe.trace_order import MAX_MESSAGES, TraceOrder

WITHOUT, IDLE, OTHERS, THESE = "without the tracer", "nothing armed", "armed for others", "armed for these"
MODES: Final = (WITHOUT, IDLE, OTHERS, THESE)

PUBLISHED: Final = MAX_MESSAGES
"""Messages of a round that are for nobody: as many as one trace looks at."""


@contextmanager
def mode(manager: ConnectionManager, name: str) -> Iterator[None]:
    """Have the server as this mode means it."""
    if name == WITHOUT:
        with untraced():
            yield
        return
    if name == IDLE:
        yield
        return
    wanted = "ecg_data" if name == THESE else "another"
    trace = manager.traces.arm(TraceOrder(type=wanted, messages=MAX_MESSAGES, seconds=3600), "benchmark")
    try:
        yield
    finally:
        manager.traces.disarm(trace.trace_id)


async def trace(size: int, rounds: int) -> dict[str, Any]:
    """Run it with so many connections. Raises ReceivedWrong when a message came twice, or not at all."""
    core = pin()
    loaded = load_profile()
    machine = facts()
    with tempfile.TemporaryDirectory() as directory:
        tokens = Path(directory) / "tokens"
        write_tokens(tokens, size, loaded, ward=WARD)
        async with real_server(loaded) as server:
            manager = server.manager
            say(f"publishing to nobody, {rounds} rounds")
            alone = await publish_to_nobody(manager, rounds)
            async with load_client(
                server.port, SUBSCRIBE, core=core, tokens=tokens, kernel_time=True
            ) as client:
                await client.connect(size)
                await client.subscribe()
                ours = Ours(server, Audience(client, size))
                gc.collect()
                rates: dict[str, list[float]] = {name: [] for name in MODES}
                costs: dict[str, list[float]] = {name: [] for name in MODES}
                seen = 0
                say(f"fan-out to {size:,}, {rounds} rounds")
                for number in range(-1, rounds):
                    for name in turned(number):
                        with mode(manager, name):
                            rate, cost, _ = await play_round(ours)
                        if number >= 0:
                            rates[name].append(rate)
                            costs[name].append(cost * 1e6)
                        if name == THESE:
                            seen += manager.traces.ended()[0].messages
                check = await check_delivery(ours)
    with untraced() as questions:
        pass
    return {
        "benchmark": "trace",
        "machine": machine,
        "pinned": core is not None,
        "rounds": rounds,
        "subscribers": size,
        "questions": questions,
        "traced": seen,
        "publish": {name: summary(alone, name) for name in MODES},
        "fanout": {
            name: {"deliveries_per_second": spread(rates[name]), **summary(costs, name)} for name in MODES
        },
        "check": check,
    }


async def publish_to_nobody(manager: ConnectionManager, rounds: int) -> dict[str, list[float]]:
    """Processor microseconds for one message that nobody is subscribed to, of each round."""
    found: dict[str, list[float]] = {name: [] for name in MODES}
    messages = [message(number) for number in range(PUBLISHED)]
    gc.collect()
    for number in range(-1, rounds):
        for name in turned(number):
            with mode(manager, name):
                began = time.process_time()
                for one in messages:
                    manager.broadcast_to_type("nobodys", one)
                took = time.process_time() - began
            # The loop has other things to do.
            await asyncio.sleep(0.01)
            if number >= 0:
                found[name].append(took / PUBLISHED * 1e6)
    return found


def turned(number: int) -> Sequence[str]:
    """The modes in the order of this round."""
    first = number % len(MODES)
    return MODES[first:] + MODES[:first]


def summary(costs: dict[str, list[float]], name: str) -> dict[str, Any]:
    """Microseconds, and how many times what they are without the tracer."""
    ratios = [own / other for own, other in zip(costs[name], costs[WITHOUT], strict=True)]
    return {"us": spread(costs[name]), "ratio": spread(ratios)}


def figures(result: dict[str, Any]) -> list[Figure]:
    """For comparison with another run: ratios to the same server without the tracer."""
    found = []
    for name in MODES[1:]:
        one, many = result["publish"][name]["ratio"], result["fanout"][name]["ratio"]
        found.append(spread_figure(f"{name}: a publish to nobody", "times the CPU without", one, "less"))
        who = f"{name}: a delivery to one of {result['subscribers']:,}"
        found.append(spread_figure(who, "times the CPU without", many, "less"))
    return found


def charts(result: dict[str, Any]) -> list[Chart]:
    """What each way of tracing costs a publish and a delivery, in times of what it is without."""
    lines = []
    for name, key in (("a publish to nobody", "publish"), ("a delivery", "fanout")):
        ratios = [result[key][one]["ratio"] for one in MODES[1:]]
        lines.append(Line(name, *([ratio[which] for ratio in ratios] for which in ("median", "min", "max"))))
    return [
        Chart("trace-cost", "What the message trace costs", "", "times the CPU without it", MODES[1:], lines)
    ]


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    questions, traced = result["questions"], result["traced"]
    lines = [
        f"{result['rounds']} rounds; {questions} questions taken out, {traced:,} messages traced",
        f"  {'':20}{'µs a publish':>14}{'ratio':>8}{'min':>7}{'max':>7}"
        f"{'deliveries/s':>16}{'µs CPU each':>13}{'ratio':>8}{'min':>7}{'max':>7}",
    ]
    for name in MODES:
        one, many = result["publish"][name], result["fanout"][name]
        lines.append(
            f"  {name:20}{one['us']['median']:14.2f}{one['ratio']['median']:8.3f}"
            f"{one['ratio']['min']:7.3f}{one['ratio']['max']:7.3f}"
            f"{many['deliveries_per_second']['median']:16,.0f}{many['us']['median']:13.3f}"
            f"{many['ratio']['median']:8.3f}{many['ratio']['min']:7.3f}{many['ratio']['max']:7.3f}"
        )
    lines.append(f"  publishes are for nobody, deliveries to {result['subscribers']:,} subscribers")
    return "\n".join(lines)
