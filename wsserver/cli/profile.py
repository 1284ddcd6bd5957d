"""``wsserver profile``: where the time of a running server goes, or that of the usual operations."""

from collections.abc import Mapping
from typing import Any

import click
from yarl import URL

from wsserver.cli.failures import Failure
from wsserver.cli.json_line import json_line
from wsserver.cli.remote import http_url, remote_options
from wsserver.cli.rest_call import get
from wsserver.log import escape_controls

# Those of the server (wsserver.profiling.loop_profile), whose import loads the core.
_MAX_SECONDS = 30
_MARGIN = 15.0


@click.command()
@remote_options
@click.option(
    "--seconds", type=click.IntRange(1, _MAX_SECONDS), default=5, show_default=True, help="How long to look."
)
@click.option(
    "--top", type=click.IntRange(1, 25), default=10, show_default=True, help="Most functions shown."
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON on one line.")
def profile(url: URL, token: str, seconds: int, top: int, as_json: bool) -> None:
    """Profile a running server: its Python functions, and what its core did meanwhile.

    The server takes up to about twice the time for what it does in Python meanwhile, and leaves off early
    when that makes its loop late. The token needs the scope admin:read.
    """
    answer = get(
        http_url(url, "ws", "profile").with_query(seconds=seconds), token, patience=seconds + _MARGIN
    )
    try:
        text = json_line(answer) if as_json else _text(answer, top)
    except (KeyError, TypeError, AttributeError, ValueError):
        raise Failure("the answer is no profile: is this a wsserver of the same version?") from None
    click.echo(text)


def _text(answer: Mapping[str, Any], count: int) -> str:
    seconds, counters = answer["seconds"], answer["core"]["counters"]
    lines = [
        f"{seconds:g} s (ended: {answer['ended']}), processor {answer['cpu_seconds']:g} s, "
        f"worst lag {answer['worst_lag_ms']:g} ms",
        "",
    ]
    lines += [
        f"{name:<20}  {number:>12}  {number / seconds if seconds else 0:>12.1f}/s"
        for name, number in counters.items()
    ]
    lines += ["", f"{'time':<28}  {'count':>9}  {'mean ms':>9}  {'p50 ms':>9}  {'p99 ms':>9}"]
    for name, one in answer["core"]["times"].items():
        figures = "  ".join(f"{_number(one[figure]):>9}" for figure in ("mean_ms", "p50_ms", "p99_ms"))
        lines.append(f"{name:<28}  {one['count']:>9}  {figures}")
    for heading, functions in (("own time", "by_own_time"), ("time with all they called", "by_total_time")):
        lines += ["", f"functions by {heading}:", f"{'calls':>9}  {'own ms':>10}  {'total ms':>10}  function"]
        lines += [
            f"{one['calls']:>9}  {one['own_ms']:>10.3f}  {one['total_ms']:>10.3f}  {one['function']}"
            for one in answer[functions][:count]
        ]
    return "\n".join(escape_controls(line) for line in lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"
