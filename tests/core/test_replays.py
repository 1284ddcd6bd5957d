"""Where connections stand, and what is sent to those who come back."""

import pytest
from pier import QUEUED, REFUSED_CLOSING, REFUSED_GONE, Pier, queue_of

from wsserver_core.outgoing import DATA, DROP_REASONS, Frame

LATER = 4
CLOSED = DROP_REASONS.index("closed")


def published(seq: int, lane: int = 1, name: bytes = b"") -> Frame:
    return Frame(
        name or b"<%d>" % seq, None, DATA, topic="t", log="dv"[lane - 1], seq=seq, lane=lane, stream="s"
    )


class TestPositions:
    def test_the_last_of_each_log_that_the_queue_took_is_known(self, pier: Pier) -> None:
        handle, _ = pier.open()
        pier.hub.set_out(handle, (5, 9))
        assert pier.hub.standing(handle) == ((5, 9), (5, 9), (0, 0))
        pier.ledger.enqueue_many([handle], published(7))
        pier.ledger.enqueue(handle, published(12, 2))
        pier.ledger.enqueue(handle, Frame(b"of the server itself"))
        assert pier.hub.standing(handle) == ((5, 9), (7, 12), (0, 0))

    def test_they_are_of_one_connection_and_not_of_its_slot(self, pier: Pier) -> None:
        handle, _ = pier.open()
        pier.hub.set_out(handle, (5, 9), True)
        pier.hub.release(handle)
        assert pier.hub.standing(handle) is None
        heir, _ = pier.open()
        assert heir & 0xFFFFFFFF == handle & 0xFFFFFFFF
        assert pier.hub.standing(heir) == ((0, 0), (0, 0), (0, 0))
        assert not pier.hub.is_catching_up(heir)
        pier.hub.set_out(handle, (1, 1), True)
        assert not pier.hub.is_catching_up(heir)

    def test_the_first_that_was_refused_is_known_whatever_it_was_refused_for(self, pier: Pier) -> None:
        pier.hub.max_queue_messages = 2
        closing, dead, full = (pier.open()[0] for _ in range(3))
        pier.hub.block(full)
        pier.ledger.enqueue_many([closing, dead, full], published(1))
        pier.ledger.enqueue(closing, Frame(b"close"), True)
        pier.hub.finish(dead)
        for handle in (closing, dead, full):
            for seq in range(2, 7):
                pier.ledger.enqueue_many([handle], published(seq, 1 + seq % 2, b"%d" % seq))
        assert pier.hub.standing(closing) == ((0, 0), (1, 0), (2, 3))
        assert pier.hub.standing(dead) == ((0, 0), (1, 0), (2, 3))
        base, sent, refused = pier.hub.standing(full) or ((), (), ())
        # The newest of a stream takes the place of the one before: nothing is refused.
        assert (base, sent, refused) == ((0, 0), (6, 5), (0, 0))
        pier.ledger.enqueue(closing, published(8, 1))
        assert pier.hub.standing(closing) == ((0, 0), (1, 0), (2, 3))

    def test_so_is_the_first_that_did_not_fit(self, pier: Pier) -> None:
        pier.hub.max_queue_messages = 2
        handle, _ = pier.open()
        pier.hub.block(handle)
        answers = []
        for seq in range(1, 6):
            frame = Frame(b"x", None, 1, topic="t", log="d", seq=seq, lane=1)
            answers.append(pier.ledger.enqueue_many([handle], frame))
        assert answers == [(1, 0, 0, 0)] * 2 + [(0, 1, 0, 0)] * 3
        assert pier.hub.standing(handle) == ((0, 0), (2, 0), (3, 0))

    def test_each_log_has_one(self, pier: Pier) -> None:
        handle, _ = pier.open()
        for wrong in ((), (1,), (1, 2, 3)):
            with pytest.raises(ValueError, match="one position for each log"):
                pier.hub.set_out(handle, wrong)
        for lane in (-1, 3):
            with pytest.raises(ValueError, match="lane"):
                Frame(b"", lane=lane)


class TestCatchingUp:
    def test_what_is_published_passes_it_over_and_is_counted(self, pier: Pier) -> None:
        handle, transport = pier.open()
        other, _ = pier.open()
        pier.hub.set_out(handle, (0, 0), True)
        frame = published(1)
        assert pier.ledger.enqueue_many([handle, other], frame) == (1, 0, 0, 1)
        assert pier.ledger.enqueue(handle, Frame(b"pong")) == QUEUED
        assert pier.ledger.replay(handle, frame.again()) == QUEUED
        pier.hub.go_live(handle)
        assert pier.ledger.enqueue_many([handle, other], published(2)) == (2, 0, 0, 0)
        pier.loop.run()
        assert bytes(transport.sent) == b"pong<1><2>"
        assert frame.written == 1
        assert pier.hub.frames_replayed == 1
        assert pier.hub.standing(handle) == ((0, 0), (2, 0), (0, 0))

    def test_one_that_closes_is_counted_as_closing(self, pier: Pier) -> None:
        handle, _ = pier.open()
        pier.hub.set_out(handle, (0, 0), True)
        pier.ledger.enqueue(handle, Frame(b"close"), True)
        assert pier.ledger.enqueue_many([handle], published(1)) == (0, 0, 1, 0)
        assert pier.ledger.replay(handle, published(1)) == REFUSED_CLOSING
        pier.hub.release(handle)
        assert pier.ledger.replay(handle, published(1)) == REFUSED_GONE
        with pytest.raises(TypeError):
            pier.hub.replay(handle, None)


