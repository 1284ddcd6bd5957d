from typing import final

from wsserver_core.histogram import Histogram
from wsserver_core.replays import Replays

@final
class Hub(Replays):
    """The open sockets of one loop.

    ``loop`` needs ``call_soon``, ``call_later`` and ``call_exception_handler``. A handle is
    ``generation << 32 | slot``; a handle whose connection is gone is refused, never mistaken
    for the slot's next owner.

    At the start of the next flush ``on_overflow(owner)`` is called for a connection whose queue
    was full, or which has been slow for too long; until then everything further for it is
    refused. ``on_relief(owner)`` is called for one that was slow and keeps up again, ``on_room(owner)``
    for one that is catching up and has room for more.
    """

    batch_size: int
    """Connections flushed in one slice of the loop's time."""

    @property
    def send_calls(self) -> int:
        """System calls of direct sends."""

    @property
    def slice_times(self) -> Histogram:
        """How long slices took."""

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
        """Flush up to four slices, none begun after 2 ms; come back in the loop's next turn if more waits."""

    def flush_all(self) -> int:
        """Flush slice after slice until nothing is ready to be sent; return the connections served.

        Called from within a transport it does nothing: the flush under way goes on anyway.
        """

    def flush_slice(self) -> None:
        """Send what waits for up to ``batch_size`` connections, one system call each."""
