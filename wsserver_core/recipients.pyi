from typing import final

@final
class Recipients:
    """A reusable list of connection handles without duplicates."""

    def add(self, handle: int) -> bool:
        """Add one handle; False if its connection is in the list already."""

    def clear(self) -> None:
        """Forget all handles and keep the memory."""

    def handles(self) -> list[int]:
        """The handles in the order they were added."""

    def __len__(self) -> int: ...
    def __contains__(self, handle: int, /) -> bool: ...
