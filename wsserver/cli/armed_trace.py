"""Arming a trace on a running server, and following what it sees."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import click
import msgspec
from yarl import URL

from wsserver.cli.failures import Failure
from wsserver.cli.json_line import json_line
from wsserver.cli.remote import http_url
from wsserver.cli.rest_call import delete, get, post
from wsserver.log import escape_controls
from wsserver.observe.traced_message import way_text

PAUSE: Final = 0.5
"""Seconds between two questions of whoever follows."""

PATIENCE: Final = 2.0
"""Seconds for which a message is waited for that has not left all queues yet; then it is shown as it is."""

_NAMES: Final = {
    "message": "message_id",
    "type": "type",
    "patient": "patient_id",
    "user": "user_id",
    "topic": "topic",
}


def order_of(
    criteria: Sequence[str], *, messages: int | None, seconds: float | None, body: bool
) -> dict[str, Any]:
    """What to send to ``POST /ws/traces``. Raises click.UsageError for what is no criterion."""
    order: dict[str, Any] = {}
    for one in criteria:
        name, equals, value = one.partition("=")
        if one == "any" and len(criteria) == 1:
            continue
        if name not in _NAMES or not equals or not value:
            raise click.UsageError(f"--arm takes any, or {', '.join(_NAMES)} with = and a value")
        if _NAMES[name] in order:
            raise click.UsageError(f"--arm {name}= is given twice")
        order[_NAMES[name]] = value
    bounds = {"messages": messages, "seconds": seconds, "body": body or None}
    return order | {name: value for name, value in bounds.items() if value is not None}


def arm_and_report(url: URL, token: str, order: Mapping[str, Any], *, follow: bool, as_json: bool) -> None:
    """Arm a trace, and with ``follow`` print its messages until it ends; interrupted, it is ended.

    Raises Failure for anything but success.
    """
    try:
        asked = msgspec.json.encode(order)
    except UnicodeEncodeError:
        raise click.UsageError("--arm must be text") from None
    try:
        trace = post(http_url(url, "ws", "traces"), token, asked)["trace"]
        address = http_url(url, "ws", "traces", trace["trace_id"])
        if not follow:
            click.echo(json_line(trace) if as_json else _armed(trace))
            return
        click.echo(_armed(trace), err=True)
        try:
            for one in _messages(address, token):
                click.echo(json_line(one) if as_json else message_text(one))
        except KeyboardInterrupt:
            delete(address, token)
            raise
    except (KeyError, TypeError, AttributeError):
        raise Failure("the answer is no trace: is this a wsserver of the same version?") from None


def _messages(address: URL, token: str) -> Iterator[dict[str, Any]]:
    """The messages of a trace in order, each once it has left all queues or after a while, to the last."""
    shown = 0
    waited = 0.0
    while True:
        answer = get(address.with_query(after=shown), token)
        ended = answer["trace"]["state"] != "armed"
        for one in answer["messages"]:
            if not one["settled"] and waited < PATIENCE:
                break
            waited = 0.0
            shown = one["number"]
            yield one
        # Those that the server has no room for any more do not come.
        if ended and (shown >= answer["trace"]["seen"] or not answer["messages"]):
            return
        time.sleep(PAUSE)
        waited = waited + PAUSE if answer["messages"] else 0.0


def _armed(trace: Mapping[str, Any]) -> str:
    criteria = ", ".join(f"{name} {value}" for name, value in trace["criteria"].items()) or "every message"
    text = (
        f"{trace['trace_id']}: armed for {criteria};"
        f" {trace['messages']} messages or {trace['seconds']:g} s, whichever ends first"
    )
    return escape_controls(text)


def message_text(one: Mapping[str, Any]) -> str:
    """A traced message for people."""
    who = "" if one["publisher"] is None else f" by {one['publisher']}"
    size = "" if one["size"] is None else f", {one['size']} B"
    head = (
        f"{one['number']}  {one['message_id'] or 'no id'}  {one['type'] or 'no type'} to {one['topic']}{size}"
    )
    lines = [f"{head}, {one['door']}{who}", f"    {way_text(one['stages'])}"]
    error = one["error"]
    if error is not None:
        lines.append(f"    refused at {one['stage']}: {error['code']} {error['name']}: {error['message']}")
    if one["duplicate_of"] is not None:
        lines.append(f"    brought before, as {one['duplicate_of']}; nothing is sent again")
    stages = {stage["stage"]: stage for stage in one["stages"]}
    if "written" in stages:
        lines += [f"    {line}" for line in _sums(stages["queued"], stages["written"])]
    lines += [f"    {_connection(row)}" for row in one["connections"]]
    if one["more"]:
        lines.append(f"    and {one['more']} more")
    if one["body"] is not None:
        lines.append(f"    says {one['body']}")
    return "\n".join(escape_controls(line) for line in lines)


def _sums(queued: Mapping[str, Any], written: Mapping[str, Any]) -> Iterator[str]:
    refused, dropped = queued["refused"], written["dropped"]
    yield (
        f"{queued['matched']} matched = {queued['delivered']} delivered"
        f" + {sum(refused.values())} refused{_reasons(refused)}"
    )
    replayed = f"; {written['replayed']} replayed" if written["replayed"] else ""
    yield (
        f"{queued['delivered']} delivered = {written['written']} written + {written['queued']} queued"
        f" + {sum(dropped.values())} dropped{_reasons(dropped)}{replayed}"
    )


def _reasons(counts: Mapping[str, int]) -> str:
    named = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f" ({named})" if named else ""


def _connection(row: Mapping[str, Any]) -> str:
    text = f"{row['connection_id'] or 'a connection that has ended'} {row['user_id'] or ''}".rstrip()
    text += f": {row['outcome']}"
    if "us" in row:
        text += f" after {row['us'] / 1000:.3f} ms"
    if "ahead" in row:
        text += f", {row['ahead']} frames before it"
    if "into" in row:
        text += f" into {row['into']}"
    if "clauses" in row:
        text += f" at {', '.join(row['clauses'])}"
    return text
