"""Sessions in a store: what is written when, and what a server that begins with them makes of it."""

from typing import Any

import pytest
from far_end import FarEnd
from hand_store import HandStore
from workbench import Workbench

from wsserver.protocol.control import Gap
from wsserver.sessions import session_archive
from wsserver.store.store import SessionRecord

TTL = 120.0


class Life:
    """A server between its start and its end. The next one has its sessions, and its durable log."""

    def __init__(self, before: "Life | None" = None, **sections: Any) -> None:
        self.bench = Workbench(**sections)
        self.store = HandStore()
        logs = self.bench.manager.broadcasts.logs
        if before is not None:
            self.bench.clock.advance(before.bench.clock.time() - self.bench.clock.time())
            logs.durable.name, logs.durable.head = before.logs.durable.name, before.logs.durable.head
            self.store.sessions = dict(before.store.sessions)
            # What was stored cannot be replayed here: these are tests of positions.
            self.bench.manager.history.begin((logs.durable.head, 0))
        self.logs = logs

    async def start(self) -> "Life":
        await self.bench.start()
        kept = sorted(self.store.sessions.values(), key=lambda one: one.expires_at)
        self.bench.service.archive.begin(self.store, kept)
        return self

    def write(self) -> None:
        """The moment after which changes are written has passed."""
        due, self.bench.loop.later = self.bench.loop.later, []
        for delay, call in due:
            if delay == session_archive.SOON:
                call()
            else:
                self.bench.loop.later.append((delay, call))

    async def come(
        self, told: dict[str, Any] | None = None, user: str = "u1", **more: Any
    ) -> tuple[FarEnd, dict[str, Any]]:
        far_end = self.bench.newcomer()
        if told is not None:
            more["session"] = {"id": told["session_id"], "cursor": told["cursor"]}
        far_end.send(type="connect", token=self.bench.token(user, "doctor", patients="*"), **more)
        await self.bench.settle()
        return far_end, far_end.take()[0]

    async def lose(self, far_end: FarEnd) -> None:
        far_end.leave()
        await self.bench.settle()


@pytest.fixture
async def life() -> Life:
    return await Life().start()


async def test_a_session_is_written_a_moment_after_it_has_changed_and_not_its_id(life: Life) -> None:
    _, told = await life.come(subscriptions=["patient:1"])
    assert life.store.sessions == {}
    life.write()
    (record,) = life.store.sessions.values()
    assert told["session_id"].encode() not in record.key + record.state
    next_life = await Life(life).start()
    _, again = await next_life.come(told)
    assert again["session"]["resumed"]
    assert [one["target_id"] for one in again["subscriptions"]] == ["1"]


async def test_a_few_are_written_at_a_time_and_all_of_them(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_archive, "WRITTEN", 2)
    for number in range(5):
        await life.come(user=f"u{number}")
    written = []
    for _ in range(3):
        life.write()
        written.append(len(life.store.sessions))
    assert written == [2, 4, 5]


async def test_at_the_end_everything_is_written(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_archive, "WRITTEN", 2)
    clients = [await life.come(user=f"u{number}") for number in range(5)]
    await life.lose(clients[0][0])
    life.bench.service.archive.end()
    assert len(life.store.sessions) == 5
    # From now on nobody is there to be told.
    await life.lose(clients[2][0])
    life.write()
    assert len(life.store.sessions) == 5


