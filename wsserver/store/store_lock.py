"""One file, one server."""

import fcntl
import os
from pathlib import Path


class StoreInUse(Exception):
    """Another server has it."""


class StoreLock:
    """Held from opening to the end of the process, however that comes about.

    A file of its own beside the store's: SQLite's locks on the store itself would be lost with the
    first descriptor of it that anybody in this process closes (POSIX), and they are what lets
    backups read while the server runs.
    """

    def __init__(self, store: Path) -> None:
        self._path = store.with_name(store.name + ".lock")
        self._descriptor: int | None = None

    def take(self) -> None:
        """Raises StoreInUse, or OSError where files cannot be made."""
        if self._descriptor is not None:
            return
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException as fault:
            os.close(descriptor)
            if isinstance(fault, BlockingIOError):
                raise StoreInUse from None
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Let others have it. The file stays: whoever removed it could remove another's lock."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
