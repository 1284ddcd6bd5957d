from typing import final

@final
class DropJournal:
    """A ring of the latest losses of published messages."""

    def __init__(self, capacity: int = 32768) -> None: ...
    @property
    def capacity(self) -> int:
        """Losses that it has room for."""

    @property
    def noted(self) -> int:
        """Losses since the start, kept or not."""

    def reaches(self, noted: int) -> bool:
        """Whether every loss since ``self.noted`` had this value is still in the ring."""

    def of(self, handle: int, log: str) -> dict[int, tuple[str, int]]:
        """What one connection lost of a log, as far back as the ring reaches: ``{seq: (reason, into)}``.

        ``into`` is the ``seq`` of the newer message that took its place, or 0.
        """