async def test_one_that_was_taken_up_is_there_until_the_one_in_its_place_is(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at any moment, the server knows one of the two."""
    client, told = await life.come()
    life.write()
    await life.lose(client)
    life.write()
    (before,) = life.store.sessions
    monkeypatch.setattr(session_archive, "WRITTEN", 1)
    await life.come(user="u2")
    _, again = await life.come(told)
    assert again["session"]["resumed"]
    for _ in range(4):
        life.write()
        killed = await Life(life).start()
        for shown in (told, again):
            if killed.bench.manager.sessions.find(shown["session_id"], "u1") is not None:
                break
        else:
            raise AssertionError("neither the one before nor the new one is there")
    assert before not in life.store.sessions


async def test_the_id_before_is_good_as_long_as_it_would_have_been(life: Life) -> None:
    client, told = await life.come()
    await life.lose(client)
    client, again = await life.come(told)
    life.write()
    for shown in (told, again):
        assert (await Life(life).start()).bench.manager.sessions.find(shown["session_id"], "u1") is not None
    await life.bench.ask(client, type="ping")
    life.write()
    later = await Life(life).start()
    assert later.bench.manager.sessions.find(told["session_id"], "u1") is None
    assert later.bench.manager.sessions.find(again["session_id"], "u1") is not None


async def test_one_whose_connection_was_open_waits_from_the_start_on(life: Life) -> None:
    _, told = await life.come()
    life.write()
    life.bench.clock.advance(10 * TTL)
    for waited, resumed in ((TTL - 1, True), (TTL, False)):
        next_life = await Life(life).start()
        next_life.bench.clock.advance(waited)
        assert (next_life.bench.manager.sessions.find(told["session_id"], "u1") is not None) is resumed


async def test_one_that_had_ended_keeps_its_time(life: Life) -> None:
    client, told = await life.come()
    await life.lose(client)
    life.write()
    life.bench.clock.advance(TTL - 10)
    for waited, resumed in ((9, True), (10, False)):
        next_life = await Life(life).start()
        next_life.bench.clock.advance(waited)
        assert (next_life.bench.manager.sessions.find(told["session_id"], "u1") is not None) is resumed


async def test_what_it_was_given_already_is_not_said_to_be_lost(life: Life) -> None:
    """Where its filter skipped everything its own cursor stands still; the server's word is kept."""
    client, told = await life.come()
    await life.bench.ask(client, type="subscribe", topic="patient:1", filters={"n": 1})
    await life.lose(client)
    for _ in range(5):
        life.bench.manager.broadcast_to_patient(1, {"n": 0})
    life.store.commit()
    client, again = await life.come(told)
    assert again["session"] == {"resumed": True, "replayed": 0, "gaps": []}
    await life.lose(client)
    _, again = await life.come({**again, "cursor": told["cursor"]})
    life.write()
    shown = {**again, "cursor": told["cursor"]}
    _, after = await (await Life(life).start()).come(shown)
    assert [gap["reason"] for gap in after["session"]["gaps"]] == ["restart"]


@pytest.mark.parametrize("is_open", [True, False])
async def test_losses_that_are_owed_are_told_in_the_next_life(life: Life, is_open: bool) -> None:
    client, told = await life.come(subscriptions=["patient:1"])
    log = life.logs.durable.name
    gap = Gap(log=log, topic="patient:1", from_=1, to=3, count=3, reason="slow")
    life.bench.manager.sessions.note_told(life.bench.owner(client), gap, (3, 0))
    if not is_open:
        await life.lose(client)
    life.logs.durable.head = 3
    life.write()
    _, again = await (await Life(life).start()).come({**told, "cursor": {**told["cursor"], log: 3}})
    slow = [one for one in again["session"]["gaps"] if one["reason"] == "slow"]
    assert [(one["from"], one["to"], one["count"]) for one in slow] == [(1, 3, 3)]


async def test_a_filter_over_the_bounds_of_today_is_a_loss_from_where_it_was_on(life: Life) -> None:
    life.logs.durable.head = 7
    client, told = await life.come()
    await life.bench.ask(client, type="subscribe", topic="patient:1", filters={"n": {"$in": [1, 2, 3]}})
    life.write()
    narrow = await Life(life, filter={"max_values": 2}).start()
    _, again = await narrow.come(told)
    assert again["subscriptions"] == []
    limits = [gap for gap in again["session"]["gaps"] if gap["reason"] == "limit"]
    assert {(gap["log"], gap["topic"], gap["from"]) for gap in limits} >= {
        (life.logs.durable.name, "patient:1", 8)
    }


async def test_what_cannot_be_read_is_dropped_and_the_others_are_there(life: Life) -> None:
    _, told = await life.come()
    life.write()
    life.store.sessions[b"?"] = SessionRecord(b"?", life.bench.clock.time() + 60, b'{"user_id":7}')
    next_life = await Life(life).start()
    assert len(next_life.bench.manager.sessions) == 1
    next_life.write()
    assert b"?" not in next_life.store.sessions
    assert next_life.bench.manager.sessions.find(told["session_id"], "u1") is not None


async def test_a_fault_in_writing_is_told_and_keeps_none_of_the_others_back(
    life: Life, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await life.come(user="u1")
    await life.come(user="u2")
    put = life.store.put_session
    faults = [RuntimeError("no")]

    def once(record: SessionRecord) -> None:
        if faults:
            raise faults.pop()
        put(record)

    monkeypatch.setattr(life.store, "put_session", once)
    life.write()
    assert "writing sessions" in caplog.text
    life.write()
    assert len(life.store.sessions) == 1
