"""What is kept of a run, what its end says, and that nothing in it tells whose machine it was."""

import getpass
import json
import os
import resource
import socket
from pathlib import Path
from typing import Any

import pytest
from made_up_run import made_up_run

from benchmarks import descriptors, machine
from benchmarks.benchmark import Benchmark
from benchmarks.build import NoCompiler, build
from benchmarks.reports import document, numbers, summary
from benchmarks.reports.figure import Figure
from benchmarks.reports.shown import figured


def test_a_document_is_read_as_it_was_written(tmp_path: Path) -> None:
    document.write(made_up_run(), tmp_path / "run.json")
    assert document.read(tmp_path / "run.json") == made_up_run()
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "cannot be read"),
        ("[]", "is no document"),
        ('{"benchmark": "fanout", "stages": []}', "is no document"),
        ('{"schema": 2, "benchmarks": {}}', "has schema 2, this program reads 1"),
    ],
)
def test_what_is_no_document_is_refused_with_the_reason(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(document.DocumentUnreadable, match=f"^run\\.json {why}"):
        document.read(path)


def test_a_file_that_is_not_there_is_refused_without_its_path(tmp_path: Path) -> None:
    with pytest.raises(document.DocumentUnreadable, match=r"^none\.json cannot be read"):
        document.read(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("median", "better", "aim", "invalid", "mark"),
    [
        (0.95, "more", 0.95, None, "passed"),
        (0.949, "more", 0.95, None, "missed"),
        (4_000, "less", 4_000, None, "passed"),
        (4_001, "less", 4_000, None, "missed"),
        (0, "less", 0, None, "passed"),
        (1, "more", None, None, None),
        (0.99, "more", 0.95, "busy", "invalid"),
        (1, "more", None, "busy", "invalid"),
    ],
)
def test_a_figure_is_marked_by_its_aim(
    median: float, better: Any, aim: float | None, invalid: str | None, mark: str | None
) -> None:
    assert Figure("f", "u", median, median, median, better, aim, invalid).mark == mark


def test_the_summary_has_failures_shares_invalid_rounds_and_aims() -> None:
    lines = summary.text(made_up_run()).splitlines()
    assert lines[0].startswith("Others use this machine: load 3.2")
    assert lines[1] == (
        "fanout: 161 s, load client at most 98% of its processor, 2 rounds INVALID because of it"
    )
    assert lines[2] == "peers: 240 s, load client at most 60% of its processor"
    assert lines[3].startswith("broken: 2 s FAILED: ValueError")
    fanout = "fanout: 10,000 subscribers, 200 B"
    assert lines[5:9] == [
        f"  PASSED  {fanout}, one at a time: to the C loop: 0.951 of its rate (aim: at least 0.95)",
        f"  MISSED  {fanout}, bursts of 16: to one send per message: 7.40 times (aim: at least 8)",
        f"  INVALID {fanout}, one at a time: ours: 226,000 deliveries/s: the load client was 98 % busy",
        "  PASSED  fanout: memory per connection: 3,900 bytes (aim: at most 4,000)",
    ]
    assert "interrupted" not in lines[-1]
    assert "interrupted" in summary.text({**made_up_run(), "interrupted": True}).splitlines()[-1]


def test_the_summary_says_which_aims_are_not_judged() -> None:
    run = made_up_run()
    figure = run["benchmarks"]["fanout"]["figures"][0]
    figure |= {"aim": None, "unjudged": "measured at 8,240, the aim is for 10,000"}
    quick = summary.text(run)
    assert "\n  1 aims are not judged: they are set for larger sizes than a quick run has." in quick
    assert "8,240" not in quick
    run["quick"] = False
    assert (
        "\n  aim not judged: fanout: 10,000 subscribers, 200 B, one at a time: to the C loop: "
        "0.951 of its rate: measured at 8,240, the aim is for 10,000"
    ) in summary.text(run)
    assert "not judged" not in summary.text(made_up_run())


KEPT = [{"name": "kept"}]


def entry(**members: Any) -> dict[str, Any]:
    return {"seconds": 1.0, "failure": None, "figures": KEPT, "result": {"rate": 5.0}, **members}


def test_a_kept_run_has_the_figures_of_this_version() -> None:
    def figures(result: dict[str, Any]) -> list[Figure]:
        return [Figure("rate", "1/s", result["rate"], 1.0, 9.0, "more", 6.0)]

    catalogue = {"one": Benchmark(dict, str, figures), "two": Benchmark(dict, str)}
    run = {
        "quick": True,
        "benchmarks": {
            "one": entry(),
            "two": entry(),
            "gone": entry(),
            "failed": entry(result=None),
        },
    }
    found = figured(run, catalogue)
    made = found["benchmarks"].pop("one")
    assert document.figures({"benchmarks": {"one": made}})["one"][0].mark == "missed"
    assert made["seconds"] == 1.0
    assert all(one["figures"] == KEPT for one in found["benchmarks"].values())
    assert found["quick"]
    other = {**run, "benchmarks": {"one": entry(result={"speed": 5.0})}}
    assert figured(other, catalogue)["benchmarks"]["one"]["figures"] == KEPT


def test_the_machine_s_facts_tell_nothing_about_whose_it_is() -> None:
    facts = machine.facts()
    text = json.dumps(facts)
    assert socket.gethostname() not in text
    for path in (Path.home(), Path.cwd(), Path(machine.__file__).parents[1]):
        assert str(path) not in text
    if len(getpass.getuser()) > 4:
        assert getpass.getuser() not in text
    assert facts["versions"]["wsserver"]
    assert facts["memory_bytes"] > 1 << 26
    assert facts["descriptor_limits"] == list(resource.getrlimit(resource.RLIMIT_NOFILE))
    cores = sorted(os.sched_getaffinity(0))
    assert set(facts["thread_siblings"]) == {str(cores[0]), str(cores[-1])}


def test_others_on_the_machine_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(machine, "thread_siblings", str)
    monkeypatch.setattr("os.getloadavg", lambda: (0.4, 0.0, 0.0))
    assert machine.remarks() == []
    monkeypatch.setattr("os.getloadavg", lambda: (3.2, 0.0, 0.0))
    (remark,) = machine.remarks()
    assert remark.startswith("Others use this machine: load 3.2.")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    assert "one processor only" in machine.remarks()[1]


@pytest.mark.parametrize(
    ("siblings", "told"), [("0,7", True), ("0-3,7", True), ("0", False), ("0-3", False), ("unknown", False)]
)
def test_two_threads_of_one_core_are_told_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, siblings: str, told: bool
) -> None:
    monkeypatch.setattr(machine, "_PROCESSORS", tmp_path)
    topology = tmp_path / "cpu0" / "topology"
    topology.mkdir(parents=True)
    (topology / "thread_siblings_list").write_text(f"{siblings}\n")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 3, 7})
    monkeypatch.setattr("os.getloadavg", lambda: (0.0, 0.0, 0.0))
    assert any("0 and 7 are threads of one core" in one for one in machine.remarks()) is told
    assert machine.facts()["thread_siblings"] == {"0": siblings, "7": "unknown"}


