"""A hub with connections to try it on: through fake transports, or directly over socket pairs."""

import socket
from collections.abc import Iterable

from ledger import Ledger
from recording_transport import FakeLoop, HubSide, RecordingTransport

from wsserver_core.hub import Hub
from wsserver_core.recipients import Recipients

QUEUED, REFUSED_SLOW, REFUSED_CLOSING, REFUSED_GONE = range(4)
"""What ``Hub.enqueue`` answers."""


class Pier:
    """``ledger`` counts along: put frames in through it."""

    def __init__(self) -> None:
        self.loop = FakeLoop()
        self.hub = Hub(self.loop)
        self.ledger = Ledger(self.hub)
        self.sockets: list[socket.socket] = []

    def open(self, *, room: int | None = None, can_half_close: bool = True) -> tuple[int, RecordingTransport]:
        """A connection whose bytes all go through its transport."""
        transport = RecordingTransport(self.loop, room=room, can_half_close=can_half_close)
        return self._enter(transport, -1), transport

    def open_socket(self, buffer: int | None = None) -> tuple[int, RecordingTransport, socket.socket]:
        """A connection over a real socket, and the peer's end of it."""
        ours, peer = socket.socketpair()
        self.sockets += [ours, peer]
        if buffer is not None:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        ours.setblocking(False)
        peer.setblocking(False)
        transport = RecordingTransport(self.loop, ours)
        return self._enter(transport, ours.fileno()), transport, peer

    def _enter(self, transport: RecordingTransport, fd: int) -> int:
        side = HubSide(self.hub)
        transport.protocol = side
        side.handle = self.hub.open(transport, fd, side)
        return side.handle


def read_all(peer: socket.socket) -> bytes:
    """Everything that lies ready at the peer's end."""
    data = b""
    while True:
        try:
            part = peer.recv(1 << 20)
        except BlockingIOError:
            return data
        if not part:
            return data
        data += part


def queue_of(hub: Hub, handle: int) -> tuple[int, int]:
    figures = hub.connection_figures(handle)
    assert figures is not None
    return figures[2], figures[3]


def fill(sock: socket.socket) -> None:
    """Take all the room there is in the socket's send buffer."""
    for size in (4096, 1):
        try:
            while True:
                sock.send(b"#" * size)
        except BlockingIOError:
            continue


def recipients(handles: Iterable[int]) -> Recipients:
    chosen = Recipients()
    for handle in handles:
        chosen.add(handle)
    return chosen
