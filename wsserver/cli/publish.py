"""``wsserver publish``: one message over REST."""

import asyncio
import sys
from typing import Any

import aiohttp
import click
import msgspec
from yarl import URL

from wsserver.cli.failures import Failure
from wsserver.cli.remote import http_url, one_line, remote_options
from wsserver.ids import InvalidId, canonical_id
from wsserver.log import escape_controls

_MAX_ANSWER = 1024 * 1024
_MAX_BODY = 1024 * 1024 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=30)


def _route(_context: click.Context, _argument: click.Parameter, value: str) -> tuple[str, ...]:
    kind, separator, name = value.partition(":")
    if kind == "all" and not separator:
        return ("all",)
    if kind not in ("patient", "type") or not separator:
        raise click.BadParameter("must be patient:ID, type:NAME or all")
    try:
        return kind, canonical_id(name, kind)
    except InvalidId as fault:
        raise click.BadParameter(str(fault)) from None


@click.command()
@remote_options
@click.argument("target", callback=_route)
@click.argument("message", required=False)
def publish(url: URL, token: str, target: tuple[str, ...], message: str | None) -> None:
    """Publish MESSAGE, a JSON object, to TARGET and print the delivery report.

    TARGET is patient:ID, type:NAME or all. Without MESSAGE it is read from standard input.
    """
    if message is None or message == "-":
        body = sys.stdin.buffer.read(_MAX_BODY)
    else:
        body = message.encode(errors="surrogatepass")
    try:
        is_object = isinstance(msgspec.json.decode(body), dict)
    except (msgspec.DecodeError, RecursionError):
        is_object = False
    if not is_object:
        raise click.BadParameter("must be a JSON object", param_hint="MESSAGE")
    report = asyncio.run(_post(http_url(url, "ws", "broadcast", *target), token, body))
    click.echo(one_line(msgspec.json.encode(report).decode()))


async def _post(url: URL, token: str, body: bytes) -> Any:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        # A redirect would carry the token to wherever it points.
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.post(url, data=body, headers=headers, allow_redirects=False) as response,
        ):
            answer = await response.content.read(_MAX_ANSWER)
            return _data(response.status, answer)
    except TimeoutError:
        raise Failure(f"{url.origin()} did not answer in time; the message may have been published") from None
    except (aiohttp.ClientError, OSError) as error:
        raise Failure(f"cannot reach {url.origin()}: {escape_controls(str(error))}") from None
    except ValueError:
        raise Failure("the token cannot stand in a header") from None


def _data(status: int, answer: bytes) -> Any:
    try:
        document = msgspec.json.decode(answer)
    except (msgspec.DecodeError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Failure(f"the answer is no JSON object (HTTP {status}): is this a wsserver?")
    error = document.get("error")
    if status == 200 and error is None:
        return document.get("data")
    facts = error if isinstance(error, dict) else {}
    text = f"{facts.get('code', '')} {facts.get('name', '')}: {facts.get('message', '')} (HTTP {status})"
    raise Failure(escape_controls(text.strip()))
