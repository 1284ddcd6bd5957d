"""The hub: handles, the table, and the bounds of the queues."""

import gc
import sys

import pytest
from pier import QUEUED, REFUSED_CLOSING, REFUSED_GONE, REFUSED_SLOW, Pier, queue_of, read_all
from recording_transport import FakeLoop, HubSide, RecordingTransport

from wsserver_core.hub import Hub
from wsserver_core.outgoing import DROP_REASONS, Frame

SLOW, CLOSED = DROP_REASONS.index("slow"), DROP_REASONS.index("closed")


class TestDropped:
    def test_what_never_left_is_counted_for_its_connection_alone_and_anew_for_the_next_owner(
        self, pier: Pier
    ) -> None:
        (one, _), (other, _) = pier.open(), pier.open()
        shared = Frame(b"to both")
        pier.ledger.enqueue(one, shared)
        pier.ledger.enqueue(other, shared)
        pier.ledger.enqueue(one, Frame(b"to one"))
        assert (pier.hub.dropped_of(one), pier.hub.dropped_of(other)) == (0, 0)
        assert pier.hub.discard(one, CLOSED) == 2
        pier.loop.run()
        assert (pier.hub.dropped_of(one), pier.hub.dropped_of(other)) == (2, 0)
        pier.hub.release(one)
        again, _ = pier.open()
        assert pier.hub.dropped_of(again) == 0
        assert pier.hub.dropped_of(one) is None


class TestHandles:
    def test_a_handle_is_its_slot_and_its_generation_and_never_0(self, pier: Pier) -> None:
        first, _ = pier.open()
        second, _ = pier.open()
        assert (first, second) == (1 << 32 | 0, 1 << 32 | 1)
        assert pier.hub.open_count == pier.hub.top == 2

    def test_a_slot_comes_back_under_another_generation(self, pier: Pier) -> None:
        old, _ = pier.open()
        pier.hub.release(old)
        new, _ = pier.open()
        assert new == 2 << 32 | 0
        assert (pier.hub.open_count, pier.hub.top) == (1, 1)

    @pytest.mark.parametrize("stale", [0, 1, 7 << 32, 1 << 32 | 9, 2**64 - 1])
    def test_a_handle_that_was_never_given_out_is_refused(self, pier: Pier, stale: int) -> None:
        handle, transport = pier.open()
        assert pier.ledger.enqueue(stale, Frame(b"x")) == REFUSED_GONE
        assert pier.hub.connection_figures(stale) is None
        assert pier.hub.dropped_of(stale) is None
        pier.loop.run()
        assert transport.calls == []
        assert pier.hub.connection_figures(handle) == (0, 0, 0, 0)

    def test_nothing_done_with_a_stale_handle_touches_the_next_owner_of_its_slot(self, pier: Pier) -> None:
        stale, _ = pier.open()
        pier.hub.release(stale)
        handle, transport = pier.open()
        frame = Frame(b"for the new one")
        pier.ledger.enqueue(handle, frame)
        pier.hub.block(stale)
        assert not pier.hub.is_blocked(handle)
        assert pier.ledger.enqueue(stale, Frame(b"for the old one"), True) == REFUSED_GONE
        assert pier.ledger.enqueue_many([stale], Frame(b"for the old one")) == (0, 0, 1, 0)
        assert pier.hub.discard(stale, CLOSED) == 0
        pier.hub.finish(stale)
        pier.hub.unblock(stale)
        pier.hub.release(stale)
        assert (pier.hub.fileno(stale), pier.hub.last_received(stale)) == (-1, 0.0)
        pier.loop.run()
        assert transport.sent == b"for the new one"
        assert transport.calls == ["write"]

    def test_a_slot_reused_while_it_waits_to_be_flushed_sends_only_the_new_owners_frames(
        self, pier: Pier
    ) -> None:
        old, _, old_peer = pier.open_socket()
        pier.ledger.enqueue(old, Frame(b"old patient"))
        pier.hub.release(old)
        new, _, new_peer = pier.open_socket()
        assert new & 0xFFFFFFFF == old & 0xFFFFFFFF
        assert pier.hub.dirty_connections == 1
        pier.loop.run()
        assert (read_all(old_peer), read_all(new_peer)) == (b"", b"")
        pier.ledger.enqueue(new, Frame(b"new patient"))
        pier.ledger.enqueue(new, Frame(b", again"))
        assert pier.hub.dirty_connections == 1
        pier.loop.run()
        assert (read_all(old_peer), read_all(new_peer)) == (b"", b"new patient, again")
        pier.ledger.check()

    def test_the_reused_slot_is_flushed_once_when_the_new_owner_queues_before_the_flush(
        self, pier: Pier
    ) -> None:
        old, _ = pier.open()
        pier.ledger.enqueue(old, Frame(b"old"))
        pier.hub.release(old)
        new, transport = pier.open()
        pier.ledger.enqueue(new, Frame(b"new"))
        assert pier.hub.dirty_connections == 1
        pier.loop.run()
        assert transport.writes == [b"new"]

    def test_release_lets_go_of_transport_owner_and_frames(self, pier: Pier) -> None:
        transport, owner, frame = RecordingTransport(pier.loop), object(), Frame(b"x")
        before = [sys.getrefcount(thing) for thing in (transport, owner, frame)]
        handle = pier.hub.open(transport, -1, owner)
        pier.hub.enqueue(handle, frame)
        pier.hub.release(handle)
        assert [sys.getrefcount(thing) for thing in (transport, owner, frame)] == before
        assert frame.dropped["closed"] == 1

    def test_a_hub_that_dies_lets_go_of_everything(self) -> None:
        loop = FakeLoop()
        hub = Hub(loop)
        transport, frame = RecordingTransport(loop), Frame(b"x")
        before = [sys.getrefcount(thing) for thing in (transport, frame)]
        for handle in [hub.open(transport, -1, transport) for _ in range(3)]:
            for _ in range(100):
                hub.enqueue(handle, frame)
        del hub
        loop.soon.clear()
        gc.collect()
        assert [sys.getrefcount(thing) for thing in (transport, frame)] == before
        assert (frame.queued, frame.dropped["closed"]) == (0, 300)


