"""The listening sockets: they stop accepting for a moment while file descriptors are short.

A client that is slow with its TLS handshake holds a descriptor before anybody can speak to it, so
the doorman cannot send it away. But whoever is not accepted waits in the kernel and holds none.
"""

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Callable
from typing import Final

from wsserver.observe.descriptor_room import DescriptorRoom

logger = logging.getLogger("wsserver.server")

BACKLOG: Final = 4096
"""Connections that may wait in the kernel."""

HANDSHAKE_PATIENCE: Final = 5.0
"""Seconds that a TLS handshake may take."""

PAUSE: Final = 0.05
"""Seconds between two looks whether there are descriptors again."""


class Listener:
    """Accepts connections for a protocol factory, as long as there is room."""

    def __init__(
        self,
        factory: Callable[[], asyncio.BaseProtocol],
        room: DescriptorRoom,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._factory = factory
        self._room = room
        self._context = context
        self._servers: list[asyncio.Server] = []
        self._kept: list[socket.socket] = []
        self._resuming: asyncio.Task[None] | None = None
        self.pauses = 0
        """How often it had to stop accepting, since the start."""

    async def open(self, host: str, port: int) -> int:
        """Listen on every address of a host; returns the port. Raises OSError."""
        server = await asyncio.get_running_loop().create_server(
            self._accepted,
            host,
            port,
            ssl=self._context,
            ssl_handshake_timeout=self._patience,
            backlog=BACKLOG,
        )
        self._servers = [server]
        for one in server.sockets:
            # A peer that vanished without a word is noticed one day, also while HTTP waits for it.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        bound: int = server.sockets[0].getsockname()[1]
        return bound

    async def close(self) -> None:
        """Stop listening; connections stay."""
        resuming, self._resuming = self._resuming, None
        if resuming is not None:
            resuming.cancel()
            await asyncio.wait({resuming})
        for server in self._servers:
            server.close()
        self._servers = []
        self._let_go()

    @property
    def _patience(self) -> float | None:
        return None if self._context is None else HANDSHAKE_PATIENCE

    def _accepted(self) -> asyncio.BaseProtocol:
        if self._context is not None and self._resuming is None and self._room.is_full():
            self._pause()
        return self._factory()

    def _pause(self) -> None:
        self.pauses += 1
        self._resuming = asyncio.get_running_loop().create_task(self._resume())

    async def _resume(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            # Closing one of two descriptors of a listening socket leaves those who wait in its queue.
            for one in [one for server in self._servers for one in server.sockets]:
                self._kept.append(_another(one))
        except OSError:
            self._let_go()
            return
        for server in self._servers:
            server.close()
        self._servers = []
        while self._room.is_full():  # noqa: ASYNC110 -- the kernel tells nobody when a descriptor is free
            await asyncio.sleep(PAUSE)
        while self._kept:
            try:
                server = await loop.create_server(
                    self._accepted,
                    sock=_another(self._kept[-1]),
                    ssl=self._context,
                    ssl_handshake_timeout=self._patience,
                    backlog=BACKLOG,
                )
            except OSError as fault:
                # What is kept goes on listening, so nobody is lost meanwhile.
                logger.warning("cannot accept connections again yet: %s", os.strerror(fault.errno or 0))
                await asyncio.sleep(PAUSE)
            else:
                self._servers.append(server)
                self._kept.pop().close()
        self._resuming = None

    def _let_go(self) -> None:
        for kept in self._kept:
            kept.close()
        self._kept.clear()
        self._resuming = None


def _another(listening: socket.socket) -> socket.socket:
    """The same socket under another descriptor."""
    return socket.socket(fileno=os.dup(listening.fileno()))
