"""The command of the benchmarks: what it writes, shows and compares, and its exit statuses."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from made_up_run import CATALOGUE, HOSTILE, figure, made_up_run

from benchmarks import command
from benchmarks.benchmark import Options
from benchmarks.catalogue import SUITE
from benchmarks.reports import picture
from benchmarks.reports.page import _json as page_data
from benchmarks.reports.page import page

ROOT = Path(__file__).parents[2]


def benchmarks(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, words)],
        cwd=ROOT, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    def save(name: str, **members: Any) -> Path:
        path = tmp_path / name
        path.write_text(json.dumps({**made_up_run(), **members}))
        return path

    return save


def entries(median: float) -> dict[str, Any]:
    one = figure("rate", median, median - 1, median + 1)
    return {"fanout": {"seconds": 1.0, "failure": None, "figures": [one], "result": None}}


def test_one_run_is_kept_shown_and_compared_with_itself(tmp_path: Path) -> None:
    run, report = tmp_path / "run.json", tmp_path / "report.html"
    done = benchmarks(
        "encodings", "durable", "--rounds", "2", "--seconds", "0.2", "--folder", tmp_path, "--json", run
    )
    assert done.returncode == 0, done.stderr
    assert "1 of 2: encodings" in done.stderr
    assert re.search(r"^\[2/2 durable +\d+\.\d s\] volatile, for 0.2 s$", done.stderr, re.MULTILINE)
    assert "An ECG message" in done.stdout
    kept = json.loads(run.read_text())
    assert kept["command"] == "python -m benchmarks encodings durable --rounds 2 --seconds 0.2"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", kept["date"])
    assert list(kept["benchmarks"]) == ["encodings", "durable"]
    assert str(tmp_path) not in run.read_text()
    assert all(one["figures"] for one in kept["benchmarks"].values())
    done = benchmarks("--from", run, "--report", report, "--compare", run, "--fail-on-worse")
    assert done.returncode == 0, done.stderr
    assert "An ECG message" in done.stdout
    assert " 0 better, 0 worse" in done.stdout
    assert "<h2>encodings</h2>" in report.read_text()


def test_compare_exits_with_0_unless_told_to_fail(saved: Callable[..., Path]) -> None:
    old, new = (
        str(saved(name, benchmarks=entries(rate))) for name, rate in (("old.json", 100), ("new.json", 50))
    )
    done = benchmarks("compare", old, new)
    assert (done.returncode, "0.500 times: worse" in done.stdout) == (0, True)
    invoke = CliRunner().invoke
    assert invoke(command.compare, [old, new, "--fail-on-worse"]).exit_code == 1
    assert invoke(command.compare, [new, old, "--fail-on-worse"]).exit_code == 0
    assert invoke(command.measure, ["--from", new, "--compare", old]).exit_code == 0
    assert invoke(command.measure, ["--from", new, "--compare", old, "--fail-on-worse"]).exit_code == 1


def test_a_file_that_is_no_run_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    done = benchmarks("compare", tmp_path / "x.json", tmp_path / "x.json")
    assert done.returncode == 1
    assert "x.json is no document of" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("option", ["--json", "--report", "--plot"])
def test_a_place_that_is_not_there_is_told_before_anything_is_measured(tmp_path: Path, option: str) -> None:
    done = CliRunner().invoke(command.measure, ["encodings", option, str(tmp_path / "none" / "x")])
    assert done.exit_code == 1
    assert "there is no directory for" in done.stderr
    assert not done.stdout


def test_a_benchmark_that_fails_makes_the_status_1_and_is_in_the_document(tmp_path: Path) -> None:
    done = benchmarks("encodings", "--rounds", "1000", "--timeout", "1", "--json", tmp_path / "run.json")
    assert done.returncode == 1
    assert "encodings FAILED: was not over after 1 s and was ended" in done.stderr
    kept = json.loads((tmp_path / "run.json").read_text())["benchmarks"]["encodings"]
    assert kept["failure"] == "was not over after 1 s and was ended"


def test_an_interrupted_run_is_kept_as_far_as_it_came(tmp_path: Path) -> None:
    target = tmp_path / "run.json"
    words = ["encodings", "durable", "herd", "--rounds", "1", "--seconds", "600"]
    words += ["--folder", str(tmp_path), "--json", str(target)]
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks", *words],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if "memory, for" in line:
                    break
            assert json.loads(target.read_text())["interrupted"]
            process.send_signal(signal.SIGINT)
            said = process.stderr.read()
            assert process.wait(timeout=60) == 130
        finally:
            process.kill()
    assert "interrupted: durable is left out" in said
    assert list(json.loads(target.read_text())["benchmarks"]) == ["encodings"]
    # Its store has gone with it.
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_the_help_has_every_benchmark_with_its_words() -> None:
    text = " ".join(command.measure.help.split())
    for name, one in SUITE.items():
        assert f"{name} {' '.join(one.about.split())}" in text


@pytest.mark.parametrize(
    ("names", "options", "line"),
    [
        (tuple(SUITE), Options(), "python -m benchmarks"),
        (tuple(SUITE), Options(quick=True), "python -m benchmarks --quick"),
        (("idle",), Options(seconds=2.5), "python -m benchmarks idle --seconds 2.5"),
        (("idle",), Options(connections=20), "python -m benchmarks idle --connections 20"),
        (("durable",), Options(folder=Path("/secret")), "python -m benchmarks durable"),
    ],
)  # fmt: skip
def test_the_command_is_kept_without_paths(names: tuple[str, ...], options: Options, line: str) -> None:
    assert command._command_line(names, options) == line


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_loads_nothing_and_escapes_everything() -> None:
    text = page(made_up_run(), CATALOGUE)
    assert HOSTILE not in text
    elements = _Elements()
    elements.feed(text)
    tags = [tag for tag, _ in elements.tags]
    assert tags.count("script") == 3
    assert "img" not in tags
    for tag, attributes in elements.tags:
        assert not {"src", "style", "onerror", "onload"} & attributes.keys(), tag
        if "href" in attributes:
            assert str(attributes["href"]).startswith(("#", "data:,")), attributes
    identifiers = [attributes["id"] for _, attributes in elements.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))


def test_nothing_ends_the_element_of_the_page_s_data() -> None:
    text = page_data(HOSTILE)
    assert not set("<>&") & set(text)
    assert json.loads(text) == HOSTILE


def test_the_page_can_be_made_of_every_kind_of_incomplete_run() -> None:
    run = made_up_run()
    run["benchmarks"], run["machine"] = {}, {"versions": {}, "processor": "?", "cores": 1, "kernel": "?"}
    assert "What is aimed at" not in page(run, CATALOGUE)
    run["interrupted"] = True
    assert "interrupted" in page(run, CATALOGUE)


def test_what_this_version_cannot_show_is_told(saved: Callable[..., Path]) -> None:
    entry = {"seconds": 1.0, "failure": None, "figures": [], "result": {"benchmark": "idle", "old": 1}}
    done = benchmarks("--from", saved("old.json", benchmarks={"idle": entry, "gone": entry}))
    assert done.returncode == 0, done.stderr
    assert "This version cannot show the result (KeyError: 'us_per_heartbeat')." in done.stdout
    assert "This version has no benchmark of this name" in done.stdout


def test_every_chart_becomes_a_picture(tmp_path: Path, require_tool: Callable[[bool, str], None]) -> None:
    require_tool(find_spec("matplotlib") is not None, "matplotlib, of the extra bench,")
    run = made_up_run()
    charts = [chart for name in ("fanout", "peers") for chart in CATALOGUE[name].charts({})]
    for chart in charts:
        picture.draw(chart, run, tmp_path / f"{chart.name}.png")
    drawn = sorted(tmp_path.iterdir())
    assert [path.stem for path in drawn] == sorted(chart.name for chart in charts)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)
    assert picture.small_print(run) == (
        "2026-03-01 (quick), wsserver 0.1.0, Python 3.11.9, Linux 6.18.1, "
        "2 × Intel(R) Xeon(R) Processor @ 2.10GHz"
    )


def test_plots_without_matplotlib_are_refused_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "matplotlib.py").write_text("raise ImportError")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "encodings", "--plots", str(tmp_path / "plots")],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "--plots: matplotlib is missing: pip install -e '.[bench]'" in done.stderr
    assert not done.stdout
