from typing import final

@final
class Wheel:
    """Small numbers, each with the tick at which its turn comes. Ticks are counted from 0."""

    def __init__(self) -> None: ...
    @property
    def tick(self) -> int: ...
    @property
    def count(self) -> int:
        """Numbers on the wheel."""

    def put(self, index: int, due: int) -> int:
        """Let the turn of a number come at tick ``due``, at the next one if that is past.

        A number that has a turn already gives that one up.
        """

    def remove(self, index: int) -> bool:
        """Take a number off the wheel; False when it is not on it."""

    def turn(self) -> None:
        """Go on to the next tick. ``due`` names those whose turn has come."""

    def due(self) -> list[int]:
        """Takes all whose turn has come off the wheel and returns them in a list."""
