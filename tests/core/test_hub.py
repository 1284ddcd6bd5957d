"""The hub: queues, bounds, slices and the exact account of what became of each frame."""

import gc
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from ledger import Ledger
from recording_transport import FakeLoop, HubSide, RecordingTransport

from wsserver_core.hub import DROP_REASONS, Frame, Hub
from wsserver_core.recipients import Recipients

QUEUED, REFUSED_SLOW, REFUSED_CLOSING, REFUSED_GONE = range(4)
SLOW, CLOSED = DROP_REASONS.index("slow"), DROP_REASONS.index("closed")


class Pier:
    """A hub with its connections: through fake transports, or directly over socket pairs."""

    def __init__(self) -> None:
        self.loop = FakeLoop()
        self.hub = Hub(self.loop)
        self.ledger = Ledger(self.hub)
        self.sockets: list[socket.socket] = []

    def open(self, *, room: int | None = None, can_half_close: bool = True) -> tuple[int, RecordingTransport]:
        """A connection whose bytes all go through its transport."""
        transport = RecordingTransport(self.loop, room=room, can_half_close=can_half_close)
        return self._enter(transport, -1), transport

    def open_socket(self, buffer: int | None = None) -> tuple[int, RecordingTransport, socket.socket]:
        """A connection over a real socket, and the peer's end of it."""
        ours, peer = socket.socketpair()
        self.sockets += [ours, peer]
        if buffer is not None:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        ours.setblocking(False)
        peer.setblocking(False)
        transport = RecordingTransport(self.loop, ours)
        return self._enter(transport, ours.fileno()), transport, peer

    def _enter(self, transport: RecordingTransport, fd: int) -> int:
        side = HubSide(self.hub)
        transport.protocol = side
        side.handle = self.hub.open(transport, fd, side)
        return side.handle


@pytest.fixture
def pier() -> Iterator[Pier]:
    pier = Pier()
    yield pier
    for sock in pier.sockets:
        sock.close()


def read_all(peer: socket.socket) -> bytes:
    """Everything that lies ready at the peer's end."""
    data = b""
    while True:
        try:
            part = peer.recv(1 << 20)
        except BlockingIOError:
            return data
        if not part:
            return data
        data += part


def queue_of(hub: Hub, handle: int) -> tuple[int, int]:
    figures = hub.connection_figures(handle)
    assert figures is not None
    return figures[2], figures[3]


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
        assert pier.ledger.enqueue_many([stale], Frame(b"for the old one")) == (0, 0, 1)
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
        assert pier.ledger.enqueue(handle, Frame(b"x" * 11)) == QUEUED
        assert pier.ledger.enqueue(handle, Frame(b"x")) == REFUSED_SLOW
        pier.loop.run()
        assert transport.sent == b"x" * 11

    def test_one_who_is_slow_costs_the_others_of_a_broadcast_nothing(self, pier: Pier) -> None:
        pier.hub.max_queue_messages = 1
        slow, slow_transport = pier.open(room=0)
        quick = [pier.open() for _ in range(3)]
        handles = [slow, *(handle for handle, _ in quick)]
        for number in range(3):
            outcome = pier.ledger.enqueue_many(handles, Frame(b"%d" % number))
            assert outcome == ((4, 0, 0) if number == 0 else (3, 1, 0))
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
        for _ in range(5):
            pier.ledger.enqueue(handle, Frame(b"x"))
        pier.hub.discard(handle, SLOW)
        assert pier.ledger.enqueue(handle, Frame(b"x")) == REFUSED_SLOW
        assert pier.ledger.enqueue_many([handle], Frame(b"x")) == (0, 1, 0)
        assert told == []
        pier.loop.run()
        assert told == ["the owner"]

    def test_once_the_owner_was_told_the_queue_takes_again_what_it_has_room_for(self, pier: Pier) -> None:
        told: list[HubSide] = []
        pier.hub.on_overflow = told.append
        pier.hub.max_queue_messages = 2
        handle, transport = pier.open()
        for _ in range(3):
            pier.ledger.enqueue(handle, Frame(b"a"))
        pier.loop.run()
        assert pier.ledger.enqueue(handle, Frame(b"b")) == QUEUED
        pier.loop.run()
        assert transport.sent == b"aab"
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
        for _ in range(2):
            pier.ledger.enqueue(handle, Frame(b"x"))
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
        for _ in range(2):
            pier.ledger.enqueue_many(handles, Frame(b"x"))
        pier.loop.run()
        assert [side.handle for side in told] == handles
        assert [str(context["exception"]) for context in pier.loop.faults] == ["no"]

    def test_the_close_frame_is_taken_past_the_bound_and_is_the_last(self, pier: Pier) -> None:
        pier.hub.max_queue_messages = 1
        handle, transport = pier.open()
        for _ in range(2):
            pier.ledger.enqueue(handle, Frame(b"x"))
        assert pier.ledger.enqueue(handle, Frame(b"close"), True) == QUEUED
        assert pier.ledger.enqueue(handle, Frame(b"more")) == REFUSED_CLOSING
        assert pier.ledger.enqueue(handle, Frame(b"close"), True) == REFUSED_CLOSING
        assert pier.ledger.enqueue_many([handle], Frame(b"more")) == (0, 0, 1)
        pier.loop.run()
        assert transport.sent == b"xclose"

    @pytest.mark.parametrize("size", [0, -1, 100_001])
    def test_a_slice_has_from_1_to_100000_connections(self, pier: Pier, size: int) -> None:
        with pytest.raises((ValueError, OverflowError)):
            pier.hub.batch_size = size
        assert pier.hub.batch_size == 100


