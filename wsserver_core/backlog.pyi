from collections.abc import Callable
from typing import Any, Protocol

from typing_extensions import disjoint_base

from wsserver_core.outgoing import Frame
from wsserver_core.recipients import Recipients
from wsserver_core.slots import SlotTable

class _Loop(Protocol):
    def call_soon(self, callback: Callable[[], Any]) -> Any: ...
    def call_later(self, delay: float, callback: Callable[[], Any]) -> Any: ...
    def call_exception_handler(self, context: dict[str, Any]) -> Any: ...

@disjoint_base
class Backlog(SlotTable):
    """The queues of a hub: who may queue what, and what a slow connection loses."""

    on_overflow: Callable[[Any], object] | None
    on_relief: Callable[[Any], object] | None
    on_room: Callable[[Any], object] | None
    flush_interval: float
    max_queue_messages: int
    """Messages that may wait for one connection."""
    max_queue_bytes: int
    """Bytes that may wait for one connection; one message may always wait alone."""
    slow_share: float
    """The part of either bound from which on a connection with a full socket is slow."""

    def __init__(
        self,
        loop: _Loop,
        *,
        batch_size: int = 100,
        max_queue_messages: int = 1000,
        max_queue_bytes: int = 1 << 20,
        slow_share: float = 0.5,
        flush_interval: float = 0.0,
    ) -> None: ...
    @property
    def slow_count(self) -> int:
        """Connections whose data is being thinned out now."""

    @property
    def slow_entered(self) -> int:
        """How many times a connection became slow since the start."""

    @property
    def crowded_count(self) -> int:
        """Connections for which much waits although their sockets take it: the server is behind."""

    def enqueue(self, handle: int, frame: Frame, final: bool = False) -> int:
        """Queue one frame for one connection and say what came of it (0 is success).

        ``final`` marks the close frame: it is taken past the bounds and is the last. Raises
        ValueError for a frame without the form that the connection speaks.
        """

    def insist(self, handle: int, frame: Frame) -> int:
        """Queue the server's own word past every bound: for news of losses, which are few.

        Raises ValueError for a frame without the form that the connection speaks.
        """

    def wants_binary(self, recipients: Recipients) -> bool:
        """Whether one of these connections needs the binary form of a message."""

    def enqueue_many(self, recipients: Recipients, frame: Frame) -> tuple[int, int, int, int]:
        """Queue one frame for many connections.

        Returns ``(delivered, refused_slow, refused_closing, catching_up)``; their sum is the number
        of recipients. Sockets are touched only where much waits already. Raises ValueError, and
        queues nothing, for a frame without the form that one of them speaks; see ``wants_binary``.
        """

    def discard(self, handle: int, reason: int) -> int:
        """Drop what has not begun to leave, counted under a reason; return how many frames."""

    def withdraw(self, handle: int, allowed: frozenset[str]) -> int:
        """Drop what waits about anybody who is not allowed any more, counted as ``closed``.

        Frames without a subject stay, and so does what has begun to leave. Returns how many.
        """

    def shed(self, handle: int, importance: int) -> int:
        """Drop what waits of one importance, ALERT or DATA, for being slow; return how many."""

    def is_slow(self, handle: int) -> bool:
        """Whether this connection's data is being thinned out."""

    def slow_handles(self) -> list[int]:
        """The handles of all slow connections, those slow for longest first."""

    def slow_figures(self, handle: int) -> tuple[float, float, int, bool] | None:
        """``(slow since, oldest waiting since, lost, is about to end)`` of a slow connection, else None.

        Times are moments of the coarse clock ``now``; ``lost`` are the messages since it became slow.
        """

    def sweep_slow(self, queued_before: float, slow_before: float) -> None:
        """Find those that have become slow by time, and those that have been slow for too long.

        The first are connections with a full socket whose oldest waiting byte was queued before
        ``queued_before``; the others, slow since before ``slow_before``, overflow. Both are
        moments of the coarse clock ``now``.
        """

    def relieve_outsiders(self) -> None:
        """Write to crowded connections with foreign transports; whoever calls this has nothing half done."""

    def excuse(self, seconds: float) -> None:
        """This process was away for so long: nobody has been slow for that."""

    def take_losses(self, handle: int) -> list[tuple[str | None, str | None, str, int, int, int]]:
        """What a connection lost since it was last asked: ``(log, topic, reason, from, to, count)``.

        One entry for each topic and reason, in the order in which they began. ``topic`` None sums
        up those for which there was no room.
        """
