"""Where the pictures come from: the live socket of the status page, or asking again and again."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

import aiohttp
import msgspec
from yarl import URL

from wsserver.cli.failures import Failure
from wsserver.cli.remote import http_url
from wsserver.cli.rest_call import Refused, Unreachable, fetch
from wsserver.cli.terminal.picture import Picture, Polled, of_panels, of_polled
from wsserver.clock import utc_text
from wsserver.errors import CloseCode
from wsserver.log import escape_controls
from wsserver.protocol.encoding import JSON_PROTOCOL

PANELS: Final = ("overview", "slow")
INTERVAL: Final = 1.0
"""Seconds between two questions where the server does not speak by itself."""
SETTLE: Final = 2.0
"""Seconds within which the first picture should have all its panels."""
ASKED_SLOW: Final = 100
_MAX_FRAME: Final = 16 * 1024 * 1024
_CONNECT: Final = aiohttp.ClientTimeout(total=None, sock_connect=10)
_FORBIDDEN: Final = (401, 403, 429)


class NotLive(Exception):
    """This server, or what stands in front of it, has no live socket for us."""


class Feed:
    """Pictures of one server. It goes on over a cut, and says why there is nothing new meanwhile."""

    def __init__(self, url: URL, token: str, *, live: bool = True) -> None:
        self._url = url
        self._token = token
        self._live = live
        self._why_polled = ""
        self.notice = ""
        """What is wrong with the way to the server; empty while nothing is."""

    async def pictures(self) -> AsyncGenerator[Picture, None]:
        """One a second at most, without end.

        Raises Failure when the server does not want this token, cannot be reached at the first
        attempt, or gives answers that are none of this version's.
        """
        seen, pause = False, 1.0
        while True:
            try:
                source = self._live_pictures() if self._live else self._polled_pictures()
                async with aclosing(source) as pictures:
                    async for picture in pictures:
                        seen, pause = True, 1.0
                        self.notice = self._why_polled
                        yield picture
            except NotLive as why:
                self._live, self._why_polled = False, f"not live: {why}"
                continue
            except (aiohttp.ClientError, OSError) as problem:
                if not seen:
                    raise Failure(f"cannot reach {self._url.origin()}: {_words(problem)}") from None
                self.notice = f"the server is away: {_words(problem)}"
            except (Unreachable, Refused) as problem:
                if not seen or getattr(problem, "status", None) in _FORBIDDEN:
                    raise
                self.notice = problem.message
            except (KeyError, TypeError, ValueError, AttributeError):
                raise Failure("the figures are not those of a wsserver of this version") from None
            await asyncio.sleep(pause)
            pause = min(pause * 2, 10.0)

    async def _live_pictures(self) -> AsyncGenerator[Picture, None]:
        panels: dict[str, dict[str, Any]] = {}
        async with aiohttp.ClientSession(timeout=_CONNECT) as session:
            socket = await self._open(session)
            async with socket:
                for panel in PANELS:
                    await socket.send_json({"type": "subscribe", "topic": f"status:{panel}"})
                until = time.monotonic() + SETTLE
                async for frame in socket:
                    message = _message(frame)
                    if message.get("type") != "status":
                        _check(message)
                        continue
                    panels[message["panel"]] = message
                    complete = len(panels) == len(PANELS) or time.monotonic() > until
                    if message["panel"] == "overview" and complete:
                        yield of_panels(panels)
                code = socket.close_code
        if code is not None and (code == CloseCode.AUTHENTICATION_EXPIRED or 4500 <= code < 5000):
            raise Failure(f"the server ended the connection for good ({code})")
        raise ConnectionError(f"the connection ended with {code}")

    async def _open(self, session: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
        url = http_url(self._url, "ws", "admin")
        url = url.with_scheme({"http": "ws", "https": "wss"}[url.scheme])
        headers = {"Authorization": f"Bearer {self._token}"}
        try:
            return await session.ws_connect(
                url, protocols=(JSON_PROTOCOL,), headers=headers, max_msg_size=_MAX_FRAME
            )
        except aiohttp.WSServerHandshakeError as refused:
            if refused.status in _FORBIDDEN:
                raise Failure(
                    f"{self._url.origin()} refused the token (HTTP {refused.status}): it needs admin:read"
                ) from None
            raise NotLive(f"HTTP {refused.status}") from None

    async def _polled_pictures(self) -> AsyncGenerator[Picture, None]:
        before: Polled | None = None
        while True:
            now = await self._poll()
            yield of_polled(now, before)
            before = now
            await asyncio.sleep(INTERVAL)

    async def _poll(self) -> Polled:
        metrics = await self._get("metrics")
        alerts = await self._get("alerts")
        try:
            connections = (await self._get("connections", sort="-pending", limit=ASKED_SLOW))["connections"]
        except Refused as refused:
            if refused.status in _FORBIDDEN:
                raise
            connections = []
        return Polled(time.monotonic(), utc_text(time.time()), metrics, alerts, connections)

    async def _get(self, name: str, **query: str | int) -> Any:
        return await fetch(http_url(self._url, "ws", name).with_query(query), self._token)


def _message(frame: aiohttp.WSMessage) -> dict[str, Any]:
    if frame.type is not aiohttp.WSMsgType.TEXT:
        raise TypeError("no text frame")
    message = msgspec.json.decode(frame.data)
    if not isinstance(message, dict):
        raise TypeError("no object")
    return message


def _check(message: dict[str, Any]) -> None:
    """Raise Failure for an error that ends this way of watching; everything else passes."""
    if message.get("type") == "error" and message.get("code") in (1001, 1011):
        raise Failure(escape_controls(f"{message['code']} {message.get('name')}: {message.get('message')}"))


def _words(problem: BaseException) -> str:
    return escape_controls(str(problem)) or type(problem).__name__
