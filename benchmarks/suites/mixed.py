"""Mixed fan-out: the same messages to a crowd of which half speaks the binary protocol, and to one in JSON.

Two servers in processes of their own take turns on one processor, round by round in a changing order; the
clients have another one. What is measured and how is as in the fan-out benchmark.
"""

import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from benchmarks.clients.load_client import load_client
from benchmarks.contest.contestants import MESSAGE_SIZE, Audience
from benchmarks.contest.crowd_server import CrowdServer, crowd_server
from benchmarks.contest.rounds import check_delivery, check_text, play_round
from benchmarks.contest.series import Series, client_fault, note, spread
from benchmarks.machine import facts, pin
from benchmarks.progress import say
from benchmarks.reports.chart import Chart, Line
from benchmarks.reports.figure import Figure, aim_at, spread_figure
from benchmarks.servers.real_server import SUBSCRIBE, WARD, load_profile, write_tokens

ENOUGH, ENOUGH_AT = 0.9, 10_000
"""What of the deliveries a second of a crowd in JSON a mixed one has to have, from so many on."""


async def mixed(size: int, rounds: int) -> dict[str, Any]:
    """Run the benchmark with so many connections to each server.

    Raises ReceivedWrong when a message came twice, out of order, in the wrong protocol or not at all.
    """
    core = pin()
    machine = facts()
    with tempfile.TemporaryDirectory() as directory:
        tokens = Path(directory) / "tokens"
        write_tokens(tokens, size, load_profile(), ward=WARD)
        async with AsyncExitStack() as stack:
            contestants: list[CrowdServer] = []
            for name, every in (("all JSON", 0), ("half binary", 2)):
                server = await stack.enter_async_context(crowd_server(name))
                client = await stack.enter_async_context(
                    load_client(
                        server.port, SUBSCRIBE, core=core, tokens=tokens, binary_every=every, kernel_time=True
                    )
                )
                await client.connect(size)
                await client.subscribe()
                server.audience = Audience(client, size)
                contestants.append(server)
            series = [Series(one.name) for one in contestants]
            for number in range(-1, rounds):
                say(f"round {number + 1} of {rounds}" if number >= 0 else "a round that does not count")
                for place in (0, 1) if number % 2 else (1, 0):
                    measured = await play_round(contestants[place])
                    if number >= 0:
                        note(series[place], *measured)
            published = [one.audience.sent for one in contestants]
            checks = [await check_delivery(one) for one in contestants]
            sizes = [one.bytes_written / checks[0]["broadcasts"] / size for one in contestants]
            encoded = [one.encoded / one.audience.sent for one in contestants]
    plain, half = series
    return {
        "benchmark": "mixed",
        "machine": machine,
        "pinned": core is not None,
        "subscribers": size,
        "rounds": rounds,
        "message_bytes": MESSAGE_SIZE,
        "published": published,
        "frame_bytes": dict(zip((one.name for one in series), sizes, strict=True)),
        "encoded_per_message": dict(zip((one.name for one in series), encoded, strict=True)),
        "contestants": {one.name: one.summary(plain) for one in series},
        "mixed_to_json": spread([a / b for a, b in zip(half.rates, plain.rates, strict=True)]),
        "cpu_json_to_mixed": spread([b / a for a, b in zip(half.costs, plain.costs, strict=True)]),
        "checks": checks,
    }


def figures(result: dict[str, Any]) -> list[Figure]:
    """For comparison with another run."""
    who = f"{result['subscribers']:,} subscribers"
    invalid = client_fault(*result["contestants"].values())
    found = [
        spread_figure(
            f"{who}, half of them binary: to all in JSON",
            "of its deliveries/s",
            result["mixed_to_json"],
            "more",
            invalid=invalid,
            **aim_at(ENOUGH, result["subscribers"], ENOUGH_AT),
        ),
        spread_figure(
            f"{who}, half of them binary: to all in JSON", "by CPU", result["cpu_json_to_mixed"], "more"
        ),
    ]
    for name, one in result["contestants"].items():
        rate, cost = one["deliveries_per_second"], one["server_cpu_us_per_delivery"]
        found.append(spread_figure(f"{who}, {name}", "deliveries/s", rate, "more", invalid=client_fault(one)))
        found.append(spread_figure(f"{who}, {name}", "µs of processor per delivery", cost, "less"))
    return found


def charts(result: dict[str, Any]) -> list[Chart]:
    """Deliveries per second of both crowds."""
    rates = [one["deliveries_per_second"] for one in result["contestants"].values()]
    line = Line(
        "deliveries/s",
        [rate["median"] for rate in rates],
        [rate["min"] for rate in rates],
        [rate["max"] for rate in rates],
    )
    title = f"The same messages to {result['subscribers']:,} subscribers"
    return [Chart("mixed", title, "", "deliveries per second", list(result["contestants"]), [line])]


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [
        f"{result['subscribers']:,} subscribers, {result['rounds']} rounds, a message of "
        f"{result['message_bytes']} bytes",
        f"  {'':14}{'deliveries/s':>13}{'min':>12}{'max':>12}{'µs CPU':>8}{'bytes':>8}{'encoded':>9}"
        f"{'client':>8}",
    ]
    for name, one in result["contestants"].items():
        rate = one["deliveries_per_second"]
        invalid = "  client-limited" if one["rounds_limited_by_client"] else ""
        lines.append(
            f"  {name:14}{rate['median']:13,.0f}{rate['min']:12,.0f}{rate['max']:12,.0f}"
            f"{one['server_cpu_us_per_delivery']['median']:8.2f}{result['frame_bytes'][name]:8.0f}"
            f"{result['encoded_per_message'][name]:9.2f}{one['client_cpu_share']:8.0%}{invalid}"
        )
    ratio, cpu = result["mixed_to_json"], result["cpu_json_to_mixed"]
    lines.append(
        f"  half binary / all JSON: {ratio['median']:.2f} (min {ratio['min']:.2f}, max {ratio['max']:.2f}), "
        f"by CPU {cpu['median']:.2f} (min {cpu['min']:.2f}, max {cpu['max']:.2f}); {ENOUGH} is demanded"
    )
    for name, check in zip(result["contestants"], result["checks"], strict=True):
        lines.append(f"  {name}: {check_text(check)}")
    return "\n".join(lines) + "\n"
