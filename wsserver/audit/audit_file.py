"""The file that records are appended to. Everything here waits for the disk: for the writer's thread."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from wsserver.audit.chain import FIRST_BYTES, GENESIS, MAX_LINE, Chain, ChainFault, FileHead, read_line, seal
from wsserver.audit.files import former_files, numbered, set_aside_name
from wsserver.clock import Clock, utc_text
from wsserver.ids import new_id
from wsserver.settings import AuditSettings
from wsserver.store.file_lock import FileInUse, FileLock

TAIL: Final = 1024 * 1024
"""Bytes at the end of a file that are verified before anything is added to them."""

Finding = tuple[str, dict[str, Any]]
"""What was found amiss and put right: an action to note, with its details."""


class CannotOpenAudit(Exception):
    """The file cannot be used. The text names no record."""


class AuditFile:
    """Appends to a chain of hashes, in one file after the other.

    ``log``, ``number``, ``seq`` and ``digest`` say where the chain stands: they move when lines are
    written, and not when that failed.
    """

    def __init__(self, path: Path, settings: AuditSettings, clock: Clock) -> None:
        self.path = path.absolute()
        self.settings = settings
        self.log = ""
        self.number = 0
        self.seq = 0
        self.digest = GENESIS
        self.size = 0
        """Bytes of the file in use."""
        self.findings: list[Finding] = []
        """What has yet to be noted; whoever notes it takes it out."""
        self._clock = clock
        self._lock = FileLock(self.path)
        self._descriptor: int | None = None
        self._dirty = False

    # -- opening

    def open(self) -> None:
        """Take up the chain where the file ends, or begin one. Raises CannotOpenAudit."""
        try:
            self._lock.take()
            self._take_up()
        except FileInUse:
            raise CannotOpenAudit(f"audit.path: another server writes {self.path}") from None
        except CannotOpenAudit:
            self.close()
            raise
        except OSError as fault:
            self.close()
            raise CannotOpenAudit(f"audit.path: {self.path}: {fault.strerror}") from None

    def _take_up(self) -> None:
        former = former_files(self.path)
        torn: list[Finding] = []
        if self.path.exists():
            self._check_kind()
            torn = self._cut_torn_line()
            if not self.path.stat().st_size:
                # The server died before it had written the head.
                self.path.unlink()
        if self.path.exists():
            if self._continue(self.path):
                self._descriptor = self._open(os.O_APPEND)
                self.size = self.path.stat().st_size
        elif former:
            # It died between giving the old file its number and beginning the next.
            self._continue(former[-1][1])
        self.findings += torn
        if self._descriptor is None:
            if not self.log:
                self.log, self.number = new_id("log"), former[-1][0] if former else 0
            self._begin()

    def _check_kind(self) -> None:
        if not self.path.is_file() and not self.path.is_dir():
            # To open a pipe would wait for whoever writes into it.
            raise CannotOpenAudit(f"audit.path: {self.path} is no file")
        with self.path.open("rb") as file:
            beginning = file.read(len(FIRST_BYTES))
        if not FIRST_BYTES.startswith(beginning):
            raise CannotOpenAudit(f"audit.path: {self.path} is no audit log")

    def _continue(self, path: Path) -> bool:
        """Verify the end of a file and stand there; one that is broken is set aside."""
        try:
            chain = verify_tail(path)
        except ChainFault as fault:
            aside = self._set_aside(path)
            self.findings.append(("set_aside", {"file": aside, "reason": str(fault)}))
            return False
        self.log, self.number = chain.log or "", chain.file
        self.seq, self.digest = chain.seq, chain.digest
        return True

    def _cut_torn_line(self) -> list[Finding]:
        """Move what stands after the last whole line into a file of its own: the server died writing it."""
        with self.path.open("r+b") as file:
            end = file.seek(0, os.SEEK_END)
            start = max(0, end - 2 * MAX_LINE)
            file.seek(start)
            last = file.read()
            whole = last.rfind(b"\n") + 1
            if whole == len(last) or (not whole and start):
                # Nothing is torn, or so much that this is none of our files.
                return []
            torn = last[whole:]
            aside = set_aside_name(self.path, "torn", utc_text(self._clock.time()))
            _write_new(aside, torn)
            file.truncate(start + whole)
            file.flush()
            os.fsync(file.fileno())
        return [("torn_line", {"file": aside.name, "bytes": len(torn)})]

    def _set_aside(self, path: Path) -> str:
        aside = set_aside_name(path, "broken", utc_text(self._clock.time()))
        path.rename(aside)
        return aside.name

    # -- writing

    def append(self, texts: Sequence[bytes]) -> None:
        """Write the next records, in canonical JSON. All are in the file or, with an OSError, none."""
        descriptor = self._descriptor
        if descriptor is None or not self._is_in_place(descriptor):
            descriptor = self._begin()
        elif self.seq and self.size + sum(map(len, texts)) + 160 * len(texts) > self.settings.max_bytes:
            descriptor = self._rotate()
        lines, digest = [], self.digest
        for text in texts:
            line, digest = seal(text, digest)
            lines.append(line)
        self._write(descriptor, b"".join(lines))
        self.seq += len(texts)
        self.digest = digest

    def _write(self, descriptor: int, data: bytes) -> None:
        try:
            _write_all(descriptor, data)
            if self.settings.fsync == "always":
                os.fsync(descriptor)
        except OSError:
            # Else the part that was written would stand before the same records once more.
            os.ftruncate(descriptor, self.size)
            raise
        self.size += len(data)
        self._dirty = self.settings.fsync != "always"

    def sync(self) -> None:
        """Bring what was written to the disk. Raises OSError."""
        if self._dirty and self._descriptor is not None:
            os.fsync(self._descriptor)
        self._dirty = False

    @property
    def needs_sync(self) -> bool:
        """Whether something was written that may not be on the disk yet, and should be."""
        return self._dirty and self.settings.fsync != "never"

    def _is_in_place(self, descriptor: int) -> bool:
        """Notice that somebody has moved, removed, cut or written to the file; leaves it then."""
        own = os.fstat(descriptor)
        try:
            there = self.path.stat()
        except FileNotFoundError:
            there = None
        if there is not None and (there.st_dev, there.st_ino) == (own.st_dev, own.st_ino):
            if own.st_size == self.size:
                return True
            reason = "changed by somebody else"
        else:
            reason = "removed" if there is None else "replaced"
        details = {"reason": reason}
        if there is not None:
            details["file"] = self._set_aside(self.path)
        self._let_go()
        self.findings.append(("set_aside", details))
        return False

    def _rotate(self) -> int:
        if self.settings.fsync != "never":
            self.sync()
        target = numbered(self.path, self.number)
        if target.exists():
            raise FileExistsError(17, "a former file has this number already", str(target))
        # First what can fail: without the file in hand, the next try would begin one in its place.
        self.path.rename(target)
        self._let_go()
        descriptor = self._begin()
        if self.settings.files:
            former = former_files(self.path)
            for _, path in former[: max(0, len(former) - self.settings.files + 1)]:
                path.unlink()
        return descriptor

    def _begin(self) -> int:
        """Begin the next file; returns its descriptor."""
        head = FileHead(
            log=self.log, file=self.number + 1, first=self.seq + 1, at=utc_text(self._clock.time())
        )
        line, digest = seal(head.encode(), self.digest)
        descriptor = self._open(os.O_CREAT | os.O_EXCL | os.O_APPEND)
        try:
            _write_all(descriptor, line)
            if self.settings.fsync != "never":
                os.fsync(descriptor)
                _sync_folder(self.path.parent)
        except OSError:
            os.close(descriptor)
            self.path.unlink(missing_ok=True)
            raise
        self._descriptor = descriptor
        self.number, self.digest, self.size = head.file, digest, len(line)
        return descriptor

    def _open(self, flags: int) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_CLOEXEC | flags, 0o600)

    def _let_go(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def close(self) -> None:
        """Let go of the file. What was not synced is left to the system."""
        self._let_go()
        self._lock.release()


def verify_tail(path: Path) -> Chain:
    """Where the chain of a file stands, its last MiB verified. Raises ChainFault and OSError."""
    chain = Chain()
    with path.open("rb") as file:
        chain.take(read_line(file.readline(MAX_LINE + 2)))
        after_head = file.tell()
        end = file.seek(0, os.SEEK_END)
        file.seek(max(after_head, end - TAIL))
        if file.tell() > after_head:
            file.readline(MAX_LINE + 2)
            first = read_line(file.readline(MAX_LINE + 2))
            if isinstance(first.content, FileHead):
                raise ChainFault("has another beginning in the middle")
            chain.seq, chain.digest = first.content.seq, first.digest
        while line := file.readline(MAX_LINE + 2):
            chain.take(read_line(line))
    return chain


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _write_new(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