class TestSlices:
    def test_the_loop_has_its_turn_between_two_slices(self, pier: Pier) -> None:
        pier.hub.batch_size = 2
        opened = [pier.open() for _ in range(5)]
        pier.ledger.enqueue_many([handle for handle, _ in opened], Frame(b"x"))
        served = []
        while pier.loop.soon:
            assert len(pier.loop.soon) == 1
            pier.loop.turn()
            served.append(sum(bool(transport.sent) for _, transport in opened))
            pier.ledger.check()
        assert served == [2, 4, 5]

    def test_a_flush_interval_delays_the_first_slice_and_no_other(self, pier: Pier) -> None:
        pier.hub.batch_size = 2
        pier.hub.flush_interval = 0.02
        opened = [pier.open() for _ in range(5)]
        pier.ledger.enqueue_many([handle for handle, _ in opened], Frame(b"x"))
        assert [delay for delay, _ in pier.loop.later] == [0.02]
        assert pier.loop.soon == []
        pier.loop.pass_time()
        pier.loop.run()
        assert all(transport.sent == b"x" for _, transport in opened)
        assert pier.loop.later == []

    def test_one_turn_is_scheduled_however_much_is_queued(self, pier: Pier) -> None:
        handles = [pier.open()[0] for _ in range(10)]
        for _ in range(10):
            pier.ledger.enqueue_many(handles, Frame(b"x"))
        assert len(pier.loop.soon) == 1

    def test_flush_all_serves_everybody_at_once_and_counts_the_served(self, pier: Pier) -> None:
        pier.hub.batch_size = 2
        opened = [pier.open() for _ in range(5)]
        pier.ledger.enqueue_many([handle for handle, _ in opened], Frame(b"x"))
        assert pier.hub.flush_all() == 5
        assert all(transport.sent == b"x" for _, transport in opened)
        pier.loop.run()
        assert pier.hub.flush_all() == 0

    def test_what_waits_for_a_connection_leaves_in_one_system_call_of_at_most_64_frames(
        self, pier: Pier
    ) -> None:
        handle, _, peer = pier.open_socket()
        for number in range(130):
            pier.ledger.enqueue(handle, Frame(b"%d " % number))
        pier.hub.flush_slice()
        assert pier.hub.send_calls == 1
        assert queue_of(pier.hub, handle)[0] == 130 - 64
        pier.ledger.check()
        pier.loop.run()
        assert pier.hub.send_calls == 3
        assert read_all(peer) == b"".join(b"%d " % number for number in range(130))

    @pytest.mark.parametrize(
        ("sizes", "joined"),
        [
            ([100_000] * 5, [200_000, 200_000, 100_000]),
            ([131_072] * 4, [262_144, 262_144]),
            ([131_072, 131_073, 1], [131_072, 131_074]),
            ([300_000, 10], [300_000, 10]),
        ],
    )
    def test_one_write_carries_at_most_256_kib_unless_one_frame_is_bigger(
        self, pier: Pier, sizes: list[int], joined: list[int]
    ) -> None:
        handle, transport = pier.open()
        for size in sizes:
            pier.ledger.enqueue(handle, Frame(b"x" * size))
        pier.loop.run()
        assert [len(data) for data in transport.writes] == joined

    def test_many_deep_queues_in_one_slice(self, pier: Pier) -> None:
        opened = [pier.open_socket() for _ in range(20)]
        expected = b""
        for number in range(150):
            expected += b"%d " % number
            pier.ledger.enqueue_many([handle for handle, _, _ in opened], Frame(b"%d " % number))
        pier.hub.flush_slice()
        assert pier.hub.send_calls == 20
        pier.loop.run()
        assert all(read_all(peer) == expected for _, _, peer in opened)


