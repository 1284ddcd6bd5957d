from typing import final

@final
class Addressees:
    """The recipients of one broadcast, with what ``Hub.enqueue_many`` made of each.

    Made by ``Recipients.copy``. It does not change but for acknowledgements.
    """

    def __len__(self) -> int: ...
    def __contains__(self, handle: int, /) -> bool: ...
    @property
    def acknowledged(self) -> int:
        """Connections that ``acknowledge`` was called for."""

    @property
    def size(self) -> int:
        """Bytes that it holds."""

    def first(self, limit: int) -> list[int]:
        """The first of the connections, ``limit`` at most."""

    def refused(self, limit: int) -> list[tuple[int, int]]:
        """``(handle, outcome)`` of the first whose queue did not take it, ``limit`` at most."""

    def outcome(self, handle: int) -> int | None:
        """What the hub answered for one connection, 0 being queued; None if it was not for it."""

    def acknowledge(self, handle: int) -> bool:
        """Note that a connection has got the message; False if it was not for it, or was noted before."""

    def has_acknowledged(self, handle: int) -> bool:
        """Whether ``acknowledge`` has been called for this connection."""
