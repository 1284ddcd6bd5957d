"""The hub: slices, direct sends, transports, and its eye on the silent and the stalled."""

import pytest
from pier import REFUSED_CLOSING, Pier, fill, queue_of, read_all

from wsserver_core.outgoing import Frame


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
            ([25_000] * 5, [50_000, 50_000, 25_000]),
            ([32_768] * 4, [65_536, 65_536]),
            ([32_768, 32_769, 1], [32_768, 32_770]),
            ([300_000, 10], [300_000, 10]),
        ],
    )
    def test_one_write_carries_at_most_64_kib_unless_one_frame_is_bigger(
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
        transport.write = seen.append
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


class TestStalled:
    def test_connections_are_counted_while_their_socket_is_full(self, pier: Pier) -> None:
        opened = [pier.open(room=0) for _ in range(3)]
        for handle, _ in opened:
            pier.ledger.enqueue(handle, Frame(b"x"))
            pier.loop.run()
        assert pier.hub.stalled_connections == 3
        opened[0][1].give_room()
        assert pier.hub.stalled_connections == 2
        pier.hub.release(opened[1][0])
        assert pier.hub.stalled_connections == 1
