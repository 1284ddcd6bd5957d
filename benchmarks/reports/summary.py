"""The end of a run in a few lines: what failed, what reached its aim, and how busy the load client was."""

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.reports import document
from benchmarks.reports.numbers import readable

SHARE, LIMITED = "client_cpu_share", "rounds_limited_by_client"
"""Members of results, at any depth: the load client's share of its processor at most, and the rounds in
which it was too busy to say anything about the server."""


def text(run: Mapping[str, Any]) -> str:
    """For people."""
    return "\n".join(_lines(run))


def _lines(run: Mapping[str, Any]) -> Iterator[str]:
    yield from run["remarks"]
    for name, one in run["benchmarks"].items():
        shares = list(members(one["result"], SHARE))
        limited = sum(members(one["result"], LIMITED))
        client = f", load client at most {max(shares):.0%} of its processor" if shares else ""
        invalid = f", {limited:.0f} rounds INVALID because of it" if limited else ""
        failed = "" if one["failure"] is None else f" FAILED: {one['failure']}"
        yield f"{name}: {one['seconds']:.0f} s{client}{invalid}{failed}"
    marked = [
        (name, one) for name, many in document.figures(run).items() for one in many if one.mark is not None
    ]
    for name, one in marked:
        aim = (
            ""
            if one.aim is None
            else f" (aim: {'at least' if one.better == 'more' else 'at most'} {readable(one.aim)})"
        )
        why = f": {one.invalid}" if one.invalid is not None else ""
        yield f"  {(one.mark or '').upper():8}{name}: {one.name}: {readable(one.median)} {one.unit}{aim}{why}"
    yield from _unjudged(run)
    if run["interrupted"]:
        yield "The run was interrupted: what was measured until then is all there is."


def _unjudged(run: Mapping[str, Any]) -> Iterator[str]:
    """Aims that were not looked at, as the sizes were others: of a quick run all, which is said once."""
    unjudged = [
        (name, one)
        for name, many in document.figures(run).items()
        for one in many
        if one.unjudged is not None
    ]
    if run["quick"] and unjudged:
        yield f"  {len(unjudged)} aims are not judged: they are set for larger sizes than a quick run has."
        return
    for name, one in unjudged:
        value = f"{readable(one.median)} {one.unit}".rstrip()
        yield f"  aim not judged: {name}: {one.name}: {value}: {one.unjudged}"


def members(value: Any, name: str) -> Iterator[float]:
    """The numbers of this name in a result, wherever they are."""
    if isinstance(value, dict):
        for key, one in value.items():
            if key == name and isinstance(one, int | float):
                yield one
            else:
                yield from members(one, name)
    elif isinstance(value, list):
        for one in value:
            yield from members(one, name)
