"""``wsserver trace``: who would get a message, or how the next messages of a kind go."""

from collections.abc import Mapping
from typing import Any

import click
import msgspec
from yarl import URL

from wsserver.cli.armed_trace import arm_and_report, order_of
from wsserver.cli.failures import Failure
from wsserver.cli.json_line import json_line
from wsserver.cli.remote import http_url, remote_options
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
@click.option("--message", "file", type=click.File("rb"), help="File with the message; - is standard input.")
@click.option(
    "--topic",
    help="Where it goes: patient:ID, type:NAME, TYPE:TARGET or *. By default to its patient or type.",
)
@click.option("--connection", help="Explain all subscriptions of this connection.")
@click.option(
    "--limit", type=click.IntRange(1, 100), help="Most of each outcome.  [default: 20]", show_default=False
)
@click.option(
    "--arm",
    "criteria",
    multiple=True,
    metavar="NAME=VALUE",
    help="Follow messages of which this is true, and all else that is given: type, patient, user, topic or "
    "message (its id); any is every message.",
)
@click.option("--messages", type=click.IntRange(1, 1000), help="So many, then it ends.  [default: 10]")
@click.option("--seconds", type=click.FloatRange(0, 3600, min_open=True), help="So long.  [default: 60]")
@click.option("--body", is_flag=True, help="Keep the beginning of what they say.")
@click.option("--follow", is_flag=True, help="Print them as they come, until the trace ends.")
@click.option("--json", "as_json", is_flag=True, help="Print each answer as JSON on one line.")
def trace(
    url: URL,
    token: str,
    file: Any,
    topic: str | None,
    connection: str | None,
    limit: int | None,
    criteria: tuple[str, ...],
    messages: int | None,
    seconds: float | None,
    body: bool,
    follow: bool,
    as_json: bool,
) -> None:
    """Say who would get a message and why not the others: nothing is sent. Or, with --arm, follow the
    next messages of a kind from stage to stage.

    The token needs the scope admin:read; to arm a trace admin:write, too.
    """
    dry_run = {"--message": file, "--topic": topic, "--connection": connection, "--limit": limit}
    armed = {"--messages": messages, "--seconds": seconds, "--body": body or None, "--follow": follow or None}
    if bool(criteria) == (file is not None):
        raise click.UsageError("give --message for a dry run, or --arm to follow what is sent")
    for name, value in (dry_run if criteria else armed).items():
        if value is not None:
            raise click.UsageError(f"{name} goes with {'--message' if criteria else '--arm'}")
    if criteria:
        order = order_of(criteria, messages=messages, seconds=seconds, body=body)
        arm_and_report(url, token, order, follow=follow, as_json=as_json)
        return
    message = json_object(file.read(_MAX_MESSAGE), "--message")
    # As it was written: read and written anew it may not be the message that was meant.
    asked = {
        "message": msgspec.Raw(message),
        "topic": topic,
        "connection_id": connection,
        "limit": 20 if limit is None else limit,
    }
    try:
        asked_text = msgspec.json.encode({name: value for name, value in asked.items() if value is not None})
    except UnicodeEncodeError:
        raise click.UsageError("--topic and --connection must be text") from None
    answer = post(http_url(url, "ws", "trace"), token, asked_text)
    try:
        text = json_line(answer) if as_json else _text(answer)
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
