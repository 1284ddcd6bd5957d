from typing import final

@final
class Histogram:
    """Durations since the start, counted by size. A note is a dozen comparisons and two additions."""

    @property
    def total(self) -> float:
        """The sum of all durations, in seconds."""

    def note(self, seconds: float) -> None:
        """Count a duration; what is below 0 counts as 0."""

    def figures(self) -> list[tuple[float, int]]:
        """``(bound, how many took no longer)`` for each bound in seconds, the last infinite: all of them."""