def test_without_a_compiler_it_is_said_what_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    source = tmp_path / "a.c"
    source.write_text("int main(void) { return 0; }")
    with pytest.raises(NoCompiler, match=r"^there is no C compiler \(no-such-compiler\): apt install gcc"):
        build(source)


def test_sizes_are_cut_to_the_descriptors_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(descriptors, "raise_limit", lambda: 8_000)
    assert descriptors.most_connections() == 6_000
    assert descriptors.fitting([1_000, 6_000]) == [1_000, 6_000]
    assert capsys.readouterr().err == ""
    assert descriptors.fitting([1_000, 5_000, 10_000, 18_000]) == [1_000, 5_000, 6_000]
    told = capsys.readouterr().err
    assert "18,000 connections need 20,000 file descriptors in one process, and it may open 8,000" in told
    assert "`ulimit -n 20000`" in told
    assert "LimitNOFILE=20000" in told
    monkeypatch.setattr(descriptors, "raise_limit", lambda: 1_024)
    assert descriptors.fitting([10_000]) == [102]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12_345.6, "12,346"), (100, "100"), (99.94, "99.9"), (1.234, "1.23"), (0.01234, "0.0123"), (0, "0"),
        (8.0, "8"), (None, "–"), (float("nan"), "–"), (-1.5, "-1.50"),
    ],
)  # fmt: skip
def test_numbers_have_three_digits_that_count(value: float | None, text: str) -> None:
    assert numbers.readable(value) == text
