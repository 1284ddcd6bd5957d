"""Figures of the suites: aims at the sizes for which they were set, and what the load client limited."""

from typing import Any

import pytest

from benchmarks.contest.series import client_fault
from benchmarks.reports.figure import Figure, aim_at
from benchmarks.suites import (
    accept,
    drain,
    fanout_figures,
    herd,
    idle,
    inbound,
    latency,
    memory,
    mixed,
    operators,
    peers,
    replay,
    slow,
    ward,
)

EVEN = {"median": 0.98, "min": 0.9, "max": 1.1}
BUSY = "the load client was 97% busy"


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
    idle_ones = [
        {"viewers": 2, "scrape_interval": interval, "scrapes": 0, "cpu_ms_per_second": 3.0}
        for interval in (0.0, 5.0)
    ]
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


def replay_result(size: int = 1_000, share: float = 0.9) -> dict[str, Any]:
    return {
        "clients": size, "messages": 1_000, "per_second": 5e5, "complete_after": 1.9, "p99_ratio": 1.6,
        "meanwhile": {"p99_us": 13_000}, "promised": 1_000_000, "received": 1_000_000,
        "client_cpu_share": share,
    }  # fmt: skip


def peers_result(
    size: int = 10_000, rates: dict[str, list[float]] | None = None, shares: dict[str, float] | None = None
) -> dict[str, Any]:
    rates = {"ours": [100.0] * 2, "C loop of send": [102.0] * 2, "quick": [90.0] * 2, **(rates or {})}
    of_floor = [a / b for a, b in zip(rates["ours"], rates["C loop of send"], strict=True)]
    members = {
        name: {"rates": many, "client_cpu_share": (shares or {}).get(name, 0.9)}
        for name, many in rates.items()
    }
    return {
        "subscribers": size,
        "modes": {"one at a time": {"contestants": members, "ours_to_floor": of_floor}},
    }


def accept_result(size: int = 2_000, shares: tuple[float, float] = (0.9, 0.9)) -> dict[str, Any]:
    servers = {
        name: {"rates": [1.0], "costs_us": [1.0], "client_cpu_share": share}
        for name, share in zip((accept.OURS, accept.BARE), shares, strict=True)
    }
    return {"connections": size, "modes": {"alone": {"servers": servers, "rate_ratio": EVEN}}}


def memory_result(size: int = 10_000) -> dict[str, Any]:
    return {
        "connections": size, "bytes_per_idle_connection": 3e3, "bytes_per_connection": 3_999,
        "bytes_per_waiting_session": 500,
    }  # fmt: skip


def latency_result(size: int = 10_000, messages: int = 100, share: float = 0.9) -> dict[str, Any]:
    rate = {
        "share": 0.5, "messages": messages, "client_cpu_share": share,
        "last_receiver_ms": {"p50": 2.0, "p99": 9.0},
        "windows_ms": [{"p50": p50, "p99": p99} for p50, p99 in ((1.8, 4.0), (2.1, 12.0), (2.0, 9.0))],
    }  # fmt: skip
    single = {"ratio_of_medians": 1.2, "ratio": {"median": 1.05, "min": 0.8, "max": 1.4}}
    return {
        "cells": [
            {"subscribers": crowd, "message_bytes": 200, "single": single, "open_loop": [rate]}
            for crowd in (100, size)
        ]
    }


def ward_step(load: float, share: float = 0.4, p99_ms: float = 20, alerts: int = 1_000) -> dict[str, Any]:
    faults = dict.fromkeys(("missing", "duplicates", "disorder", "foreign", "asked", "done"), 0)
    return {
        "load": load,
        "client_cpu_share": share,
        "server": {
            "all_refused": 0, "unpublished": 0, "overload": [], "first": {}, "cpu_share": 0.5, "seconds": 10,
            "waited_share": 0.0, "loop_lag_ms": 1, "collections": {"longest_ms": 1},
        },
        "client": {
            **faults, "closes": {}, "cpu_share": share, "deliveries": 900, "slow_deliveries": 100,
            "all": {"p99_us": p99_ms * 1e3, "samples": 900},
            "alert": {"p99_us": 5_000, "samples": alerts},
        },
    }  # fmt: skip


