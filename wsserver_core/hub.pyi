from collections.abc import Callable
from typing import Any, Final, Protocol, final

from wsserver_core.recipients import Recipients

DROP_REASONS: Final[tuple[str, ...]]

class _Loop(Protocol):
    def call_soon(self, callback: Callable[[], Any]) -> Any: ...
    def call_later(self, delay: float, callback: Callable[[], Any]) -> Any: ...
    def call_exception_handler(self, context: dict[str, Any]) -> Any: ...

class _Transport(Protocol):
    def write(self, data: Any) -> Any: ...
    def get_write_buffer_size(self) -> int: ...
    def is_closing(self) -> bool: ...
    def can_write_eof(self) -> bool: ...
    def write_eof(self) -> Any: ...
    def close(self) -> Any: ...
    def abort(self) -> Any: ...

@final
class Frame:
    """One encoded frame, shared by every queue it stands in, with the count of its outcomes.

    At any moment: times queued so far = ``queued`` + ``written`` + the sum of ``dropped``.
    ``subject`` is whom it is about, for those who may lose the right to it while it waits.
    """

    def __init__(self, wire: bytes, subject: str | None = None) -> None: ...
    @property
    def wire(self) -> bytes: ...
    @property
    def subject(self) -> str | None: ...
    @property
    def queued(self) -> int: ...
    @property
    def written(self) -> int: ...
    @property
    def dropped(self) -> dict[str, int]:
        """How many connections lost it, by reason."""

@final
class Hub:
    """The open sockets of one loop.

    ``loop`` needs ``call_soon``, ``call_later`` and ``call_exception_handler``. A handle is
    ``generation << 32 | slot``; a handle whose connection is gone is refused, never mistaken
    for the slot's next owner.

    ``on_overflow(owner)`` is called at the start of the next flush for a connection whose
    queue was full; until then everything further for it is refused.
    """

    on_overflow: Callable[[Any], object] | None
    flush_interval: float
    max_queue_messages: int
    max_queue_bytes: int
    now: float
    """Seconds of the coarse clock; ``Inlet.sweep`` moves it."""
    batch_size: int
    """Connections flushed in one slice of the loop's time."""

    def __init__(
        self,
        loop: _Loop,
        *,
        batch_size: int = 100,
        max_queue_messages: int = 1000,
        max_queue_bytes: int = 1 << 20,
        flush_interval: float = 0.0,
    ) -> None: ...
    @property
    def top(self) -> int:
        """Slots ever used: the size of the table."""

    @property
    def open_count(self) -> int: ...
    @property
    def frames_queued(self) -> int: ...
    @property
    def frames_written(self) -> int: ...
    @property
    def bytes_written(self) -> int: ...
    @property
    def send_calls(self) -> int:
        """System calls of direct sends."""

    @property
    def frames_dropped(self) -> dict[str, int]:
        """How many queued frames never reached the kernel, by reason, since the start."""

    def stalled_since(self, moment: float) -> int:
        """How many connections have had bytes waiting for their socket since ``moment`` or longer."""

    @property
    def dirty_connections(self) -> int:
        """Connections waiting to be flushed now."""

    def connection_figures(self, handle: int) -> tuple[int, int, int, int] | None:
        """``(frames_written, bytes_written, queued_messages, queued_bytes)``, or None when gone."""

    def fileno(self, handle: int) -> int:
        """The descriptor used for direct sends right now, or -1. For diagnostics and benchmarks only."""

    def last_received(self, handle: int) -> float:
        """The coarse clock when this connection last sent anything; 0.0 when it is gone."""

    def is_blocked(self, handle: int) -> bool:
        """Whether the transport still holds bytes of this connection."""

    def open(self, transport: _Transport, fd: int, owner: Any) -> int:
        """Take a slot for a socket and return its handle.

        ``fd`` -1 sends everything through ``transport`` (TLS, or no real socket). The
        transport's write buffer limit must be zero, so that its ``resume_writing`` means empty.
        """

    def release(self, handle: int) -> None:
        """Give the slot back; what still waits is counted as dropped for ``closed``."""

    def enqueue(self, handle: int, frame: Frame, final: bool = False) -> int:
        """Queue one frame for one connection and say what came of it (0 is success).

        ``final`` marks the close frame: it is taken past the bound and is the last.
        """

    def enqueue_many(self, recipients: Recipients, frame: Frame) -> tuple[int, int, int]:
        """Queue one frame for many connections.

        Returns ``(delivered, refused_slow, refused_closing)``; their sum is the number of
        recipients. No socket is touched here.
        """

    def discard(self, handle: int, reason: int) -> int:
        """Drop what has not begun to leave, counted under a reason; return how many frames."""

    def withdraw(self, handle: int, allowed: frozenset[str]) -> int:
        """Drop what waits about anybody who is not allowed any more, counted as ``closed``.

        Frames without a subject stay, and so does what has begun to leave. Returns how many.
        """

    def finish(self, handle: int, half: bool = False) -> None:
        """Close the transport as soon as everything queued has left.

        ``half`` sends FIN only where the transport can: closing a socket with unread input
        makes the kernel send RST, which may destroy the close frame on its way. A later
        call without it closes after all.
        """

    def block(self, handle: int) -> None:
        """The transport holds bytes (``pause_writing``)."""

    def unblock(self, handle: int) -> None:
        """The transport is empty again (``resume_writing``): it has got rid of what it held.

        That is, to the kernel; a TLS transport keeps up to 64 KiB more in a buffer of its own,
        which nobody can look into, and ``written`` means "encrypted and on its way" there.
        """

    def flush_turn(self) -> None:
        """Flush one slice and, while more waits, come back after the loop has had its turn."""

    def flush_all(self) -> int:
        """Flush slice after slice until nothing is ready to be sent; return the connections served.

        Called from within a transport it does nothing: the flush under way goes on anyway.
        """

    def flush_slice(self) -> None:
        """Send what waits for up to ``batch_size`` connections, one system call each."""
