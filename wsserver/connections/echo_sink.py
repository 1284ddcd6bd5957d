"""The sink of ``/ws/echo``: every message back as it came, through the same reader and send path."""

from collections.abc import Callable

from wsserver_core.connection import Connection
from wsserver_core.frames import encode_frame
from wsserver_core.outgoing import Frame


class EchoSink:
    """No policy at all, for conformance tools. Served in development only."""

    def message_received(self, connection: Connection, opcode: int, payload: bytes) -> None:
        """Send it back."""
        wire = encode_frame(opcode, payload)
        connection.send_frame(Frame(wire, binary=wire))

    def oversize_received(self, connection: Connection, size: int) -> None:
        """A message over the limit cannot be sent back."""
        connection.close(1009, "message too large")

    def message_flood(self, connection: Connection, wait: float) -> None:
        """Does not happen: the echo has no message rate."""

    def control_flood(self, connection: Connection, wait: float) -> None:
        """Does not happen: the echo has no control rate."""

    def pong_received(self, connection: Connection, payload: bytes) -> None:
        """Unsolicited pongs need no answer (RFC 6455 section 5.5.3)."""

    def connection_closed(self, connection: Connection, code: int, reason: str) -> None:
        """Give its place back."""
        leave: Callable[[], None] | None = connection.owner
        if leave is not None:
            leave()
