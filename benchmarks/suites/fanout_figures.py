"""What the fan-out benchmark comes to: figures by which two runs are compared, and charts."""

from collections.abc import Iterator
from typing import Any

from benchmarks.contest.series import BUSY_CLIENT, client_fault
from benchmarks.reports.chart import Chart, Line
from benchmarks.reports.figure import Figure, aim_at, figure, spread_figure
from benchmarks.suites.fanout import FLOOR, FLOOR_JOINED, NAIVE, OURS, OURS_JOINED

AIMED_AT = 10_000
"""The subscribers at which there are aims, or the most there are; the size is the smallest."""

GROWN = 18_000
"""Up to which the cost of a delivery may grow by no more than it is to."""

LEAST_OF_FLOOR = 0.95
"""Of the bare loop's rate, one at a time."""

LEAST_JOINED = 8.0
"""Times the rate of the bare loop with one message in a send, for bursts."""

MOST_GROWTH = 1.5
"""Times what a delivery takes at the smallest crowd, at the largest: about linear."""


def figures(result: dict[str, Any]) -> list[Figure]:
    """Rates of the server, what they are of the floor's and the naive way's, and how the cost grows."""
    return list(_figures(result))


def _figures(result: dict[str, Any]) -> Iterator[Figure]:
    for stage in result["stages"]:
        for cell in stage["cells"]:
            where = f"{stage['subscribers']:,} subscribers, {_size(cell)}"
            # Where no crowd has aims the largest one says so.
            is_aimed_at = stage is _main_stage(result) and cell is stage["cells"][0]
            yield from _of_cell(where, stage["subscribers"], cell, is_aimed_at=is_aimed_at)
    crowds = result["growth"]["subscribers"]
    one = result["growth"]["contestants"][OURS]
    if one["last_to_first"] is not None:
        name = f"time of a delivery at {crowds[-1]:,} subscribers to that at {crowds[0]:,}: ours"
        aim = aim_at(MOST_GROWTH, crowds[-1], GROWN)
        # It is of the smallest messages, to the first crowd and the last one.
        ends = [result["stages"][place]["cells"][0]["contestants"][OURS] for place in (0, -1)]
        fault = client_fault(*ends)
        yield figure(name, "ratio", [one["last_to_first"]], "less", invalid=fault, **aim)


def _of_cell(where: str, crowd: int, cell: dict[str, Any], *, is_aimed_at: bool) -> Iterator[Figure]:
    contestants = cell["contestants"]
    for name, mode, aim in (
        (OURS, "one at a time", LEAST_OF_FLOOR),
        (OURS_JOINED, "bursts of 16", LEAST_JOINED),
    ):
        if name not in contestants:
            continue
        one = contestants[name]
        others = [FLOOR] if name == OURS else [FLOOR, FLOOR_JOINED]
        rate, floor = one["deliveries_per_second"], one["ratio_to_floor"]
        own = _limited(cell, [name])
        yield spread_figure(f"{where}, {mode}: ours", "deliveries/s", rate, "more", invalid=own)
        yield spread_figure(
            f"{where}, {mode}: ours to the bare loop of one send a message", "ratio", floor, "more",
            invalid=_limited(cell, [name, FLOOR]), **(aim_at(aim, crowd, AIMED_AT) if is_aimed_at else {}),
        )  # fmt: skip
        yield spread_figure(
            f"{where}, {mode}: processor time of a delivery", "µs", one["server_cpu_us_per_delivery"], "less"
        )
        if FLOOR_JOINED in others:
            yield spread_figure(
                f"{where}, {mode}: ours to the bare loop of joined sends", "ratio", cell["joined_ratio"],
                "more", invalid=_limited(cell, [name, FLOOR_JOINED]),
            )  # fmt: skip
    if NAIVE in contestants:
        yield spread_figure(
            f"{where}, one at a time: ours to {NAIVE}", "ratio", cell["ours_to_naive"], "more",
            invalid=_limited(cell, [OURS, NAIVE]),
        )  # fmt: skip


def charts(result: dict[str, Any]) -> list[Chart]:
    """The time of one broadcast by its subscribers, and deliveries by the size of a message."""
    found = []
    growth = result["growth"]
    own = growth["contestants"][OURS]
    if own["r_squared"] is not None:
        found.append(
            Chart(
                "fanout-growth",
                "Time of one broadcast, 200 bytes",
                "subscribers",
                "ms",
                growth["subscribers"],
                [
                    Line(name, one["broadcast_ms"], is_reference=name == FLOOR)
                    for name, one in growth["contestants"].items()
                ],
                sentence=(
                    f"From {growth['subscribers'][0]:,} to {growth['subscribers'][-1]:,} subscribers a "
                    f"straight line explains {own['r_squared']:.2%} of how this server's time grows; a "
                    f"delivery takes {own['last_to_first']:.2f} times as long at the end."
                ),
            )
        )
    stage = _main_stage(result)
    names = [OURS, FLOOR, OURS_JOINED, FLOOR_JOINED, NAIVE]
    found.append(
        Chart(
            "fanout-sizes",
            f"Deliveries per second to {stage['subscribers']:,} subscribers",
            "bytes of a message",
            "deliveries/s",
            [_size(cell) for cell in stage["cells"]],
            [
                Line(name, [_rate(cell, name) for cell in stage["cells"]], is_reference=name == FLOOR)
                for name in names
            ],
            y_logarithmic=True,
            sentence="One at a time, this server's part of the bare loop's rate: "
            + ", ".join(
                f"{cell['contestants'][OURS]['ratio_to_floor']['median']:.2f} at {_size(cell)}"
                for cell in stage["cells"]
            ),
        )
    )
    return found


def _main_stage(result: dict[str, Any]) -> dict[str, Any]:
    stages: list[dict[str, Any]] = result["stages"]
    return next((one for one in stages if one["subscribers"] >= AIMED_AT), stages[-1])


def _rate(cell: dict[str, Any], name: str) -> float | None:
    one = cell["contestants"].get(name)
    return None if one is None else float(one["deliveries_per_second"]["median"])


def _size(cell: dict[str, Any]) -> str:
    size = int(cell["message_bytes"])
    return f"{size} B" if size < 1000 else f"{size / 1000:g} kB"


def _limited(cell: dict[str, Any], names: list[str]) -> str | None:
    """Why the figure of these contestants does not count, if it does not."""
    shares = [cell["contestants"][name]["client_cpu_share"] for name in names]
    rounds = sum(cell["contestants"][name]["rounds_limited_by_client"] for name in names)
    if not rounds:
        return None
    return f"the load client was {max(shares):.0%} busy, {rounds} rounds over {BUSY_CLIENT:.0%}"
