"""Connections without clients: a hub on a loop that is turned by hand, and sockets that never fill."""

import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any

from wsserver_core.hub import Hub
from wsserver_core.recipients import Recipients


class HandLoop:
    """As much of asyncio's loop as a service asks for; it turns when it is told to."""

    def __init__(self) -> None:
        self._ready: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()

    def call_soon(self, callback: Callable[..., Any], *args: Any) -> None:
        """Do it in the next turn."""
        self._ready.append((callback, args))

    call_soon_threadsafe = call_soon

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> None:
        """Nothing here is to happen by time."""

    def is_closed(self) -> bool:
        """Never."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """A benchmark of a fault would be none."""
        raise RuntimeError(context["message"]) from context.get("exception")

    def run(self) -> None:
        """Turn until nothing is left to do."""
        while self._ready:
            callback, args = self._ready.popleft()
            callback(*args)


class EndlessSocket:
    """A socket that takes whatever is sent: datagrams to somebody who never reads are dropped."""

    def __init__(self) -> None:
        reader = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        reader.bind(("127.0.0.1", 0))
        writer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        writer.connect(reader.getsockname())
        writer.setblocking(False)
        # As numbers: they end with this object, in whatever order a cycle around it is taken apart.
        self._descriptors = reader.detach(), writer.detach()

    def __del__(self) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)

    def fileno(self) -> int:
        """The descriptor to send on; any number of connections may share it."""
        return self._descriptors[1]


class SilentTransport:
    """Stands for the transport of a connection that is written to directly."""

    def set_protocol(self, protocol: object) -> None:
        """Nothing will come by it."""

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        """It holds nothing."""

    def get_write_buffer_size(self) -> int:
        """Nothing waits."""
        return 0

    def is_closing(self) -> bool:
        """Never."""
        return False

    def can_write_eof(self) -> bool:
        """It is never ended."""
        return False

    def write_eof(self) -> None:
        """It is never ended."""

    def write(self, data: bytes) -> None:
        """What the hub sends does not come here."""
        raise RuntimeError(f"{len(data)} bytes did not go to the socket")

    def pause_reading(self) -> None:
        """Nothing comes by it."""

    resume_reading = close = abort = pause_reading


class Crowd:
    """A hub with connections that say nothing."""

    def __init__(self, size: int, *, max_queue_messages: int = 100_000) -> None:
        self.loop = HandLoop()
        self.hub = Hub(self.loop, max_queue_messages=max_queue_messages, max_queue_bytes=1 << 40)
        self._socket = EndlessSocket()
        transport = SilentTransport()
        self.handles = [self.hub.open(transport, self._socket.fileno(), None) for _ in range(size)]
        self.recipients = Recipients()
        for handle in self.handles:
            self.recipients.add(handle)


def masked(opcode: int, payload: bytes) -> bytes:
    """A client's frame of up to 65,535 bytes."""
    key = b"\x5a\xc3\x17\x8e"
    size = len(payload)
    head = (
        bytes([0x80 | opcode, 0x80 | size]) if size < 126 else struct.pack("!BBH", 0x80 | opcode, 0xFE, size)
    )
    return head + key + bytes(byte ^ key[i & 3] for i, byte in enumerate(payload))
