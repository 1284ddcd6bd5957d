"""The command ``python -m benchmarks``: measure, keep, show, and compare with what was kept."""

import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks import descriptors, machine, runner
from benchmarks.benchmark import Options
from benchmarks.catalogue import SUITE
from benchmarks.reports import comparison, document, page, picture, summary
from benchmarks.reports.shown import figured, shown

FAILED, INTERRUPTED = 1, 130
"""Exit statuses: of a run in which a benchmark failed, and of one that was interrupted."""

_FILE = click.Path(path_type=Path, dir_okay=False)
_SAVED = click.Path(path_type=Path, exists=True, dir_okay=False)


def main() -> None:
    """``compare`` is a command of its own; all else measures."""
    if sys.argv[1:2] == ["compare"]:
        compare.main(sys.argv[2:], prog_name="python -m benchmarks compare")
    measure.main(sys.argv[1:], prog_name="python -m benchmarks")


def _help() -> str:
    width = max(map(len, SUITE)) + 2
    names = [
        textwrap.fill(one.about, 100, initial_indent=f"{name:{width}}", subsequent_indent=" " * width)
        for name, one in SUITE.items()
    ]
    full, quick = (
        runner.clock(sum(getattr(one, which) for one in SUITE.values()))
        for which in ("seconds", "quick_seconds")
    )
    return "\n".join([
        "Measure the real server on this machine, all of it or what is named.",
        "",
        "\b",
        *names,
        "",
        f"All of them take about {full}, or {quick} with --quick; one that fails does not keep the others, "
        "and the exit status is then 1. Each runs in a process of its own. Needs Linux, a C compiler and, "
        "for all sizes, 20,000 file descriptors; the server takes the first processor and the load client "
        "the last. Settings: benchmarks/servers/profile.toml.",
        "",
        "`python -m benchmarks compare OLD.json NEW.json` compares two runs that were kept with --json.",
    ])  # fmt: skip


@click.command(help=_help())
@click.argument("names", type=click.Choice(tuple(SUITE)), nargs=-1, metavar="[NAME]...")
@click.option("--quick", is_flag=True, help="Small sizes and few rounds: for a first look.")
@click.option("--connections", type=click.IntRange(1, 100_000), help="One size instead of the usual ones.")
@click.option("--rounds", type=click.IntRange(1, 1000), help="Rounds that count, after one that does not.")
@click.option(
    "--subscriptions",
    type=click.IntRange(100, 1_000_000),
    help="One size of filters instead of the usual ones.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.05, 3600),
    help="How long idle and slow look on, clients are stalled, durable publishes, a round of operators "
    "or inbound lasts.",
)
@click.option("--rate", type=click.FloatRange(1, 100_000), help="Clients per second that a drain sends back.")
@click.option(
    "--plot", type=click.Path(path_type=Path), help="Draw there (PNG) how filters' times grow with the size."
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Where durable puts its stores: on the disk that is meant.",
)
@click.option(
    "--install",
    is_flag=True,
    help="Install what peers needs and lacks, with --quick as well; without --quick that is done anyway.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(1, 86_400),
    help="Seconds after which a benchmark is ended and has failed; three times the usual unless given.",
)
@click.option("--json", "target", type=_FILE, help="Keep the whole run there.")
@click.option("--report", type=_FILE, help="Write the run there as a page (HTML) with charts.")
@click.option(
    "--plots",
    type=click.Path(path_type=Path, file_okay=False),
    help="Draw every chart there (PNG); needs the extra bench.",
)
@click.option("--from", "saved", type=_SAVED, help="Measure nothing: show a run that was kept.")
@click.option("--compare", "against", type=_SAVED, help="Compare with a run that was kept.")
@click.option("--fail-on-worse", is_flag=True, help="Exit with 1 when the comparison finds a figure worse.")
def measure(
    names: tuple[str, ...],
    target: Path | None,
    report: Path | None,
    plots: Path | None,
    saved: Path | None,
    against: Path | None,
    fail_on_worse: bool,
    timeout: float | None,
    **given: Any,
) -> None:
    options = Options(**given)
    old = None if against is None else _read(against)
    for path in (target, report, options.plot):
        # Better now than after half an hour.
        if path is not None and not path.absolute().parent.is_dir():
            raise click.ClickException(f"there is no directory for {path}")
    for option, wanted in (("--plot", options.plot), ("--plots", plots)):
        if wanted is not None:
            _check_possible(option)
    if saved is not None:
        run = _read(saved)
        for name in names or run["benchmarks"]:
            if name in run["benchmarks"]:
                _show(name, run["benchmarks"][name])
    else:
        run = _run(names or tuple(SUITE), options, timeout, target)
    click.echo(summary.text(run))
    if report is not None:
        report.write_text(page.page(run, SUITE))
    if plots is not None:
        _draw(run, plots)
    status = FAILED if any(one["failure"] for one in run["benchmarks"].values()) else 0
    if old is not None and _compare(old, run) and fail_on_worse:
        status = FAILED
    sys.exit(INTERRUPTED if run["interrupted"] else status if saved is None or fail_on_worse else 0)


