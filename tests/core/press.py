"""Frames that name themselves, and sockets that are full."""

from pier import Pier
from recording_transport import RecordingTransport

from wsserver_core.outgoing import DATA, Frame


class Press:
    """Makes frames of one log whose wire names them: ``press.data(1)`` is ``<1>``."""

    def __init__(self) -> None:
        self.seq = 0

    def frame(self, importance: int, name: object, *, topic: str = "t", stream: str | None = None) -> Frame:
        self.seq += 1
        wire = b"<%s>" % str(name).encode()
        return Frame(wire, None, importance, topic=topic, log="l", seq=self.seq, stream=stream)

    def data(self, name: object, **more: str) -> Frame:
        return self.frame(DATA, name, **more)


def stalled(pier: Pier, *, slow_share: float = 0.5) -> tuple[int, RecordingTransport]:
    """A connection whose socket is full, with nothing of ours in its queue."""
    pier.hub.slow_share = slow_share
    handle, transport = pier.open()
    pier.hub.block(handle)
    return handle, transport


def drain(pier: Pier, handle: int, transport: RecordingTransport) -> bytes:
    """The socket takes all there is."""
    transport.room = None
    if transport.held:
        transport.give_room()
    else:
        pier.hub.unblock(handle)
    pier.loop.run()
    return bytes(transport.sent)
