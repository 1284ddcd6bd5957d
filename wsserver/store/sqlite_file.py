"""The file of a SQLite store: opened with care, written in whole transactions, kept within bounds.

Everything here waits for the disk, so it is for the writer's thread, and for the start.

Why no place in the log is told twice, for two messages. ``seq`` is given inside the transaction and told
after its commit has succeeded, which with ``synchronous=FULL`` means that the write-ahead log has been
synced. A commit that fails leaves frames behind, of which nobody knows what the disk has: a kernel that
could not write a page forgets that it should, shows the page all the same, and the next sync succeeds.
So nothing may be built upon them. The same connection does not: it writes the next transaction over
them, from the same position, and what is left of them behind it does not continue its checksums, so
of the two contents of a ``seq`` only the one that was told is ever found. A connection that is opened
later would take them for committed; therefore what the kernel remembers is written or dropped before
(``_settle``), and what comes to light and nobody was told of is deleted before anything new is given a
place. Only a crash in between can bring a failed message back, and then nobody was told of another one
by its ``seq``.
"""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import apsw

from wsserver.settings import StoreSettings
from wsserver.store import sqlite_schema
from wsserver.store.file_lock import FileInUse, FileLock
from wsserver.store.sqlite_schema import SchemaFault
from wsserver.store.store import (
    KEY_LIFETIME,
    CannotOpenStore,
    KeyRecord,
    MessageRecord,
    Recovered,
    SessionRecord,
)
from wsserver.store.store_batch import Batch

KEY_COUNT_PAUSE: Final = 60.0
"""Seconds between two looks for too many of them."""

BUSY_TIMEOUT_MS: Final = 1_000
"""Milliseconds to wait while another program, such as a backup's end, locks the file."""

CHECKPOINT_PAGES: Final = 1_000
"""Pages (4 KiB) of write-ahead log from which on they are moved into the database after a commit."""

WAL_LIMIT: Final = 64 * 1024 * 1024
"""Bytes to which the write-ahead log is cut after a checkpoint, if a long one let it grow."""

TRIM_MOST: Final = 256
"""Rows that one transaction deletes besides twice those that it writes: never a long pause, always enough."""

KEYS_TRIMMED: Final = 32
"""Idempotency keys that one transaction deletes besides twice those that it writes.

Few, as each stands on a page of its own: 20,000 at once took two seconds.
"""

AGE_CHECK: Final = 1.0
"""Seconds between two looks for messages that are too old."""

_REASONS: Final = (
    (apsw.FullError, "disk_full"),
    (apsw.ReadOnlyError, "read_only"),
    (apsw.CorruptError, "damaged"),
    (apsw.NotADBError, "damaged"),
    (apsw.BusyError, "locked"),
    (apsw.LockedError, "locked"),
)


_READ_BACKWARDS: Final = (
    "SELECT seq, id, topic, type, patient_id, importance, stream, at, members FROM messages ORDER BY seq DESC"
)


_PROBE: Final = "UPDATE log SET probes = probes + 1"
"""Writes in any case: SQLite leaves a page alone in which nothing changes."""


def reason_of(fault: BaseException) -> str:
    """The reason of StoreUnavailable that stands for a fault of SQLite."""
    if isinstance(fault, FileFault):
        return fault.reason
    return next((reason for kind, reason in _REASONS if isinstance(fault, kind)), "io_error")


class FileFault(Exception):
    """The file is not what it was: another has been put in its place, or it has lost its end."""

    def __init__(self, reason: str, text: str | None = None) -> None:
        super().__init__(text or reason)
        self.reason = reason


