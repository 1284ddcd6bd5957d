"""Two runs beside each other: a verdict where the rounds allow one, and what else differs comes first."""

from typing import Any

import pytest
from made_up_run import figure, made_up_run

from benchmarks.reports import comparison
from benchmarks.reports.comparison import Comparison, Pair, compare
from benchmarks.reports.figure import Figure

SAME = "no difference to be seen"


def run_with(*figures: dict[str, Any]) -> dict[str, Any]:
    run = made_up_run()
    run["benchmarks"] = {"fanout": {"seconds": 1.0, "failure": None, "figures": list(figures), "result": {}}}
    return run


def pair(old: tuple[float, float, float], new: tuple[float, float, float], **both: Any) -> Pair:
    (found,) = compare(run_with(figure("f", *old, **both)), run_with(figure("f", *new, **both))).pairs
    return found


@pytest.mark.parametrize(
    ("old", "new", "better", "verdict"),
    [
        ((100, 90, 110), (120, 111, 130), "more", "better"),
        ((100, 90, 110), (120, 111, 130), "less", "worse"),
        ((100, 90, 110), (80, 70, 89), "more", "worse"),
        ((100, 90, 110), (80, 70, 89), "less", "better"),
        # They touch: no round of one was beyond all of the other.
        ((100, 90, 110), (120, 110, 130), "more", SAME),
        ((100, 90, 110), (80, 70, 90), "more", SAME),
        ((100, 90, 110), (100, 95, 105), "more", SAME),
        ((100, 99, 101), (103, 102, 104), "more", "better"),
        # One value each: a tenth, and not less.
        ((100, 100, 100), (110, 110, 110), "more", SAME),
        ((100, 100, 100), (111, 111, 111), "more", "better"),
        ((100, 100, 100), (90, 90, 90), "less", SAME),
        ((100, 100, 100), (89, 89, 89), "less", "better"),
        ((0, 0, 0), (1, 1, 1), "less", "worse"),
        ((0, 0, 0), (0, 0, 0), "less", SAME),
    ],
)
def test_a_verdict_needs_spreads_that_do_not_overlap(
    old: tuple[float, float, float], new: tuple[float, float, float], better: str, verdict: str
) -> None:
    assert pair(old, new, better=better).verdict == verdict


def test_what_does_not_count_gets_no_verdict() -> None:
    valid, invalid = figure("f", 1, 1, 1), figure("f", 9, 9, 9, invalid="the load client was 99 % busy")
    for old, new in ((valid, invalid), (invalid, valid)):
        assert compare(run_with(old), run_with(new)).pairs[0].verdict == "invalid"


def test_a_tail_that_was_measured_once_gets_no_verdict() -> None:
    assert pair((100, 100, 100), (200, 200, 200), better="less", is_tail=True).verdict == "not judged"
    old, new = figure("f", 1, 1, 1), figure("f", 9, 9, 9, is_tail=True)
    assert compare(run_with(old), run_with(new)).pairs[0].verdict == "not judged"


def test_the_ratio_is_new_to_old() -> None:
    assert pair((100, 90, 110), (150, 140, 160)).ratio == 1.5
    assert pair((0, 0, 0), (1, 1, 1)).ratio is None


def test_what_only_one_run_has_is_listed() -> None:
    a, b, c = (figure(name, 1, 1, 1) for name in "abc")
    found = compare(run_with(a, b), run_with(b, c))
    assert [one.new.name for one in found.pairs] == ["b"]
    assert (found.only_old, found.only_new) == ([("fanout", "a")], [("fanout", "c")])
    told = comparison.text(found)
    assert "Only in the old run:\n  fanout: a" in told
    assert "Only in the new run:\n  fanout: c" in told


def test_the_same_name_in_another_unit_is_another_figure() -> None:
    old = run_with(figure("f", 1, 1, 1, unit="ms"), figure("f", 2, 2, 2, unit="times"))
    new = run_with(figure("f", 2, 2, 2, unit="times"))
    found = compare(old, new)
    assert [one.old.median for one in found.pairs] == [2]
    assert found.only_old == [("fanout", "f")]


def test_other_machines_and_versions_are_told_first() -> None:
    old, new = made_up_run(), made_up_run()
    new["machine"]["processor"] = "another"
    new["machine"]["versions"]["uvloop"] = "9.9"
    new["machine"]["versions"]["new"] = "1"
    new["machine"]["commit"] = "ba9876543210"
    new["machine"]["load_average"] = 0.0
    new["quick"] = False
    lines = comparison.text(compare(old, new)).splitlines()
    assert lines[0] == "The runs differ in more than their figures (old / new):"
    assert [line.partition(":")[0].strip() for line in lines[1:6]] == [
        "processor", "version of new", "version of uvloop", "commit", "one of the runs was quick",
    ]  # fmt: skip
    assert lines[6] == ""


def test_the_text_has_both_spreads_the_ratio_and_the_verdict() -> None:
    old, new = figure("ours", 1000, 990, 1010), figure("ours", 1200, 1150, 1250)
    assert comparison.text(compare(run_with(old), run_with(new))).splitlines() == [
        "fanout",
        "  ours, deliveries/s",
        "    1,000 [990 to 1,010] -> 1,200 [1,150 to 1,250], 1.200 times: better",
        "",
        "1 figures: 1 better, 0 worse, 0 no difference to be seen, 0 not judged, 0 invalid",
    ]


def test_runs_that_have_nothing_in_common_are_told_so() -> None:
    assert "There is no figure that both runs have." in comparison.text(compare(run_with(), run_with()))


def test_worse_are_those_with_that_verdict() -> None:
    worse = Pair("x", Figure("a", "s", 1, 1, 1, "less"), Figure("a", "s", 2, 2, 2, "less"))
    better = Pair("x", Figure("b", "s", 2, 2, 2, "less"), Figure("b", "s", 1, 1, 1, "less"))
    assert Comparison([], [worse, better], [], []).worse == [worse]
