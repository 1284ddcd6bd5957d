"""``wsserver connections`` and ``wsserver disconnect``: who is on a running server, and their end."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import click
import msgspec
from yarl import URL

from wsserver.cli.failures import Failure
from wsserver.cli.json_line import json_line
from wsserver.cli.remote import http_url, remote_options
from wsserver.cli.rest_call import get, post
from wsserver.connections.connection_info import STATES
from wsserver.connections.connection_pages import SORTS
from wsserver.ids import InvalidId, canonical_id
from wsserver.log import escape_controls

_COLUMNS: Final = (
    ("connection", "connection_id"),
    ("user", "user_id"),
    ("role", "role"),
    ("patient", "patient_id"),
    ("address", "address"),
    ("connected", "connected_seconds"),
    ("idle", "idle_seconds"),
    ("rtt ms", "rtt_ms"),
    ("subs", "subscriptions"),
    ("in", "messages_in"),
    ("out", "messages_out"),
    ("pending", "pending_bytes"),
    ("drops", "dropped"),
    ("state", "state"),
)
_SECONDS: Final = ("connected_seconds", "idle_seconds")


def _id(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    try:
        return None if value is None else canonical_id(value)
    except InvalidId as fault:
        raise click.BadParameter(str(fault)) from None


@click.command()
@remote_options
@click.argument("connection_id", required=False, callback=_id)
@click.option("--sort", type=click.Choice(SORTS), default="connected", show_default="who came first")
@click.option("--role", callback=_id, help="Only those of this role.")
@click.option("--state", type=click.Choice(STATES), help="Only those in this state.")
@click.option("--user", callback=_id, help="Only those of this user.")
@click.option("--patient", callback=_id, help="Only those that named this patient when they connected.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Most of them.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON on one line.")
def connections(
    url: URL,
    token: str,
    connection_id: str | None,
    sort: str,
    role: str | None,
    state: str | None,
    user: str | None,
    patient: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List the open connections, or tell all that is known of CONNECTION_ID.

    The token needs the scope admin:read.
    """
    if connection_id is not None:
        answer = get(http_url(url, "ws", "connections", connection_id), token)
        show: Callable[[Mapping[str, Any]], str] = _whole
    else:
        asked = {"role": role, "state": state, "user_id": user, "patient_id": patient}
        query = {"sort": sort, "limit": str(limit)}
        query |= {name: value for name, value in asked.items() if value is not None}
        answer = get(http_url(url, "ws", "connections").with_query(query), token)
        show = _table
    try:
        text = show(answer)
    except (KeyError, TypeError, AttributeError, ValueError):
        raise Failure("the answer lists no connections: is this a wsserver of the same version?") from None
    click.echo(json_line(answer) if as_json else text)


@click.command()
@remote_options
@click.argument("connection_id", required=False, callback=_id)
@click.option("--user", callback=_id, help="End all connections of this user instead.")
@click.option("--reason", default="", help="What the clients are told, up to 123 bytes.")
@click.option("--reconnect", is_flag=True, help="Have them come back at once, perhaps to another instance.")
def disconnect(
    url: URL, token: str, connection_id: str | None, user: str | None, reason: str, reconnect: bool
) -> None:
    """End the connection CONNECTION_ID, or all of a user.

    Without --reconnect they do not come back by themselves; their tokens stay good. The token needs
    the scope admin:write.
    """
    if (connection_id is None) == (user is None):
        raise click.UsageError("give CONNECTION_ID or --user")
    place = ("users", user) if connection_id is None else ("connections", connection_id)
    target = http_url(url, "ws", *(str(part) for part in place), "disconnect")
    body = msgspec.json.encode({"reason": reason, "reconnect": reconnect})
    answer = post(target, token, body, unsure="they may have been ended")
    if not isinstance(answer, dict) or not isinstance(answer.get("disconnected"), int):
        raise Failure("the answer says nothing of connections: is this a wsserver of the same version?")
    count = answer["disconnected"]
    click.echo(f"{count} connection{'' if count == 1 else 's'} ended")


def _table(page: Mapping[str, Any]) -> str:
    rows = [[_cell(name, row[name]) for _, name in _COLUMNS] for row in page["connections"]]
    heads = [head for head, _ in _COLUMNS]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
        for cells in (heads, *rows)
    ]
    lines.append(f"{len(rows)} of {page['matching']} that match, {page['total']} are open")
    return "\n".join(lines)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}s" if name in _SECONDS else escape_controls(str(value))


def _whole(info: Mapping[str, Any]) -> str:
    token, session, health = info["token"], info["session"], info["health"]
    patients = "every patient" if token["patients"] is None else f"{token['patients']} patients"
    lines = [
        f"{info['connection_id']}: {info['user_id']} ({info['role']}), {info['state']}",
        f"  since {info['connected_at']} from {info['address'] or 'an unknown address'}, {info['protocol']}",
        f"  token: {_expiry(token)}, {patients}",
        f"  session: {'kept' if session['kept'] else 'none'}{', resumed' if session['resumed'] else ''}",
        f"  heartbeat: {health['state']}, round trip {_or_dash(info['rtt_ms'])} ms"
        f" (average {_or_dash(health['average_rtt_ms'])}), {health['missed_pings']} missed,"
        f" idle {info['idle_seconds']:.0f}s of {health['timeout_seconds']:.0f}s",
        f"  in: {info['messages_in']} messages, {info['bytes_in']} bytes",
        f"  out: {info['messages_out']} messages, {info['bytes_out']} bytes",
        f"  waiting: {info['pending_messages']} messages, {info['pending_bytes']} bytes;"
        f" dropped: {info['dropped']}",
    ]
    if info["slow"] is not None:
        slow = info["slow"]
        lines.append(f"  slow for {slow['slow_seconds']:.0f}s, {slow['lost']} messages lost since")
    lines += [
        f"  {one['subscription_id']} {one['subscription_type']}:{one['target_id']}"
        f" {msgspec.json.encode(one['filters']).decode()}"
        for one in info["subscribed"]
    ]
    lines += [
        f"  {one['at']} told of a loss ({one['reason']}): {_or_dash(one['count'])}"
        f" of {one['topic'] or one['log']}"
        for one in info["gaps"]
    ]
    lines += [
        f"  {one['at']} {one['kind']} {one['subscription_type'] or ''}:{one['target_id'] or ''}"
        for one in info["events"]
    ]
    return "\n".join(escape_controls(line) for line in lines)


def _expiry(token: Mapping[str, Any]) -> str:
    return "none" if token["expires_at"] is None else f"until {token['expires_at']}"


def _or_dash(value: Any) -> str:
    return "-" if value is None else str(value)
