"""The queues of those who do not keep up: the bytes they pin, their bounds, when the server is behind."""

import pytest
from pier import QUEUED, Pier, fill, read_all
from press import Press
from recording_sink import RecordingSink
from recording_transport import HubSide, RecordingTransport

from wsserver_core.connection import Connection
from wsserver_core.frames import ReadLimits, UnfinishedBudget
from wsserver_core.inlet import Inlet
from wsserver_core.outgoing import ALERT, CRITICAL, DROP_REASONS, Frame

SLOW = DROP_REASONS.index("slow")


@pytest.fixture
def press() -> Press:
    return Press()


class TestBeingBehind:
    """Much waits although the socket takes it: the server, and not the client, does not keep up."""

    def test_a_long_loop_of_publishing_sends_in_between(self, pier: Pier) -> None:
        pier.hub.max_queue_messages = 1000
        handle, _, peer = pier.open_socket()
        for _ in range(300):
            pier.ledger.enqueue(handle, Frame(b"x"))
        assert pier.hub.frames_written == 64
        assert pier.hub.crowded_count == 0
        pier.loop.run()
        assert read_all(peer) == b"x" * 300
        pier.ledger.check()

    def test_each_turn_may_send_in_between_anew(self, pier: Pier) -> None:
        pier.hub.max_queue_messages = 40
        pier.hub.batch_size = 1
        handle, _ = pier.open()
        for turn in range(1, 4):
            for _ in range(11):
                pier.ledger.enqueue(handle, Frame(b"x"))
            assert pier.hub.frames_written == 11 * turn - 1
            assert pier.hub.crowded_count == 0
            pier.loop.run()

    def test_beyond_that_it_is_crowded_until_it_has_sent(self, pier: Pier) -> None:
        pier.hub.max_queue_messages = 40
        pier.hub.batch_size = 2
        opened = [pier.open() for _ in range(4)]
        handles = [handle for handle, _ in opened]
        for _ in range(11):
            assert pier.ledger.enqueue_many(handles, Frame(b"x")) == (4, 0, 0, 0)
        # Two were relieved at once; for the others the turn had no more time.
        assert pier.hub.crowded_count == 2
        pier.loop.run()
        assert pier.hub.crowded_count == 0
        assert [bytes(transport.sent) for _, transport in opened] == [b"x" * 11] * 4
        pier.ledger.check()

    @pytest.mark.parametrize("end", ["release", "block", "final", "discard"])
    def test_a_crowded_one_that_ends_or_is_full_is_not_our_fault_any_more(self, pier: Pier, end: str) -> None:
        pier.hub.max_queue_messages = 40
        pier.hub.batch_size = 1
        opened = [pier.open()[0] for _ in range(2)]
        for _ in range(11):
            pier.ledger.enqueue_many(opened, Frame(b"x"))
        assert pier.hub.crowded_count == 1
        if end == "release":
            pier.hub.release(opened[1])
        elif end == "block":
            pier.hub.block(opened[1])
        elif end == "final":
            pier.ledger.enqueue(opened[1], Frame(b"close"), True)
        else:
            pier.hub.discard(opened[1], SLOW)
        assert pier.hub.crowded_count == 0

    def test_one_whose_socket_broke_meanwhile_is_passed_over(self, pier: Pier) -> None:
        pier.hub.max_queue_messages = 40
        handle, _, peer = pier.open_socket()
        peer.close()
        outcomes = [pier.ledger.enqueue(handle, Frame(b"x")) for _ in range(12)]
        assert outcomes == [QUEUED] * 10 + [2] * 2
        assert pier.ledger.enqueue_many([handle], Frame(b"x")) == (0, 0, 1, 0)
        pier.loop.run()
        pier.ledger.check()

    def test_a_fault_of_its_transport_is_reported_and_ends_it(self, pier: Pier) -> None:
        pier.hub.max_queue_messages = 40
        handle, transport = pier.open()
        transport.failing["write"] = ValueError("write")
        for _ in range(12):
            pier.ledger.enqueue(handle, Frame(b"x"))
        assert "abort" in transport.calls
        # Not in the middle of a broadcast: whoever hears of it might publish.
        assert pier.loop.faults == []
        pier.loop.run()
        assert [str(context["exception"]) for context in pier.loop.faults] == ["write"]
        pier.ledger.check()

    @pytest.mark.parametrize("failing", ["write", "abort"])
    def test_a_connection_that_cannot_even_be_aborted_holds_nobody_up(self, pier: Pier, failing: str) -> None:
        pier.hub.max_queue_messages = 40
        pier.hub.batch_size = 1
        first, _ = pier.open()
        second, transport, peer = pier.open_socket()
        transport.failing[failing] = ValueError(failing)
        for _ in range(11):
            pier.ledger.enqueue_many([first, second], Frame(b"x"))
        assert pier.hub.crowded_count == 1
        if failing == "abort":
            peer.close()
        else:
            fill(pier.sockets[-2])
        pier.loop.run()
        assert pier.hub.crowded_count == 0
        pier.ledger.check()

    def test_a_foreign_transport_is_not_called_in_the_middle_of_a_broadcast(self, pier: Pier) -> None:
        pier.hub.max_queue_messages = 40
        transport = RecordingTransport(pier.loop)
        handle = pier.hub.open(transport, -1, None, True)
        for _ in range(40):
            assert pier.ledger.enqueue_many([handle], Frame(b"x")) == (1, 0, 0, 0)
        assert transport.calls == []
        assert pier.hub.crowded_count == 1
        assert pier.hub.slow_count == 0
        pier.loop.run()
        assert transport.sent == b"x" * 40
        assert pier.hub.crowded_count == 0

    def test_between_broadcasts_it_may_be_as_often_as_any_other(self, pier: Pier) -> None:
        pier.hub.max_queue_messages = 40
        pier.hub.batch_size = 2
        transports = [RecordingTransport(pier.loop) for _ in range(3)]
        handles = [pier.hub.open(transport, -1, None, True) for transport in transports]
        for _ in range(11):
            pier.ledger.enqueue_many(handles, Frame(b"x"))
        assert pier.hub.crowded_count == 3
        pier.hub.release(handles[2])
        pier.hub.relieve_outsiders()
        assert pier.hub.crowded_count == 0
        for _ in range(11):
            pier.ledger.enqueue_many(handles[:2], Frame(b"x"))
        pier.hub.relieve_outsiders()
        assert pier.hub.crowded_count == 2
        pier.loop.run()
        assert [bytes(transport.sent) for transport in transports] == [b"x" * 22] * 2 + [b""]
        assert pier.hub.crowded_count == 0

    @pytest.mark.parametrize("size", [1, 1_000])
    def test_nobody_is_ended_for_what_its_socket_would_take(self, pier: Pier, size: int) -> None:
        """Not even when the turn has no time left for sending in between."""
        pier.hub.max_queue_messages = 40
        pier.hub.max_queue_bytes = 40 * size
        pier.hub.batch_size = 1
        opened = [pier.open_socket() for _ in range(3)]
        handles = [handle for handle, _, _ in opened]
        for _ in range(100):
            assert pier.ledger.enqueue_many(handles, Frame(b"x" * size)) == (3, 0, 0, 0)
        assert pier.hub.slow_entered == 0
        pier.loop.run()
        assert [len(read_all(peer)) for _, _, peer in opened] == [100 * size] * 3

    def test_what_is_dropped_for_our_own_sake_is_told_too(self, pier: Pier, press: Press) -> None:
        told: list[object] = []
        pier.hub.on_relief = lambda side: told.append(pier.hub.take_losses(side.handle))
        pier.hub.max_queue_messages = 8
        transport = RecordingTransport(pier.loop)
        side = HubSide(pier.hub)
        side.handle = handle = pier.hub.open(transport, -1, side, True)
        for number in range(8):
            pier.ledger.enqueue(handle, press.data(number, stream=str(number % 7)))
        pier.ledger.enqueue(handle, press.data("newest", stream="3"))
        pier.ledger.enqueue(handle, press.frame(ALERT, "alert"))
        pier.ledger.enqueue(handle, press.frame(CRITICAL, "critical"))
        pier.loop.run()
        assert transport.sent == b"<alert><critical>"
        assert told == [[("l", "t", "conflated", 1, 4, 2), ("l", "t", "slow", 2, 9, 7)]]
        assert (pier.hub.slow_count, pier.hub.crowded_count) == (0, 0)
        pier.ledger.check()

    def test_what_is_crowded_is_sent_at_once_and_not_when_more_may_have_joined(self, pier: Pier) -> None:
        pier.hub.max_queue_messages = 40
        pier.hub.batch_size = 1
        pier.hub.flush_interval = 1.0
        opened = [pier.open() for _ in range(3)]
        for _ in range(10):
            pier.ledger.enqueue_many([handle for handle, _ in opened], Frame(b"x"))
        assert pier.loop.soon == []
        pier.ledger.enqueue_many([handle for handle, _ in opened], Frame(b"x"))
        assert (pier.hub.crowded_count, len(pier.loop.soon)) == (2, 1)
        pier.loop.run()
        assert pier.hub.crowded_count == 0
        assert [bytes(transport.sent) for _, transport in opened] == [b"x" * 11] * 3

    def test_in_the_middle_of_a_slice_nothing_is_sent_in_between(self, pier: Pier) -> None:
        """The third one's frame has been sent and not settled yet: it must not leave twice."""
        pier.hub.max_queue_messages = 40
        opened = [pier.open_socket(4096) for _ in range(3)]
        fill(pier.sockets[0])
        transport = opened[0][1]
        write = transport.write

        def write_and_publish(data: bytes) -> None:
            write(data)
            for _ in range(15):
                pier.ledger.enqueue(opened[2][0], Frame(b"y"))

        transport.write = write_and_publish
        pier.ledger.enqueue_many([handle for handle, _, _ in opened], Frame(b"x"))
        pier.loop.run()
        assert read_all(opened[1][2]) == b"x"
        assert read_all(opened[2][2]) == b"x" + b"y" * 15
        assert pier.hub.crowded_count == 0
        pier.ledger.check()

    def test_disarmed_it_is_nobodys_fault(self, pier: Pier) -> None:
        """The peer has ended its half: nothing more is sent, however long the transport takes to close."""
        pier.hub.max_queue_messages = 40
        pier.hub.batch_size = 1
        inlet = Inlet(pier.hub, RecordingSink(), UnfinishedBudget(1 << 20))
        connections = [Connection(inlet, ReadLimits(100, 200, 2)) for _ in range(2)]
        for connection in connections:
            connection.attach(RecordingTransport(pier.loop), -1)
        for _ in range(11):
            pier.ledger.enqueue_many([one.handle for one in connections], Frame(b"x"))
        assert pier.hub.crowded_count == 1
        connections[1].eof_received()
        assert pier.hub.crowded_count == 0



