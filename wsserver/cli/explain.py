"""``wsserver explain``: what became of a message, and why somebody did or did not get it."""

from collections.abc import Mapping
from typing import Any

import click
from yarl import URL

from wsserver.cli.failures import Failure
from wsserver.cli.json_line import json_line
from wsserver.cli.remote import http_url, remote_options
from wsserver.cli.rest_call import get
from wsserver.ids import InvalidId, canonical_id
from wsserver.log import escape_controls


@click.command()
@remote_options
@click.argument("message_id")
@click.option("--connection", help="Why this connection did or did not get it.")
@click.option("--user", help="The same for all connections of this user.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON on one line.")
def explain(
    url: URL, token: str, message_id: str, connection: str | None, user: str | None, as_json: bool
) -> None:
    """Say what became of a message that was sent, and why somebody did or did not get it.

    The token needs the scope admin:read. The server remembers the newest messages only.
    """
    if connection is not None and user is not None:
        raise click.UsageError("give --connection or --user, not both")
    try:
        canonical_id(message_id, "MESSAGE_ID")
    except InvalidId as error:
        raise click.UsageError(str(error)) from None
    asked = {"connection_id": connection, "user_id": user}
    query = {name: value for name, value in asked.items() if value is not None}
    answer = get(http_url(url, "ws", "explain", message_id).with_query(query), token)
    try:
        text = json_line(answer) if as_json else _text(answer)
    except (KeyError, TypeError, AttributeError):
        raise Failure("the answer explains nothing: is this a wsserver of the same version?") from None
    click.echo(text)


def _text(answer: Mapping[str, Any]) -> str:
    message = answer["message"]
    outcome, refused = message["outcome"], message["refused"]
    lines = [
        f"{message['message_id']} to {message['topic']}, number {message['seq']} of {message['log']}",
        f"  subscriptions: {_counts(message, 'considered', 'filtered', 'denied')}",
        f"  connections: {message['matched']} matched = {message['delivered']} delivered"
        f" + {sum(refused.values())} refused{_reasons(refused)}",
        f"  delivered: {outcome['written']} written + {outcome['queued']} queued"
        f" + {sum(outcome['dropped'].values())} dropped{_reasons(outcome['dropped'])}",
        f"  acknowledged: {message['acknowledged']}",
    ]
    for one in answer["connections"]:
        state = "" if one["open"] else " (has ended)"
        lines.append(f"{one['connection_id']}{state}: {one['reason']}{'' if one['certain'] else ', perhaps'}")
        lines.append(f"    {one['text']}")
        for subscription in one["subscriptions"]:
            address = f"{subscription['subscription_type']}:{subscription['target_id']}"
            lines.append(f"  {subscription['subscription_id']} {address}: {subscription['outcome']}")
            lines += [f"    {line}" for line in str(subscription["text"]).splitlines()]
    return "\n".join(escape_controls(line) for line in lines)


def _counts(figures: Mapping[str, Any], *names: str) -> str:
    return ", ".join(f"{figures[name]} {name}" for name in names)


def _reasons(counts: Mapping[str, int]) -> str:
    told = ", ".join(f"{count} {reason}" for reason, count in counts.items() if count)
    return f" ({told})" if told else ""