class TestDirectSends:
    def test_a_short_write_hands_the_rest_of_the_frame_to_the_transport_and_keeps_the_others(
        self, pier: Pier
    ) -> None:
        handle, transport, peer = pier.open_socket(buffer=4096)
        frames = [Frame(bytes([65 + number]) * 20_000) for number in range(4)]
        for frame in frames:
            pier.ledger.enqueue(handle, frame)
        pier.loop.run()
        pier.ledger.check()
        assert pier.hub.is_blocked(handle)
        assert len(transport.writes) == 1
        assert 0 < len(transport.held) <= 20_000
        received = b""
        for _ in range(1000):
            received += read_all(peer)
            transport.give_room()
            pier.loop.run()
            pier.ledger.check()
            if len(received) == 80_000:
                break
        assert received == b"".join(frame.wire for frame in frames)
        assert [frame.written for frame in frames] == [1, 1, 1, 1]
        assert not pier.hub.is_blocked(handle)

    def test_a_full_socket_hands_over_a_whole_frame(self, pier: Pier) -> None:
        handle, transport, peer = pier.open_socket(buffer=4096)
        fill(pier.sockets[0])
        pier.ledger.enqueue(handle, Frame(b"later"))
        pier.ledger.enqueue(handle, Frame(b"still later"))
        pier.loop.run()
        assert transport.writes == [b"later"]
        assert queue_of(pier.hub, handle) == (2, 16)
        read_all(peer)
        transport.give_room()
        pier.loop.run()
        assert read_all(peer) == b"laterstill later"
        pier.ledger.check()

    def test_while_the_transport_holds_bytes_nothing_is_sent_past_it(self, pier: Pier) -> None:
        handle, transport, peer = pier.open_socket()
        pier.hub.block(handle)
        pier.ledger.enqueue(handle, Frame(b"second"))
        pier.loop.run()
        assert read_all(peer) == b""
        assert pier.hub.send_calls == 0
        pier.hub.unblock(handle)
        pier.loop.run()
        assert read_all(peer) == b"second"
        assert transport.calls == []

    def test_a_peer_that_is_gone_has_its_transport_aborted_and_its_frames_counted_as_closed(
        self, pier: Pier
    ) -> None:
        handle, transport, peer = pier.open_socket()
        peer.close()
        frame = Frame(b"x")
        pier.ledger.enqueue(handle, frame)
        pier.hub.flush_slice()
        assert transport.calls == ["abort"]
        assert pier.hub.fileno(handle) == -1
        assert pier.ledger.enqueue(handle, Frame(b"y")) == REFUSED_CLOSING
        assert (frame.queued, frame.written) == (1, 0)
        pier.loop.run()
        assert frame.dropped["closed"] == 1
        assert pier.hub.open_count == 0
        pier.ledger.check()

    def test_a_dead_peer_costs_the_others_of_the_slice_nothing(self, pier: Pier) -> None:
        opened = [pier.open_socket() for _ in range(5)]
        opened[2][2].close()
        pier.ledger.enqueue_many([handle for handle, _, _ in opened], Frame(b"x"))
        pier.loop.run()
        assert [read_all(peer) for place, (_, _, peer) in enumerate(opened) if place != 2] == [b"x"] * 4
        pier.ledger.check()

    def test_an_empty_frame_is_written(self, pier: Pier) -> None:
        handle, _, peer = pier.open_socket()
        empty = Frame(b"")
        for frame in (empty, Frame(b"x"), empty):
            pier.ledger.enqueue(handle, frame)
        pier.loop.run()
        assert read_all(peer) == b"x"
        assert empty.written == 2
        pier.ledger.check()


