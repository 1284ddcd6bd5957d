"""``wsserver inspect``: who is connected to a running server, and how they do."""

from collections.abc import Mapping
from typing import Any

import click
from yarl import URL

from wsserver.cli.failures import Failure
from wsserver.cli.json_line import json_line
from wsserver.cli.remote import http_url, remote_options
from wsserver.cli.rest_call import get, post
from wsserver.log import escape_controls


@click.command()
@remote_options
@click.option(
    "--repair", is_flag=True, help="End subscriptions that have outlived their connection; needs admin:write."
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON on one line.")
@click.pass_context
def inspect(context: click.Context, url: URL, token: str, repair: bool, as_json: bool) -> None:
    """Show connections by role, subscriptions, heartbeats, and the self-test of subscriptions.

    Ends with status 1 while the self-test finds a fault. The token needs the scope admin:read.
    """
    answer = get(http_url(url, "ws", "inspect"), token)
    try:
        if repair:
            answer["subscription_health"] = post(http_url(url, "ws", "subscriptions", "check"), token, b"")
        text = json_line(answer) if as_json else _text(answer, repair)
        orphaned = answer["subscription_health"]["orphaned"] > 0
    except (KeyError, TypeError, AttributeError):
        raise Failure("the answer inspects nothing: is this a wsserver of the same version?") from None
    click.echo(text)
    if orphaned and not repair:
        context.exit(1)


def _text(answer: Mapping[str, Any], repaired: bool) -> str:
    subscriptions, found = dict(answer["subscriptions"]), answer["subscription_health"]["orphaned"]
    by_type = subscriptions.pop("by_type")
    lines = [
        f"Total connections: {answer['total_connections']}",
        *(f"  {role}: {count}" for role, count in answer["by_role"].items()),
        f"Total subscriptions: {answer['total_subscriptions']}",
        *(f"  {kind}: {count}" for kind, count in by_type.items()),
        f"Subscription metrics: {_figures(subscriptions)}",
        f"Health metrics: {_figures(answer['health'])}",
        f"Orphaned subscriptions: {found}{' (ended now)' if found and repaired else ''}",
    ]
    return "\n".join(escape_controls(line) for line in lines)


def _figures(figures: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {'-' if value is None else value}" for name, value in figures.items())
