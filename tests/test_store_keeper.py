"""A store is taken up with what it has kept, and given back at the end."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fake_clock import FakeClock
from store_records import append, message, session
from workbench import Workbench, settings_with

from wsserver.observe.alerts import Level
from wsserver.settings import Settings, StoreSettings
from wsserver.store.sqlite_store import SqliteStore
from wsserver.store.store import CannotOpenStore
from wsserver.store_keeper import StoreKeeper


class Estate:
    """A file that an earlier server has left, and a server that takes it up."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "store.db"
        self.clock = FakeClock()
        self.log = ""

    async def fill(self, count: int, *, apart: float = 1.0) -> None:
        """Store so many messages, some seconds apart."""
        store = SqliteStore(self.path, StoreSettings(), self.clock)
        self.log = (await store.open(max_bytes=0, max_age=0)).log
        for number in range(1, count + 1):
            await append(store, message(number, at=self.clock.time()))
            self.clock.advance(apart)
        store.put_session(session(expires_at=self.clock.time() + 60))
        await store.close()

    def settings(self, **sections: dict[str, object]) -> Settings:
        return settings_with(**{**sections, "store": {"url": f"sqlite:///{self.path}"}})


@pytest.fixture
def estate(tmp_path: Path) -> Estate:
    return Estate(tmp_path)


@pytest.fixture
async def bench(estate: Estate) -> AsyncIterator[Workbench]:
    bench = await Workbench().start()
    bench.clock.seconds, bench.clock.wall = 7_000.0, estate.clock.wall
    yield bench
    await bench.service.store_keeper.close()


async def test_the_log_goes_on_where_it_was(estate: Estate, bench: Workbench) -> None:
    await estate.fill(3)
    before = bench.manager.broadcasts.logs.volatile.name
    sessions = await bench.service.store_keeper.open(estate.settings())
    logs = bench.manager.broadcasts.logs
    assert (logs.durable.name, logs.durable.head) == (estate.log, 3)
    assert logs.volatile.head == 0
    assert logs.volatile.name != before
    assert [one.key for one in sessions] == [session().key]


async def test_messages_are_as_old_as_they_are(estate: Estate, bench: Workbench) -> None:
    await estate.fill(3, apart=10.0)
    bench.clock.wall = estate.clock.wall + 5
    await bench.service.store_keeper.open(estate.settings())
    ages = [bench.clock.monotonic() - kept.at for kept in bench.manager.history.after(0)]
    assert ages == [35.0, 25.0, 15.0]


async def test_a_clock_that_was_set_back_makes_no_message_younger_than_now(
    estate: Estate, bench: Workbench
) -> None:
    await estate.fill(2)
    bench.clock.wall = estate.clock.wall - 1000
    await bench.service.store_keeper.open(estate.settings())
    assert [kept.at for kept in bench.manager.history.after(0)] == [7_000.0] * 2


async def test_what_was_not_read_back_is_lost_to_every_topic(estate: Estate, bench: Workbench) -> None:
    await estate.fill(10)
    bench.clock.wall = estate.clock.wall
    await bench.service.store_keeper.open(estate.settings(history={"ttl": 4.0}))
    history = bench.manager.history
    assert [kept.frame.seq for kept in history.after(0)] == [7, 8, 9, 10]
    assert history.evicted_of(None) == (6, 0)
    topic = history.topic("patient", "7")
    assert topic is not None
    assert topic.evicted == (6, 0)


async def test_a_log_of_which_nothing_is_left_is_lost_up_to_its_head(
    estate: Estate, bench: Workbench
) -> None:
    await estate.fill(4)
    bench.clock.wall = estate.clock.wall + 10_000
    await bench.service.store_keeper.open(estate.settings())
    assert bench.manager.history.messages == 0
    assert bench.manager.history.evicted_of(None) == (4, 0)


async def test_what_the_manager_had_before_is_of_another_log(estate: Estate, bench: Workbench) -> None:
    await estate.fill(1)
    bench.manager.broadcast_to_patient(1, {"n": 1})
    await bench.service.store_keeper.open(estate.settings())
    assert [kept.frame.log for kept in bench.manager.history.after(0)] == [estate.log]


async def test_a_store_that_cannot_be_opened_changes_nothing(estate: Estate, bench: Workbench) -> None:
    estate.path.write_bytes(b"not a database" * 100)
    broadcasts = bench.manager.broadcasts
    before = broadcasts.store, broadcasts.logs.durable
    with pytest.raises(CannotOpenStore):
        await bench.service.store_keeper.open(estate.settings())
    assert (broadcasts.store, broadcasts.logs.durable) == before


async def test_without_its_package_the_store_says_so(
    estate: Estate, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wsserver.store.sqlite_store", None)
    with pytest.raises(CannotOpenStore, match="needs the package apsw"):
        await bench.service.store_keeper.open(estate.settings())


async def test_a_memory_store_stays_the_one_that_is_there(bench: Workbench) -> None:
    bench.manager.broadcast_to_patient(1, {})
    store = bench.manager.broadcasts.store
    assert await bench.service.store_keeper.open(settings_with()) == ()
    await bench.service.store_keeper.close()
    assert bench.manager.broadcasts.store is store
    assert bench.manager.history.messages == 1


async def test_a_fault_is_an_alert_until_it_is_over(estate: Estate, bench: Workbench) -> None:
    keeper: StoreKeeper = bench.service.store_keeper
    await keeper.open(estate.settings())
    assert keeper.store.on_change is not None
    keeper.store.on_change("disk_full")
    (active,) = bench.service.alerts.active()
    assert (active["alert"], active["level"]) == ("store", "critical")
    assert bench.service.alerts.history(1)[0].details == {"reason": "disk_full"}
    keeper.store.on_change(None)
    assert bench.service.alerts.level("store") is Level.OK
    keeper.store.on_change("io_error")
    await keeper.close()
    assert bench.service.alerts.level("store") is Level.OK
