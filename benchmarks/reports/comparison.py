"""Two runs side by side, figure by figure, and a verdict where the rounds allow one.

A verdict is given only where the spreads, least to most of all rounds, do not overlap. What has one value and
no spread, such as bytes, is judged only when it changes by more than a tenth. A tail latency of one
measurement is shown and not judged.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from benchmarks.reports import document
from benchmarks.reports.figure import Figure
from benchmarks.reports.numbers import with_spread

WITHOUT_SPREAD = 0.1
"""By what share a figure of one value has to change before a verdict is given."""

Verdict = Literal["better", "worse", "no difference to be seen", "not judged", "invalid"]

_MACHINE = (
    "processor",
    "cores",
    "kernel",
    "system",
    "virtualisation",
    "governor",
    "mitigations",
    "memory_bytes",
)


@dataclass(frozen=True, slots=True)
class Pair:
    """One figure in both runs."""

    benchmark: str
    old: Figure
    new: Figure

    @property
    def ratio(self) -> float | None:
        """New to old; None where the old one is nothing."""
        return self.new.median / self.old.median if self.old.median else None

    @property
    def verdict(self) -> Verdict:
        """What may be said."""
        old, new = self.old, self.new
        if old.invalid is not None or new.invalid is not None:
            return "invalid"
        if old.is_tail or new.is_tail:
            return "not judged"
        gained = new.least > old.most if new.better == "more" else new.most < old.least
        lost = new.most < old.least if new.better == "more" else new.least > old.most
        alone = old.least == old.most or new.least == new.most
        if alone and abs(new.median - old.median) <= WITHOUT_SPREAD * abs(old.median):
            return "no difference to be seen"
        return "better" if gained else "worse" if lost else "no difference to be seen"


@dataclass(frozen=True, slots=True)
class Comparison:
    """All there is to say about two runs."""

    differences: list[str]
    """Of machines, versions and sizes: why figures might differ that have nothing to do with the code."""
    pairs: list[Pair]
    only_old: list[tuple[str, str]]
    """Benchmark and figure."""
    only_new: list[tuple[str, str]]

    @property
    def worse(self) -> list[Pair]:
        """Those of which it may be said that they have become worse."""
        return [pair for pair in self.pairs if pair.verdict == "worse"]


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> Comparison:
    """Compare two documents of runs."""
    before, after = _figures(old), _figures(new)
    return Comparison(
        list(_differences(old, new)),
        [Pair(key[0], before[key], figure) for key, figure in after.items() if key in before],
        [key[:2] for key in before if key not in after],
        [key[:2] for key in after if key not in before],
    )


def _figures(run: Mapping[str, Any]) -> dict[tuple[str, str, str], Figure]:
    return {(name, one.name, one.unit): one for name, many in document.figures(run).items() for one in many}


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    before, after = old["machine"], new["machine"]
    for key in _MACHINE:
        if before.get(key) != after.get(key):
            yield f"{key.replace('_', ' ')}: {before.get(key)} / {after.get(key)}"
    versions = before.get("versions", {}), after.get("versions", {})
    for name in sorted({*versions[0], *versions[1]}):
        one, other = (of.get(name, "none") for of in versions)
        if one != other:
            yield f"version of {name}: {one} / {other}"
    if before.get("commit") != after.get("commit"):
        yield f"commit: {before.get('commit')} / {after.get('commit')}"
    if old["quick"] != new["quick"]:
        yield "one of the runs was quick"


def text(comparison: Comparison) -> str:
    """For people: what differs about the runs, then each figure, old and new."""
    lines = []
    if comparison.differences:
        lines += ["The runs differ in more than their figures (old / new):"]
        lines += [f"  {difference}" for difference in comparison.differences] + [""]
    benchmark = None
    for pair in comparison.pairs:
        if pair.benchmark != benchmark:
            benchmark = pair.benchmark
            lines.append(benchmark)
        old, new = (with_spread(one.median, one.least, one.most) for one in (pair.old, pair.new))
        times = "" if pair.ratio is None else f", {pair.ratio:.3f} times"
        lines.append(f"  {pair.new.name}, {pair.new.unit}")
        lines.append(f"    {old} -> {new}{times}: {pair.verdict}")
    for title, keys in (
        ("Only in the old run", comparison.only_old),
        ("Only in the new run", comparison.only_new),
    ):
        if keys:
            lines += [f"{title}:", *(f"  {name}: {figure}" for name, figure in keys)]
    if comparison.pairs:
        verdicts = [pair.verdict for pair in comparison.pairs]
        lines += [
            "",
            f"{len(verdicts)} figures: "
            + ", ".join(f"{verdicts.count(one)} {one}" for one in get_args(Verdict)),
        ]
    else:
        lines.append("There is no figure that both runs have.")
    return "\n".join(lines)
