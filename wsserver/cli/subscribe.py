"""``wsserver subscribe``: what arrives, one JSON line per message."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import click
import msgspec
from yarl import URL

from wsserver.cli.failures import Failure
from wsserver.cli.json_line import json_line, one_line
from wsserver.cli.remote import remote_options, websocket_url
from wsserver.log import escape_controls
from wsserver.protocol.encoding import BINARY_PROTOCOL, JSON_PROTOCOL
from wsserver_core.envelope import EnvelopeError, decode

_MAX_MESSAGE = 64 * 1024 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10)

Print = Callable[[str], None]


@click.command()
@remote_options
@click.option("-n", "--count", type=click.IntRange(min=1), help="End after this many messages.")
@click.option("--binary", is_flag=True, help="Speak the binary protocol; what is printed is the same.")
@click.argument("topics", nargs=-1, required=True)
def subscribe(url: URL, token: str, count: int | None, binary: bool, topics: tuple[str, ...]) -> None:
    """Subscribe to TOPICS and print one JSON line per message until interrupted.

    A topic is patient:ID, patient:*, type:NAME or *. What the server says besides messages
    (errors, gaps, expiry) goes to standard error.
    """

    def notice(text: str) -> None:
        click.echo(text, err=True)

    try:
        protocol = BINARY_PROTOCOL if binary else JSON_PROTOCOL
        asyncio.run(_receive(websocket_url(url), token, protocol, topics, count, click.echo, notice))
    except KeyboardInterrupt:
        return


async def _receive(
    url: URL,
    token: str,
    protocol: str,
    topics: tuple[str, ...],
    count: int | None,
    show: Print,
    notice: Print,
) -> None:
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.ws_connect(url, protocols=(protocol,), max_msg_size=_MAX_MESSAGE) as socket,
        ):
            await socket.send_json({"type": "connect", "token": token, "subscriptions": list(topics)})
            await _print_messages(socket, len(topics), count, show, notice)
    except aiohttp.WSServerHandshakeError as error:
        raise Failure(f"{url.origin()} refused the handshake: HTTP {error.status}") from None
    except (aiohttp.ClientError, OSError) as error:
        raise Failure(f"cannot reach {url.origin()}: {escape_controls(str(error))}") from None


async def _print_messages(
    socket: aiohttp.ClientWebSocketResponse, wanted: int, count: int | None, show: Print, notice: Print
) -> None:
    left = count
    async for frame in socket:
        text = _text_of(frame, socket.protocol)
        if text is None:
            continue
        message = _decoded(text)
        if "_meta" in message:
            show(one_line(text))
            left = None if left is None else left - 1
            if left == 0:
                return
        elif message.get("type") == "connected":
            failed = message.get("errors") or []
            for fault in failed:
                notice(json_line(fault))
            if len(failed) >= wanted:
                raise Failure("no subscription was accepted")
        elif message.get("type") != "pong":
            notice(one_line(text))
    if socket.close_code != aiohttp.WSCloseCode.OK:
        raise Failure(f"the connection ended: {_describe_close(socket.close_code)}")


def _text_of(frame: aiohttp.WSMessage, protocol: str | None) -> str | None:
    """What a frame says as JSON text; None if it is none of this protocol."""
    if protocol != BINARY_PROTOCOL:
        return frame.data if frame.type is aiohttp.WSMsgType.TEXT else None
    if frame.type is not aiohttp.WSMsgType.BINARY:
        return None
    try:
        envelope = decode(frame.data, max_size=_MAX_MESSAGE)
    except EnvelopeError as error:
        raise Failure(f"the server sent a frame that cannot be read: {error.reason}") from None
    # Samples come as arrays of numbers.
    return msgspec.json.encode(envelope.body, enc_hook=list).decode()


def _decoded(text: str) -> dict[str, Any]:
    try:
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise Failure("the server sent a frame that is no JSON object: is this a wsserver?")
    return message


def _describe_close(code: int | None) -> str:
    return "cut off" if code in (None, aiohttp.WSCloseCode.ABNORMAL_CLOSURE) else f"close code {code}"
