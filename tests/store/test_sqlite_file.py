"""Opening with care, whole transactions, bounds."""

import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fake_clock import WALL
from store_records import mark, message, session

from wsserver.settings import StoreSettings
from wsserver.store import sqlite_file
from wsserver.store.sqlite_file import FileFault, SqliteFile
from wsserver.store.store import CannotOpenStore, KeyRecord, MessageRecord, Recovered
from wsserver.store.store_batch import Batch, Pending


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def file(path: Path) -> Iterator[SqliteFile]:
    file = SqliteFile(path, StoreSettings())
    opened(file)
    yield file
    file.close()


def opened(file: SqliteFile, now: float = WALL) -> Recovered:
    return file.open(now, max_bytes=1 << 30, max_age=1e9)


def batch(*records: MessageRecord, **more: Any) -> Batch:
    def never(outcome: object) -> None:
        raise AssertionError

    return Batch(messages=[Pending(record, never, never) for record in records], **more)


def seqs(path: Path) -> list[int]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    found = [seq for (seq,) in connection.execute("SELECT seq FROM messages ORDER BY seq")]
    connection.close()
    return found


def damage_of(path: Path) -> str:
    with pytest.raises(CannotOpenStore) as caught:
        opened(SqliteFile(path, StoreSettings()))
    return str(caught.value)


def test_files_are_for_this_user_alone(path: Path, file: SqliteFile) -> None:
    file.commit(batch(message(1)), WALL)
    kept = {one.name: one.stat().st_mode & 0o777 for one in path.parent.iterdir()}
    assert kept.keys() >= {"store.db", "store.db-wal", "store.db.lock"}
    assert set(kept.values()) == {0o600}


def test_commits_are_synced(file: SqliteFile) -> None:
    connection = file._connection
    assert connection is not None
    assert connection.pragma("synchronous") == 2
    assert connection.pragma("journal_mode") == "wal"


def test_a_transaction_begins_behind_the_one_before(file: SqliteFile) -> None:
    assert file.commit(batch(message(1), message(2)), WALL) == 0
    assert file.commit(batch(message(3)), WALL) == 2
    assert (file.head, file.messages) == (3, 3)


def test_a_backup_may_read_while_the_server_runs(path: Path, file: SqliteFile, tmp_path: Path) -> None:
    file.commit(batch(message(1)), WALL)
    source, target = sqlite3.connect(path), sqlite3.connect(tmp_path / "copy.db")
    source.backup(target)
    file.commit(batch(message(2)), WALL)
    source.close()
    target.close()
    assert seqs(tmp_path / "copy.db") == [1]
    copied = SqliteFile(tmp_path / "copy.db", StoreSettings())
    assert opened(copied).log == file.name
    copied.close()


def test_a_second_server_is_refused(path: Path, file: SqliteFile) -> None:
    assert damage_of(path) == f"the store {path} cannot be used: another server uses it"
    # And the first one goes on.
    assert file.commit(batch(message(1)), WALL) == 0


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_what_is_no_database_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert damage_of(path).startswith(f"the store {path} is damaged: it is not readable as a database. It is")
    assert path.read_bytes() == content


def test_damage_is_told_with_what_to_do(path: Path, file: SqliteFile) -> None:
    file.commit(batch(*map(message, range(1, 500))), WALL)
    file.close()
    content = bytearray(path.read_bytes())
    content[4096 * 8 : 4096 * 9] = os.urandom(4096)
    path.write_bytes(content)
    text = damage_of(path)
    assert "is damaged" in text
    assert "move it aside with store.db-wal and store.db-shm, and start again" in text


def test_a_newer_file_is_refused(path: Path, file: SqliteFile) -> None:
    file.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    assert "newer version of wsserver (format 2; this one knows 1)" in damage_of(path)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "none" / "store.db"
    assert damage_of(path) == f"the store {path} cannot be used: No such file or directory"


def test_after_a_refusal_nothing_is_held(path: Path) -> None:
    path.write_bytes(b"x" * 5000)
    damage_of(path)
    path.unlink()
    file = SqliteFile(path, StoreSettings())
    assert opened(file).head == 0
    file.close()


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_file_that_is_gone_is_not_written_to(path: Path, file: SqliteFile, how: str) -> None:
    file.commit(batch(message(1)), WALL)
    away = path.rename(path.with_name("away"))
    if how == "replaced":
        other = SqliteFile(path, StoreSettings())
        other._lock.take = lambda: None
        opened(other)
        other.close()
    with pytest.raises(FileFault, match="moved"):
        file.commit(batch(message(2)), WALL)
    with pytest.raises(Exception, match=r"unable to open|moved"):
        file.reopen(thorough=False)
    if how == "removed":
        # It has come back, with the log beside it that was not touched.
        away.rename(path)
        file.reopen(thorough=False)
        assert file.commit(batch(message(2)), WALL) == 1


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_write_ahead_log_that_is_gone_is_not_written_to(path: Path, file: SqliteFile, how: str) -> None:
    """What it had is not lost: it is moved into the database when it is closed."""
    file.commit(batch(message(1)), WALL)
    wal = path.with_name("store.db-wal")
    wal.unlink()
    if how == "replaced":
        wal.touch()
    with pytest.raises(FileFault, match="moved"):
        file.commit(batch(message(2)), WALL)
    file.reopen(thorough=True)
    assert file.commit(batch(message(2)), WALL) == 1
    assert seqs(path) == [1, 2]


