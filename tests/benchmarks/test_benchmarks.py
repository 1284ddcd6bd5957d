"""The benchmarks run and count rightly; how fast they are is nobody's test."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def benchmarks_can_be_built(
    require_tool: Callable[[bool, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    require_tool(shutil.which("cc") is not None, "a C compiler")
    monkeypatch.syspath_prepend(str(ROOT))


def run(name: str, directory: Path, *options: str) -> dict[str, Any]:
    target = directory / "result.json"
    # A process of its own: a benchmark pins the one it runs in to a processor.
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", name, "--json", str(target), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    measured: dict[str, Any] = json.loads(target.read_text())["benchmarks"][name]
    result: dict[str, Any] = measured["result"]
    names = [(one["name"], one["unit"]) for one in measured["figures"]]
    assert len(names) == len(set(names))
    shows_whole_charts(name, result)
    return result


def shows_whole_charts(name: str, result: dict[str, Any]) -> None:
    """Of a result that was read back, as a report does it."""
    from benchmarks.catalogue import SUITE
    from benchmarks.reports.shown import shown

    seen = shown(SUITE[name], result)
    assert seen.fault is None
    assert seen.text
    for chart in seen.charts:
        for line in chart.lines:
            assert len(line.values) == len(chart.places)
            assert len(line.least) == len(line.most)
            assert len(line.least) in (0, len(chart.places))


def test_mixed_gives_everybody_the_same_in_its_own_protocol(tmp_path: Path) -> None:
    result = run("mixed", tmp_path, "--connections", "20", "--rounds", "1")
    assert [one["received"] for one in result["checks"]] == [400, 400]
    assert all(one["foreign"] == one["lost"] == 0 for one in result["checks"])
    assert result["encoded_per_message"] == {"all JSON": 0.0, "half binary": 1.0}
    assert result["frame_bytes"]["half binary"] < result["frame_bytes"]["all JSON"]


def test_memory_counts_a_subscription_for_each_connection(tmp_path: Path) -> None:
    result = run("memory", tmp_path, "--connections", "50")
    assert result["connections"] == result["waiting_sessions"] == 50
    assert result["subscriptions"] == 50 + 100
    assert 250 < result["token_bytes"] < 350
    assert result["idle"].keys() < result["subscribed"].keys()
    assert 200 < result["idle"]["metadata"] == result["subscribed"]["metadata"]
    assert result["bytes_per_waiting_session"] > 200
    # Whoever adds to a connection has to say so here. Tables and bounded records weigh more among few.
    assert sum(result["subscribed"].values()) < 5_500
    places = [place for place, _ in result["lines"]]
    assert any(place.startswith("wsserver/") for place in places)
    # A result may be shown to others.
    assert not any(place.startswith("/") for place in places)


def test_idle_counts_the_heartbeats_that_were_answered(tmp_path: Path) -> None:
    result = run("idle", tmp_path, "--connections", "60", "--seconds", "5")
    assert result["connections"] == 60
    # 10 on the average.
    assert 1 <= result["pings"] <= 25
    assert 0 <= result["pings"] - result["pongs"] <= 2
    assert result["missed"] == 0
    assert 0 < result["percent_of_a_core"] < 100
    assert len(result["readings"]) == 1


def test_filters_finds_the_same_receivers_in_three_ways(tmp_path: Path) -> None:
    # It ends with a fault when they differ.
    result = run("filters", tmp_path, "--subscriptions", "200", "--rounds", "2")
    assert [one["name"] for one in result["populations"]] == [
        "a",
        "b",
        "c, values",
        "c, thresholds",
        "c, ranges",
        "d",
    ]
    for population in result["populations"]:
        (stage,) = population["stages"]
        messages = stage["messages"]
        assert stage["subscriptions"] == 200
        assert {share: one["receivers"] for share, one in messages.items()} == {
            "none": 0,
            "hundredth": 2,
            "all": 200,
            "equal": 8,
        }
        for one in messages.values():
            for way in ("index_us", "cold_us", "python_us", "compiled_us"):
                assert 0 < one[way]["min"] <= one[way]["median"] <= one[way]["max"]
            assert one["python_to_index"]["median"] > 0
            assert (one["ns_per_receiver"] is None) == (one["receivers"] == 0)
    assert result["memory"].keys() == {"subscriptions", "shared_filter", "own_filter"}
    assert (result["rounds"], result["rounds_with_scans"]) == (2, 1)


def test_filters_says_at_once_that_it_cannot_draw(tmp_path: Path) -> None:
    (tmp_path / "matplotlib.py").write_text("raise ImportError")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "filters", "--plot", str(tmp_path / "growth.png")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 1
    assert "matplotlib is missing: pip install -e '.[bench]'" in done.stderr
    assert not done.stdout


def test_filters_draws_how_times_grow(tmp_path: Path, require_tool: Callable[[bool, str], None]) -> None:
    require_tool(find_spec("matplotlib") is not None, "matplotlib, of the extra bench,")
    target = tmp_path / "growth.png"
    run("filters", tmp_path, "--subscriptions", "100", "--rounds", "1", "--plot", str(target))
    assert target.read_bytes().startswith(b"\x89PNG")


def test_drain_brings_everybody_back_at_the_rate(tmp_path: Path) -> None:
    result = run("drain", tmp_path, "--connections", "40", "--rate", "50")
    assert [stage["variant"] for stage in result["stages"]] == ["in place", "elsewhere"]
    for stage in result["stages"]:
        assert stage["exit_status"] == 0
        assert stage["returned"] == 40
        assert stage["peak_per_second"] < 2 * 50
        assert stage["client_strange"] == 0
        assert stage["exit_s"] < 30
        assert stage["longest_away_s"] < 30
    in_place, elsewhere = result["stages"]
    assert in_place["handshakes"] == 40 + in_place["refused_over_http"]
    assert elsewhere["longest_away_s"] < in_place["longest_away_s"]


def test_encodings_are_measured_of_messages_that_come_back_whole(tmp_path: Path) -> None:
    result = run("encodings", tmp_path, "--rounds", "2")
    assert [(case["samples"], case["numbers"]) for case in result["cases"]] == [
        (count, numbers) for count in (4, 250, 2_500) for numbers in ("mV", "raw")
    ]
    for case in result["cases"]:
        for way in ("json", "binary", "lz4"):
            assert case["bytes"][way] > 0
            assert case["encode_us"][way]["median"] > 0
            assert case["decode_us"][way]["median"] > 0


def test_herd_brings_everybody_back(tmp_path: Path) -> None:
    result = run("herd", tmp_path, "--quick", "--connections", "40")
    (stage,) = result["stages"]
    (one,) = stage["rounds"]
    assert one["returned"] == 40
    assert one["handshakes"] == 40
    assert one["client_strange"] == 0
    assert one["successor"]["cpu_seconds"] > 0


def test_slow_accounts_for_every_message(tmp_path: Path) -> None:
    # Longer than broadcast.timeout: whoever reads nothing for so long is slow on any machine.
    result = run("slow", tmp_path, "--connections", "40", "--seconds", "7")
    assert result["stalled"] == 4
    assert result["while_stalled"]["became_slow"] >= 4
    assert result["a_tenth_stalled"]["missing_elsewhere"] == 0
    after, outcomes = result["after"], result["outcomes"]
    assert after["missing"] == after["told"] == sum(outcomes["dropped"].values()) > 0
    assert after["untold_connections"] == after["lost"] == 0
    assert after["fewest_alerts"] == after["most_alerts"] == result["alerts"]
    assert outcomes["adds_up"]
    assert outcomes["matched"] == outcomes["written"] + after["missing"]


def test_durable_stores_what_it_publishes_and_groups_it(tmp_path: Path) -> None:
    result = run("durable", tmp_path, "--seconds", "0.5", "--folder", str(tmp_path))
    memory, volatile, grouped, single = result["stages"]
    assert [one["variant"] for one in result["stages"]] == [
        "memory",
        "volatile",
        "group commit",
        "one commit each",
    ]
    assert volatile["stored"] == 0
    for stage in (memory, grouped, single):
        assert stage["stored"] == stage["published"] > 0
        assert 0 < stage["median_ms"] <= stage["p99_ms"] <= stage["longest_ms"]
    assert grouped["commits"] < grouped["published"] / 4
    assert single["commits"] >= single["published"]
    assert [one.name for one in tmp_path.iterdir()] == ["result.json"]


def test_replay_gives_everybody_what_they_missed(tmp_path: Path) -> None:
    result = run("replay", tmp_path, "--connections", "20", "--rounds", "300")
    assert result["resumed"] == 20
    assert result["received"] == result["promised"] == 20 * 300
    assert result["gaps"] == 0
    assert result["sessions"]["resumed"] == 20
    assert result["meanwhile"]["missing"] == result["quiet"]["missing"] == 0
    assert 0 < result["client_cpu_share"] < 1.5


def test_operators_look_on_and_everybody_gets_everything(tmp_path: Path) -> None:
    result = run("operators", tmp_path, "--quick", "--connections", "20", "--rounds", "1", "--seconds", "2")
    assert result["check"]["received"] == 20 * 20
    assert result["check"]["missing"] == result["check"]["lost"] == 0
    assert list(result["contestants"]) == ["nobody looks on", "two pages and a scraper"]
    # The round that does not count, and the one that does.
    assert len(result["seen"]) == 2
    assert all(one["panels"] >= 2 and one["scrapes"] == 1 for one in result["seen"])
    assert [one["viewers"] for one in result["idle"]] == [0, 2, 50, 2]
    assert [one["panels"] > 0 for one in result["idle"]] == [False, True, True, True]
    assert [one["scrapes"] for one in result["idle"]] == [0, 0, 0, 1]
    assert 0 < result["reading_us"]["min"] <= result["reading_us"]["median"]


def test_trace_looks_on_where_it_is_armed_and_loses_nothing(tmp_path: Path) -> None:
    result = run("trace", tmp_path, "--quick", "--connections", "20", "--rounds", "1")
    assert result["questions"] == 8
    assert set(result["publish"]) == set(result["fanout"]) == {
        "without the tracer", "nothing armed", "armed for others", "armed for these",
    }  # fmt: skip
    assert all(one["us"]["min"] > 0 for one in (*result["publish"].values(), *result["fanout"].values()))
    # One round that does not count and one that does, of twenty messages each.
    assert result["traced"] == 40
    check = result["check"]
    assert (check["received"], check["missing"], check["duplicates"]) == (400, 0, 0)


def test_an_unknown_benchmark_is_a_usage_error() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "coffee"], cwd=ROOT, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 2