class TestThroughTheTransport:
    def test_what_waits_is_joined_into_one_write(self, pier: Pier) -> None:
        handle, transport = pier.open()
        for number in range(70):
            pier.ledger.enqueue(handle, Frame(b"%d " % number))
        pier.loop.run()
        assert [data.count(b" ") for data in transport.writes] == [64, 6]
        assert transport.sent == b"".join(b"%d " % number for number in range(70))
        assert pier.hub.send_calls == 0

    def test_a_single_frame_is_passed_on_without_a_copy(self, pier: Pier) -> None:
        seen: list[object] = []
        handle, transport = pier.open()
        transport.write = seen.append  # type: ignore[method-assign, assignment]
        frame = Frame(b"alert")
        pier.ledger.enqueue(handle, frame)
        pier.loop.run()
        assert seen[0] is frame.wire

    def test_frames_count_as_written_when_the_transport_is_empty_and_not_before(self, pier: Pier) -> None:
        handle, transport = pier.open(room=3)
        frame = Frame(b"1234")
        pier.ledger.enqueue(handle, frame)
        pier.loop.run()
        assert (frame.queued, frame.written) == (1, 0)
        transport.give_room(1)
        assert (frame.queued, frame.written) == (0, 1)
        assert pier.hub.connection_figures(handle) == (1, 4, 0, 0)
        pier.ledger.check()

    def test_a_transport_that_is_closing_is_not_written_to(self, pier: Pier) -> None:
        handle, transport = pier.open()
        transport.closing = True
        frame = Frame(b"x")
        pier.ledger.enqueue(handle, frame)
        pier.loop.run()
        assert transport.calls == []
        pier.hub.release(handle)
        assert frame.dropped["closed"] == 1
        pier.ledger.check()


class TestDiscard:
    def test_frames_are_counted_under_the_reason(self, pier: Pier) -> None:
        for place, reason in enumerate(DROP_REASONS):
            handle, transport = pier.open()
            frame = Frame(b"x")
            for _ in range(3):
                pier.ledger.enqueue(handle, frame)
            assert pier.hub.discard(handle, place) == 3
            assert frame.dropped == {name: 3 * (name == reason) for name in DROP_REASONS}
            assert queue_of(pier.hub, handle) == (0, 0)
            pier.ledger.check()
            pier.loop.run()
            assert transport.calls == []

    def test_what_the_transport_holds_stays_and_still_arrives_whole(self, pier: Pier) -> None:
        handle, transport = pier.open(room=2)
        first, second = Frame(b"first "), Frame(b"second ")
        pier.ledger.enqueue(handle, first)
        pier.loop.run()
        pier.ledger.enqueue(handle, second)
        assert pier.hub.discard(handle, SLOW) == 1
        assert queue_of(pier.hub, handle) == (1, 6)
        pier.ledger.enqueue(handle, Frame(b"third"))
        transport.give_room()
        pier.loop.run()
        assert transport.sent == b"first third"
        assert (first.written, second.dropped["slow"]) == (1, 1)
        pier.ledger.check()

    def test_the_rest_of_a_direct_send_stays(self, pier: Pier) -> None:
        handle, transport, peer = pier.open_socket(buffer=4096)
        first = Frame(b"1" * 20_000)
        pier.ledger.enqueue(handle, first)
        pier.ledger.enqueue(handle, Frame(b"2" * 10))
        pier.loop.run()
        assert pier.hub.discard(handle, SLOW) == 1
        pier.ledger.enqueue(handle, Frame(b"3"))
        received = b""
        while len(received) < 20_001:
            received += read_all(peer)
            transport.give_room()
            pier.loop.run()
        assert received == first.wire + b"3"

    @pytest.mark.parametrize("reason", [-1, len(DROP_REASONS)])
    def test_an_unknown_reason_is_refused(self, pier: Pier, reason: int) -> None:
        handle, _ = pier.open()
        pier.ledger.enqueue(handle, Frame(b"x"))
        with pytest.raises(ValueError, match="reason"):
            pier.hub.discard(handle, reason)
        assert queue_of(pier.hub, handle) == (1, 1)