def test_what_the_kernel_remembers_is_not_trusted(
    path: Path, file: SqliteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shows pages that it could not write; so it is told to forget them before they are read."""
    file.close()
    # As a connection that could not be closed in order leaves it.
    path.with_name("store.db-wal").touch()
    done: list[tuple[str, str]] = []

    def note(what: str) -> Any:
        def call(descriptor: int, *arguments: int) -> None:
            name = Path(f"/proc/self/fd/{descriptor}").readlink().name
            assert what == "sync" or arguments == (0, 0, os.POSIX_FADV_DONTNEED)
            done.append((what, name))

        return call

    monkeypatch.setattr(sqlite_file.os, "fsync", note("sync"))
    monkeypatch.setattr(sqlite_file.os, "posix_fadvise", note("forget"))
    connect = file._connect

    def then_connect() -> Any:
        done.append(("connect", ""))
        return connect()

    monkeypatch.setattr(file, "_connect", then_connect)
    file.reopen(thorough=False)
    assert done == [
        ("sync", "store.db"), ("forget", "store.db"), ("sync", "store.db-wal"), ("forget", "store.db-wal"),
        ("connect", ""),
    ]  # fmt: skip


def test_what_nobody_was_told_of_is_deleted_at_reopening(path: Path, file: SqliteFile) -> None:
    file.commit(batch(message(1)), WALL)
    file.head, told = 1, file.head
    pending = Pending(message(2), print, print, mark(b"untold"))
    file.commit(Batch(messages=[pending, *batch(message(3)).messages]), WALL)
    # The commit failed, as far as anybody knows.
    file.head = told
    file.reopen(thorough=True)
    assert (seqs(path), file.messages) == ([1], 1)
    assert file.find_key(b"untold", WALL) is None
    assert file.commit(batch(message(4)), WALL) == 1
    assert seqs(path) == [1, 2]


def test_a_file_that_has_lost_its_end_is_not_gone_on_with(file: SqliteFile) -> None:
    file.commit(batch(message(1)), WALL)
    file.head = 2
    with pytest.raises(FileFault, match="moved"):
        file.reopen(thorough=False)


def test_a_log_that_somebody_else_moves_on_is_not_written_to(path: Path, file: SqliteFile) -> None:
    file.commit(batch(message(1)), WALL)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE log SET head = 5")
    connection.commit()
    connection.close()
    with pytest.raises(FileFault):
        file.commit(batch(message(2)), WALL)
    assert seqs(path) == [1]


# -- bounds


def test_the_oldest_go_when_there_are_too_many(path: Path, file: SqliteFile) -> None:
    file.settings = StoreSettings(max_messages=10)
    for number in range(1, 40):
        file.commit(batch(message(number)), WALL)
        assert file.messages == len(seqs(path)) <= 11
    assert seqs(path) == [*range(29, 40)]


def test_the_oldest_go_when_they_take_too_much(path: Path, file: SqliteFile) -> None:
    file.settings = StoreSettings(max_bytes=1000)
    for number in range(1, 40):
        file.commit(batch(message(number, members=b"x" * 100)), WALL)
    assert seqs(path) == [*range(29, 40)]


def test_old_ones_go_and_the_numbering_goes_on(path: Path, file: SqliteFile) -> None:
    file.settings = StoreSettings(retention=60.0)
    for number in range(1, 11):
        file.commit(batch(message(number, at=WALL + number)), WALL + number)
    file.commit(Batch(sweep=True), WALL + 65.5)
    assert seqs(path) == [*range(6, 11)]
    file.commit(Batch(sweep=True), WALL + 1000)
    assert seqs(path) == []
    assert file.commit(batch(message(11)), WALL + 1000) == 10
    file.close()
    assert opened(file).head == 11


def test_one_transaction_deletes_a_bounded_number(path: Path, file: SqliteFile) -> None:
    file.commit(batch(*map(message, range(1, 1001))), WALL)
    file.settings = StoreSettings(retention=1.0)
    left = []
    for second in range(1, 7):
        file.commit(Batch(sweep=True), WALL + 100 + second)
        left.append(file.messages)
    assert left == [744, 488, 232, 0, 0, 0]


def test_bounds_hold_over_a_restart(path: Path, file: SqliteFile) -> None:
    file.commit(batch(*map(message, range(1, 101))), WALL)
    file.close()
    file.settings = StoreSettings(max_messages=10)
    opened(file)
    assert file.messages == 100
    file.commit(Batch(sweep=True), WALL)
    assert seqs(path) == [*range(91, 101)]


def test_sessions_and_keys_that_have_ended_go(path: Path, file: SqliteFile) -> None:
    some = [session(bytes([number]), expires_at=WALL + number) for number in range(1, 5)]
    file.commit(Batch(sessions={one.key: one for one in some}, keys={b"k": mark(b"k")}), WALL)
    file.commit(Batch(sweep=True), WALL + 2.5)
    assert file._connection is not None
    assert file._connection.execute("SELECT count(*) FROM sessions").get == 2
    file.commit(Batch(sweep=True), WALL + 90_000)
    assert file._connection.execute("SELECT count(*) FROM keys").get == 0


def test_a_clock_that_is_set_back_stops_no_clearing_away(file: SqliteFile) -> None:
    file.commit(Batch(sweep=True), WALL + 7200)
    one = session(b"s", expires_at=WALL + 10)
    file.commit(Batch(sessions={one.key: one}), WALL)
    file.commit(Batch(sweep=True), WALL + 20)
    assert file._connection is not None
    assert file._connection.execute("SELECT count(*) FROM sessions").get == 0


def test_the_folder_is_synced_for_the_file_and_when_its_first_journal_has_gone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[list[str]] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink() == path.parent:
            synced.append(sorted(one.name for one in path.parent.iterdir()))
        fsync(descriptor)

    monkeypatch.setattr(sqlite_file.os, "fsync", note)
    file = SqliteFile(path, StoreSettings())
    opened(file)
    file.close()
    first, second = synced
    assert "store.db" in first
    assert "store.db-journal" not in second
    assert "store.db-wal" in second


def test_the_oldest_keys_go_when_there_are_too_many(file: SqliteFile) -> None:
    file.settings = msgspec.structs.replace(file.settings, max_keys=3)
    keys: list[KeyRecord] = [mark(bytes([number]), created_at=WALL + number) for number in range(6)]
    file.commit(Batch(keys={one.key: one for one in keys}), WALL + 10)
    file.commit(Batch(sweep=True), WALL + 100)
    file.commit(Batch(sweep=True), WALL + 101)
    assert [file.find_key(one.key, WALL + 101) is not None for one in keys] == [False] * 3 + [True] * 3


def test_one_transaction_deletes_few_keys_and_more_than_it_writes(
    file: SqliteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody waits for it: 20,000 keys took two seconds."""
    monkeypatch.setattr(sqlite_file, "KEYS_TRIMMED", 5)
    file.settings = msgspec.structs.replace(file.settings, max_keys=10)
    keys = [mark(bytes([number]), created_at=WALL + number) for number in range(50)]
    file.commit(Batch(keys={one.key: one for one in keys}), WALL + 100)
    connection = file._connection
    assert connection is not None
    left = []
    for number in range(100, 108):
        more = [] if number % 2 else [mark(bytes([number]), created_at=WALL + number)]
        file.commit(Batch(sweep=True, keys={one.key: one for one in more}), WALL + 100)
        left.append(connection.execute("SELECT count(*) FROM keys").get)
    # Forty were too many when they were counted.
    assert left == [44, 39, 33, 28, 22, 17, 14, 14]
    assert file.find_key(keys[39].key, WALL + 100) is None
    assert file.find_key(keys[40].key, WALL + 100) is not None


def test_the_write_ahead_log_is_moved_into_the_database(path: Path, file: SqliteFile) -> None:
    wal = path.with_name("store.db-wal")
    for number in range(1, 40):
        file.commit(batch(*(message(number, members=b"x" * 4000) for _ in range(100))), WALL)
        file.checkpoint()
    assert wal.stat().st_size < 3 * sqlite_file.CHECKPOINT_PAGES * 4120
    assert path.stat().st_size > 3_000 * 4000


def test_a_backup_that_is_restored_can_be_given_a_log_of_its_own(path: Path, file: SqliteFile) -> None:
    """By the statement that the operators' page gives."""
    page = Path(sqlite_file.__file__).parents[1] / "docs" / "operations.md"
    statement = page.read_text().partition('sqlite3 store.db "UPDATE')[2].partition('"')[0]
    file.commit(batch(message(1), message(2)), WALL)
    before = file.name
    file.close()
    connection = sqlite3.connect(path)
    connection.execute(f"UPDATE{statement}")
    connection.commit()
    connection.close()
    recovered = opened(file)
    assert re.fullmatch(r"[0-9a-f]{8}d", recovered.log)
    assert recovered.log != before
    assert [seq for seq, _ in recovered.messages] == [1, 2]
