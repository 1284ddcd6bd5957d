"""The loop's side of the store on disk: bounds, turns, and an end that comes whatever the disk does."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fake_clock import FakeClock
from forgetful_disk import Disk, DiskVFS
from store_records import append, message, session

from wsserver.settings import StoreSettings
from wsserver.store import sqlite_store
from wsserver.store.sqlite_store import SqliteStore
from wsserver.store.store import StoreUnavailable


class Shelf:
    """A store on a disk that can be made to hang."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.disk = Disk()
        self.vfs = DiskVFS(self.disk)
        self.free = threading.Event()
        self.free.set()
        self.disk.fail = self._wait
        self.store = SqliteStore(
            folder / "store.db", StoreSettings(**settings), FakeClock(), vfs=self.vfs.name
        )

    def _wait(self, what: str, file: str) -> None:
        assert self.free.wait(30)


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    shelf = Shelf(tmp_path, max_pending=3, max_pending_bytes=2_000)
    await shelf.store.open(max_bytes=0, max_age=0)
    yield shelf
    shelf.free.set()
    await shelf.store.close()
    shelf.vfs.unregister()


async def test_what_waits_is_bounded_in_messages_and_bytes(shelf: Shelf) -> None:
    shelf.free.clear()
    waiting = [append(shelf.store, message(number)) for number in range(3)]
    with pytest.raises(StoreUnavailable) as caught:
        append(shelf.store, message(4))
    assert caught.value.reason == "busy"
    shelf.free.set()
    assert await asyncio.gather(*waiting) == [1, 2, 3]
    shelf.free.clear()
    large = append(shelf.store, message(5, members=b"x" * 1_500))
    with pytest.raises(StoreUnavailable):
        append(shelf.store, message(6, members=b"x" * 150))
    shelf.free.set()
    assert await large == 4
    assert shelf.store.get_metrics()["pending_bytes"] == 0
    assert await append(shelf.store, message(7)) == 5


async def test_new_limits_count_at_once(shelf: Shelf) -> None:
    shelf.store.configure(StoreSettings(max_pending=1))
    shelf.free.clear()
    first = append(shelf.store, message(1))
    with pytest.raises(StoreUnavailable):
        append(shelf.store, message(2))
    shelf.free.set()
    assert await first == 1


async def test_the_loop_goes_on_while_many_are_told(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_store, "TURN", 0.0)
    shelf.store.configure(StoreSettings())
    turns: list[int] = []
    turn = 0

    def count() -> None:
        nonlocal turn
        turn += 1
        if len(turns) < 50:
            asyncio.get_running_loop().call_soon(count)

    done = asyncio.get_running_loop().create_future()

    def stored(seq: int) -> None:
        turns.append(turn)
        if len(turns) == 50:
            done.set_result(None)

    count()
    for number in range(50):
        shelf.store.append(message(number), stored, pytest.fail)
    await done
    assert len(set(turns)) >= 49


async def test_flushing_waits_for_what_was_appended_before(shelf: Shelf) -> None:
    await shelf.store.flush()
    shelf.free.clear()
    first = append(shelf.store, message(1))
    flushing = asyncio.ensure_future(shelf.store.flush())
    await asyncio.sleep(0)
    assert not flushing.done()
    shelf.free.set()
    await flushing
    assert first.result() == 1


async def test_a_disk_that_hangs_does_not_hold_up_the_end(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite_store, "CLOSE_PATIENCE", 0.05)
    shelf.free.clear()
    waiting = [append(shelf.store, message(number)) for number in range(2)]
    await shelf.store.flush()
    await shelf.store.close()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [getattr(one, "reason", None) for one in outcomes] == ["io_error", "io_error"]
    assert "the store does not answer" in caplog.text
    with pytest.raises(StoreUnavailable):
        append(shelf.store, message(3))
    # When the disk comes back nobody is told twice.
    shelf.free.set()
    await asyncio.to_thread(shelf.store._writer._thread.join)
    await asyncio.sleep(0)


async def test_a_question_waits_for_the_disk_and_not_the_loop(shelf: Shelf) -> None:
    shelf.store.put_session(session())
    assert await shelf.store.find_key(b"nothing") is None
    shelf.store.sweep()
    await shelf.store.close()
    with pytest.raises(StoreUnavailable):
        await shelf.store.find_key(b"nothing")
    shelf.store.sweep()
