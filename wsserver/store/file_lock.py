"""One file, one server."""

import fcntl
import os
from pathlib import Path


class FileInUse(Exception):
    """Another server has it."""


class FileLock:
    """Held from opening to the end of the process, however that comes about.

    It is a file beside the one that it is for, the store's or the audit's: SQLite's locks on the store
    itself would be lost with the first descriptor of it that anybody in this process closes (POSIX),
    and they are what lets backups read while the server runs.
    """

    def __init__(self, file: Path) -> None:
        self._path = _lock_of(file)
        self._descriptor: int | None = None

    def take(self) -> None:
        """Raises FileInUse, or OSError where files cannot be made."""
        if self._descriptor is not None:
            return
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException as fault:
            os.close(descriptor)
            if isinstance(fault, BlockingIOError):
                raise FileInUse from None
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Let others have it. The file stays: whoever removed it could remove another's lock."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def is_locked(file: Path) -> bool:
    """Whether a server has the file; only looks, and makes nothing."""
    try:
        descriptor = os.open(_lock_of(file), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _lock_of(file: Path) -> Path:
    return file.with_name(file.name + ".lock")
