from typing import Any, Protocol, final

from wsserver_core.buckets import RateLimits
from wsserver_core.connection import Connection
from wsserver_core.frames import UnfinishedBudget
from wsserver_core.hub import Hub

class _Sink(Protocol):
    def message_received(self, connection: Connection, opcode: int, payload: bytes) -> object: ...
    def oversize_received(self, connection: Connection, size: int) -> object: ...
    def message_flood(self, connection: Connection, wait: float) -> object: ...
    def control_flood(self, connection: Connection, wait: float) -> object: ...
    def pong_received(self, connection: Connection, payload: bytes) -> object: ...
    def connection_closed(self, connection: Connection, code: int, reason: str) -> object: ...

@final
class Inlet:
    """What the connections of one endpoint share on the way in.

    ``sink`` receives what the connections read, on the loop's thread:

    - ``message_received(connection, opcode, payload)`` a complete text (1) or binary (2) message;
    - ``oversize_received(connection, size)`` a message over the limit was swallowed;
    - ``message_flood(connection, wait)`` a message was dropped because they come too fast;
      one would be taken again in ``wait`` seconds;
    - ``control_flood(connection, wait)`` the same for a ping or a pong;
    - ``pong_received(connection, payload)``;
    - ``connection_closed(connection, code, reason)`` exactly once, after the socket is gone.

    ``limits`` are the rates of each connection: of its messages, its control frames, its bytes.
    One that sends too many bytes is not read for a while; the kernel's window then holds it up.
    Times are seconds of the hub's coarse clock ``hub.now``, which ``sweep`` moves.
    """

    message_deadline: float
    close_timeout: float
    abort_reason: int
    """What the queues of aborted connections are dropped for, an index of ``hub.DROP_REASONS``."""

    def __init__(
        self,
        hub: Hub,
        sink: _Sink,
        budget: UnfinishedBudget,
        *,
        limits: RateLimits | None = None,
        message_deadline: float = 10.0,
        close_timeout: float = 5.0,
    ) -> None: ...
    @property
    def hub(self) -> Hub: ...
    @property
    def sink(self) -> Any: ...
    @property
    def budget(self) -> UnfinishedBudget: ...
    @property
    def limits(self) -> RateLimits:
        """Without any given, nothing is limited."""

    @property
    def throttles(self) -> int:
        """How often a connection was not read because it had sent too much, since the start."""

    @property
    def throttled_connections(self) -> int:
        """Connections that are not read at present because they sent too much."""

    @property
    def unfinished_connections(self) -> int:
        """Connections in the middle of a message."""

    @property
    def closing_connections(self) -> int:
        """Connections whose closing handshake is under way."""

    def received_totals(self) -> tuple[int, int]:
        """``(messages, bytes)`` received over all connections of this endpoint since the start."""

    def abort_all(self) -> None:
        """Drop every socket of this endpoint now."""

    def lend(self, sizehint: int) -> memoryview:
        """The buffer to read into, whatever the connection: what is in it is parsed at once."""

    def sweep(self, now: float) -> None:
        """Move the clock, read on where the rate allows it again, and end what has passed its deadline.

        An unfinished message closes its connection with 1009; a closing handshake that the
        peer does not complete ends in an abort.
        """

    def release_throttled(self) -> None:
        """Read everybody again from the next ``sweep`` on: the rates have changed."""
