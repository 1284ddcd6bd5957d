"""The file on a real disk: begun, continued, turned over, and found in every state a crash can leave."""

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from audit_log import lines, record
from fake_clock import FakeClock
from hypothesis import given
from hypothesis import strategies as st

from wsserver.audit import audit_file
from wsserver.audit.audit_file import TAIL, AuditFile, CannotOpenAudit, verify_tail
from wsserver.audit.chain import Chain, read_line
from wsserver.audit.files import former_files
from wsserver.settings import AuditSettings


class Place:
    """A folder with a log in it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "audit.jsonl"
        self.clock = FakeClock()
        self.opened: list[AuditFile] = []

    def open(self, **settings: Any) -> AuditFile:
        file = AuditFile(self.path, AuditSettings(**settings), self.clock)
        file.open()
        self.opened.append(file)
        return file

    def close(self) -> None:
        while self.opened:
            self.opened.pop().close()

    def add(self, file: AuditFile, count: int = 1, **members: Any) -> None:
        file.append([record(file.seq + 1 + place, **members).encode() for place in range(count)])

    def files(self) -> list[Path]:
        return [path for _, path in former_files(self.path)] + [self.path]

    def chain(self, *paths: Path) -> Chain:
        chain = Chain()
        for path in paths or self.files():
            for line in path.read_bytes().splitlines(keepends=True):
                chain.take(read_line(line))
        return chain

    def aside(self, what: str) -> list[Path]:
        return sorted(self.path.parent.glob(f"audit.jsonl.{what}-*"))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.close()


def test_a_log_is_begun_for_its_owner_only_and_goes_on_where_it_was(place: Place) -> None:
    file = place.open()
    place.add(file, 3)
    log, digest = file.log, file.digest
    assert stat.S_IMODE(place.path.stat().st_mode) == 0o600
    place.close()
    again = place.open()
    assert (again.log, again.number, again.seq, again.digest) == (log, 1, 3, digest)
    place.add(again, 2)
    chain = place.chain()
    assert (chain.log, chain.seq, chain.digest) == (log, 5, again.digest)
    assert again.findings == []


def test_a_full_file_gets_its_number_and_the_next_continues_it(place: Place) -> None:
    file = place.open(max_bytes=65_536)
    for _ in range(80):
        place.add(file, 10)
    assert [path.name for path in place.files()] == [
        "audit.jsonl.000001",
        "audit.jsonl.000002",
        "audit.jsonl.000003",
        "audit.jsonl",
    ]
    assert all(path.stat().st_size <= 65_536 for path in place.files())
    chain = place.chain()
    assert (chain.file, chain.seq, chain.digest) == (4, 800, file.digest)
    place.close()
    assert place.open().seq == 800


def test_only_so_many_files_are_kept(place: Place) -> None:
    file = place.open(max_bytes=65_536, files=2)
    for _ in range(100):
        place.add(file, 10)
    kept = place.files()
    assert len(kept) == 2
    assert place.chain(*kept).seq == 1000


def test_a_server_that_died_between_two_files_goes_on_with_the_next(place: Place) -> None:
    file = place.open()
    place.add(file, 4)
    place.close()
    place.path.rename(place.path.with_name("audit.jsonl.000001"))
    again = place.open()
    place.add(again)
    assert place.chain().seq == 5
    place.close()
    # Or with the head of the next one half written, or not at all.
    for left in (b"", b'{"log":"lo'):
        place.path.write_bytes(left)
        place.add(place.open())
        assert place.chain().seq == 5
        place.close()


@given(st.integers(1, 250), st.integers(1, 6))
def test_a_line_that_was_being_written_is_kept_aside_and_said(cut: int, count: int) -> None:

    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        file = place.open()
        place.add(file, count)
        place.close()
        whole = place.path.read_bytes()
        last = whole.splitlines(keepends=True)[-1]
        cut = min(cut, len(last) - 1)
        place.path.write_bytes(whole[: len(whole) - len(last) + cut])
        again = place.open()
        (torn,) = place.aside("torn")
        assert torn.read_bytes() == last[:cut]
        assert again.findings == [("torn_line", {"file": torn.name, "bytes": cut})]
        assert again.seq == count - 1
        place.add(again)
        assert place.chain().seq == count
        place.close()


def test_what_a_power_cut_left_as_zeros_is_torn_as_well(place: Place) -> None:
    place.add(place.open(), 3)
    place.close()
    with place.path.open("ab") as file:
        file.write(bytes(5000))
    again = place.open()
    assert again.findings[0][1]["bytes"] == 5000
    assert again.seq == 3


def test_a_broken_end_is_set_aside_and_a_new_log_begun(place: Place) -> None:
    first = place.open()
    place.add(first, 3)
    place.close()
    broken = place.path.read_bytes().replace(b'"p2"', b'"p9"')
    place.path.write_bytes(broken)
    again = place.open()
    (aside,) = place.aside("broken")
    assert aside.read_bytes() == broken
    ((action, details),) = again.findings
    assert (action, details["file"]) == ("set_aside", aside.name)
    assert "was changed" in details["reason"]
    place.add(again)
    chain = place.chain()
    assert (chain.seq, chain.log != first.log) == (1, True)


def test_a_file_that_is_no_log_is_left_alone(place: Place) -> None:
    place.path.write_bytes(b"[server]\nhost = '0.0.0.0'")
    with pytest.raises(CannotOpenAudit, match="no audit log"):
        place.open()
    assert place.path.read_bytes() == b"[server]\nhost = '0.0.0.0'"
    assert place.aside("torn") == place.aside("broken") == []


def test_two_servers_cannot_write_one_log(place: Place) -> None:
    place.open()
    with pytest.raises(CannotOpenAudit, match="another server"):
        place.open()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotOpenAudit, match="No such file"):
        Place(tmp_path / "nowhere").open()


class Disk:
    """Stands before os.write and os.fsync, and fails as told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room: int | None = None
        self.sync_fails = False
        self.syncs = 0
        self._write, self._fsync = os.write, os.fsync
        monkeypatch.setattr(audit_file.os, "write", self.write)
        monkeypatch.setattr(audit_file.os, "fsync", self.fsync)

    def write(self, descriptor: int, data: Any) -> int:
        if self.room is None:
            return self._write(descriptor, data)
        if self.room == 0:
            raise OSError(errno.ENOSPC, "no space left")
        part = bytes(data)[: self.room]
        self.room -= len(part)
        return self._write(descriptor, part)

    def fsync(self, descriptor: int) -> None:
        self.syncs += 1
        if self.sync_fails:
            raise OSError(errno.EIO, "input/output error")
        self._fsync(descriptor)


