"""Figures of the suites: aims at the sizes for which they were set, and what the load client limited."""

from typing import Any

import pytest

from benchmarks.reports.figure import Figure
from benchmarks.suites import herd, idle, mixed, operators, replay, slow

EVEN = {"median": 0.98, "min": 0.9, "max": 1.1}


def named(figures: list[Figure], words: str) -> Figure:
    (found,) = [one for one in figures if words in f"{one.name}, {one.unit}"]
    return found


def contestants(*names: str, share: float) -> dict[str, Any]:
    one = {"deliveries_per_second": EVEN, "server_cpu_us_per_delivery": EVEN, "client_cpu_share": share}
    return dict.fromkeys(names, one)


def mixed_result(size: int = 10_000, share: float = 0.9) -> dict[str, Any]:
    return {
        "subscribers": size,
        "mixed_to_json": EVEN,
        "cpu_json_to_mixed": EVEN,
        "contestants": contestants("all JSON", "half binary", share=share),
    }


def operators_result(size: int = 10_000, share: float = 0.9) -> dict[str, Any]:
    idle_ones = [{"viewers": 2, "scrapes": scrapes, "cpu_ms_per_second": 3.0} for scrapes in (0, 1)]
    return {
        "subscribers": size,
        "watched_to_alone": EVEN,
        "cpu_alone_to_watched": EVEN,
        "reading_us": EVEN,
        "contestants": contestants("a", "b", share=share),
        "idle": idle_ones,
    }


def idle_result(size: int = 10_000) -> dict[str, Any]:
    return {"connections": size, "readings": [0.6, 0.7, 1.3], "us_per_heartbeat": 20.0}


def replay_result(size: int = 1_000) -> dict[str, Any]:
    return {
        "clients": size, "messages": 1_000, "per_second": 5e5, "complete_after": 1.9, "p99_ratio": 1.6,
        "meanwhile": {"p99_us": 13_000}, "promised": 1_000_000, "received": 1_000_000,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("figures", "result", "size", "words", "aim"),
    [
        (mixed.figures, mixed_result, 10_000, "all in JSON, of its deliveries/s", 0.9),
        (operators.figures, operators_result, 10_000, "to nobody, of its deliveries/s", 0.97),
        (idle.figures, idle_result, 10_000, "% of a core", 1.0),
        (replay.figures, replay_result, 1_000, "times p99 before", 2.0),
    ],
)
def test_an_aim_holds_at_the_size_for_which_it_was_set(
    figures: Any, result: Any, size: int, words: str, aim: float
) -> None:
    one = named(figures(result(size)), words)
    assert (one.aim, one.mark) == (aim, "passed")
    assert named(figures(result(size // 10)), words).aim is None


@pytest.mark.parametrize(
    ("figures", "result", "words"),
    [
        (mixed.figures, mixed_result, "all in JSON, of its deliveries/s"),
        (operators.figures, operators_result, "to nobody, of its deliveries/s"),
    ],
)
def test_what_the_load_client_limited_is_invalid_and_what_it_did_not_is_not(
    figures: Any, result: Any, words: str
) -> None:
    assert named(figures(result(share=0.97)), words).invalid == "the load client was 97% busy"
    # Processor time of the server does not depend on it.
    assert named(figures(result(share=0.97)), "by CPU").invalid is None
    assert named(figures(result(share=0.95)), words).invalid is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, None),
        ({"a_tenth_stalled": {"p99_us": 9e3, "client_cpu_share": 0.5, "missing_elsewhere": 1}}, "missed by"),
        ({"memory_growth_per_stalled": 2e6}, "memory for each"),
        ({"after": {"untold_connections": 1, "fewest_alerts": 60}}, "told another loss"),
        ({"after": {"untold_connections": 0, "fewest_alerts": 59}}, "alerts not received"),
        ({"outcomes": {"adds_up": False}}, "do not add up"),
    ],
)
def test_slow_consumers_miss_an_aim_by_any_loss_that_was_not_told(
    change: dict[str, Any], words: str | None
) -> None:
    result = {
        "connections": 10_000, "seconds": 30.0, "p99_ratio": 1.2, "memory_growth_per_stalled": 5e5,
        "memory_allowance": 1 << 20, "alerts": 60, "outcomes": {"adds_up": True},
        "everybody_reads": {"p99_us": 8e3, "client_cpu_share": 0.5},
        "a_tenth_stalled": {"p99_us": 9e3, "client_cpu_share": 0.5, "missing_elsewhere": 0},
        "after": {"untold_connections": 0, "fewest_alerts": 60},
        **change,
    }  # fmt: skip
    missed = [one.name for one in slow.figures(result) if one.mark == "missed"]
    assert len(missed) == (0 if words is None else 1)
    assert words is None or words in missed[0]


def test_the_rounds_of_a_herd_are_the_spread_of_its_figures() -> None:
    rounds = [
        {"all_back_after_s": seconds, "sustained_per_second": 900, "successor": {"worst_stall_ms": 40}}
        for seconds in (5.0, 8.0)
    ]
    result = {"clients": 10_000, "stages": [{"policy": "full jitter", "rounds": rounds}]}
    back = named(herd.figures(result), "all back after")
    assert (back.least, back.median, back.most) == (5.0, 6.5, 8.0)