class TestGrowth:
    def test_the_table_grows_while_slots_wait_to_be_flushed_and_each_gets_its_own(self, pier: Pier) -> None:
        opened = [pier.open() for _ in range(64)]
        # Half a turn of the ring first, so that its start is not at 0 when it is rebuilt.
        for handle, _ in opened[:40]:
            pier.ledger.enqueue(handle, Frame(b"first "))
        pier.loop.run()
        for handle, _ in opened:
            pier.ledger.enqueue(handle, Frame(b"%x" % handle))
        opened += [pier.open() for _ in range(936)]
        for handle, _ in opened[64:]:
            pier.ledger.enqueue(handle, Frame(b"%x" % handle))
        pier.loop.run()
        for place, (handle, transport) in enumerate(opened):
            assert transport.sent == (b"first " if place < 40 else b"") + b"%x" % handle
        assert (pier.hub.open_count, pier.hub.top) == (1000, 1000)

    def test_slots_are_reused_before_the_table_grows(self, pier: Pier) -> None:
        for _ in range(500):
            handles = [pier.open()[0] for _ in range(3)]
            for handle in handles:
                pier.hub.release(handle)
        assert (pier.hub.open_count, pier.hub.top) == (0, 3)

    def test_a_deep_queue_keeps_its_order_as_its_ring_grows_and_wraps(self, pier: Pier) -> None:
        handle, transport = pier.open(room=0)
        expected = b""
        for number in range(700):
            wire = b"<%d>" % number
            expected += wire
            assert pier.ledger.enqueue(handle, Frame(wire)) == QUEUED
            if number % 100 == 99:
                # A few leave, so that the ring's head moves before it grows again.
                transport.give_room(200)
                pier.loop.run()
        transport.give_room()
        pier.loop.run()
        assert transport.sent == expected
        assert queue_of(pier.hub, handle) == (0, 0)


