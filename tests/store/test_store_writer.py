"""Faults of the disk, got over step by step: the writer turned by hand, the clock as well."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import apsw
import pytest
from fake_clock import FakeClock
from forgetful_disk import Disk, DiskVFS
from store_records import mark, message, session

from wsserver.settings import StoreSettings
from wsserver.store.sqlite_file import SqliteFile
from wsserver.store.store import StoreUnavailable
from wsserver.store.store_batch import Batch, Pending
from wsserver.store.store_inbox import StoreInbox
from wsserver.store.store_writer import REOPEN_EVERY, Reports, StoreWriter


@dataclass
class Told(Reports):
    """Everything that was told, in order."""

    all: list[Any] = field(default_factory=list)

    def stored(self, before: int, count: int) -> None:
        self.all.append(("stored", before, count))

    def failed(self, count: int, reason: str) -> None:
        self.all.append(("failed", count, reason))

    def changed(self, fault: str | None) -> None:
        self.all.append(("changed", fault))

    def found(self, answer: Any, key: Any) -> None:
        self.all.append(("found", answer, key.reason if isinstance(key, StoreUnavailable) else key))

    def ended(self) -> None:
        self.all.append("ended")

    def take(self) -> list[Any]:
        taken, self.all = self.all, []
        return taken


class Desk:
    """A writer with everything around it."""

    def __init__(self, folder: Path) -> None:
        self.disk = Disk()
        self.vfs = DiskVFS(self.disk)
        self.clock = FakeClock()
        self.file = SqliteFile(folder / "store.db", StoreSettings(), vfs=self.vfs.name)
        self.file.open(self.clock.time(), max_bytes=0, max_age=0)
        self.inbox = StoreInbox()
        self.told = Told()
        self.writer = StoreWriter(self.file, self.inbox, self.told, self.clock)

    def break_disk(self, fault: type[Exception] = apsw.IOError, at: str = "write") -> None:
        def fail(what: str, file: str) -> None:
            if what == at:
                raise fault

        self.disk.fail = fail

    def mend_disk(self) -> None:
        self.disk.fail = None


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.mend_disk()
    desk.file.close()
    desk.vfs.unregister()


def batch(*numbers: int, **more: Any) -> Batch:
    return Batch(messages=[Pending(message(number), print, print) for number in numbers], **more)


def test_a_batch_is_told_as_one(desk: Desk) -> None:
    desk.writer.write(batch(1, 2, 3))
    desk.writer.write(batch(4))
    assert desk.told.take() == [("stored", 0, 3), ("stored", 3, 1)]
    assert desk.writer.commits == 2


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(apsw.FullError, "disk_full"), (apsw.IOError, "io_error"), (apsw.ReadOnlyError, "read_only"),
     (apsw.CantOpenError, "io_error")],
)  # fmt: skip
@pytest.mark.parametrize("at", ["write", "sync"])
def test_a_fault_is_told_before_those_who_suffer_from_it(
    desk: Desk, fault: type[Exception], reason: str, at: str
) -> None:
    desk.break_disk(fault, at)
    desk.writer.write(batch(1, 2))
    assert desk.told.take() == [("changed", reason), ("failed", 2, reason)]
    desk.mend_disk()
    desk.writer.try_again()
    desk.writer.write(batch(3))
    assert desk.told.take() == [("changed", None), ("stored", 0, 1)]


def test_the_file_is_tried_again_ever_more_rarely(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[float] = []
    again = desk.writer.try_again

    def note() -> None:
        tries.append(desk.clock.monotonic())
        again()

    monkeypatch.setattr(desk.writer, "try_again", note)
    monkeypatch.setattr(desk.inbox, "wait", lambda seconds: None)
    desk.break_disk()
    desk.writer.write(batch(1))
    began = desk.clock.monotonic()
    for _ in range(400):
        desk.clock.advance(0.0625)
        desk.writer.turn()
    waits = [round(second - first, 2) for first, second in zip([began, *tries], tries, strict=False)]
    assert waits[0] <= 0.13
    assert all(one <= two for one, two in pairwise(waits))
    assert 5.0 <= waits[-1] <= 5.07
    desk.mend_disk()
    desk.clock.advance(5)
    desk.writer.turn()
    assert desk.writer.fault is None
    # And the next fault is tried again soon.
    desk.break_disk()
    desk.writer.write(batch(2))
    desk.mend_disk()
    desk.clock.advance(0.13)
    desk.writer.turn()
    assert desk.writer.fault is None


def test_while_it_fails_messages_fail_at_once_and_sessions_wait(desk: Desk) -> None:
    desk.break_disk()
    desk.writer.write(batch(1, sessions={b"a": session(b"a", state=b"1")}, keys={b"k": mark(b"k")}))
    desk.inbox.put_session(b"a", session(b"a", state=b"2"))
    desk.inbox.put_session(b"b", session(b"b"))
    desk.inbox.put_message(Pending(message(2), print, print))
    desk.told.take()
    desk.writer.turn()
    assert desk.told.take() == [("failed", 1, "io_error")]
    desk.mend_disk()
    desk.writer.try_again()
    rows = desk.file._connection.execute("SELECT key, state FROM sessions ORDER BY key").fetchall()
    assert rows == [(b"a", b"2"), (b"b", b"{}")]
    assert desk.file.find_key(b"k", desk.clock.time()) is not None
    assert desk.file.head == 0


def test_a_disk_is_sound_again_only_when_it_has_been_written_to(desk: Desk) -> None:
    for at in ("write", "sync"):
        desk.break_disk(at=at)
        desk.writer.write(batch(1))
        desk.told.take()
        for _ in range(3):
            desk.writer.try_again()
        assert desk.told.take() == []
        desk.mend_disk()
        desk.writer.try_again()
        assert desk.told.take() == [("changed", None)]


def test_questions_are_answered_after_what_was_written_before(desk: Desk) -> None:
    pending = Pending(message(1), print, print, mark(b"k"))
    desk.writer.write(Batch(messages=[pending], lookups=[(b"k", "first"), (b"?", "second")]))
    assert desk.told.take() == [
        ("stored", 0, 1),
        ("found", "first", mark(b"k", seq=1, message_id="m_1")),
        ("found", "second", None),
    ]


def test_questions_fail_while_the_disk_does(desk: Desk) -> None:
    desk.break_disk()
    desk.writer.write(batch(1, lookups=[(b"k", "asked")]))
    assert desk.told.take()[-1] == ("found", "asked", "io_error")


def test_a_log_that_cannot_be_moved_into_the_database_is_a_fault_and_what_was_told_stays_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise apsw.FullError

    monkeypatch.setattr(desk.file, "checkpoint", fail)
    desk.writer.write(batch(1))
    assert desk.told.take() == [("stored", 0, 1), ("changed", "disk_full")]


def test_a_connection_that_is_stuck_is_opened_anew(desk: Desk) -> None:
    desk.writer.write(batch(1))
    desk.break_disk(at="sync")
    desk.writer.write(batch(2))
    desk.file._disconnect()
    desk.mend_disk()
    desk.writer.try_again()
    desk.writer.write(batch(3))
    assert desk.told.take()[-2:] == [("changed", None), ("stored", 1, 1)]


def test_now_and_then_the_file_is_opened_anew(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    monkeypatch.setattr(desk.file, "reopen", lambda thorough: opened.append(thorough))
    desk.break_disk()
    desk.writer.write(batch(1))
    for _ in range(3 * REOPEN_EVERY):
        desk.writer.try_again()
    assert opened == [False] * 3


def test_damage_is_looked_for_before_a_damaged_file_is_trusted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.break_disk(apsw.CorruptError)
    desk.writer.write(batch(1))
    assert desk.writer.fault == "damaged"
    desk.mend_disk()
    opened = []
    reopen = desk.file.reopen

    def note(*, thorough: bool) -> None:
        opened.append(thorough)
        reopen(thorough=thorough)

    monkeypatch.setattr(desk.file, "reopen", note)
    desk.writer.try_again()
    assert opened == [True]
    assert desk.writer.fault is None


def test_a_fault_of_ours_is_an_incident_and_is_got_over(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(desk.file, "_write", None)
        desk.writer.write(batch(1))
    assert desk.told.take() == [("changed", "io_error"), ("failed", 1, "io_error")]
    assert "incident" in caplog.text
    desk.writer.try_again()
    desk.writer.write(batch(2))
    assert desk.told.take() == [("changed", None), ("stored", 0, 1)]


def test_it_ends_when_the_inbox_is_closed_and_writes_what_is_left(desk: Desk) -> None:
    for number in range(1500):
        desk.inbox.put_message(Pending(message(number), print, print))
    desk.inbox.close()
    desk.writer._run()
    assert desk.told.take() == [("stored", 0, 1000), ("stored", 1000, 500), "ended"]


def test_it_ends_while_the_disk_fails(desk: Desk) -> None:
    desk.break_disk()
    for number in range(1500):
        desk.inbox.put_message(Pending(message(number), print, print))
    desk.inbox.put_session(b"a", session(b"a"))
    desk.inbox.close()
    desk.writer._run()
    assert desk.told.take() == [
        ("changed", "io_error"), ("failed", 1000, "io_error"), ("failed", 500, "io_error"), "ended",
    ]  # fmt: skip


def test_at_the_end_what_waited_for_the_disk_is_tried_once_more(desk: Desk) -> None:
    desk.break_disk()
    desk.writer.write(batch(1, sessions={b"a": session(b"a")}))
    desk.mend_disk()
    desk.inbox.close()
    desk.writer._run()
    with apsw.Connection(str(desk.file.path)) as file:
        assert file.execute("SELECT key FROM sessions").fetchall() == [(b"a",)]


def test_whatever_breaks_nobody_is_left_waiting(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(desk.writer, "turn", None)
    desk.inbox.put_message(Pending(message(1), print, print))
    desk.writer._run()
    assert desk.told.take() == [("changed", "io_error"), ("failed", 1, "io_error"), "ended"]
    assert "incident" in caplog.text
