"""What is asked for under one key is done once, whoever asks again, and when."""

import asyncio
from typing import Any

import pytest
from fake_clock import FakeClock

from wsserver.errors import ServerError
from wsserver.publishing.idempotency import MAX_KEY, IdempotencyKeys
from wsserver.store.memory_store import MemoryStore
from wsserver.store.store import KEY_LIFETIME, KeyRecord, StoreUnavailable


class Publisher:
    """Counts what was done, and does it when it is told to."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.keys = IdempotencyKeys(self.store, self.clock)
        self.done = 0
        self.records: list[KeyRecord] = []
        self.gate: asyncio.Event | None = None
        self.faults: list[Exception] = []
        self.durability = "fsync"

    async def act(self, record: KeyRecord) -> dict[str, Any]:
        self.records.append(record)
        if self.gate is not None:
            await self.gate.wait()
        if self.faults:
            raise self.faults.pop()
        self.done += 1
        return {
            "message_id": f"m_{self.done}",
            "seq": self.done,
            "durability": self.durability,
            "duplicate": False,
        }

    async def ask(
        self, key: str = "k", body: bytes = b"{}", user_id: str = "u", route: str = "patient:1"
    ) -> dict[str, Any]:
        return await self.keys.once(user_id, route, key, body, self.act)


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_same_key_and_body_give_the_first_answer_again(publisher: Publisher) -> None:
    first = {"message_id": "m_1", "seq": 1, "durability": "fsync"}
    assert await publisher.ask() == {**first, "duplicate": False}
    for number in range(3):
        assert await publisher.ask() == {**first, "duplicate": True}
        assert publisher.keys.duplicates == number + 1
    assert publisher.done == 1


async def test_the_store_is_given_what_it_may_keep_with_the_message(publisher: Publisher) -> None:
    await publisher.ask()
    (record,) = publisher.records
    assert len(record.key) == len(record.digest) == 32
    assert record.created_at == publisher.clock.time()
    assert (record.seq, record.message_id, record.answer) == (0, "", None)


@pytest.mark.parametrize(("durability", "seq"), [("fsync", 1), ("memory", 0)])
async def test_only_the_place_of_a_stored_message_is_kept(
    publisher: Publisher, durability: str, seq: int
) -> None:
    """The store drops keys by it, and the volatile log has numbers of its own."""
    publisher.durability = durability
    assert (await publisher.ask())["seq"] == 1
    kept = await publisher.store.find_key(publisher.records[0].key)
    assert kept is not None
    assert kept.seq == seq
    assert (await publisher.ask())["seq"] == 1


@pytest.mark.parametrize("other", [{"user_id": "v"}, {"route": "patient:2"}, {"key": "l"}])
async def test_a_key_is_one_users_on_one_route(publisher: Publisher, other: dict[str, str]) -> None:
    assert (await publisher.ask())["message_id"] == "m_1"
    answer = await publisher.ask(**other)
    assert (answer["message_id"], answer["duplicate"]) == ("m_2", False)


async def test_parts_of_a_key_do_not_run_into_each_other(publisher: Publisher) -> None:
    await publisher.ask(user_id="ab", route="c")
    assert (await publisher.ask(user_id="a", route="bc"))["duplicate"] is False


async def test_another_body_is_a_conflict_and_does_nothing(publisher: Publisher) -> None:
    await publisher.ask()
    with pytest.raises(ServerError) as refused:
        await publisher.ask(body=b'{"n":1}')
    error = refused.value
    assert (error.kind.code, error.http_status) == (1003, 409)
    assert error.details == {"reason": "idempotency_key_reused"}
    assert publisher.done == 1
    assert (await publisher.ask())["duplicate"] is True


@pytest.mark.parametrize("key", ["", "a b", "é", "\x7f", "a\n", " a", "x" * (MAX_KEY + 1)])
async def test_what_is_no_key_is_refused(publisher: Publisher, key: str) -> None:
    with pytest.raises(ServerError, match="visible ASCII") as refused:
        await publisher.ask(key)
    assert (refused.value.kind.code, refused.value.http_status) == (1003, 400)
    assert publisher.done == 0


@pytest.mark.parametrize("key", ["!", "~", '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "x" * MAX_KEY])
async def test_any_visible_ascii_is_a_key(publisher: Publisher, key: str) -> None:
    await publisher.ask(key)
    assert (await publisher.ask(key))["duplicate"] is True


async def test_one_that_runs_is_waited_for(publisher: Publisher) -> None:
    publisher.gate = asyncio.Event()
    tasks = [asyncio.create_task(publisher.ask()) for _ in range(5)]
    await turns()
    assert not any(task.done() for task in tasks)
    assert len(publisher.records) == 1
    publisher.gate.set()
    answers = await asyncio.gather(*tasks)
    assert [answer["duplicate"] for answer in answers] == [False, True, True, True, True]
    assert publisher.done == 1


async def test_another_body_does_not_wait_for_one_that_runs(publisher: Publisher) -> None:
    publisher.gate = asyncio.Event()
    first = asyncio.create_task(publisher.ask())
    await turns()
    with pytest.raises(ServerError, match="another body"):
        await publisher.ask(body=b"[]")
    publisher.gate.set()
    await first


async def test_what_failed_is_not_remembered_and_may_be_tried_again(publisher: Publisher) -> None:
    publisher.faults = [StoreUnavailable("busy"), StoreUnavailable("disk_full")]
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await publisher.ask()
    assert (await publisher.ask(body=b"another"))["duplicate"] is False


async def test_where_the_first_fails_one_of_those_who_wait_tries_itself(publisher: Publisher) -> None:
    publisher.gate, publisher.faults = asyncio.Event(), [ValueError("the first")]
    first = asyncio.create_task(publisher.ask())
    await turns()
    others = [asyncio.create_task(publisher.ask()) for _ in range(3)]
    await turns()
    publisher.gate.set()
    with pytest.raises(ValueError, match="the first"):
        await first
    answers = await asyncio.gather(*others)
    assert sorted(answer["duplicate"] for answer in answers) == [False, True, True]
    assert publisher.done == 1


async def test_who_leaves_meanwhile_stops_nothing(publisher: Publisher) -> None:
    publisher.gate = asyncio.Event()
    first = asyncio.create_task(publisher.ask())
    await turns()
    waiting = asyncio.create_task(publisher.ask())
    await turns()
    first.cancel()
    waiting.cancel()
    await asyncio.wait([first, waiting])
    assert first.cancelled()
    assert waiting.cancelled()
    publisher.gate.set()
    answer = await publisher.ask()
    assert (answer["message_id"], answer["duplicate"]) == ("m_1", True)


async def test_a_day_later_it_is_done_again(publisher: Publisher) -> None:
    await publisher.ask()
    publisher.clock.advance(KEY_LIFETIME - 1)
    assert (await publisher.ask())["duplicate"] is True
    publisher.clock.advance(1)
    assert (await publisher.ask())["duplicate"] is False


async def test_a_message_that_was_stored_and_never_answered_for_is_not_sent_again(
    publisher: Publisher,
) -> None:
    """The server went down in between: only the store knows."""
    await publisher.ask()
    (record,) = publisher.records
    publisher.store.put_key(KeyRecord(record.key, record.digest, record.created_at, 7, "m_stored"))
    answer = await publisher.ask()
    assert answer == {
        "message_id": "m_stored", "seq": 7, "durability": "fsync", "duplicate": True, "considered": None,
        "filtered": None, "denied": None, "matched": None, "delivered": None, "refused": None,
    }  # fmt: skip
    assert publisher.done == 1


async def test_a_store_that_cannot_tell_sends_nothing(publisher: Publisher) -> None:
    class Broken:
        def put_key(self, key: KeyRecord) -> None: ...

        async def find_key(self, key: bytes) -> KeyRecord | None:
            raise StoreUnavailable("io_error")

    publisher.keys.store = Broken()
    with pytest.raises(StoreUnavailable):
        await publisher.ask()
    assert publisher.done == 0
    publisher.keys.store = publisher.store
    assert (await publisher.ask())["duplicate"] is False


async def test_the_end_waits_for_what_is_under_way(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publisher.keys.close()
    publisher.gate = asyncio.Event()
    task = asyncio.create_task(publisher.ask())
    await turns()
    closing = asyncio.create_task(publisher.keys.close())
    await turns()
    assert not closing.done()
    publisher.gate.set()
    await closing
    assert (await task)["duplicate"] is False
    monkeypatch.setattr("wsserver.publishing.idempotency.CLOSE_SECONDS", 0.0)
    publisher.gate = asyncio.Event()
    task = asyncio.create_task(publisher.ask("another"))
    await turns()
    await publisher.keys.close()
    with pytest.raises(asyncio.CancelledError):
        await task
