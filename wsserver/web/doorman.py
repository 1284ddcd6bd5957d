"""Who gets in while file descriptors are short: the accept loop never meets EMFILE.

Out of descriptors, asyncio's own loop logs 4,000 lines in each try, and libuv silently closes
whoever knocks; both hit REST calls and newcomers alike, and files cannot be opened meanwhile. So
the last descriptors are never lent out: see ``DescriptorRoom`` for why a socket's own number is
enough to know.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice
from typing import Final, cast

import msgspec
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from wsserver.errors import CONNECTION_LIMIT, ServerError
from wsserver.observe.descriptor_room import DescriptorRoom

RETRY_AFTER: Final = 5
"""Seconds that a client is told to wait."""

MAX_REFUSALS: Final = 4
"""Refused connections that are kept until their request has come, so that they read the answer."""

AT_ONCE: Final = 8
"""Connections that are ended together, so that of those who knock all the time few are refused."""

REFUSAL_PATIENCE: Final = 1.0
"""Seconds for which one of them is kept."""

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _refusal() -> bytes:
    error = ServerError(CONNECTION_LIMIT, details={"scope": "descriptors"}, retry_after_ms=RETRY_AFTER * 1000)
    body = msgspec.json.encode({"status": "error", "error": error.as_dict()})
    head = (
        "HTTP/1.1 503 Service Unavailable\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"Retry-After: {RETRY_AFTER}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body


REFUSAL: Final = _refusal()


class Doorman:
    """A protocol factory that stands before aiohttp's own.

    While the reserve is in use, HTTP connections that have had no request under way for a second
    are ended: clients that were served, and those that dribble their header. Whoever comes when
    even that part of the reserve is full which requests may use is refused, and the oldest ones
    without a request make room for whoever comes next.

    ``attend`` must be among the application's middlewares, and ``sweep`` be called once a second.
    """

    def __init__(self) -> None:
        self._server: web.Server | None = None
        self._room: DescriptorRoom | None = None
        self.evicted = 0
        """HTTP connections that had to make room, since the start."""
        self.refused = 0
        """Connections that were not let in, since the start."""
        self._busy: set[RequestHandler] = set()
        self._idle: set[RequestHandler] = set()
        self._pressed = False
        self._refusing: set[_Refused] = set()

    def open(self, server: web.Server | None, room: DescriptorRoom) -> None:
        """Say who serves those who are let in, before the first of them comes."""
        self._server, self._room = server, room

    def __call__(self) -> asyncio.Protocol:
        """A protocol for a socket that has just been accepted."""
        return _Doorway(self)

    @web.middleware
    async def attend(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Know which connections have a request under way: those are not ended."""
        protocol = request.protocol
        self._busy.add(protocol)
        self._idle.discard(protocol)
        try:
            return await handler(request)
        finally:
            self._busy.discard(protocol)

    def receive(self, transport: asyncio.Transport) -> None:
        """Let a connection in, or refuse it."""
        server, room = self._server, self._room
        if server is None or room is None:
            transport.abort()
            return
        descriptor = transport.get_extra_info("socket").fileno()
        if descriptor >= room.client_ceiling:
            self._pressed = True
        if descriptor >= room.request_ceiling:
            # Even where room is made: this one would keep the number that it must not have.
            self._make_room(server)
            self._refuse(transport)
            return
        protocol = server()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    def sweep(self) -> None:
        """End the HTTP connections that have been idle since the last call, if the reserve was needed."""
        if self._server is None or not self._is_pressed():
            self._idle.clear()
            return
        idle = set(self._idle_ones(self._server))
        for protocol in idle & self._idle:
            protocol.force_close()
            self.evicted += 1
        self._idle = idle - self._idle

    def _is_pressed(self) -> bool:
        pressed, self._pressed = self._pressed, False
        room = self._room
        return pressed or (room is not None and room.used() >= room.client_ceiling)

    def _make_room(self, server: web.Server) -> None:
        """End the oldest HTTP connections without a request under way."""
        for protocol in islice(self._idle_ones(server), AT_ONCE):
            protocol.force_close()
            self.evicted += 1

    def _idle_ones(self, server: web.Server) -> Iterator[RequestHandler]:
        # In the order of their coming, and without those that have become WebSockets.
        for protocol in server.connections:
            if protocol.transport is not None and protocol not in self._busy:
                yield protocol

    def _refuse(self, transport: asyncio.Transport) -> None:
        self.refused += 1
        if len(self._refusing) >= MAX_REFUSALS:
            transport.abort()
            return
        refused = _Refused(self._refusing, transport)
        self._refusing.add(refused)
        transport.set_protocol(refused)


class _Doorway(asyncio.Protocol):
    """Holds a socket for the moment in which it is decided who serves it."""

    __slots__ = ("_doorman",)

    def __init__(self, doorman: Doorman) -> None:
        self._doorman = doorman

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not an instance of asyncio's class where the loop is uvloop.
        self._doorman.receive(cast(asyncio.Transport, transport))


class _Refused(asyncio.Protocol):
    """Answers the first bytes with 503 and ends.

    Closing a socket with unread input makes the kernel send RST, which may destroy the answer.
    """

    def __init__(self, refusing: "set[_Refused]", transport: asyncio.Transport) -> None:
        self._refusing = refusing
        self._transport = transport
        self._timer = asyncio.get_running_loop().call_later(REFUSAL_PATIENCE, transport.abort)

    def data_received(self, data: bytes) -> None:
        self._transport.write(REFUSAL)
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._refusing.discard(self)
