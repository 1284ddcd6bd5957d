"""``wsserver trace``: who would get a message, and why the others would not."""

from collections.abc import Mapping
from typing import Any

import click
import msgspec
from yarl import URL

from wsserver.cli.failures import Failure
from wsserver.cli.remote import http_url, one_line, remote_options
from wsserver.cli.rest_call import json_object, post
from wsserver.log import escape_controls

_MAX_MESSAGE = 1024 * 1024 * 1024
_OUTCOMES = {
    "matches": "gets it",
    "filtered": "filter does not match",
    "denied": "may not see the patient",
    "other_topic": "subscribed to another topic",
}


@click.command()
@remote_options
@click.option(
    "--message",
    "file",
    type=click.File("rb"),
    required=True,
    help="File with the message; - is standard input.",
)
@click.option(
    "--topic",
    help="Where it goes: patient:ID, type:NAME, TYPE:TARGET or *. By default to its patient or type.",
)
@click.option("--connection", help="Explain all subscriptions of this connection.")
@click.option(
    "--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="Most of each outcome."
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON on one line.")
def trace(
    url: URL, token: str, file: Any, topic: str | None, connection: str | None, limit: int, as_json: bool
) -> None:
    """Say who would get a message and why not the others. Nothing is sent.

    The token needs the scope admin:read.
    """
    message = json_object(file.read(_MAX_MESSAGE), "--message")
    # As it was written: read and written anew it may not be the message that was meant.
    asked = {"message": msgspec.Raw(message), "topic": topic, "connection_id": connection, "limit": limit}
    try:
        body = msgspec.json.encode({name: value for name, value in asked.items() if value is not None})
    except UnicodeEncodeError:
        raise click.UsageError("--topic and --connection must be text") from None
    answer = post(http_url(url, "ws", "trace"), token, body)
    try:
        text = one_line(msgspec.json.encode(answer).decode()) if as_json else _text(answer)
    except (KeyError, TypeError):
        raise Failure("the answer is no trace: is this a wsserver of the same version?") from None
    click.echo(text)


def _text(answer: Mapping[str, Any]) -> str:
    lines = []
    if "topic" in answer:
        counts = ", ".join(
            f"{answer[name]} {name}" for name in ("considered", "matching", "filtered", "denied")
        )
        lines.append(f"to {answer['topic']}: subscriptions {counts}")
    for one in answer["subscriptions"]:
        address = f"{one['subscription_type']}:{one['target_id']}"
        outcome = _OUTCOMES.get(one["outcome"], one["outcome"])
        lines.append(f"{one['connection_id']} {one['subscription_id']} {address}: {outcome}")
        if one["outcome"] in ("matches", "filtered"):
            lines += [f"    {line}" for line in str(one["text"]).splitlines()]
    return "\n".join(escape_controls(line) for line in lines) or "no subscriptions"
