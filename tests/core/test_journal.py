"""Which connection lost which message, why, and what took its place; and who got what once more."""

import pytest

from wsserver_core.journal import Journal
from wsserver_core.outgoing import ALERT, DATA, DROP_REASONS, Frame

pytestmark = pytest.mark.core

SHUTDOWN = DROP_REASONS.index("shutdown")


class Press:
    def __init__(self) -> None:
        self.seq = 0

    def frame(self, importance: int = DATA, *, stream: str | None = None, log: str = "l") -> Frame:
        self.seq += 1
        return Frame(b"x", None, importance, topic="t", log=log, seq=self.seq, stream=stream)


@pytest.fixture
def press() -> Press:
    return Press()


def stalled(pier) -> int:
    handle, _ = pier.open()
    pier.hub.block(handle)
    return handle


def test_nothing_is_kept_of_those_who_lose_nothing(pier, press) -> None:
    handle, _ = pier.open()
    pier.ledger.enqueue(handle, press.frame())
    pier.loop.run()
    assert pier.hub.drops.noted == 0
    assert pier.hub.drops.losses(handle, "l") == {}


def test_each_message_that_a_connection_loses_is_found_with_its_reason(pier, press) -> None:
    one, other = stalled(pier), stalled(pier)
    for handle in (one, other):
        pier.ledger.enqueue(handle, press.frame(ALERT))
        pier.ledger.enqueue(handle, press.frame(DATA))
    pier.hub.shed(one, DATA)
    pier.hub.discard(other, SHUTDOWN)
    assert pier.hub.drops.losses(one, "l") == {2: ("slow", 0)}
    assert pier.hub.drops.losses(other, "l") == {3: ("shutdown", 0), 4: ("shutdown", 0)}
    pier.hub.release(one)
    assert pier.hub.drops.losses(one, "l") == {1: ("closed", 0), 2: ("slow", 0)}
    assert pier.hub.drops.losses(one, "another log") == {}
    pier.ledger.check()


def test_the_servers_own_words_are_no_losses_of_messages(pier) -> None:
    handle = stalled(pier)
    pier.ledger.enqueue(handle, Frame(b"pong"))
    pier.hub.release(handle)
    assert pier.hub.drops.noted == 0


def test_what_is_conflated_on_becoming_slow_went_into_the_newest_that_waits(pier, press) -> None:
    pier.hub.max_queue_messages = 8
    handle = stalled(pier)
    for stream in ("a", "b", "a", "a", None):
        pier.ledger.enqueue(handle, press.frame(stream=stream))
    assert pier.hub.drops.losses(handle, "l") == {1: ("conflated", 4), 3: ("conflated", 4)}
    pier.hub.shed(handle, DATA)
    assert pier.hub.drops.losses(handle, "l")[2] == ("slow", 0), "nothing took the place of these"


def test_one_that_is_slow_already_conflates_step_by_step(pier, press) -> None:
    pier.hub.max_queue_messages = 4
    handle = stalled(pier)
    for _ in range(3):
        pier.ledger.enqueue(handle, press.frame(ALERT))
    assert pier.hub.is_slow(handle)
    for _ in range(3):
        pier.ledger.enqueue(handle, press.frame(stream="a"))
    assert pier.hub.drops.losses(handle, "l") == {4: ("conflated", 5), 5: ("conflated", 6)}
    pier.hub.shed(handle, ALERT)
    assert pier.hub.drops.losses(handle, "l")[1] == ("slow", 0)


def test_a_ring_says_how_far_back_it_reaches(pier) -> None:
    journal: Journal = pier.hub.drops
    before = journal.noted
    assert journal.reaches(before)
    handle = stalled(pier)
    pier.hub.max_queue_messages = 10 * journal.capacity
    pier.hub.max_queue_bytes = 1 << 30
    for seq in range(1, journal.capacity + 1):
        pier.hub.enqueue(handle, Frame(b"x", None, DATA, topic="t", log="l", seq=seq))
    pier.hub.discard(handle, SHUTDOWN)
    assert journal.noted == journal.capacity
    assert journal.reaches(before)
    assert len(journal.losses(handle, "l")) == journal.capacity
    pier.hub.enqueue(handle, Frame(b"x", None, DATA, topic="t", log="l", seq=0))
    pier.hub.discard(handle, SHUTDOWN)
    assert not journal.reaches(before)
    assert journal.reaches(before + 1)
    assert 1 not in journal.losses(handle, "l")
    assert 0 in journal.losses(handle, "l")


def test_the_next_tenant_of_a_slot_has_lost_nothing(pier, press) -> None:
    handle = stalled(pier)
    pier.ledger.enqueue(handle, press.frame())
    pier.hub.release(handle)
    successor, _ = pier.open()
    assert successor & 0xFFFFFFFF == handle & 0xFFFFFFFF
    assert pier.hub.drops.losses(successor, "l") == {}


def test_a_journal_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="room"):
        Journal(0)


class TestFinding:
    def test_where_a_message_waits(self, pier, press) -> None:
        handle, transport = pier.open(room=1)
        first = Frame(b"long", None, DATA, topic="t", log="l", seq=10)
        pier.ledger.enqueue(handle, first)
        pier.loop.run()
        pier.ledger.enqueue(handle, Frame(b"control"))
        pier.ledger.enqueue(handle, Frame(b"x", None, DATA, topic="t", log="l", seq=11))
        assert pier.hub.find(handle, "l", 10) == (0, True)
        assert pier.hub.find(handle, "l", 11) == (2, False)
        assert pier.hub.find(handle, "l", 0) is None, "control frames are no messages"
        assert pier.hub.find(handle, "m", 11) is None
        transport.room = None
        transport.give_room()
        pier.loop.run()
        assert pier.hub.find(handle, "l", 11) is None

    def test_nothing_waits_for_one_that_is_gone(self, pier, press) -> None:
        handle = stalled(pier)
        pier.ledger.enqueue(handle, press.frame())
        pier.hub.release(handle)
        assert pier.hub.find(handle, "l", 1) is None


def test_a_walk_over_the_queues_finds_what_the_counters_say(pier, press) -> None:
    one, other = stalled(pier), stalled(pier)
    pier.ledger.enqueue(one, press.frame())
    pier.ledger.enqueue(other, Frame(b"control"))
    pier.ledger.enqueue(other, press.frame())
    assert pier.hub.recount() == (3, 2, 9)
    assert pier.hub.published_figures()[:3] == (2, 2, 0)


class TestReplays:
    def test_what_was_queued_once_more_is_found_by_connection_log_and_place(self, pier, press) -> None:
        one, _ = pier.open()
        other, _ = pier.open()
        for handle in (one, other):
            pier.hub.set_out(handle, (0, 0), True)
        frames = [press.frame(), press.frame(log="m")]
        assert pier.hub.replay(one, frames[0]) == 0
        assert pier.hub.replay(other, frames[1]) == 0
        journal = pier.hub.replays
        places = (("l", 1), ("l", 2), ("m", 1))
        assert [journal.has(one, log, seq) for log, seq in places] == [True, False, False]
        assert [journal.has(other, log, seq) for log, seq in (("l", 1), ("m", 2))] == [False, True]
        assert journal.noted == 2
        assert pier.hub.drops.noted == 0

    def test_what_was_not_taken_is_no_replay(self, pier, press) -> None:
        one, _ = pier.open()
        pier.hub.enqueue(one, Frame(b"close"), True)
        assert pier.hub.replay(one, press.frame()) != 0
        assert pier.hub.replays.noted == 0