@pytest.mark.parametrize("room", [0, 1, 200, 700])
def test_of_a_group_that_did_not_fit_nothing_is_left(
    place: Place, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    file = place.open()
    place.add(file, 2)
    disk = Disk(monkeypatch)
    disk.room = room
    with pytest.raises(OSError, match="no space"):
        place.add(file, 3)
    assert (file.seq, place.chain().seq) == (2, 2)
    disk.room = None
    place.add(file, 3)
    assert (file.seq, place.chain().seq, place.chain().digest) == (5, 5, file.digest)
    assert file.findings == []


def test_a_group_that_was_not_synced_is_written_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    file = place.open(fsync="always")
    disk = Disk(monkeypatch)
    disk.sync_fails = True
    with pytest.raises(OSError, match="input/output"):
        place.add(file, 3)
    assert place.chain().seq == 0
    disk.sync_fails = False
    place.add(file, 3)
    assert place.chain().seq == 3


def test_how_often_is_synced_is_a_setting(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = {"always": (2, False), "second": (0, True), "never": (0, False)}
    for policy, outcome in expected.items():
        file = place.open(fsync=policy)
        disk = Disk(monkeypatch)
        place.add(file)
        place.add(file)
        assert (disk.syncs, file.needs_sync) == outcome
        place.close()
        monkeypatch.undo()


def test_no_room_for_the_next_file_is_no_end(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    file = place.open(max_bytes=65_536)
    while file.size < 64_000:
        place.add(file)
    disk = Disk(monkeypatch)
    disk.room = 50
    before = file.seq
    for _ in range(2):
        with pytest.raises(OSError, match="no space"):
            place.add(file, 20)
    assert not place.path.exists()
    disk.room = None
    place.add(file, 20)
    assert (place.chain().file, place.chain().seq) == (2, before + 20)


@pytest.mark.parametrize("is_full", [True, False])
def test_a_file_that_cannot_be_renamed_for_a_while_is_gone_on_with(
    place: Place, monkeypatch: pytest.MonkeyPatch, is_full: bool
) -> None:
    file = place.open(max_bytes=65_536)
    while is_full and file.size < 64_000:
        place.add(file)
    place.add(file)
    if not is_full:
        with place.path.open("ab") as other:
            other.write(b"more")

    def refuse(*_: Any) -> None:
        raise OSError(errno.EROFS, "read-only")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refuse)
        for _ in range(2):
            with pytest.raises(OSError, match="read-only"):
                place.add(file, 20)
    before = file.seq
    place.add(file, 20)
    assert (file.number, file.seq) == (2, before + 20)


def test_a_pipe_is_no_file(place: Place) -> None:
    os.mkfifo(place.path)
    with pytest.raises(CannotOpenAudit, match="is no file"):
        place.open()


def test_a_file_that_was_moved_away_is_noticed_and_the_chain_goes_on(place: Place) -> None:
    file = place.open()
    place.add(file, 2)
    moved = place.path.rename(place.path.with_name("elsewhere"))
    place.add(file, 2)
    assert file.findings == [("set_aside", {"reason": "removed"})]
    assert place.chain(moved, place.path).seq == 4


@pytest.mark.parametrize("what", ["added", "cut", "replaced"])
def test_a_file_that_somebody_else_wrote_to_is_set_aside(place: Place, what: str) -> None:
    file = place.open()
    place.add(file, 2)
    if what == "replaced":
        fresh = place.path.with_name("fresh")
        fresh.write_bytes(place.path.read_bytes())
        fresh.rename(place.path)
    else:
        content = place.path.read_bytes()
        with place.path.open("r+b") as other:
            other.truncate(0)
            other.write(content[:-5] if what == "cut" else content + b"more")
    place.add(file, 2)
    ((action, details),) = file.findings
    assert action == "set_aside"
    assert details["reason"] == ("replaced" if what == "replaced" else "changed by somebody else")
    assert details["file"] == place.aside("broken")[0].name
    # Its own file does not begin a log: it says what it continues.
    chain = place.chain()
    assert (chain.file, chain.seq) == (2, 4)


def test_the_end_of_a_long_file_is_verified_without_reading_all_of_it(tmp_path: Path) -> None:
    log = lines(9000)
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"".join(log))
    assert path.stat().st_size > 2 * TAIL
    assert verify_tail(path).seq == 9000
    before = [line.replace(b'"p1"', b'"p9"') for line in log[:100]]
    path.write_bytes(b"".join([log[0], *before[1:], *log[100:]]))
    assert verify_tail(path).seq == 9000
