"""The writer's thread: groups, faults of the disk and the way out of them."""

import errno
import time
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from audit_log import record
from fake_clock import FakeClock

from wsserver.audit.audit_file import AuditFile
from wsserver.audit.audit_writer import MOST_TOGETHER, RETRY_MOST, SYNC_EVERY, AuditWriter
from wsserver.audit.chain import Chain, read_line
from wsserver.settings import AuditSettings


class Failing(AuditFile):
    """A file on a disk that fails as long as it is told to."""

    fault: Exception | None = None
    groups: list[int]
    syncs = 0

    def append(self, texts: Any) -> None:
        if self.fault is not None:
            raise self.fault
        super().append(texts)
        self.groups.append(len(texts))

    def sync(self) -> None:
        self.syncs += 1
        super().sync()


def writer_in(folder: Path, clock: FakeClock, **settings: Any) -> tuple[AuditWriter, Failing]:
    file = Failing(folder / "audit.jsonl", AuditSettings(**settings), clock)
    file.groups = []
    file.open()
    return AuditWriter(file, clock), file


def put(writer: AuditWriter, first: int, count: int) -> None:
    for seq in range(first, first + count):
        writer.put(record(seq).encode())


def chain_of(path: Path) -> Chain:
    chain = Chain()
    for line in path.read_bytes().splitlines(keepends=True):
        chain.take(read_line(line))
    return chain


def test_what_waits_is_written_in_groups(tmp_path: Path) -> None:
    writer, file = writer_in(tmp_path, FakeClock())
    put(writer, 1, MOST_TOGETHER + 5)
    assert writer.pending == MOST_TOGETHER + 5
    assert writer.turn()
    assert writer.turn()
    assert file.groups == [MOST_TOGETHER, 5]
    assert (writer.pending, writer.written) == (0, MOST_TOGETHER + 5)
    file.close()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (OSError(errno.ENOSPC, "full"), "disk_full"),
        (OSError(errno.EROFS, "read-only"), "read_only"),
        (OSError(errno.EIO, "broken"), "io_error"),
        (ValueError("ours"), "io_error"),
    ],
)
def test_while_the_disk_fails_records_wait_in_their_order(
    tmp_path: Path, fault: Exception, reason: str
) -> None:
    clock = FakeClock()
    writer, file = writer_in(tmp_path, clock)
    file.fault = fault
    put(writer, 1, 2)
    assert not writer.turn()
    assert writer.fault == reason
    put(writer, 3, 2)
    assert writer.pending == 4
    # Before its time it is not tried again.
    file.fault = None
    clock.advance(0.09)
    assert not writer.turn()
    clock.advance(0.02)
    assert writer.turn()
    assert (writer.fault, writer.pending, writer.written) == (None, 0, 4)
    assert chain_of(file.path).seq == 4
    file.close()


def test_it_is_tried_again_less_and_less_often(tmp_path: Path) -> None:
    clock = FakeClock()
    writer, file = writer_in(tmp_path, clock)
    file.fault = OSError(errno.EIO, "broken")
    put(writer, 1, 1)
    waits = []
    for _ in range(8):
        assert not writer.turn()
        started = clock.monotonic()
        while writer._due > clock.monotonic():
            clock.advance(0.1)
        waits.append(round(clock.monotonic() - started, 1))
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(RETRY_MOST, abs=0.11)
    file.close()


def test_once_a_second_is_synced_and_only_if_something_was_written(tmp_path: Path) -> None:
    clock = FakeClock()
    writer, file = writer_in(tmp_path, clock)
    put(writer, 1, 1)
    writer.turn()
    assert file.syncs == 0
    clock.advance(SYNC_EVERY)
    for _ in range(3):
        writer.turn()
    assert file.syncs == 1
    file.close()


def test_the_thread_writes_what_is_put_and_all_of_it_before_it_ends(tmp_path: Path) -> None:
    clock = FakeClock()
    writer, file = writer_in(tmp_path, clock)
    writer.start()
    put(writer, 1, 1)
    deadline = time.monotonic() + 20
    while writer.written < 1 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert writer.written == 1
    put(writer, 2, 5_000)
    assert writer.close(20)
    assert chain_of(file.path).seq == 5_001


def test_a_record_that_comes_while_the_thread_goes_to_sleep_is_not_overslept(tmp_path: Path) -> None:
    writer, _ = writer_in(tmp_path, FakeClock(), fsync="never")
    writer.start()
    for seq in range(1, 301):
        put(writer, seq, 1)
        deadline = time.monotonic() + 20
        while writer.pending and time.monotonic() < deadline:
            time.sleep(0)
        assert not writer.pending, seq
    assert writer.close(20)


def test_a_disk_that_does_not_come_back_does_not_hold_up_the_end(tmp_path: Path) -> None:
    clock = FakeClock()
    writer, file = writer_in(tmp_path, clock)
    file.fault = OSError(errno.EIO, "broken")
    put(writer, 1, 3)
    writer.start()
    assert not writer.close(20)
    assert writer.pending == 3


def test_a_disk_that_hangs_does_not_either(tmp_path: Path) -> None:
    writer, file = writer_in(tmp_path, FakeClock())
    release = Event()
    file.append = lambda texts: release.wait(20)
    put(writer, 1, 3)
    writer.start()
    started = time.monotonic()
    assert not writer.close(0.2)
    assert time.monotonic() - started < 10
    release.set()
    writer._thread.join(20)