class TestFinish:
    def test_an_idle_connection_is_closed_at_once(self, pier: Pier) -> None:
        handle, transport, _ = pier.open_socket()
        pier.hub.finish(handle)
        assert pier.hub.fileno(handle) == -1
        assert transport.calls == ["close"]

    def test_what_waits_leaves_first_and_the_descriptor_is_forgotten_before_the_close(
        self, pier: Pier
    ) -> None:
        handle, transport, peer = pier.open_socket()
        seen: list[int] = []
        close = transport.close
        transport.close = lambda: (seen.append(pier.hub.fileno(handle)), close())  # type: ignore[func-returns-value]
        pier.ledger.enqueue(handle, Frame(b"bye"), True)
        pier.hub.finish(handle)
        assert transport.calls == []
        pier.loop.run()
        assert read_all(peer) == b"bye"
        assert seen == [-1]

    def test_it_waits_for_what_the_transport_holds(self, pier: Pier) -> None:
        handle, transport = pier.open(room=1)
        pier.ledger.enqueue(handle, Frame(b"bye"))
        pier.loop.run()
        pier.hub.finish(handle)
        assert transport.calls == ["write"]
        transport.give_room()
        assert transport.calls == ["write", "close"]
        assert transport.sent == b"bye"

    def test_nothing_more_is_taken(self, pier: Pier) -> None:
        handle, _ = pier.open(room=0)
        pier.ledger.enqueue(handle, Frame(b"x"))
        pier.hub.finish(handle)
        assert pier.ledger.enqueue(handle, Frame(b"y")) == REFUSED_CLOSING

    def test_half_sends_fin_and_keeps_the_reading_side(self, pier: Pier) -> None:
        handle, transport, peer = pier.open_socket()
        pier.ledger.enqueue(handle, Frame(b"bye"), True)
        pier.hub.finish(handle, True)
        pier.loop.run()
        assert transport.calls == ["write_eof"]
        assert read_all(peer) == b"bye"
        assert peer.recv(1) == b""
        assert pier.hub.fileno(handle) == -1

    def test_half_is_a_close_where_there_is_no_half_close(self, pier: Pier) -> None:
        handle, transport = pier.open(can_half_close=False)
        pier.hub.finish(handle, True)
        assert transport.calls == ["close"]

    def test_a_full_finish_completes_a_half_one(self, pier: Pier) -> None:
        handle, transport = pier.open()
        pier.hub.finish(handle, True)
        pier.hub.finish(handle, True)
        assert transport.calls == ["write_eof"]
        pier.hub.finish(handle)
        assert transport.calls == ["write_eof", "close"]

    def test_a_full_finish_overrides_a_half_one_that_still_waits(self, pier: Pier) -> None:
        handle, transport = pier.open()
        pier.ledger.enqueue(handle, Frame(b"x"))
        pier.hub.finish(handle, True)
        pier.hub.finish(handle)
        pier.loop.run()
        assert transport.calls == ["write", "close"]


