from typing import final

@final
class Journal:
    """A ring of the latest entries of one kind: losses, or replays."""

    def __init__(self, capacity: int = 32768) -> None: ...
    @property
    def capacity(self) -> int:
        """Entries that it has room for."""

    @property
    def noted(self) -> int:
        """Entries since the start, kept or not."""

    def reaches(self, noted: int) -> bool:
        """Whether every entry since ``self.noted`` had this value is still in the ring."""

    def has(self, handle: int, log: str, seq: int) -> bool:
        """Whether there is an entry for this message at this connection, as far back as the ring reaches."""

    def losses(self, handle: int, log: str) -> dict[int, tuple[str, int]]:
        """What one connection lost of a log, as far back as the ring reaches: ``{seq: (reason, into)}``.

        ``into`` is the ``seq`` of the newer message that took its place, or 0.
        """
