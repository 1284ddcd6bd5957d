from collections.abc import Callable
from typing import Any, final

from wsserver_core.frames import FrameReader, ReadLimits
from wsserver_core.inlet import Inlet
from wsserver_core.outgoing import Frame

PAUSED_FOR_TURN: int
PAUSED_FOR_CREDENTIALS: int
PAUSED_FOR_RATE: int
PAUSED_FOR_MEMORY: int
PAUSED_FOR_STORE: int
PAUSED_FOR_CATCH_UP: int

@final
class Connection:
    """One WebSocket, server side.

    Create it, then ``attach`` it to the transport that it takes over. ``owner`` is for the
    policy layer: whatever it wants to find again when a message comes in. A ``binary`` one gets
    the binary form of each frame.
    """

    owner: Any

    def __init__(
        self, inlet: Inlet, limits: ReadLimits, owner: Any = None, binary: bool = False
    ) -> None: ...
    @property
    def is_binary(self) -> bool: ...
    @property
    def inlet(self) -> Inlet: ...
    @property
    def reader(self) -> FrameReader: ...
    @property
    def transport(self) -> Any: ...
    @property
    def handle(self) -> int: ...
    @property
    def messages_received(self) -> int: ...
    @property
    def bytes_received(self) -> int: ...
    @property
    def close_code(self) -> int:
        """The code that the connection closes with, 0 while it is open."""

    @property
    def close_reason(self) -> str: ...
    @property
    def is_open(self) -> bool:
        """Whether messages may still be queued for it."""

    @property
    def is_closed(self) -> bool:
        """Whether the socket is gone."""

    @property
    def figures(self) -> tuple[int, int, int, int] | None:
        """``(frames_written, bytes_written, queued_messages, queued_bytes)``, or None when gone."""

    def attach(self, transport: Any, fd: int, head: bytes = b"") -> int:
        """Take the transport over and return the handle.

        ``fd`` is the socket's descriptor, or -1 when bytes must go through the transport
        (TLS). ``head`` (the 101 response) leaves before anything else.
        """

    def feed(self, data: bytes) -> None:
        """Read bytes that another layer had taken from the socket already."""

    def connection_made(self, transport: Any) -> None:
        """Never called: the transport is taken over when it is connected already."""

    @property
    def get_buffer(self) -> Callable[[int], memoryview]:
        """The method by which every connection of an endpoint lends the same buffer."""

    def buffer_updated(self, size: int) -> None: ...
    @property
    def data_received(self) -> Callable[[bytes], None] | None:
        """Asked for by asyncio's own loop each time, which knows only its own class for a buffered protocol.

        None while a transport is given its protocol: uvloop's keeps what it gets then, and calls
        the buffered methods all the same.
        """

    def eof_received(self) -> bool: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def connection_lost(self, exc: BaseException | None) -> None: ...
    def close(self, code: int, reason: str = "", discard: int | None = None) -> bool:
        """Start the closing handshake; what was queued before leaves first, in order.

        ``discard`` drops the queue instead, counted under that reason (an index of
        ``hub.DROP_REASONS``). Returns False when the connection is closing already. Raises
        ValueError for a code that may not be sent and for an unknown reason to drop.
        """

    def fail(self, code: int, reason: str = "") -> None:
        """Fail the connection as RFC 6455 section 7.1.7 says: close, and hear no more."""

    def abort(self) -> None:
        """Drop the socket now, without a closing handshake."""

    def send_frame(self, frame: Frame) -> int:
        """Queue an encoded frame; 0 is success, else the hub's reason to refuse."""

    def send_text(self, text: bytes) -> int:
        """Queue one text message (UTF-8); 0 is success, else the hub's reason to refuse.

        Raises ValueError where the connection is a binary one.
        """

    def send_binary(self, payload: bytes) -> int:
        """Queue one binary message; 0 is success, else the hub's reason to refuse.

        Raises ValueError where the connection is not a binary one.
        """

    def ping(self, payload: bytes = b"") -> int:
        """Queue a ping frame."""

    @property
    def is_paused(self) -> bool:
        """Whether we ourselves hold its reading back."""

    def pause_reading(self, reason: int) -> None:
        """Stop reading from the client; the kernel's window then slows it down.

        ``reason`` is one of the ``PAUSED_FOR_…`` bits, or several. What has been read already
        is still dispatched. Does nothing on a connection that is not open.
        """

    def resume_reading(self, reason: int) -> None:
        """Take a reason to pause back; reading goes on when none is left.

        That counts as a sign of life: nobody is to be declared dead for a silence of our making.
        """

    def spend(self, kind: int, cost: float) -> float:
        """Take ``cost`` from a bucket of this connection and return 0, or the seconds to wait for it."""

    def charge(self, kind: int, cost: float) -> float:
        """Take what is spent already; the seconds until the bucket is half full if it had less, else 0."""

    def spent(self, kind: int) -> float:
        """How much of a bucket is missing at present."""

    def throttle(self, seconds: float) -> int:
        """Do not read from the client for so long; ``Inlet.sweep`` ends it."""

    def unthrottle(self) -> None:
        """Read again; for ``Inlet.sweep``."""
