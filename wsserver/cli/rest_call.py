"""One request to the REST interface of a running server."""

import asyncio
from typing import Any

import aiohttp
import click
import msgspec
from yarl import URL

from wsserver.cli.failures import Failure
from wsserver.log import escape_controls

_MAX_ANSWER = 64 * 1024 * 1024
_PATIENCE = 30.0


class Unreachable(Failure):
    """No answer came."""


class Refused(Failure):
    """An answer came that is not what was asked for."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


def json_object(text: bytes, param_hint: str) -> bytes:
    """The same text; raises click.BadParameter unless it is a JSON object."""
    try:
        is_object = isinstance(msgspec.json.decode(text), dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        is_object = False
    if not is_object:
        raise click.BadParameter("must be a JSON object", param_hint=param_hint)
    return text


def get(url: URL, token: str, *, patience: float | None = None) -> Any:
    """GET and return the ``data`` of the answer, within ``patience`` seconds (30).

    Raises Failure for anything but success.
    """
    return asyncio.run(fetch(url, token, patience=patience))


async def fetch(url: URL, token: str, *, patience: float | None = None) -> Any:
    """The same on a loop that runs. Raises Refused and Unreachable for what they stand for."""
    return await _ask("GET", url, token, None, "", patience=patience)


def post(url: URL, token: str, body: bytes, *, unsure: str = "", key: str | None = None) -> Any:
    """POST JSON and return the ``data`` of the answer.

    ``unsure`` says what may have happened when no answer comes; with a ``key`` (Idempotency-Key) the
    same may be asked again. Raises Failure for anything but success.
    """
    return asyncio.run(_ask("POST", url, token, body, f"; {unsure}" if unsure else "", key))


def delete(url: URL, token: str) -> Any:
    """DELETE and return the ``data`` of the answer. Raises Failure for anything but success."""
    return asyncio.run(_ask("DELETE", url, token, None, ""))


async def _ask(
    method: str,
    url: URL,
    token: str,
    body: bytes | None,
    unsure: str,
    key: str | None = None,
    patience: float | None = None,
) -> Any:
    timeout = aiohttp.ClientTimeout(total=patience or _PATIENCE)
    headers = {"Authorization": f"Bearer {token}"}
    if key is not None:
        headers["Idempotency-Key"] = key
    if body is not None:
        headers["Content-Type"] = "application/json"
    answer = bytearray()
    try:
        # A redirect would carry the token to wherever it points.
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, url, data=body, headers=headers, allow_redirects=False) as response,
        ):
            async for chunk in response.content.iter_any():
                answer += chunk
                if len(answer) > _MAX_ANSWER:
                    raise Failure(f"the answer is larger than {_MAX_ANSWER} bytes")
    except TimeoutError:
        raise Unreachable(f"{url.origin()} did not answer in time{unsure}") from None
    except (aiohttp.ClientError, OSError) as error:
        raise Unreachable(f"cannot reach {url.origin()}: {escape_controls(str(error))}") from None
    except ValueError:
        raise Failure("the token cannot stand in a header") from None
    return _data(response.status, bytes(answer))


def _data(status: int, answer: bytes) -> Any:
    try:
        document = msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Refused(f"the answer is no JSON object (HTTP {status}): is this a wsserver?", status)
    error = document.get("error")
    if status == 200 and error is None:
        return document.get("data")
    facts = error if isinstance(error, dict) else {}
    text = f"{facts.get('code', '')} {facts.get('name', '')}: {facts.get('message', '')} (HTTP {status})"
    raise Refused(escape_controls(text.strip()), status)
