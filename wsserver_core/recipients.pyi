from typing import final

from wsserver_core.addressees import Addressees

@final
class Recipients:
    """A reusable list of connection handles without duplicates."""

    def add(self, handle: int) -> bool:
        """Add one handle; False if its connection is in the list already."""

    def clear(self) -> None:
        """Forget all handles and keep the memory."""

    def copy(self) -> Addressees:
        """The handles, with what the hub made of each, for keeping."""

    def handles(self) -> list[int]:
        """The handles in the order they were added."""

    def __len__(self) -> int: ...
    def __contains__(self, handle: int, /) -> bool: ...
