"""The power goes at any moment: what was told as stored is there, and the file is sound.

The writer runs on a disk that keeps apart what was not synced, and that fails now and then. Then
images of what could be left at moments of that run are opened again, on the usual disk.
"""

import random
from asyncio import Future
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import apsw
import pytest
from fake_clock import WALL, FakeClock
from forgetful_disk import Disk, DiskVFS
from store_records import mark, message, session

from wsserver.settings import StoreSettings
from wsserver.store import sqlite_file
from wsserver.store.sqlite_file import SqliteFile
from wsserver.store.store import KeyRecord, MessageRecord, StoreUnavailable
from wsserver.store.store_batch import Batch, Pending
from wsserver.store.store_inbox import StoreInbox
from wsserver.store.store_writer import REOPEN_EVERY, Reports, StoreWriter

FAULTS = (apsw.FullError, apsw.IOError, apsw.ReadOnlyError)


@dataclass
class Run(Reports):
    """One life of a writer on such a disk, with what it told and when."""

    disk: Disk
    log: str = ""
    offered: dict[str, MessageRecord] = field(default_factory=dict)
    told: dict[int, tuple[str, int]] = field(default_factory=dict)
    """``seq`` → message id, and how many steps the disk had made then."""
    refused: int = 0
    recovered: int = 0
    waiting: list[MessageRecord] = field(default_factory=list)

    def stored(self, before: int, count: int) -> None:
        for seq, record in enumerate(self.waiting[:count], before + 1):
            # Never twice, not even after a transaction that failed.
            assert seq not in self.told
            self.told[seq] = record.id, len(self.disk.steps)
        del self.waiting[:count]

    def failed(self, count: int, reason: str) -> None:
        del self.waiting[:count]
        self.refused += count

    def changed(self, fault: str | None) -> None:
        self.recovered += fault is None

    def found(self, answer: "Future[KeyRecord | None]", key: KeyRecord | StoreUnavailable | None) -> None:
        raise AssertionError

    def ended(self) -> None:
        raise AssertionError


@pytest.fixture(autouse=True)
def small_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "CHECKPOINT_PAGES", 25)


def live(folder: Path, dice: random.Random, *, commits: int, faults: bool, syncs: bool = True) -> Run:
    """Write at random. With ``faults`` one change of the disk in thirty fails, for a while."""
    disk = Disk(dice=dice, syncs=syncs)
    run = Run(disk)
    vfs = DiskVFS(disk)
    file = SqliteFile(folder / "store.db", StoreSettings(), vfs=vfs.name)
    clock = FakeClock()
    inbox = StoreInbox()
    writer = StoreWriter(file, inbox, run, clock)
    run.log = file.open(WALL, max_bytes=0, max_age=0).log

    bad = 0

    def fail(what: str, name: str) -> None:
        if dice.random() < 1 / 30 or (bad and what == "sync"):
            raise dice.choice(FAULTS)

    for _ in range(commits):
        clock.advance(0.01)
        disk.fail = fail if faults else None
        # Long enough that the file is opened anew, with what could not be synced before.
        bad = bad - 1 if bad else 3 * (dice.random() < 0.1)
        if writer.fault is not None:
            if dice.random() < 0.3:
                # As when a transaction is stuck in it: the next try opens the file anew.
                file._disconnect()
            writer.try_again()
            continue
        batch = Batch()
        for _ in range(dice.randrange(1, 4)):
            number = len(run.offered) + 1
            record = message(number, at=clock.time(), members=dice.randbytes(dice.choice((40, 3000, 9000))))
            run.offered[record.id] = record
            key = mark(record.id.encode()) if dice.random() < 0.5 else None
            batch.messages.append(Pending(record, print, print, key))
            run.waiting.append(record)
        if dice.random() < 0.3:
            one = session(bytes([dice.randrange(5)]), state=dice.randbytes(2000))
            batch.sessions[one.key] = one if dice.random() < 0.8 else None
        writer.write(batch)
    disk.fail = None
    for _ in range(REOPEN_EVERY):
        if writer.fault is not None:
            writer.try_again()
    assert writer.fault is None
    file.close()
    vfs.unregister()
    return run


def examine(image: dict[str, bytes], run: Run, upto: int, folder: Path) -> list[str]:
    """Open what was left; what is wrong with it."""
    folder.mkdir()
    (folder / "store.db").write_bytes(b"")
    for name, content in image.items():
        (folder / name).write_bytes(content)
    due = {seq: told for seq, (told, at) in run.told.items() if at <= upto}
    file = SqliteFile(folder / "store.db", StoreSettings())
    # Refuses what is damaged, so that its integrity is proved by opening it.
    recovered = file.open(WALL, max_bytes=1 << 40, max_age=1e9)
    kept = {seq: record.id for seq, record in recovered.messages}
    wrong = [f"{seq} is lost" for seq in due if seq not in kept]
    wrong += [f"{seq} is another" for seq in due if kept.get(seq, due[seq]) != due[seq]]
    wrong += [f"{seq} has changed" for seq, record in recovered.messages if run.offered[record.id] != record]
    for seq, told in kept.items():
        key = file.find_key(told.encode(), WALL)
        if key is not None and key.seq != seq:
            wrong.append(f"the key of {seq} is of {key.seq}")
    if due and recovered.log != run.log:
        wrong.append("another log")
    if due and recovered.head < max(due):
        wrong.append("the head is behind")
    before = file.commit(Batch(messages=[Pending(message(0), print, print)]), WALL)
    if before != recovered.head:
        wrong.append("the numbering does not go on")
    file.close()
    return wrong


def states(runs: list[Run], count: int, dice: random.Random, tmp_path: Path) -> Iterator[list[str]]:
    for number in range(count):
        run = runs[number % len(runs)]
        upto = dice.randrange(len(run.disk.steps) + 1)
        folder = tmp_path / f"state-{number}"
        yield examine(run.disk.image(upto, dice), run, upto, folder)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("runs", "count"),
    [(10, 25), pytest.param(50, 500, marks=[pytest.mark.long, pytest.mark.timeout(1800)])],
    ids=["50", "1000"],
)
@pytest.mark.parametrize("faults", [False, True], ids=["sound disk", "failing disk"])
def test_no_power_cut_loses_what_was_told(
    tmp_path: Path, seed: int, runs: int, count: int, faults: bool
) -> None:
    dice = random.Random(f"{seed} {runs} {faults}")
    lives = []
    for number in range(runs):
        (tmp_path / f"life-{number}").mkdir()
        lives.append(live(tmp_path / f"life-{number}", dice, commits=100 if faults else 50, faults=faults))
    assert all(len(run.told) > 10 for run in lives)
    assert (sum(run.recovered for run in lives) > 0) is faults
    for wrong in states(lives, count, dice, tmp_path):
        assert wrong == []


def test_a_disk_that_lies_is_found_out(tmp_path: Path) -> None:
    """The proof that the examination can fail."""
    dice = random.Random(5)
    (tmp_path / "life").mkdir()
    run = live(tmp_path / "life", dice, commits=50, faults=False, syncs=False)
    found = []
    for number in range(20):
        upto = dice.randrange(len(run.disk.steps) + 1)
        try:
            found += examine(run.disk.image(upto, dice), run, upto, tmp_path / f"state-{number}")
        except Exception as damage:
            found.append(str(damage))
    assert any("lost" in one for one in found)