@click.command()
@click.argument("old", type=_SAVED)
@click.argument("new", type=_SAVED)
@click.option("--fail-on-worse", is_flag=True, help="Exit with 1 when a figure has become worse.")
def compare(old: Path, new: Path, fail_on_worse: bool) -> None:
    """Compare two runs that were kept with --json, figure by figure.

    Whether one is better or worse is said only where the rounds of the two runs do not overlap.
    """
    worse = _compare(_read(old), _read(new))
    sys.exit(FAILED if worse and fail_on_worse else 0)


def _run(
    names: Sequence[str], options: Options, timeout: float | None, target: Path | None
) -> dict[str, Any]:
    """Measure; what there is so far is kept after each benchmark."""
    descriptors.raise_limit()
    facts, remarks = machine.facts(), machine.remarks()
    for remark in remarks:
        _say(remark)
    measured: dict[str, Any] = {}

    def made(*, interrupted: bool) -> dict[str, Any]:
        command = _command_line(names, options)
        return document.make(command, options, facts, remarks, measured, interrupted=interrupted)

    def done(name: str, one: dict[str, Any]) -> None:
        measured[name] = one
        if one["failure"] is None:
            _show(name, one)
        if target is not None:
            document.write(made(interrupted=len(measured) < len(names)), target)

    names = tuple(dict.fromkeys(names))
    outcome = runner.run(names, options, SUITE, timeout=timeout, say=_say, done=done)
    run = made(interrupted=outcome.interrupted)
    if target is not None:
        document.write(run, target)
    return run


def _check_possible(option: str) -> None:
    try:
        picture.check_possible()
    except picture.PlotImpossible as fault:
        raise click.ClickException(f"{option}: {fault}") from None


def _draw(run: dict[str, Any], directory: Path) -> None:
    """Every chart as a file of its own, by its name."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, one in run["benchmarks"].items():
        for chart in shown(SUITE.get(name), one["result"]).charts:
            picture.draw(chart, run, directory / f"{chart.name}.png")


def _show(name: str, one: dict[str, Any]) -> None:
    seen = shown(SUITE.get(name), one["result"])
    click.echo(seen.fault or seen.text)


def _compare(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Show how they compare; whether something is worse."""
    found = comparison.compare(old, new)
    click.echo(comparison.text(found))
    return bool(found.worse)


def _read(path: Path) -> dict[str, Any]:
    """A kept run, with the figures that this version makes of it."""
    try:
        return figured(document.read(path), SUITE)
    except document.DocumentUnreadable as fault:
        raise click.ClickException(str(fault)) from None


def _command_line(names: Sequence[str], options: Options) -> str:
    """What measures the same again: no paths, which are nobody else's."""
    words = ["python -m benchmarks"]
    if tuple(names) != tuple(SUITE):
        words += names
    if options.quick:
        words.append("--quick")
    if options.install:
        words.append("--install")
    for name in ("connections", "rounds", "subscriptions", "seconds", "rate"):
        if (value := getattr(options, name)) is not None:
            words.append(f"--{name} {value:g}")
    return " ".join(words)


def _say(text: str) -> None:
    click.echo(text, err=True)
