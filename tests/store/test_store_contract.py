"""What every store promises, asked of each of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from fake_clock import WALL, FakeClock
from store_records import append, mark, message, session

from wsserver.settings import StoreSettings
from wsserver.store.memory_store import MemoryStore
from wsserver.store.sqlite_store import SqliteStore
from wsserver.store.store import KEY_LIFETIME, MessageRecord, Recovered, Store, StoreUnavailable


class House:
    """Opens a store, again and again, as a server does that ends and starts."""

    def __init__(self, make: Callable[[], Store], clock: FakeClock) -> None:
        self._make = make
        self.clock = clock
        self._open: Store | None = None

    async def open(self, max_bytes: int = 1 << 20, max_age: float = 600.0) -> tuple[Store, Recovered]:
        await self.close()
        self._open = store = self._make()
        return store, await store.open(max_bytes=max_bytes, max_age=max_age)

    async def close(self) -> None:
        if self._open is not None:
            await self._open.close()
            self._open = None


@pytest.fixture(params=["memory", "sqlite"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    clock = FakeClock()
    stores: dict[str, Callable[[], Store]] = {
        "memory": lambda: MemoryStore(clock),
        "sqlite": lambda: SqliteStore(tmp_path / "store.db", StoreSettings(), clock),
    }
    house = House(stores[request.param], clock)
    yield house
    await house.close()


async def test_a_new_store_has_an_empty_log_with_a_name_of_its_own(house: House) -> None:
    _, recovered = await house.open()
    assert (recovered.head, recovered.messages, recovered.sessions) == (0, (), ())
    assert recovered.log.endswith("d")
    assert 1 < len(recovered.log) <= 64


async def test_places_begin_at_one_and_rise_by_one_in_the_order_of_appending(house: House) -> None:
    store, _ = await house.open()
    told: list[int] = []
    waiting = []
    for number in range(1, 2501):
        place = append(store, message(number))
        place.add_done_callback(lambda done, number=number: told.append(done.result()))
        waiting.append(place)
    assert await asyncio.gather(*waiting) == [*range(1, 2501)]
    await asyncio.sleep(0)
    assert told == [*range(1, 2501)]


async def test_a_place_is_told_once_and_never_as_a_failure(house: House) -> None:
    store, _ = await house.open()
    told: list[object] = []
    for number in range(10):
        store.append(message(number), told.append, told.append)
    await house.close()
    assert told == [*range(1, 11)]


async def test_what_is_appended_is_stored_before_the_store_ends(house: House) -> None:
    store, first = await house.open()
    places = [append(store, message(number)) for number in range(1, 101)]
    _, second = await house.open()
    assert all(place.done() for place in places)
    if second.log == first.log:
        assert second.head == 100
        assert second.messages == tuple((number, message(number)) for number in range(1, 101))
    else:
        assert (second.head, second.messages) == (0, ())


async def test_a_log_that_begins_anew_takes_a_new_name(house: House) -> None:
    names: set[tuple[str, int]] = set()
    for number in range(4):
        store, recovered = await house.open()
        place = recovered.log, await append(store, message(number))
        assert place not in names
        names.add(place)


async def test_every_member_of_a_message_comes_back_as_it_was(house: House) -> None:
    store, first = await house.open()
    records = [
        message(1, patient_id=None, type=None, stream=None, members=b"}"),
        message(2, topic="*", stream="ä", importance=1, at=WALL - 0.123456789),
        message(3, members=b'"t":"\\u0000\xc3\xa4"}', type="é"),
        message(4, members=b"x" * 300_000),
    ]
    for record in records:
        await append(store, record)
    _, second = await house.open()
    if second.log == first.log:
        assert [record for _, record in second.messages] == records


@pytest.mark.parametrize(("max_bytes", "max_age"), [(10_000, 600.0), (1 << 20, 9.5), (0, 600.0), (1, 1e9)])
async def test_of_the_messages_no_more_is_read_than_asked_for_and_no_hole(
    house: House, max_bytes: int, max_age: float
) -> None:
    store, first = await house.open()
    for number in range(1, 41):
        await append(store, message(number, at=house.clock.time(), members=b"x" * 800))
        house.clock.advance(1)
    _, second = await house.open(max_bytes, max_age)
    if second.log == first.log:
        seqs = [seq for seq, _ in second.messages]
        expected = min(int(max_bytes / 1_000), int(max_age), 40)
        assert seqs == [*range(41 - expected, 41)]
        assert second.head == 40


async def test_sessions_are_kept_until_they_end(house: House) -> None:
    store, first = await house.open()
    store.put_session(session(b"a", state=b"1"))
    store.put_session(session(b"b"))
    store.put_session(session(b"c", expires_at=house.clock.time() + 1))
    store.put_session(session(b"a", state=b"2"))
    store.drop_session(b"b")
    store.drop_session(b"unknown")
    house.clock.advance(2)
    _, second = await house.open()
    if second.log == first.log:
        assert second.sessions == (session(b"a", state=b"2"),)
    else:
        assert second.sessions == ()


async def test_a_key_is_found_with_the_place_of_its_message(house: House) -> None:
    store, _ = await house.open()
    await append(store, message(1))
    assert await store.find_key(b"i" * 32) is None
    place = await append(store, message(2), mark())
    found = await store.find_key(b"i" * 32)
    assert found == mark(seq=place, message_id="m_2")
    assert found is not None
    store.put_key(mark(seq=place, message_id="m_2", answer=b"{}"))
    assert await store.find_key(b"i" * 32) == mark(seq=place, message_id="m_2", answer=b"{}")


async def test_a_key_outlives_what_its_message_outlives(house: House) -> None:
    store, first = await house.open()
    place = await append(store, message(1), mark())
    store, second = await house.open()
    if second.log == first.log:
        assert await store.find_key(b"i" * 32) == mark(seq=place, message_id="m_1")
    else:
        assert await store.find_key(b"i" * 32) is None


async def test_a_key_without_a_durable_message_is_kept_as_well(house: House) -> None:
    store, _ = await house.open()
    store.put_key(mark(answer=b"{}", message_id="m_9"))
    assert await store.find_key(b"i" * 32) == mark(answer=b"{}", message_id="m_9")


async def test_keys_are_forgotten_after_their_time(house: House) -> None:
    store, _ = await house.open()
    await append(store, message(1), mark())
    house.clock.advance(KEY_LIFETIME - 1)
    store.sweep()
    assert await store.find_key(b"i" * 32) is not None
    house.clock.advance(1)
    assert await store.find_key(b"i" * 32) is None
    store.sweep()
    assert await store.find_key(b"i" * 32) is None


async def test_a_closed_store_takes_nothing(house: House) -> None:
    store, _ = await house.open()
    await store.close()
    told: list[object] = []
    with pytest.raises(StoreUnavailable) as caught:
        store.append(message(1), told.append, told.append)
    assert caught.value.reason == "closed"
    assert told == []
    await store.close()


async def test_one_that_fails_when_it_is_told_holds_up_no_other(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    store, _ = await house.open()

    def fail(seq: int) -> None:
        raise ZeroDivisionError

    def try_to_append(record: MessageRecord) -> None:
        # In memory whoever appends is told at once, and so has its own fault.
        if store.durability == "memory":
            with pytest.raises(ZeroDivisionError):
                store.append(record, fail, fail)
        else:
            store.append(record, fail, fail)

    try_to_append(message(1))
    assert await append(store, message(2)) == 2
    assert ("incident" in caplog.text) == (store.durability == "fsync")


async def test_figures_say_what_has_been_stored(house: House) -> None:
    store, _ = await house.open()
    for number in range(3):
        await append(store, message(number))
    figures = store.get_metrics()
    assert (figures["stored"], figures["failed"], figures["pending"]) == (3, 0, 0)
    assert figures["fault"] is None
    assert store.fault is None
    assert figures["kind"] in {"memory", "sqlite"}
    assert figures.keys() == MemoryStore(FakeClock()).get_metrics().keys()


async def test_memory_forgets_the_oldest_keys() -> None:
    store = MemoryStore(FakeClock(), max_keys=2)
    for number in range(3):
        store.put_key(mark(bytes([number])))
    assert await store.find_key(b"\0") is None
    assert await store.find_key(b"\2") is not None


async def test_memory_takes_a_key_that_is_used_anew_for_a_new_one() -> None:
    clock = FakeClock()
    store = MemoryStore(clock, max_keys=2)
    store.put_key(mark(b"a", created_at=clock.time()))
    store.put_key(mark(b"b", created_at=clock.time()))
    clock.advance(KEY_LIFETIME)
    assert await store.find_key(b"a") is None
    store.put_key(mark(b"a", created_at=clock.time()))
    store.put_key(mark(b"c", created_at=clock.time()))
    assert await store.find_key(b"a") is not None
