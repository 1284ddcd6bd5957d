"""The runner of the benchmarks: one after the other, whatever becomes of each, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from fake_benchmarks import CATALOGUE, CHILD

from benchmarks import measurement, runner
from benchmarks.benchmark import Options
from benchmarks.catalogue import SUITE
from benchmarks.runner import Outcome

ROOT = Path(__file__).parents[2]

RUN_AND_WRITE = f"""
import json, sys
sys.path[:0] = [{str(ROOT)!r}, {str(Path(__file__).parent)!r}]
from pathlib import Path
from fake_benchmarks import CATALOGUE, CHILD
from benchmarks import runner
from benchmarks.benchmark import Options
options = Options(folder=Path(sys.argv[1]))
how = dict(child=CHILD, say=print, done=lambda *_: None)
found = runner.run(["good", "endless", "bad"], options, CATALOGUE, **how)
print(json.dumps([found.interrupted, list(found.benchmarks)]))
"""


@pytest.fixture(autouse=True)
def the_project_can_be_imported_by_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def run(*names: str, options: Options | None = None, **how: Any) -> tuple[Outcome, list[str]]:
    said: list[str] = []
    outcome = runner.run(
        names, options or Options(), CATALOGUE, child=CHILD, say=said.append, done=lambda *_: None, **how
    )
    return outcome, said


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def numbers(folder: Path) -> list[int]:
    return [int(word) for word in (folder / "started").read_text().split()]


def test_each_benchmark_has_a_process_of_its_own_and_its_options() -> None:
    outcome, said = run("good", "good", options=Options(rounds=3))
    one = outcome.benchmarks["good"]
    assert one["result"]["rounds"] == 3
    assert one["result"]["process"] != os.getpid()
    assert one["failure"] is None
    assert one["seconds"] > 0
    assert one["figures"] == [
        {
            "name": "deliveries", "unit": "1/s", "median": 100.0, "least": 90.0, "most": 120.0,
            "better": "more", "aim": 95.0, "invalid": None, "unjudged": None, "is_tail": False,
        }
    ]  # fmt: skip
    assert said[0] == "1 of 2: good, about 20 s; 0 s so far, about 40 s to go"
    assert said[1].startswith("2 of 2: good, about 20 s; ")
    assert said[1].endswith("about 20 s to go")


def test_what_is_said_comes_with_the_place_of_the_benchmark(capfd: pytest.CaptureFixture[str]) -> None:
    run("good")
    assert "[1/1 good " in capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "failure"),
    [
        ("bad", "ValueError: the cable is out"),
        ("dead", "ended by SIGABRT"),
        ("uncounted", "KeyError: 'gone'"),
    ],
)
def test_one_that_fails_is_noted_and_does_not_keep_the_others(name: str, failure: str) -> None:
    outcome, said = run(name, "good")
    assert outcome.benchmarks[name]["failure"] == failure
    assert outcome.benchmarks[name]["figures"] == []
    assert outcome.benchmarks["good"]["failure"] is None
    assert f"{name} FAILED: {failure}" in said


def test_a_failure_is_one_line_without_paths(tmp_path: Path) -> None:
    outcome, _ = run("bad", options=Options(folder=tmp_path))
    failure = outcome.benchmarks["bad"]["failure"]
    assert failure == "ValueError: the cable is out at …/socket, …, …/benchmarks/measurement.py"


def test_one_that_crashes_leaves_none_of_its_processes(tmp_path: Path) -> None:
    run("dead", options=Options(folder=tmp_path))
    (child,) = numbers(tmp_path)
    psutil.wait_procs([psutil.Process(child)] if psutil.pid_exists(child) else [], timeout=10)
    assert not is_alive(child)


def test_a_result_is_kept_though_its_figures_cannot_be_made() -> None:
    outcome, _ = run("uncounted")
    assert outcome.benchmarks["uncounted"]["result"]["benchmark"] == "good"


def test_one_that_takes_too_long_is_ended_with_all_its_processes(tmp_path: Path) -> None:
    outcome, _ = run("endless", "good", options=Options(folder=tmp_path), timeout=5.0)
    assert outcome.benchmarks["endless"]["failure"] == "was not over after 5 s and was ended"
    assert outcome.benchmarks["good"]["failure"] is None
    assert not any(is_alive(pid) for pid in numbers(tmp_path))


def test_the_time_that_is_allowed_follows_from_the_usual_unless_sizes_are_given() -> None:
    assert runner._limit(Options(), 100.0) == 300.0
    assert runner._limit(Options(quick=True), 5.0) == 120.0
    assert runner._limit(Options(seconds=500.0), 5.0) == 3600.0


IN_BACKGROUND = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
"""Starts the rest as a shell starts a job with &: INT is ignored."""


@pytest.mark.parametrize(
    ("number", "how"),
    [(signal.SIGINT, ()), (signal.SIGINT, IN_BACKGROUND), (signal.SIGTERM, ()), (signal.SIGKILL, ())],
    ids=["INT", "INT in the background", "TERM", "KILL"],
)
def test_an_interruption_keeps_what_there_is_and_leaves_no_process(
    tmp_path: Path, number: int, how: tuple[str, ...]
) -> None:
    process = subprocess.Popen(
        [*how, sys.executable, "-c", RUN_AND_WRITE, str(tmp_path)],
        # Whoever is killed cannot put his files away.
        env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (tmp_path / "started").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    measured, below = numbers(tmp_path)
    process.send_signal(number)
    told, _ = process.communicate(timeout=30)
    if number == signal.SIGKILL:
        # The runner can do nothing any more; the benchmark is told by the kernel and ends.
        psutil.wait_procs([psutil.Process(measured)] if psutil.pid_exists(measured) else [], timeout=30)
        os.kill(below, signal.SIGKILL)
    else:
        assert json.loads(told.splitlines()[-1]) == [True, ["good"]]
        assert not is_alive(below)
    assert not is_alive(measured)


@pytest.mark.parametrize("how", [(), IN_BACKGROUND], ids=["", "in the background"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_measurement_that_is_ended_puts_away_what_it_has(
    tmp_path: Path, number: int, how: tuple[str, ...]
) -> None:
    with subprocess.Popen(
        [*how, sys.executable, *CHILD, "tidy", "title", str(tmp_path / "result")],
        stdin=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdin is not None
            process.stdin.write(measurement.written(Options(folder=tmp_path)) + "\n")
            process.stdin.flush()
            deadline = time.monotonic() + 60
            while not (tmp_path / "started").exists():
                assert time.monotonic() < deadline
                time.sleep(0.02)
            process.send_signal(number)
            assert process.wait(timeout=30) == 130
        finally:
            process.kill()
    assert (tmp_path / "away").exists()
    assert not (tmp_path / "result").exists()


def test_options_come_to_the_child_as_they_were_given(tmp_path: Path) -> None:
    options = Options(True, 7, 8, 100, 1.5, 2.5, tmp_path / "plot.png", tmp_path)
    assert measurement.read(measurement.written(options)) == options
    assert measurement.read(measurement.written(Options())) == Options()


def test_all_benchmarks_have_words_and_stay_within_the_time_of_a_run() -> None:
    assert all(one.about for one in SUITE.values())
    assert sum(one.seconds for one in SUITE.values()) < 40 * 60
    assert sum(one.quick_seconds for one in SUITE.values()) < 3 * 60


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.4, "0 s"), (59.4, "59 s"), (60, "1:00 min"), (3725, "62:05 min")]
)
def test_times_are_told_in_minutes_from_one_on(seconds: float, told: str) -> None:
    assert runner.clock(seconds) == told
