from collections.abc import Iterable

from typing_extensions import disjoint_base

from wsserver_core.backlog import Backlog
from wsserver_core.outgoing import Frame

@disjoint_base
class Replays(Backlog):
    """The queues of a hub, with the positions of their connections."""

    @property
    def frames_replayed(self) -> int:
        """Messages that were queued once more, for those who came back."""

    def set_out(self, handle: int, positions: tuple[int, ...], catching_up: bool = False) -> None:
        """Say where a connection begins: for each log the ``seq`` up to which it lacks nothing.

        With ``catching_up`` it gets nothing that is published before ``go_live``. Raises ValueError
        for another number of positions.
        """

    def go_live(self, handle: int) -> None:
        """The connection has caught up: what is published from now on reaches it."""

    def is_catching_up(self, handle: int) -> bool:
        """Whether what is published passes this connection over."""

    def standing(self, handle: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]] | None:
        """Where a connection stands: ``(base, sent, refused)``, or None when it is gone.

        Each has a ``seq`` for each log: where it began, the last that its queue took since (at
        first that of the beginning), and the first that was refused, 0 for none.
        """

    def replay(self, handle: int, frame: Frame) -> int:
        """Queue a frame from the history for a connection that is catching up; 0 is success.

        Much may not wait for it, lest it counts as slow for what we send: then 4 is returned, and
        ``on_room(owner)`` is called once there is room. Raises ValueError for a frame without the
        form that the connection speaks.
        """

    def replay_many(self, handle: int, frames: Iterable[Frame]) -> int:
        """Queue frames from the history, as long as there is room; returns how many were taken."""
