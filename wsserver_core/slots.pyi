from collections.abc import Callable
from typing import Any, Protocol

from typing_extensions import disjoint_base

from wsserver_core.histogram import Histogram
from wsserver_core.journal import Journal

class _Transport(Protocol):
    """What a slot needs of an asyncio transport."""

    def write(self, data: Any) -> Any: ...
    def get_write_buffer_size(self) -> int: ...
    def is_closing(self) -> bool: ...
    def can_write_eof(self) -> bool: ...
    def write_eof(self) -> Any: ...
    def close(self) -> Any: ...
    def abort(self) -> Any: ...

@disjoint_base
class SlotTable:
    """Slots, their queues, and the count of what became of every frame.

    A handle is ``generation << 32 | slot``; a handle whose connection is gone is refused, never
    mistaken for the slot's next owner.
    """

    now: float
    """Seconds of the coarse clock; ``Inlet.sweep`` moves it."""

    stopwatch: Callable[[], float] | None
    """Seconds, over 0, of a fine clock that never steps back; None: nothing is timed.

    It is read in the middle of things and must neither raise nor call back.
    """

    @property
    def top(self) -> int:
        """Slots ever used."""

    @property
    def open_count(self) -> int: ...
    @property
    def binary_count(self) -> int:
        """Those of them that speak the binary protocol."""

    @property
    def frames_queued(self) -> int: ...
    @property
    def frames_written(self) -> int: ...
    @property
    def bytes_written(self) -> int: ...
    @property
    def pinned_bytes(self) -> int:
        """Bytes that the queues keep alive, each shared frame counted once."""

    @property
    def frames_dropped(self) -> dict[str, int]:
        """How many queued frames never reached the kernel, by reason, since the start."""

    @property
    def enqueue_times(self) -> tuple[Histogram, ...]:
        """For each log, how long broadcasts took from their publishers to the last queue."""

    @property
    def write_times(self) -> tuple[Histogram, ...]:
        """The same to the last socket. One whose last copy was dropped and not written is not in it."""

    @property
    def drops(self) -> Journal:
        """The latest losses of published messages, one by one."""

    @property
    def replays(self) -> Journal:
        """The latest messages that were queued once more for those who came back, one by one."""

    def published_figures(self) -> tuple[int, int, int, dict[str, int]]:
        """``(taken, queued, written, dropped by reason)`` of published messages, of all connections.

        ``taken`` counts every time that a queue took one; it is the sum of the others.
        """

    def recount(self) -> tuple[int, int, int]:
        """``(frames, published ones among them, bytes)`` by walking every queue: what counters must say, too.

        Takes as long as there are slots and waiting frames.
        """

    def find(self, handle: int, log: str, seq: int) -> tuple[int, bool] | None:
        """Where a message waits for a connection: ``(frames before it, whether it has begun to leave)``.

        None when it does not wait.
        """

    @property
    def stalled_connections(self) -> int:
        """Connections whose socket is full now."""

    @property
    def dirty_connections(self) -> int:
        """Connections waiting to be flushed now."""

    def connection_figures(self, handle: int) -> tuple[int, int, int, int] | None:
        """``(frames_written, bytes_written, queued_messages, queued_bytes)``, or None when gone."""

    def dropped_of(self, handle: int) -> int | None:
        """Frames of this connection that never left, since it was opened; None when it is gone."""

    def fileno(self, handle: int) -> int:
        """The descriptor used for direct sends right now, or -1. For diagnostics and benchmarks only."""

    def last_received(self, handle: int) -> float:
        """The coarse clock when this connection last sent anything; 0.0 when it is gone."""

    def owners(self) -> list[Any]:
        """Whoever was given with each slot that is taken, in a list."""

    def is_blocked(self, handle: int) -> bool:
        """Whether the transport still holds bytes of this connection."""

    def open(
        self, transport: _Transport, fd: int, owner: Any, foreign: bool = False, binary: bool = False
    ) -> int:
        """Take a slot for a socket and return its handle.

        ``fd`` -1 sends everything through ``transport`` (TLS, or no real socket). The
        transport's write buffer limit must be zero, so that its ``resume_writing`` means empty.
        A ``foreign`` transport may call us back from its ``write``: it is only called when
        nothing of ours is half done. A ``binary`` connection gets the binary form of each frame.
        """

    def is_binary(self, handle: int) -> bool:
        """Whether this connection gets the binary form of each frame."""

    def release(self, handle: int) -> None:
        """Give the slot back; what still waits is counted as dropped for ``closed``."""
