"""The hub: dropping what waits, and closing once everything has left."""

import pytest
from pier import REFUSED_CLOSING, Pier, queue_of, read_all

from wsserver_core.outgoing import DROP_REASONS, Frame

SLOW, CLOSED = DROP_REASONS.index("slow"), DROP_REASONS.index("closed")


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
        transport.close = lambda: (seen.append(pier.hub.fileno(handle)), close())
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
