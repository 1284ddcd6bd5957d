from typing import final

@final
class Fates:
    """What became of the copies of one message: of the first ``room`` that were written, and as many lost.

    Made by ``Frame.watch``. Of all others there are the counts.
    """

    def __init__(self, room: int = 100) -> None:
        """Raises ValueError for no room and for more than 100000."""

    @property
    def room(self) -> int:
        """How many are told one by one."""

    @property
    def writes(self) -> int:
        """Copies that the kernel or a transport took."""

    @property
    def losses(self) -> int:
        """Copies that were dropped."""

    @property
    def first_write(self) -> float:
        """When the first copy was written, by the hub's stopwatch; 0.0 while none is."""

    @property
    def last_write(self) -> float:
        """When the latest was; 0.0 while none is."""

    @property
    def replays(self) -> Fates | None:
        """The same of copies sent once more, to those who came back; None while there are none."""

    def written(self) -> list[tuple[int, float]]:
        """``(handle, when)`` for the first of them, by the hub's stopwatch."""

    def lost(self) -> list[tuple[int, str, int, float]]:
        """``(handle, reason, into, when)`` for the first of them, by the hub's coarse clock.

        ``into`` is the ``seq`` of the newer message that took its place, or 0.
        """