class TestRoom:
    def test_replaying_stops_where_a_connection_would_have_to_be_looked_at(self, pier: Pier) -> None:
        pier.hub.max_queue_messages = 40
        handle, transport = pier.open(room=0)
        pier.hub.set_out(handle, (0, 0), True)
        roomy: list[object] = []
        pier.hub.on_room = roomy.append
        taken = 0
        while pier.ledger.replay(handle, published(taken + 1)) == QUEUED:
            taken += 1
        assert taken == 10
        pier.loop.run()
        assert roomy == []
        assert not pier.hub.is_slow(handle)
        transport.give_room()
        pier.loop.run()
        assert len(roomy) == 1
        assert queue_of(pier.hub, handle) == (0, 0)
        # It is said once.
        pier.ledger.replay(handle, published(11))
        pier.loop.run()
        assert len(roomy) == 1

    def test_one_frame_may_always_wait_alone(self, pier: Pier) -> None:
        pier.hub.max_queue_bytes = 40
        handle, _ = pier.open(room=0)
        pier.hub.set_out(handle, (0, 0), True)
        assert pier.ledger.replay(handle, published(1, name=b"x" * 1000)) == QUEUED
        assert pier.ledger.replay(handle, published(2)) == LATER

    def test_room_comes_also_from_what_is_dropped(self, pier: Pier) -> None:
        pier.hub.max_queue_messages = 40
        handle, _ = pier.open(room=0)
        pier.hub.set_out(handle, (0, 0), True)
        roomy: list[object] = []
        pier.hub.on_room = roomy.append
        while pier.ledger.replay(handle, published(1)) == QUEUED:
            pass
        pier.hub.discard(handle, CLOSED)
        pier.loop.run()
        assert len(roomy) == 1

    def test_nobody_who_is_slow_has_room(self, pier: Pier) -> None:
        pier.hub.max_queue_messages = 40
        handle, transport = pier.open(room=0)
        pier.hub.set_out(handle, (0, 0), True)
        roomy: list[object] = []
        pier.hub.on_room = roomy.append
        pier.ledger.replay(handle, published(1))
        pier.loop.run()
        pier.hub.now = 10.0
        pier.hub.sweep_slow(5.0, 0.0)
        assert pier.hub.is_slow(handle)
        assert pier.ledger.replay(handle, published(2)) == LATER
        transport.give_room()
        pier.loop.run()
        assert not pier.hub.is_slow(handle)
        assert len(roomy) == 1

    def test_one_that_has_gone_live_or_away_is_not_told(self, pier: Pier) -> None:
        pier.hub.max_queue_messages = 40
        roomy: list[object] = []
        pier.hub.on_room = roomy.append
        for end in (pier.hub.go_live, pier.hub.release):
            handle, transport = pier.open(room=0)
            pier.hub.set_out(handle, (0, 0), True)
            while pier.ledger.replay(handle, published(1)) == QUEUED:
                pass
            pier.loop.run()
            end(handle)
            transport.give_room()
            pier.loop.run()
        assert roomy == []

    def test_a_fault_of_whoever_is_told_is_reported(self, pier: Pier) -> None:
        pier.hub.max_queue_messages = 4
        handle, _ = pier.open()
        pier.hub.set_out(handle, (0, 0), True)
        while pier.ledger.replay(handle, published(1)) == QUEUED:
            pass

        def fail(_owner: object) -> None:
            raise RuntimeError("no")

        pier.hub.on_room = fail
        pier.loop.run()
        assert [str(fault["exception"]) for fault in pier.loop.faults] == ["no"]


def test_a_frame_that_waits_for_another_for_long_makes_nobody_slow(pier: Pier) -> None:
    shared = published(1).again()
    first, _ = pier.open(room=0)
    pier.hub.set_out(first, (0, 0), True)
    assert pier.ledger.replay(first, shared) == QUEUED
    pier.loop.run()
    pier.hub.now = 60.0
    second, _ = pier.open(room=0)
    pier.hub.set_out(second, (0, 0), True)
    assert pier.ledger.replay(second, shared) == QUEUED
    pier.loop.run()
    pier.hub.sweep_slow(55.0, 0.0)
    assert pier.hub.slow_handles() == [first]
    pier.hub.now = 70.0
    pier.hub.sweep_slow(65.0, 0.0)
    assert pier.hub.slow_handles() == [first, second]


def test_a_copy_of_a_frame_says_the_same_and_counts_for_itself(pier: Pier) -> None:
    frame = Frame(b"x", "7", DATA, topic="t", log="l", seq=3, stream="s", lane=2)
    handle, _ = pier.open()
    pier.ledger.enqueue_many([handle], frame)
    again = frame.again()
    for name in ("wire", "subject", "importance", "topic", "log", "seq", "stream", "lane"):
        assert getattr(again, name) == getattr(frame, name)
    assert (again.queued, again.written, frame.queued) == (0, 0, 1)
