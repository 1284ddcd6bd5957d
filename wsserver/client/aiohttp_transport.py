"""WebSockets by aiohttp's client."""

import asyncio
import contextlib
import socket
from types import SimpleNamespace
from typing import Any, Final

import aiohttp

from wsserver.client.close_codes import ABNORMAL, NO_STATUS
from wsserver.client.errors import HandshakeRefused, UntrustedServer
from wsserver.client.transport import Address, Closed

_CLOSE_TIMEOUT: Final = 1.0


class AiohttpConnector:
    """One session for each connection: to end it ends the socket, whatever state that is in."""

    async def open(self, address: Address) -> "AiohttpTransport":
        """As Connector has it."""
        sockets: list[socket.socket] = []

        def make_socket(info: Any) -> socket.socket:
            family, kind, protocol, *_ = info
            sockets.append(socket.socket(family, kind, protocol))
            return sockets[-1]

        tracing = aiohttp.TraceConfig()
        tracing.on_request_redirect.append(_refuse_redirect)
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1, socket_factory=make_socket),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            trace_configs=[tracing],
        )
        try:
            websocket = await session.ws_connect(
                address.url,
                protocols=address.protocols,
                max_msg_size=address.max_message_size,
                ssl=address.tls or True,
                autoclose=False,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_TIMEOUT),
            )
        except BaseException as fault:
            await session.close()
            if isinstance(fault, aiohttp.WSServerHandshakeError):
                raise HandshakeRefused(fault.status, _seconds(fault.headers)) from None
            if isinstance(fault, aiohttp.ClientConnectorCertificateError):
                raise UntrustedServer from None
            if isinstance(fault, aiohttp.ClientError | OSError | ValueError):
                raise Closed(ABNORMAL, type(fault).__name__) from fault
            raise
        return AiohttpTransport(session, websocket, sockets)


class AiohttpTransport:
    """An open WebSocket."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        websocket: aiohttp.ClientWebSocketResponse,
        sockets: list[socket.socket],
    ) -> None:
        self._session = session
        self._websocket = websocket
        self._sockets = sockets
        self._closed: Closed | None = None

    @property
    def protocol(self) -> str | None:
        """As Transport has it."""
        return self._websocket.protocol

    async def send(self, frame: str | bytes) -> None:
        """As Transport has it."""
        try:
            if isinstance(frame, str):
                await self._websocket.send_str(frame)
            else:
                await self._websocket.send_bytes(frame)
        except (aiohttp.ClientError, OSError, RuntimeError) as fault:
            raise Closed(ABNORMAL, type(fault).__name__) from None

    async def receive(self) -> str | bytes:
        """As Transport has it."""
        if self._closed is not None:
            raise self._closed
        frame = await self._websocket.receive()
        if frame.type is aiohttp.WSMsgType.TEXT or frame.type is aiohttp.WSMsgType.BINARY:
            data: str | bytes = frame.data
            return data
        # Not close_code: where its reader ends by EofStream, aiohttp writes 1000 there although no close
        # frame has come, and 1000 is final.
        if frame.type is aiohttp.WSMsgType.CLOSE:
            self._closed = Closed(frame.data or NO_STATUS, frame.extra or "", was_clean=True)
        elif frame.type is aiohttp.WSMsgType.ERROR and isinstance(frame.data, aiohttp.WebSocketError):
            # What came breaks RFC 6455 or is too large; that is what the other side was told.
            self._closed = Closed(frame.data.code, "", was_clean=False)
        else:
            self._closed = Closed(ABNORMAL)
        raise self._closed

    async def close(self, code: int, reason: str) -> None:
        """As Transport has it."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self._websocket.close(code=code, message=reason.encode()[:123])
        self.abort()
        await self._session.close()

    def abort(self) -> None:
        """As Transport has it."""
        # The transport would first flush what a dead line never takes.
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


async def _refuse_redirect(
    session: aiohttp.ClientSession, context: SimpleNamespace, request: aiohttp.TraceRequestRedirectParams
) -> None:
    # It would carry the token to wherever it points.
    raise HandshakeRefused(request.response.status)


def _seconds(headers: Any) -> float | None:
    value = (headers or {}).get("Retry-After", "")
    return float(value) if value.isdecimal() and len(value) < 10 else None