class TestPinnedBytes:
    def test_a_frame_counts_once_however_many_wait_for_it(self, pier: Pier) -> None:
        handles = [pier.open(room=0)[0] for _ in range(5)]
        shared = Frame(b"x" * 100)
        pier.ledger.enqueue_many(handles, shared)
        assert pier.hub.pinned_bytes == 100
        pier.ledger.enqueue(handles[0], Frame(b"y" * 7))
        assert pier.hub.pinned_bytes == 107
        for handle in handles[1:]:
            pier.hub.discard(handle, SLOW)
        assert pier.hub.pinned_bytes == 107
        pier.hub.release(handles[0])
        assert pier.hub.pinned_bytes == 0

    def test_what_has_been_written_is_let_go(self, pier: Pier) -> None:
        handle, transport = pier.open(room=3)
        pier.ledger.enqueue(handle, Frame(b"xxxxx"))
        pier.loop.run()
        transport.give_room()
        assert pier.hub.pinned_bytes == 0

    @pytest.mark.parametrize("end", ["room", "release"])
    def test_what_a_transport_holds_is_a_copy_for_each(self, pier: Pier, end: str) -> None:
        opened = [pier.open(room=3) for _ in range(3)]
        pier.ledger.enqueue_many([handle for handle, _ in opened], Frame(b"x" * 50))
        pier.loop.run()
        assert pier.hub.pinned_bytes == 50 + 3 * 50
        for left, (handle, transport) in zip((150, 100, 0), opened, strict=True):
            if end == "room":
                transport.give_room()
            else:
                pier.hub.release(handle)
            assert pier.hub.pinned_bytes == left

    def test_what_the_kernel_left_of_a_frame_is_no_copy(self, pier: Pier) -> None:
        handle, _, _ = pier.open_socket(4096)
        fill(pier.sockets[-2])
        pier.ledger.enqueue(handle, Frame(b"x" * 50))
        pier.loop.run()
        assert pier.hub.is_blocked(handle)
        assert pier.hub.pinned_bytes == 50



class TestBounds:
    @pytest.mark.parametrize("share", [0.0, -0.1, 1.1, float("nan")])
    def test_a_share_is_a_part_of_the_whole(self, pier: Pier, share: float) -> None:
        with pytest.raises(ValueError, match="slow_share"):
            pier.hub.slow_share = share

    @pytest.mark.parametrize("importance", [-1, 4])
    def test_there_are_four_importances(self, importance: int) -> None:
        with pytest.raises(ValueError, match="importance"):
            Frame(b"x", None, importance)