class TestBounds:
    def test_the_number_of_waiting_frames_is_bounded(self, pier: Pier) -> None:
        pier.hub.max_queue_messages = 3
        handle, _ = pier.open(room=0)
        outcomes = [pier.ledger.enqueue(handle, Frame(b"x")) for _ in range(5)]
        assert outcomes == [QUEUED] * 3 + [REFUSED_SLOW] * 2
        assert queue_of(pier.hub, handle) == (3, 3)

    def test_the_bytes_of_waiting_frames_are_bounded_inclusively(self, pier: Pier) -> None:
        pier.hub.max_queue_bytes = 10
        handle, _ = pier.open(room=0)
        assert pier.ledger.enqueue(handle, Frame(b"12345")) == QUEUED
        assert pier.ledger.enqueue(handle, Frame(b"12345")) == QUEUED
        assert pier.ledger.enqueue(handle, Frame(b"1")) == REFUSED_SLOW
        assert queue_of(pier.hub, handle) == (2, 10)

    def test_an_empty_queue_takes_a_frame_of_any_size(self, pier: Pier) -> None:
        pier.hub.max_queue_bytes = 10
        handle, transport = pier.open()
        pier.hub.block(handle)
        assert pier.ledger.enqueue(handle, Frame(b"x" * 11)) == QUEUED
        assert pier.ledger.enqueue(handle, Frame(b"x")) == REFUSED_SLOW
        pier.hub.unblock(handle)
        pier.loop.run()
        assert transport.sent == b"x" * 11

    def test_one_who_is_slow_costs_the_others_of_a_broadcast_nothing(self, pier: Pier) -> None:
        pier.hub.max_queue_messages = 1
        slow, slow_transport = pier.open(room=0)
        quick = [pier.open() for _ in range(3)]
        handles = [slow, *(handle for handle, _ in quick)]
        for number in range(3):
            outcome = pier.ledger.enqueue_many(handles, Frame(b"%d" % number))
            assert outcome == ((4, 0, 0, 0) if number == 0 else (3, 1, 0, 0))
            pier.hub.flush_all()
        assert [bytes(transport.sent) for _, transport in quick] == [b"012"] * 3
        assert slow_transport.sent == b""

    def test_the_owner_is_told_once_at_the_next_flush_and_until_then_all_is_refused(self, pier: Pier) -> None:
        told: list[object] = []
        pier.hub.on_overflow = told.append
        pier.hub.max_queue_messages = 2
        transport = RecordingTransport(pier.loop)
        transport.protocol = HubSide(pier.hub)
        handle = pier.hub.open(transport, -1, "the owner")
        pier.hub.block(handle)
        for _ in range(5):
            pier.ledger.enqueue(handle, Frame(b"x"))
        pier.hub.discard(handle, SLOW)
        assert pier.ledger.enqueue(handle, Frame(b"x")) == REFUSED_SLOW
        assert pier.ledger.enqueue_many([handle], Frame(b"x")) == (0, 1, 0, 0)
        assert told == []
        pier.loop.run()
        assert told == ["the owner"]

    def test_once_the_owner_was_told_the_queue_takes_again_what_it_has_room_for(self, pier: Pier) -> None:
        told: list[HubSide] = []
        pier.hub.on_overflow = told.append
        pier.hub.max_queue_messages = 2
        handle, transport = pier.open()
        pier.hub.block(handle)
        for _ in range(3):
            pier.ledger.enqueue(handle, Frame(b"a"))
        pier.hub.unblock(handle)
        pier.loop.run()
        assert pier.ledger.enqueue(handle, Frame(b"b")) == QUEUED
        pier.loop.run()
        assert transport.sent == b"aab"
        pier.hub.block(handle)
        for _ in range(3):
            pier.ledger.enqueue(handle, Frame(b"c"))
        pier.loop.run()
        assert len(told) == 2

    def test_an_overflow_is_told_even_when_nothing_can_be_flushed(self, pier: Pier) -> None:
        told: list[HubSide] = []
        pier.hub.on_overflow = told.append
        pier.hub.max_queue_messages = 1
        handle, _ = pier.open(room=0)
        pier.ledger.enqueue(handle, Frame(b"x"))
        pier.loop.run()
        pier.ledger.enqueue(handle, Frame(b"x"))
        assert pier.hub.dirty_connections == 0
        pier.loop.run()
        assert len(told) == 1

    def test_an_overflow_of_a_connection_that_has_gone_is_not_told(self, pier: Pier) -> None:
        told: list[HubSide] = []
        pier.hub.on_overflow = told.append
        pier.hub.max_queue_messages = 1
        handle, _ = pier.open()
        pier.hub.block(handle)
        for _ in range(2):
            assert pier.ledger.enqueue(handle, Frame(b"x")) in (QUEUED, REFUSED_SLOW)
        pier.hub.release(handle)
        pier.open()
        pier.loop.run()
        assert told == []

    def test_a_fault_in_telling_one_owner_keeps_nobody_else_from_being_told(self, pier: Pier) -> None:
        told: list[HubSide] = []

        def tell(side: HubSide) -> None:
            told.append(side)
            if len(told) == 1:
                raise ValueError("no")

        pier.hub.on_overflow = tell
        pier.hub.max_queue_messages = 1
        handles = [pier.open()[0] for _ in range(3)]
        for handle in handles:
            pier.hub.block(handle)
        for _ in range(2):
            pier.ledger.enqueue_many(handles, Frame(b"x"))
        pier.loop.run()
        assert [side.handle for side in told] == handles
        assert [str(context["exception"]) for context in pier.loop.faults] == ["no"]

    def test_the_close_frame_is_taken_past_the_bound_and_is_the_last(self, pier: Pier) -> None:
        pier.hub.max_queue_messages = 1
        handle, transport = pier.open()
        pier.hub.block(handle)
        for _ in range(2):
            pier.ledger.enqueue(handle, Frame(b"x"))
        assert pier.ledger.enqueue(handle, Frame(b"close"), True) == QUEUED
        assert pier.ledger.enqueue(handle, Frame(b"more")) == REFUSED_CLOSING
        assert pier.ledger.enqueue(handle, Frame(b"close"), True) == REFUSED_CLOSING
        assert pier.ledger.enqueue_many([handle], Frame(b"more")) == (0, 0, 1, 0)
        pier.hub.unblock(handle)
        pier.loop.run()
        assert transport.sent == b"xclose"

    @pytest.mark.parametrize("size", [0, -1, 100_001])
    def test_a_slice_has_from_1_to_100000_connections(self, pier: Pier, size: int) -> None:
        with pytest.raises((ValueError, OverflowError)):
            pier.hub.batch_size = size
        assert pier.hub.batch_size == 100
