"""benchmarks.md against the benchmarks: each is described, and what the page claims of them is so."""

import re

import click
from documents import DOCS, README, bare, blocks, table

from benchmarks import command, descriptors, runner
from benchmarks.catalogue import SUITE
from benchmarks.contest.series import BUSY_CLIENT
from benchmarks.reports.comparison import WITHOUT_SPREAD
from benchmarks.reports.document import make

BENCHMARKS = DOCS / "benchmarks.md"
TEXT = " ".join(BENCHMARKS.read_text().split())


def options_of(one: click.Command) -> set[str]:
    return {name for parameter in one.params for name in parameter.opts if name.startswith("--")}


def test_every_benchmark_has_a_row_in_the_order_of_the_run() -> None:
    assert [bare(row[0]) for row in table(BENCHMARKS, "name", "measures", "does not say")] == list(SUITE)


def test_every_command_that_is_shown_has_names_and_options_that_exist() -> None:
    seen = 0
    for document in (BENCHMARKS, DOCS / "design.md", README):
        shown = [line for block in blocks(document, "sh") for line in block.text.splitlines()]
        shown += re.findall(r"`(python -m benchmarks[^`.]*)`", " ".join(document.read_text().split()))
        for line in shown:
            words = line.split("#")[0].split()
            if words[:3] != ["python", "-m", "benchmarks"]:
                continue
            seen += 1
            which = command.compare if words[3:4] == ["compare"] else command.measure
            known = {*SUITE, "compare", *options_of(which), "--help"}
            previous = ""
            for word in words[3:]:
                is_value = "." in word or previous in ("--plots", "--folder")
                assert is_value or word in known, line
                previous = word
    assert seen > 8


def test_the_figures_of_the_page_are_the_code_s() -> None:
    assert "three times as long as usual (and two minutes at least)" in TEXT
    assert (runner.PATIENCE, runner.SHORTEST) == (3.0, 120.0)
    assert f"the exit status is {command.FAILED}." in TEXT
    assert f"the exit status is {command.INTERRUPTED}." in TEXT
    assert f"18,000 connections need a hard limit of {18_000 + descriptors.SPARE:,} descriptors" in TEXT
    assert f"busy for more than {BUSY_CLIENT * 100:g} % of its processor" in TEXT
    assert "when it changed by more than a tenth" in TEXT
    assert WITHOUT_SPREAD == 0.1
    assert "under 3 minutes" in TEXT
    assert "under 40 minutes" in TEXT


def test_the_members_of_a_run_are_those_of_the_document() -> None:
    from benchmarks.benchmark import Options

    (told,) = re.findall(r"A run is a JSON document: (.+?)\. It names", TEXT)
    named = set(re.findall(r"`(\w+)`", told)) - {"versions", "seconds", "failure", "figures", "result"}
    assert named == set(make("", Options(), {}, [], {}, interrupted=False))