def ward_result(size: int = 5_000, *steps: dict[str, Any]) -> dict[str, Any]:
    return {"patients": 500, "viewers": size, "steps": list(steps) or [ward_step(1.0)]}


@pytest.mark.parametrize(
    ("figures", "result", "size", "words", "aim"),
    [
        (mixed.figures, mixed_result, 10_000, "all in JSON, of its deliveries/s", 0.9),
        (operators.figures, operators_result, 10_000, "to nobody, of its deliveries/s", 0.97),
        (idle.figures, idle_result, 10_000, "% of a core", 1.0),
        (replay.figures, replay_result, 1_000, "times p99 before", 2.0),
        (peers.figures, peers_result, 10_000, "ours / C loop of send", 0.95),
        (peers.figures, peers_result, 10_000, "ours / best peer", 1.0),
        (accept.figures, accept_result, 2_000, "bare upgrade", 0.8),
        (memory.figures, memory_result, 10_000, "subscribed", 4_000),
        (latency.figures, latency_result, 10_000, "10,000 subscribers, 200 B, one broadcast", 1.1),
        (ward.figures, ward_result, 5_000, "highest load held, of the ward", 1.0),
    ],
)
def test_an_aim_holds_at_the_size_for_which_it_was_set(
    figures: Any, result: Any, size: int, words: str, aim: float
) -> None:
    one = named(figures(result(size)), words)
    assert (one.aim, one.mark, one.unjudged) == (aim, "passed", None)
    smaller = named(figures(result(size // 10)), words.replace("10,000", "1,000"))
    assert (smaller.aim, smaller.mark) == (None, None)
    assert smaller.unjudged == f"measured at {size // 10:,}, the aim is for {size:,}"


def test_an_aim_is_for_its_size_and_larger_ones() -> None:
    assert aim_at(0.9, 10_000, 10_000) == aim_at(0.9, 18_000, 10_000) == {"aim": 0.9}
    assert aim_at(0.9, 8_240, 10_000) == {"unjudged": "measured at 8,240, the aim is for 10,000"}


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
    assert named(figures(result(share=0.97)), words).invalid == BUSY
    # Processor time of the server does not depend on it.
    assert named(figures(result(share=0.97)), "by CPU").invalid is None
    assert named(figures(result(share=0.95)), words).invalid is None


def test_a_run_that_was_kept_before_shares_were_measured_is_not_invalid() -> None:
    assert client_fault({"client_cpu_share": 0.96}, {}) == "the load client was 96% busy"
    assert client_fault({}) is None


def invalid_of_peers(busy: str) -> set[str]:
    rates = {"quick": [90.0, 80.0], "quicker in the second": [80.0, 90.0], "slow": [10.0, 10.0]}
    found = peers.figures(peers_result(rates=rates, shares={busy: 0.97}))
    assert all(one.invalid in (None, BUSY) for one in found)
    return {one.name.partition(": ")[2] for one in found if one.invalid}


@pytest.mark.parametrize(
    ("busy", "invalid"),
    [
        ("nobody", set()),
        ("ours", {"ours", "ours / C loop of send", "ours / best peer"}),
        ("C loop of send", {"C loop of send", "ours / C loop of send"}),
        ("quick", {"quick", "ours / best peer"}),
        ("quicker in the second", {"quicker in the second", "ours / best peer"}),
        ("slow", {"slow"}),
    ],
)
def test_a_ratio_to_peers_does_not_count_when_any_whom_it_compares_was_limited(
    busy: str, invalid: set[str]
) -> None:
    assert invalid_of_peers(busy) == invalid


def test_a_peer_that_fell_is_the_best_one_of_the_rounds_that_it_had() -> None:
    result = peers_result(rates={"quick": [50.0, 50.0], "fell": [200.0]})
    ratio = named(peers.figures(result), "ours / best peer")
    assert (ratio.least, ratio.most) == (0.5, 2.0)
    assert "of the best peer, fell." in str(peers.charts({**result, "modes": with_rates(result)})[0].sentence)
    alone = peers_result(rates={"quick": [200.0]})
    assert named(peers.figures(alone), "ours / best peer").most == 0.5


def with_rates(result: dict[str, Any]) -> dict[str, Any]:
    """Its modes, with what a chart draws."""
    stage = result["modes"]["one at a time"]
    members = {
        name: {**one, "deliveries_per_second": {"median": one["rates"][0], "min": 1.0, "max": 300.0}}
        for name, one in stage["contestants"].items()
    }
    return {"one at a time": {**stage, "contestants": members}}


def test_a_ratio_to_the_bare_upgrade_is_of_both() -> None:
    found = accept.figures(accept_result(shares=(0.9, 0.97)))
    assert [one.invalid for one in found] == [None, None, BUSY]
    found = accept.figures(accept_result(shares=(0.97, 0.9)))
    assert [one.invalid for one in found] == [BUSY, None, BUSY]


@pytest.mark.parametrize(("busy", "invalid"), [("ping, JSON", 3), ("aiohttp's echo, JSON", 1), ("-", 0)])
def test_a_ratio_to_the_echo_is_of_both(busy: str, invalid: int) -> None:
    keys = ("commands_per_second", "server_cpu_us_per_command", "rate_to_echo")
    speakers = {
        f"{name}, {form}": dict.fromkeys(keys, EVEN) | {"client_cpu_share": 0.9}
        for form in ("JSON", "binary")
        for name in ("ping", "aiohttp's echo")
    }
    speakers.setdefault(busy, {})["client_cpu_share"] = 0.97
    speakers.pop("-", None)
    found = inbound.figures({"stages": [{"shape": "one", "speakers": speakers}]})
    marked = [one for one in found if one.invalid == BUSY]
    assert len(found) == 6
    assert len(marked) == invalid
    assert all("ping, JSON" in one.name for one in marked)
    assert invalid != 1 or marked[0].unit == "of the echo's rate"


@pytest.mark.parametrize(("place", "invalid"), [(0, BUSY), (1, None), (2, BUSY)])
def test_how_a_delivery_grows_does_not_count_when_an_end_was_limited(
    place: int, invalid: str | None
) -> None:
    crowds = [1_000, 10_000, 18_000]
    stages = [
        {"subscribers": crowd, "cells": [{"message_bytes": 200, "contestants": of_crowd(place == number)}]}
        for number, crowd in enumerate(crowds)
    ]
    grown = {"subscribers": crowds, "contestants": {"ours": {"last_to_first": 1.2}}}
    one = named(fanout_figures.figures({"stages": stages, "growth": grown}), "time of a delivery at")
    assert (one.aim, one.invalid) == (1.5, invalid)
    grown = {**grown, "subscribers": [1_000, 10_000, 16_000]}
    one = named(fanout_figures.figures({"stages": stages, "growth": grown}), "time of a delivery at")
    assert one.unjudged == "measured at 16,000, the aim is for 18,000"


def of_crowd(is_busy: bool) -> dict[str, Any]:
    one = {
        "deliveries_per_second": EVEN, "ratio_to_floor": EVEN, "server_cpu_us_per_delivery": EVEN,
        "client_cpu_share": 0.9, "rounds_limited_by_client": 0,
    }  # fmt: skip
    ours = {**one, "client_cpu_share": 0.97, "rounds_limited_by_client": 1} if is_busy else one
    return {"ours": ours, "C loop of send": one}


def test_latency_to_the_bare_loop_is_the_median_of_pairs() -> None:
    one = named(latency.figures(latency_result()), "10,000 subscribers, 200 B, one broadcast")
    assert (one.least, one.median, one.most) == (0.8, 1.05, 1.4)


def test_a_latency_at_a_pace_has_the_spread_of_its_parts() -> None:
    found = latency.figures(latency_result())
    one = named(found, "10,000 subscribers, 200 B, 50% of capacity: p99")
    assert (one.least, one.median, one.most) == (4.0, 9.0, 12.0)
    limited = latency.figures(latency_result(share=0.97))
    assert named(limited, "10,000 subscribers, 200 B, 50% of capacity: p99").invalid == BUSY


def test_a_p99_of_few_messages_is_no_figure() -> None:
    names = [one.name for one in latency.figures(latency_result(messages=99))]
    assert any("p50 to the last" in name for name in names)
    assert not any("p99" in name for name in names)


@pytest.mark.parametrize(("count", "sizes"), [(9, [3, 3, 3]), (10, [3, 3, 4]), (2, [1, 1]), (1, [1])])
def test_windows_are_all_values_in_their_order(count: int, sizes: list[int]) -> None:
    values = [float(one) for one in range(count)]
    parts = latency.windows(values)
    assert [len(part) for part in parts] == sizes
    assert [one for part in parts for one in part] == values


def test_a_ward_that_its_client_ended_has_no_highest_load() -> None:
    held, broken = ward_step(1.0), ward_step(1.4, p99_ms=300)
    limited = ward_step(1.4, share=0.97)
    for steps, invalid in (([held, broken], None), ([held, limited], BUSY), ([limited], BUSY)):
        found = ward.figures(ward_result(5_000, *steps))
        one = named(found, "highest load held, of the ward")
        assert (one.median, one.invalid) == (1.0 if held in steps else 0.0, invalid)
        assert all(each.invalid == invalid for each in found if "deliveries" in each.name)
    assert named(ward.figures(ward_result(5_000, broken)), "highest load held").mark == "missed"


def test_latencies_of_a_ward_are_those_of_loads_that_every_run_tries() -> None:
    steps = [ward_step(0.5, alerts=99), ward_step(1.0), ward_step(1.4, share=0.97), ward_step(1.183)]
    found = [one for one in ward.figures(ward_result(5_000, *steps)) if "p99" in one.name]
    assert [(one.name.partition(": ")[2], one.invalid) for one in found] == [
        ("p99 at a load of 0.5", None),
        ("p99 at a load of 1", None),
        ("p99 of alerts at a load of 1", None),
        ("p99 at a load of 1.4", BUSY),
        ("p99 of alerts at a load of 1.4", BUSY),
    ]
    assert all(one.aim is None for one in found)


def test_a_figure_of_onlookers_is_named_by_who_was_to_look_on() -> None:
    names = [one.name for one in operators.figures(operators_result()) if "idle" in one.name]
    assert names == ["10,000 idle subscribers, 2 pages", "10,000 idle subscribers, 2 pages and a scraper"]


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
    assert back.invalid is None
    rounds[1]["client_cpu_share"] = 0.97
    assert [one.invalid for one in herd.figures(result)] == [BUSY, BUSY, None]


def test_clients_that_could_not_come_back_faster_are_told() -> None:
    found = replay.figures(replay_result(share=0.97))
    assert [one.invalid for one in found] == [BUSY, BUSY, None, None, None]
    stage = {
        "variant": "in place", "peak_per_second": 900, "all_back_after_s": 9.0, "longest_away_s": 8.0,
        "exit_s": 7.0, "drained": {"worst_stall_ms": 5}, "successor": {"worst_stall_ms": 6},
        "client_cpu_share": 0.97,
    }  # fmt: skip
    found = drain.figures({"clients": 10_000, "rate": 1_000, "stages": [stage]})
    assert [one.invalid for one in found] == [BUSY, BUSY, BUSY, None, None]