class TestFaultyTransports:
    """What one transport does must never reach the others' sockets, queues or counts."""

    @pytest.mark.parametrize("call", ["write", "abort", "write_eof", "close"])
    def test_a_fault_is_reported_and_the_others_of_the_slice_are_served_exactly_once(
        self, pier: Pier, call: str
    ) -> None:
        opened = [pier.open_socket(buffer=4096) for _ in range(4)]
        opened[1][1].failing[call] = ValueError(call)
        if call == "write":
            fill(pier.sockets[2])
        elif call == "abort":
            opened[1][2].close()
        else:
            pier.hub.enqueue(opened[1][0], Frame(b""))
            pier.hub.finish(opened[1][0], call == "write_eof")
        for text in (b"one ", b"two "):
            pier.hub.enqueue_many(recipients(handle for handle, _, _ in opened), Frame(text))
            pier.hub.flush_all()
        pier.loop.run()
        assert [read_all(opened[place][2]) for place in (0, 2, 3)] == [b"one two "] * 3
        assert [str(context["exception"]) for context in pier.loop.faults] == [call]
        assert pier.hub.fileno(opened[1][0]) == -1

    def test_a_fault_on_the_indirect_path_leaves_nobody_waiting(self, pier: Pier) -> None:
        opened = [pier.open() for _ in range(4)]
        opened[1][1].failing["write"] = ValueError("write")
        pier.ledger.enqueue_many([handle for handle, _ in opened], Frame(b"x"))
        pier.loop.run()
        assert [bytes(opened[place][1].sent) for place in (0, 2, 3)] == [b"x"] * 3
        assert len(pier.loop.faults) == 1
        assert "abort" in opened[1][1].calls
        pier.ledger.check()

    def test_a_flush_from_within_a_write_sends_nothing_twice_and_forgets_nobody(self, pier: Pier) -> None:
        pier.hub.batch_size = 2
        opened = [pier.open() for _ in range(6)]
        write = opened[0][1].write
        served: list[int] = []

        def write_and_flush(data: bytes) -> None:
            write(data)
            served.append(pier.hub.flush_all())
            pier.hub.flush_slice()

        opened[0][1].write = write_and_flush  # type: ignore[method-assign]
        pier.ledger.enqueue_many([handle for handle, _ in opened], Frame(b"x"))
        pier.loop.run()
        assert [bytes(transport.sent) for _, transport in opened] == [b"x"] * 6
        assert served == [0]
        pier.ledger.check()

    def test_a_broadcast_from_within_a_write_is_sent_after_it(self, pier: Pier) -> None:
        opened = [pier.open() for _ in range(3)]
        handles = [handle for handle, _ in opened]
        write = opened[0][1].write

        def write_and_answer(data: bytes) -> None:
            write(data)
            if data == b"x":
                pier.ledger.enqueue_many(handles, Frame(b"y"))

        opened[0][1].write = write_and_answer  # type: ignore[method-assign]
        pier.ledger.enqueue_many(handles, Frame(b"x"))
        pier.loop.run()
        assert [bytes(transport.sent) for _, transport in opened] == [b"xy"] * 3
        pier.ledger.check()

    def test_a_discard_between_the_sends_and_their_settling_keeps_what_was_sent(self, pier: Pier) -> None:
        first, first_transport, first_peer = pier.open_socket()
        second, _, second_peer = pier.open_socket()
        first_peer.close()
        frame = Frame(b"sent")
        discarded: list[int] = []
        first_transport.abort = lambda: discarded.append(pier.hub.discard(second, SLOW))  # type: ignore[method-assign]
        pier.ledger.enqueue_many([first, second], frame)
        pier.hub.flush_slice()
        assert discarded == [0]
        assert read_all(second_peer) == b"sent"
        assert (frame.queued, frame.written) == (1, 1)
        pier.ledger.check()

    def test_a_connection_released_between_the_sends_and_their_settling_is_left_alone(
        self, pier: Pier
    ) -> None:
        first, first_transport, first_peer = pier.open_socket()
        second, _, _ = pier.open_socket()
        first_peer.close()
        newcomers: list[tuple[int, RecordingTransport]] = []

        def swap() -> None:
            pier.hub.release(second)
            newcomers.append(pier.open())

        first_transport.abort = swap  # type: ignore[method-assign]
        pier.ledger.enqueue_many([first, second], Frame(b"x"))
        pier.loop.run()
        (handle, transport) = newcomers[0]
        assert handle & 0xFFFFFFFF == second & 0xFFFFFFFF
        assert queue_of(pier.hub, handle) == (0, 0)
        assert transport.calls == []
        pier.ledger.check()


class TestOneThread:
    @pytest.mark.parametrize(
        "act",
        [
            lambda hub: hub.enqueue(0, Frame(b"")),
            lambda hub: hub.enqueue_many(Recipients(), Frame(b"")),
            lambda hub: hub.flush_slice(),
            lambda hub: hub.flush_all(),
            lambda hub: hub.flush_turn(),
            lambda hub: hub.open(None, -1, None),
            lambda hub: hub.release(0),
            lambda hub: hub.discard(0, 0),
            lambda hub: hub.finish(0),
            lambda hub: hub.block(0),
            lambda hub: hub.unblock(0),
        ],
        ids="enqueue enqueue_many flush_slice flush_all flush_turn open release discard finish block unblock".split(),
    )
    def test_another_thread_is_refused_while_the_sends_run_without_the_gil(
        self, pier: Pier, act: Callable[[Hub], object]
    ) -> None:
        opened = [pier.open_socket() for _ in range(50)]
        handles = [handle for handle, _, _ in opened]
        stop = threading.Event()
        refusals: list[str] = []

        def meddle() -> None:
            while not stop.is_set() and not refusals:
                try:
                    act(pier.hub)
                except RuntimeError as refusal:
                    refusals.append(str(refusal))
                time.sleep(0)

        # No switch of threads but where one lets go of the GIL itself: the sends.
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1000)
        thread = threading.Thread(target=meddle)
        try:
            thread.start()
            for _ in range(2000):
                if refusals:
                    break
                pier.ledger.enqueue_many(handles, Frame(b"x" * 1000))
                pier.hub.flush_slice()
                for _, _, peer in opened:
                    read_all(peer)
        finally:
            stop.set()
            thread.join()
            sys.setswitchinterval(interval)
        assert refusals == ["the hub belongs to the thread of its loop"]