class SqliteFile:
    """One open database. ``name`` and ``head`` are what others have been told, whatever the file says."""

    def __init__(self, path: Path, settings: StoreSettings, *, vfs: str | None = None) -> None:
        """``vfs`` is the way to the disk, by SQLite's name for it."""
        self.path = path.absolute()
        self.settings = settings
        self.name = ""
        self.head = 0
        self._vfs = vfs
        self._lock = FileLock(self.path)
        self._connection: apsw.Connection | None = None
        self._identity: list[tuple[int, int]] = []
        self._count = 0
        self._bytes = 0
        self._aged_at = 0.0
        self._keys_counted_at = 0.0
        self._keys_over = 0
        self._pages = 0

    # -- opening

    def open(self, now: float, *, max_bytes: int, max_age: float) -> Recovered:
        """Lock, check and read the file, a new one if there is none. ``now`` is seconds since 1970 UTC.

        Raises CannotOpenStore and leaves nothing open then.
        """
        try:
            self._lock.take()
            if not self.path.exists():
                self._create()
            _settle(self.path)
            connection = self._connect()
            self._ready(connection)
            damage = sqlite_schema.find_damage(connection)
            if damage is not None:
                raise CannotOpenStore(self._damaged(damage))
            return self._recover(connection, now, max_bytes, max_age)
        except BaseException as fault:
            self.close()
            if isinstance(fault, apsw.CorruptError | apsw.NotADBError):
                raise CannotOpenStore(self._damaged("it is not readable as a database")) from None
            if isinstance(fault, apsw.Error | OSError | SchemaFault | FileInUse | FileFault):
                raise CannotOpenStore(f"the store {self.path} cannot be used: {_said(fault)}") from None
            raise

    def _damaged(self, damage: str) -> str:
        return (
            f"the store {self.path} is damaged: {damage}. It is left as it is. To go on without what it "
            f"holds, move it aside with {self.path.name}-wal and {self.path.name}-shm, and start again"
        )

    def _create(self) -> None:
        # Patients' data: for this user alone. SQLite gives its other files the same mode.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        _sync_folder(self.path.parent)

    def _connect(self) -> apsw.Connection:
        self._connection = connection = apsw.Connection(
            str(self.path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=self._vfs
        )
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        return connection

    def _ready(self, connection: apsw.Connection) -> None:
        """Set the connection up, and prove by a write that the file can be written to."""
        version = sqlite_schema.found_version(connection)
        if str(connection.pragma("journal_mode", "WAL")).lower() != "wal":
            raise SchemaFault("its file system does not allow a write-ahead log")
        connection.pragma("synchronous", "FULL")
        # A fault of the disk under a mapped file would kill the process.
        connection.pragma("mmap_size", 0)
        connection.pragma("temp_store", "MEMORY")
        connection.pragma("journal_size_limit", WAL_LIMIT)
        # Not within a commit, whose messages somebody waits for.
        connection.set_wal_hook(self._note_pages)
        with _Transaction(connection):
            if version == 0:
                sqlite_schema.create(connection)
            connection.execute(_PROBE)
        if version == 0:
            # Else the journal of the first transaction, which has been deleted, might come back and undo it.
            _sync_folder(self.path.parent)
        self._identity = self._identities()

    def _recover(self, connection: apsw.Connection, now: float, max_bytes: int, max_age: float) -> Recovered:
        self.name, self.head = connection.execute("SELECT name, head FROM log").get
        self._measure(connection)
        messages: list[tuple[int, MessageRecord]] = []
        room = max_bytes
        for seq, *row in connection.execute(_READ_BACKWARDS):
            message = MessageRecord(*row)
            room -= message.cost
            if room < 0 or now - message.at > max_age:
                break
            messages.append((seq, message))
        sessions = connection.execute(
            "SELECT key, expires_at, state FROM sessions WHERE expires_at > ? ORDER BY expires_at", (now,)
        )
        return Recovered(
            self.name, self.head, tuple(reversed(messages)), tuple(SessionRecord(*row) for row in sessions)
        )

    def _measure(self, connection: apsw.Connection) -> None:
        self._count, self._bytes = connection.execute(
            "SELECT count(*), coalesce(sum(length(members)), 0) FROM messages"
        ).get

    @property
    def is_usable(self) -> bool:
        """Whether it is open and no failed transaction is stuck in it."""
        return self._connection is not None and not self._connection.in_transaction

    def reopen(self, *, thorough: bool) -> None:
        """Open it again after a fault, and delete what nobody was told of. Raises what went wrong.

        ``thorough`` looks for damage first, which reads the whole file. Never makes a new file: what
        is missing may come back, and a new one would forget it.
        """
        self._disconnect()
        _settle(self.path)
        try:
            self._take_up(self._connect(), thorough)
        except BaseException:
            self._disconnect()
            raise

    def _take_up(self, connection: apsw.Connection, thorough: bool) -> None:
        self._ready(connection)
        name, head = connection.execute("SELECT name, head FROM log").get
        if name != self.name or head < self.head:
            raise FileFault("moved")
        if head > self.head:
            with _Transaction(connection):
                connection.execute("DELETE FROM messages WHERE seq > ?", (self.head,))
                connection.execute("DELETE FROM keys WHERE seq > ?", (self.head,))
                connection.execute("UPDATE log SET head = ?", (self.head,))
        if thorough and (damage := sqlite_schema.find_damage(connection)) is not None:
            raise FileFault("damaged", damage)
        self._measure(connection)

    def close(self) -> None:
        """Close it, and let others have it."""
        self._disconnect()
        self._lock.release()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # Where its last checkpoint fails: what is committed stands in the write-ahead log.
            with contextlib.suppress(apsw.Error):
                connection.close(True)

    # -- writing

    def commit(self, batch: Batch, now: float) -> int:
        """Write a batch in one transaction; returns the ``seq`` before its first message.

        Raises what went wrong; nothing of it counts then.
        """
        connection = self._connection
        if connection is None:
            raise FileFault("closed")
        self._check_identity()
        before = self.head
        with _Transaction(connection):
            found = connection.execute("SELECT name, head FROM log").get
            if found != (self.name, before):
                raise FileFault("moved")
            self._write(connection, batch, before)
            self._drop_keys(connection, KEYS_TRIMMED + 2 * (len(batch.messages) + len(batch.keys)))
            dropped = self._trim(connection, len(batch.messages), now)
        self.head = before + len(batch.messages)
        self._count += len(batch.messages) - dropped[0]
        self._bytes += sum(len(one.message.members) for one in batch.messages) - dropped[1]
        return before

    def checkpoint(self) -> None:
        """Move the write-ahead log into the database if it has become long. Raises what went wrong.

        A backup that reads meanwhile is not disturbed, and leaves a part of it for the next time.
        """
        if self._pages >= CHECKPOINT_PAGES and self._connection is not None:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            self._pages = 0

    def _note_pages(self, connection: apsw.Connection, name: str, pages: int) -> int:
        self._pages = pages
        return apsw.SQLITE_OK

    def _check_identity(self) -> None:
        # Writes to a file that somebody has removed or replaced succeed, and are gone with the process. To
        # the write-ahead log they go first. Once closed in order, it gives what it holds to the database.
        try:
            found = self._identities()
        except OSError:
            raise FileFault("moved") from None
        if found != self._identity:
            raise FileFault("moved")

    def _identities(self) -> list[tuple[int, int]]:
        found = (path.stat() for path in (self.path, self._beside("-wal")))
        return [(status.st_dev, status.st_ino) for status in found]

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    def _write(self, connection: apsw.Connection, batch: Batch, before: int) -> None:
        if batch.messages:
            rows = []
            keys = []
            for seq, pending in enumerate(batch.messages, before + 1):
                one = pending.message
                rows.append(
                    (seq, one.id, one.topic, one.type, one.patient_id, one.importance, one.stream, one.at,
                     one.members)
                )  # fmt: skip
                if pending.key is not None:
                    keys.append(_key_row(pending.key, seq, one.id))
            connection.executemany("INSERT INTO messages VALUES (?,?,?,?,?,?,?,?,?)", rows)
            if keys:
                connection.executemany("INSERT OR REPLACE INTO keys VALUES (?,?,?,?,?,?)", keys)
            connection.execute("UPDATE log SET head = ?", (before + len(rows),))
        elif batch.probe:
            connection.execute(_PROBE)
        for digest, session in batch.sessions.items():
            if session is None:
                connection.execute("DELETE FROM sessions WHERE key = ?", (digest,))
            else:
                connection.execute(
                    "INSERT OR REPLACE INTO sessions VALUES (?,?,?)",
                    (session.key, session.expires_at, session.state),
                )
        for key in batch.keys.values():
            connection.execute(
                "INSERT OR REPLACE INTO keys VALUES (?,?,?,?,?,?)", _key_row(key, key.seq, key.message_id)
            )

    # -- staying within bounds

    def _trim(self, connection: apsw.Connection, added: int, now: float) -> tuple[int, int]:
        """Delete from the beginning of the log what is over the bounds; how many messages, how many bytes."""
        limits, most = self.settings, TRIM_MOST + 2 * added
        # What this transaction adds counts from the next one on: it may be over by one batch.
        over_count, over_bytes = self._count - limits.max_messages, self._bytes - limits.max_bytes
        too_old = now - limits.retention
        aged = now - self._aged_at >= AGE_CHECK or now < self._aged_at
        if over_count <= 0 and over_bytes <= 0 and not aged:
            return 0, 0
        if aged:
            self._aged_at = now
            self._trim_others(connection, most, now)
        count = size = last = 0
        oldest = connection.execute(
            "SELECT seq, at, length(members) FROM messages ORDER BY seq LIMIT ?", (min(most, self._count),)
        )
        for seq, at, length in oldest:
            if over_count - count <= 0 and over_bytes - size <= 0 and at >= too_old:
                break
            count, size, last = count + 1, size + length, seq
        if count:
            connection.execute("DELETE FROM messages WHERE seq <= ?", (last,))
        return count, size

    def _trim_others(self, connection: apsw.Connection, most: int, now: float) -> None:
        connection.execute(
            "DELETE FROM sessions WHERE key IN "
            "(SELECT key FROM sessions WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)",
            (now, most),
        )
        connection.execute(
            "DELETE FROM keys WHERE key IN "
            "(SELECT key FROM keys WHERE created_at <= ? ORDER BY created_at LIMIT ?)",
            (now - KEY_LIFETIME, most),
        )
        # Counting is a walk over the index, so not every second.
        if abs(now - self._keys_counted_at) >= KEY_COUNT_PAUSE:
            self._keys_counted_at = now
            self._keys_over = connection.execute("SELECT count(*) FROM keys").get - self.settings.max_keys

    def _drop_keys(self, connection: apsw.Connection, most: int) -> None:
        """Delete some of those that were too many when they were counted, the oldest first."""
        count = min(self._keys_over, most)
        if count > 0:
            connection.execute(
                "DELETE FROM keys WHERE key IN (SELECT key FROM keys ORDER BY created_at LIMIT ?)", (count,)
            )
            self._keys_over -= count

    # -- looking

    def find_key(self, key: bytes, now: float) -> KeyRecord | None:
        """An idempotency key that is not too old. Raises what went wrong."""
        if self._connection is None:
            raise FileFault("closed")
        row = self._connection.execute(
            "SELECT key, digest, created_at, seq, message_id, answer FROM keys "
            "WHERE key = ? AND created_at > ?",
            (key, now - KEY_LIFETIME),
        ).fetchone()
        return None if row is None else KeyRecord(*row)

    @property
    def size(self) -> int:
        """Bytes of the file and its write-ahead log; 0 for what is not there."""
        return sum(_size(self._beside(suffix)) for suffix in ("", "-wal"))

    @property
    def messages(self) -> int:
        """Messages in it."""
        return self._count


def _key_row(key: KeyRecord, seq: int, message_id: str) -> Sequence[Any]:
    return key.key, key.digest, key.created_at, seq, message_id, key.answer


class _Transaction:
    """BEGIN IMMEDIATE to COMMIT. A fault rolls back, as far as that is still possible."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, fault: object, trace: object) -> None:
        try:
            if kind is None:
                self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                # Where that fails SQLite has done so by itself; the connection is closed next anyway.
                with contextlib.suppress(apsw.Error):
                    self._connection.execute("ROLLBACK")


def _said(fault: BaseException) -> str:
    if isinstance(fault, FileInUse):
        return "another server uses it"
    if isinstance(fault, OSError):
        return os.strerror(fault.errno) if fault.errno else str(fault)
    if isinstance(fault, FileFault):
        return fault.reason
    return str(fault).removeprefix(f"{type(fault).__name__}: ")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _settle(store: Path) -> None:
    """Have what is read from now on be what the disk holds, whatever a failed write has left in memory.

    Only while this process has the store not open: SQLite's locks end with any descriptor of its files.
    """
    for suffix in ("", "-wal"):
        try:
            descriptor = os.open(store.with_name(store.name + suffix), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
