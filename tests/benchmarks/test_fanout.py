"""The fan-out benchmark: all get everything, bytes in flight are capped, what is not valid is marked."""

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CONTESTANTS = (
    "ours", "C loop of send", "ours, 16 joined", "C loop of send, 16 joined", "await ws.send_str",
)  # fmt: skip


@pytest.fixture(autouse=True)
def fanout_can_be_built(
    require_tool: Callable[[bool, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    require_tool(shutil.which("cc") is not None, "a C compiler")
    monkeypatch.syspath_prepend(str(ROOT))


def test_everybody_gets_every_size_exactly_once_and_in_order(tmp_path: Path) -> None:
    target = tmp_path / "run.json"
    # A process of its own: a benchmark pins the one it runs in to a processor.
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "fanout", "--connections", "20", "--rounds", "1",
         "--json", target],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    measured = json.loads(target.read_text())["benchmarks"]["fanout"]
    result = measured["result"]
    assert result["check"] == {
        "connections": 20,
        "broadcasts": 20,
        "received": 400,
        "missing": 0,
        "duplicates": 0,
        "disorder": 0,
        "foreign": 0,
        "lost": 0,
    }
    (stage,) = result["stages"]
    assert [(cell["message_bytes"], list(cell["contestants"])) for cell in stage["cells"]] == [
        (200, list(CONTESTANTS)),
        (2_000, list(CONTESTANTS[:4])),
        (64_000, list(CONTESTANTS[:2])),
    ]
    assert all(0 < cell["frame_bytes"] - cell["message_bytes"] <= 132 for cell in stage["cells"])
    assert result["left_out"] == ["16 of 64,000 bytes at a time"]
    names = [one["name"] for one in measured["figures"]]
    assert len(set(names)) == len(names)
    assert "20 subscribers, 64 kB, one at a time: ours to the bare loop of one send a message" in names


def test_a_crowd_grows_and_is_sent_in_pieces_what_is_too_much_at_once() -> None:
    script = """
import asyncio
from benchmarks.contest import contestants, flight
from benchmarks.suites import fanout

looks = []
flight.kernel_socket_bytes = lambda: looks.append(0) or 0
fanout.cap = lambda: 300_000
contestants.PORTION = 130_000
result = asyncio.run(fanout.fanout([8, 3], 1, (64_000,)))
assert [stage["subscribers"] for stage in result["stages"]] == [3, 8]
# Three messages are not too much; of eight the loop sends two at a time, and looks before each.
assert ["held_back_s" in stage["cells"][0] for stage in result["stages"]] == [False, True]
messages = 20 * 2
assert len(looks) >= 1 + messages * 4, len(looks)
check = result["check"]
assert check["received"] == 8 * 20
assert check["missing"] == check["duplicates"] == check["disorder"] == 0
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("sends", "subscribers", "size", "expected"),
    [
        (20, 1_000, 332, 20),
        # What a receiver takes without reading.
        (20, 1_000, 64_132, 1),
        (10, 1_000, 16 * 332, 10),
        (10, 1_000, 16 * 2_132, 1),
        # What the kernel may hold: 590 MB.
        (20, 18_000, 2_132, 15),
        # One at least, and that is held back.
        (2, 18_000, 64_132, 1),
    ],
)
def test_bytes_in_flight_are_capped(sends: int, subscribers: int, size: int, expected: int) -> None:
    from benchmarks.contest.flight import PER_SOCKET, sends_at_a_time

    together = sends_at_a_time(sends, subscribers, size, 590_000_000)
    assert together == expected
    assert together == 1 or (together * size <= PER_SOCKET and together * size * subscribers <= 590_000_000)


def test_whoever_sends_waits_while_the_kernel_holds_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.contest import flight

    held = [7, 300, 200, 108, 107]
    monkeypatch.setattr(flight, "kernel_socket_bytes", lambda: held.pop(0))
    one = flight.Flight(100)
    one.wait()
    assert held == []
    assert one.waited > 0


def test_the_cap_is_half_of_the_kernels_first_mark() -> None:
    from benchmarks.contest.flight import cap

    pages = int(Path("/proc/sys/net/ipv4/tcp_mem").read_text().split()[0])
    assert cap() == pages * os.sysconf("SC_PAGESIZE") // 2


def test_growth_is_told_as_numbers() -> None:
    from benchmarks.contest.growth import growth

    found = growth([1_000, 2_000, 4_000], {"straight": [1e5, 1e5, 1e5], "bent": [1e5, 1e5, 1e4]})
    straight, bent = found["contestants"].values()
    assert straight["broadcast_ms"] == pytest.approx([10, 20, 40])
    assert straight["us_per_delivery"] == pytest.approx([10, 10, 10])
    assert (straight["last_to_first"], straight["r_squared"]) == pytest.approx((1, 1))
    assert bent["last_to_first"] == pytest.approx(10)
    assert bent["r_squared"] < 0.95
    # A straight line goes through any two points.
    (two,) = growth([10, 20], {"one": [5.0, 4.0]})["contestants"].values()
    assert (two["last_to_first"], two["r_squared"]) == (1.25, None)
    (one,) = growth([10], {"one": [5.0]})["contestants"].values()
    assert one["last_to_first"] is None


def a_result(shares: dict[str, float]) -> dict[str, Any]:
    """Of one stage with one round, in which the client was so busy."""
    from benchmarks.contest.growth import growth
    from benchmarks.contest.series import Series, note, spread

    series = {name: Series(name) for name in CONTESTANTS}
    for name, one in series.items():
        note(one, 1e5, 1e-5, shares.get(name, 0.5))
    ratios = ("joined_ratio", "cpu_joined_ratio", "ours_to_naive", "cpu_ours_to_naive")
    cell = {
        "message_bytes": 200,
        "frame_bytes": 324,
        "contestants": {name: one.summary(series["C loop of send"]) for name, one in series.items()},
        **{name: spread([1.0]) for name in ratios},
    }
    crowds = [1_000, 5_000, 10_000]
    faults = ("missing", "duplicates", "disorder", "foreign", "lost")
    single = (CONTESTANTS[0], CONTESTANTS[1], CONTESTANTS[4])
    return {
        "rounds": 1,
        "left_out": [],
        "in_flight_cap_bytes": 1,
        "check": {"connections": 1, "broadcasts": 1, "received": 1} | dict.fromkeys(faults, 0),
        "stages": [{"subscribers": crowd, "cells": [cell]} for crowd in crowds],
        "growth": growth(crowds, {name: [1e5] * 3 for name in single}),
    }


def test_what_a_busy_client_measured_is_marked_everywhere() -> None:
    from benchmarks.suites import fanout
    from benchmarks.suites.fanout_figures import figures

    good, bad = a_result({}), a_result({"ours, 16 joined": 0.96})
    assert all(one.invalid is None for one in figures(good))
    assert "INVALID" not in fanout.table(good)
    marked = {one.name: one.invalid for one in figures(bad) if one.invalid}
    # The rate and the two ratios, of three crowds.
    assert len(marked) == 9
    assert all("bursts of 16" in name for name in marked)
    assert set(marked.values()) == {"the load client was 96% busy, 1 rounds over 95%"}
    lines = [line for line in fanout.table(bad).splitlines() if "INVALID: 1 of 1 rounds" in line]
    assert [line.split("  ")[1] for line in lines] == ["ours, 16 joined"] * 3
    cell = bad["stages"][0]["cells"][0]
    assert cell["contestants"]["ours, 16 joined"]["rounds_limited_by_client"] == 1


def test_the_aims_are_at_ten_thousand() -> None:
    from benchmarks.suites.fanout_figures import charts, figures

    result = a_result({})
    aims = {one.name: one.aim for one in figures(result) if one.aim is not None}
    assert aims == {
        "10,000 subscribers, 200 B, one at a time: ours to the bare loop of one send a message": 0.95,
        "10,000 subscribers, 200 B, bursts of 16: ours to the bare loop of one send a message": 8.0,
    }
    growing, by_size = charts(result)
    assert list(growing.places) == [1_000, 5_000, 10_000]
    assert [line.name for line in growing.lines] == [CONTESTANTS[0], CONTESTANTS[1], CONTESTANTS[4]]
    assert growing.lines[0].values == pytest.approx([10, 50, 100])
    assert list(by_size.places) == ["200 B"]
    assert all(value is not None and math.isfinite(value) for line in by_size.lines for value in line.values)