class TestSweep:
    def test_an_empty_table(self, pier: Pier) -> None:
        assert pier.hub.sweep(0, 10, 0.0) == (0, [])

    def test_each_call_goes_on_where_the_last_one_ended_round_the_table(self, pier: Pier) -> None:
        opened = [pier.open() for _ in range(5)]
        position, pings = 0, []
        for _ in range(5):
            position, _ = pier.hub.sweep(position, 2, -1.0, Frame(b"."))
            pier.loop.run()
            pings.append([len(transport.sent) for _, transport in opened])
        assert pings == [
            [1, 1, 0, 0, 0],
            [1, 1, 1, 1, 0],
            [2, 1, 1, 1, 1],
            [2, 2, 2, 1, 1],
            [2, 2, 2, 2, 2],
        ]

    def test_nobody_is_visited_twice_in_one_call(self, pier: Pier) -> None:
        opened = [pier.open() for _ in range(3)]
        pier.hub.sweep(2, 100, -1.0, Frame(b"."))
        pier.loop.run()
        assert [bytes(transport.sent) for _, transport in opened] == [b"."] * 3

    def test_the_silent_are_named_and_not_pinged(self, pier: Pier) -> None:
        pier.hub.now = 10.0
        silent, silent_transport = pier.open()
        pier.hub.now = 20.0
        _, lively_transport = pier.open()
        _, stale = pier.hub.sweep(0, 2, 15.0, Frame(b"."))
        pier.loop.run()
        assert [side.handle for side in stale] == [silent]
        assert (silent_transport.sent, lively_transport.sent) == (b"", b".")

    def test_the_gone_and_the_closing_are_passed_over(self, pier: Pier) -> None:
        gone, _ = pier.open()
        closing, closing_transport = pier.open(room=0)
        pier.hub.release(gone)
        pier.ledger.enqueue(closing, Frame(b"close"), True)
        assert pier.hub.sweep(0, 10, 99.0, Frame(b"."))[1] == []
        assert queue_of(pier.hub, closing)[0] == 1
        assert closing_transport.sent == b""

    def test_without_a_ping_nothing_is_queued(self, pier: Pier) -> None:
        pier.open()
        assert pier.hub.sweep(0, 10, -1.0) == (1, [])
        assert pier.hub.frames_queued == 0


class TestStalled:
    def test_connections_are_counted_by_how_long_their_socket_has_been_full(self, pier: Pier) -> None:
        opened = [pier.open(room=0) for _ in range(3)]
        for place, (handle, _) in enumerate(opened):
            pier.hub.now = float(place)
            pier.ledger.enqueue(handle, Frame(b"x"))
            pier.loop.run()
        assert [pier.hub.stalled_since(moment) for moment in (-1.0, 0.0, 1.5, 9.0)] == [0, 1, 2, 3]
        opened[0][1].give_room()
        assert pier.hub.stalled_since(9.0) == 2
        pier.hub.release(opened[1][0])
        assert pier.hub.stalled_since(9.0) == 1


def fill(sock: socket.socket) -> None:
    """Take all the room there is in the socket's send buffer."""
    for size in (4096, 1):
        try:
            while True:
                sock.send(b"#" * size)
        except BlockingIOError:
            continue


def recipients(handles: Iterator[int]) -> Recipients:
    chosen = Recipients()
    for handle in handles:
        chosen.add(handle)
    return chosen
