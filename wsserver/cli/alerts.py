"""``wsserver alerts``: what is wrong with a running server, and since when."""

from collections.abc import Mapping
from typing import Any

import click
from yarl import URL

from wsserver.cli.failures import Failure
from wsserver.cli.json_line import json_line
from wsserver.cli.remote import http_url, remote_options
from wsserver.cli.rest_call import get
from wsserver.log import escape_controls


@click.command()
@remote_options
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="Most of the latest changes."
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON on one line.")
@click.pass_context
def alerts(context: click.Context, url: URL, token: str, limit: int, as_json: bool) -> None:
    """Show the alerts of a server: raised ones, all values, the latest changes.

    Ends with status 1 while one is critical. The token needs the scope admin:read.
    """
    answer = get(http_url(url, "ws", "alerts").with_query(limit=limit), token)
    try:
        text = json_line(answer) if as_json else _text(answer)
        critical = any(one["level"] == "critical" for one in answer["active"])
    except (KeyError, TypeError, AttributeError):
        raise Failure("the answer has no alerts: is this a wsserver of the same version?") from None
    click.echo(text)
    if critical:
        context.exit(1)


def _text(answer: Mapping[str, Any]) -> str:
    lines = []
    if answer["overload"]["active"]:
        lines.append(f"overloaded: {', '.join(answer['overload']['causes'])}")
    lines += [f"{one['level']} {one['alert']} since {one['since']}" for one in answer["active"]]
    if not lines:
        lines.append("no alerts")
    for name, one in answer["current"].items():
        value = "-" if one["value"] is None else f"{one['value']:g}"
        lines.append(
            f"  {name}: {value} {one['unit']}, {one['level']} ({one['warning']:g}/{one['critical']:g})"
        )
    lines += [
        f"{one['at']} {one['alert']}: {one['previous']} -> {one['level']}{_why(one)}"
        for one in answer["history"]
    ]
    return "\n".join(escape_controls(line) for line in lines)


def _why(change: Mapping[str, Any]) -> str:
    """What made an overload, and an operator's own words for it."""
    details = change.get("details", {})
    words = [str(details[name]) for name in ("cause", "reason") if name in details]
    return f" ({': '.join(words)})" if words else ""
