"""Counting instructions: every operation does what it says, and callgrind's files are read rightly."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CalledProcessError

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def benchmarks_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


class Notes:
    """Marks that say what was marked."""

    def __init__(self) -> None:
        self.said: list[object] = []

    def start(self) -> None:
        self.said.append("start")

    def stop(self) -> None:
        self.said.append("stop")

    def begin(self) -> None:
        self.said.append("begin")

    def end(self, name: str, calls: int) -> None:
        self.said.append((name, calls))


def test_each_operation_is_counted_as_often_as_it_says_and_twice_that() -> None:
    from benchmarks.micro.counted import count
    from benchmarks.micro.operations import Operation, Ready

    done: list[str] = []
    operation = Operation("a", "b", lambda: Ready(lambda: done.append("c"), lambda: done.append("r")), 3)
    notes = Notes()
    count(operation, notes, 2)
    pair = ["begin", ("a: b", 3), "begin", ("a: b", 6)]
    assert notes.said == ["start", *pair, *pair, "stop"]
    # Twice before it is counted: Python settles on a way to do it.
    assert "".join(done) == "cccr" * 2 + ("cccr" + "ccccccr") * 2


def every_operation() -> list[object]:
    sys.path.insert(0, str(ROOT))
    try:
        from benchmarks.micro.commands import COMMANDS
        from benchmarks.micro.operations import OPERATIONS
    finally:
        sys.path.remove(str(ROOT))
    return [pytest.param(one, id=one.full_name) for one in (*OPERATIONS, *COMMANDS)]


@pytest.mark.parametrize("operation", every_operation())
def test_every_operation_can_be_done_again_and_again(operation: object) -> None:
    from benchmarks.micro.operations import Operation

    assert isinstance(operation, Operation)
    ready = operation.build()
    for _ in range(3):
        ready.call()
    ready.reset()
    ready.call()


def test_all_groups_have_operations_and_no_two_the_same_name() -> None:
    from benchmarks.micro.counted import operations
    from benchmarks.suites.instructions import GROUPS, QUICK_GROUPS

    found = operations(GROUPS)
    assert {one.group for one in found} == set(GROUPS)
    assert len({one.full_name for one in found}) == len(found)
    assert {one.group for one in operations(QUICK_GROUPS)} == set(GROUPS) - {"command"}


def test_the_core_does_what_is_counted() -> None:
    from benchmarks.micro.crowd import Crowd
    from wsserver_core.frames import TEXT, encode_frame
    from wsserver_core.outgoing import Frame

    crowd = Crowd(5)
    frame = Frame(encode_frame(TEXT, b"x"))
    assert crowd.hub.enqueue_many(crowd.recipients, frame)[0] == 5
    assert crowd.hub.frames_written == 0
    assert crowd.hub.flush_all() == 5
    assert crowd.hub.frames_written == crowd.hub.send_calls == 5


def dump(name: str, calls: int, summary: int) -> str:
    return f"desc: Trigger: Client Request: {name}|{calls}\n\nevents: Ir\nsummary: {summary}\n\ntotals: 1\n"


def test_what_is_common_to_both_counts_falls_out() -> None:
    from benchmarks.suites.instructions import per_call

    files = [
        dump("x: y", 10, 1_000), dump("x: y", 20, 1_500),
        dump("x: y", 10, 1_000), dump("x: y", 20, 1_520),
        dump("z", 5, 100), dump("z", 10, 200),
    ]  # fmt: skip
    assert per_call(files) == {"x: y": [50.0, 52.0], "z": [20.0]}


@pytest.mark.parametrize(
    "files",
    [
        ["events: Ir\nsummary: 1\n"],
        [dump("x", 10, 1)],
        [dump("x", 10, 1), dump("x", 10, 2)],
        [dump("x", 20, 1), dump("x", 10, 2)],
    ],
    ids=["no mark", "one only", "as often", "the other way round"],
)
def test_files_that_are_not_ours_are_refused(files: list[str]) -> None:
    from benchmarks.suites.instructions import per_call

    with pytest.raises(ValueError):
        per_call(files)


def test_without_valgrind_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.suites.instructions import figures, instructions, table

    monkeypatch.setenv("PATH", str(tmp_path))
    result = json.loads(json.dumps(instructions(1)))
    assert result["operations"] == {}
    assert table(result) == "instructions were not counted: valgrind is not installed\n"
    assert figures(result) == []


def test_without_its_header_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.suites import instructions

    def refuse(*_: object, **__: object) -> Path:
        raise CalledProcessError(1, "cc")

    script(tmp_path / "valgrind", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(instructions, "build", refuse)
    assert "callgrind.h" in instructions.table(instructions.instructions(1))


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)


def test_the_counts_of_a_run_become_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.suites import instructions

    # Eleven files: in the order of their numbers, not of their letters.
    written = "".join(
        f'printf "%s" "{dump(f"g: {number // 2}", 1 + number % 2, 100 * number)}" > "$out.{number + 1}"\n'
        for number in range(12)
    )
    script(
        tmp_path / "valgrind",
        'test "$1" = --version && echo valgrind-0 && exit\n'
        f'echo "$PYTHONHASHSEED $*" > {tmp_path}/said\n'
        'for one; do case "$one" in --callgrind-out-file=*) out="${one#*=}";; esac; done\n' + written,
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(instructions, "build", lambda *_, **__: Path("marks.so"))
    result = instructions.instructions(1, ["g"])
    assert list(result["operations"]) == [f"g: {number}" for number in range(6)]
    assert {one["median"] for one in result["operations"].values()} == {100.0}
    said = (tmp_path / "said").read_text()
    assert said.startswith("0 ")
    assert said.endswith("-m benchmarks.micro.counted marks.so 1 g\n")
    first = instructions.figures(result)[0]
    assert (first.name, first.unit, first.median, first.better) == (
        "instructions, g: 0", "instructions", 100.0, "less",
    )  # fmt: skip
    assert "g: 5" in instructions.table(result)


@pytest.mark.parametrize(
    ("change", "verdict"),
    [(1.05, "worse"), (0.95, "better"), (1.01, "no difference to be seen")],
    ids=["5 % more", "5 % less", "1 % more"],
)
def test_a_change_of_a_twentieth_is_seen_and_one_of_a_hundredth_is_not(change: float, verdict: str) -> None:
    from benchmarks.reports.comparison import Pair
    from benchmarks.suites.instructions import figures

    def run(median: float) -> dict[str, object]:
        return {"operations": {"g": {"median": median, "min": median, "max": median}}}

    (old,), (new,) = figures(run(10_000)), figures(run(10_000 * change))
    assert Pair("instructions", old, new).verdict == verdict


@pytest.mark.long
def test_callgrind_counts_the_same_again(require_tool: Callable[[bool, str], None]) -> None:
    from benchmarks.suites.instructions import instructions

    one, other = instructions(1, ["read"]), instructions(1, ["read"])
    require_tool(one["skipped"] is None, str(one["skipped"]))
    assert len(one["operations"]) == 3
    for name, counted in one["operations"].items():
        assert counted["median"] == pytest.approx(other["operations"][name]["median"], rel=0.01)
