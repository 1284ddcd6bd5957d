"""Taking a socket over from aiohttp after the handshake.

After the 101 response the compiled core reads and writes the socket itself: an idle
connection then costs about a tenth of the memory of an aiohttp handler, and a fan-out runs
at the speed of the kernel. aiohttp has no public way to let go of a connection, so this
module, and only this one, leans on the insides of its HTTP protocol; that is why the minor
version is pinned and every step has a test.
"""

import socket
from typing import Any

from aiohttp import web

from wsserver_core.connection import Connection


class _Collector:
    """Stands in for aiohttp's payload parser and keeps bytes it read behind the request."""

    __slots__ = ("data",)

    def __init__(self) -> None:
        self.data = b""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        """Part of the interface; there is nothing to end."""


class Handed(web.StreamResponse):
    """The answer to a request whose socket is ours now: aiohttp writes nothing for it."""

    async def prepare(self, request: web.BaseRequest) -> None:
        """Nothing: the 101 response has been queued by the core."""
        return

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing: the socket is not aiohttp's any more."""


def is_tls(transport: Any) -> bool:
    """Whether the transport encrypts. Never decided by the request's URL, which the client writes."""
    return transport.get_extra_info("sslcontext") is not None


def take_over(request: web.Request, connection: Connection, head: bytes, *, send_buffer: int) -> bytes:
    """Give the socket of ``request`` to ``connection``, which sends ``head`` first.

    ``send_buffer`` is the kernel's send buffer in bytes: left alone, Linux takes up to 4 MiB
    for a slow reader before anybody notices; 0 leaves it alone. Returns the bytes that aiohttp
    had read behind the request; feed them to the connection once it is ready for messages.
    Raises ConnectionResetError when the client is gone already.
    """
    transport = request.transport
    protocol = request.protocol
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client left during the handshake")
    collector = _Collector()
    protocol.set_parser(collector)  # type: ignore[arg-type]
    # aiohttp must not close the socket when it forgets the connection.
    protocol.transport = None
    sock = transport.get_extra_info("socket")
    if send_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    connection.attach(transport, -1 if is_tls(transport) else sock.fileno(), head)
    protocol.connection_lost(None)
    return collector.data
