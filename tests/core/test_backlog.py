"""The queues of those who do not keep up: states, what is dropped, and what is told of it."""

import pytest
from pier import QUEUED, REFUSED_SLOW, Pier, fill, queue_of, read_all, recipients
from recording_sink import RecordingSink
from recording_transport import HubSide, RecordingTransport

from wsserver_core.connection import Connection
from wsserver_core.frames import ReadLimits, UnfinishedBudget
from wsserver_core.inlet import Inlet
from wsserver_core.outgoing import ALERT, CONTROL, CRITICAL, DATA, DROP_REASONS, Frame

SLOW = DROP_REASONS.index("slow")


class Press:
    """Makes frames of one log whose wire names them: ``press.data(1)`` is ``<1>``."""

    def __init__(self) -> None:
        self.seq = 0

    def frame(self, importance: int, name: object, *, topic: str = "t", stream: str | None = None) -> Frame:
        self.seq += 1
        wire = b"<%s>" % str(name).encode()
        return Frame(wire, None, importance, topic=topic, log="l", seq=self.seq, stream=stream)

    def data(self, name: object, **more: str) -> Frame:
        return self.frame(DATA, name, **more)


@pytest.fixture
def press() -> Press:
    return Press()


def stalled(pier: Pier, *, slow_share: float = 0.5) -> tuple[int, RecordingTransport]:
    """A connection whose socket is full, with nothing of ours in its queue."""
    pier.hub.slow_share = slow_share
    handle, transport = pier.open()
    pier.hub.block(handle)
    return handle, transport


def drain(pier: Pier, handle: int, transport: RecordingTransport) -> bytes:
    """The socket takes all there is."""
    transport.room = None
    if transport.held:
        transport.give_room()
    else:
        pier.hub.unblock(handle)
    pier.loop.run()
    return bytes(transport.sent)


class TestBecomingSlow:
    def test_by_the_number_of_messages_while_the_socket_is_full(self, pier: Pier) -> None:
        pier.hub.max_queue_messages = 8
        handle, _ = stalled(pier)
        for number in range(4):
            pier.ledger.enqueue(handle, Frame(b"x"))
            assert not pier.hub.is_slow(handle), number
        pier.ledger.enqueue(handle, Frame(b"x"))
        assert pier.hub.is_slow(handle)
        assert (pier.hub.slow_count, pier.hub.slow_entered) == (1, 1)
        assert pier.hub.slow_handles() == [handle]

    def test_by_bytes_while_the_socket_is_full(self, pier: Pier) -> None:
        pier.hub.max_queue_bytes = 100
        handle, _ = stalled(pier)
        pier.ledger.enqueue(handle, Frame(b"x" * 30))
        pier.ledger.enqueue(handle, Frame(b"x" * 20))
        assert not pier.hub.is_slow(handle)
        pier.ledger.enqueue(handle, Frame(b"x"))
        assert pier.hub.is_slow(handle)

    def test_by_the_time_its_oldest_byte_has_waited(self, pier: Pier) -> None:
        handle, _ = pier.open(room=1)
        pier.hub.now = 10.0
        pier.ledger.enqueue(handle, Frame(b"xx"))
        pier.loop.run()
        pier.hub.sweep_slow(10.0, 0.0)
        assert not pier.hub.is_slow(handle)
        pier.hub.sweep_slow(10.1, 0.0)
        assert pier.hub.is_slow(handle)

    def test_one_that_takes_a_little_now_and_then_is_slow_all_the_same(self, pier: Pier) -> None:
        """Each byte makes it writable anew; what counts is how old the oldest is."""
        handle, transport = pier.open(room=2)
        for _ in range(10):
            pier.ledger.enqueue(handle, Frame(b"xx"))
        for moment in range(1, 5):
            pier.loop.run()
            pier.hub.now = float(moment)
            transport.give_room(2)
        pier.loop.run()
        pier.hub.sweep_slow(1.0, 0.0)
        assert pier.hub.is_slow(handle)

    def test_it_can_be_asked_since_when_and_how_much_it_lost(self, pier: Pier, press: Press) -> None:
        pier.hub.max_queue_messages = 4
        handle, _ = stalled(pier)
        assert pier.hub.slow_figures(handle) is None
        pier.hub.now = 10.0
        pier.ledger.enqueue(handle, press.data(1, stream="s"))
        pier.hub.now = 12.0
        for number in range(2, 4):
            pier.ledger.enqueue(handle, press.data(number, stream="s"))
        # The newest of the stream stays; what had waited for longer has gone.
        assert pier.hub.slow_figures(handle) == (12.0, 12.0, 2, False)
        pier.hub.release(handle)
        assert pier.hub.slow_figures(handle) is None

    def test_one_that_is_about_to_end_says_so(self, pier: Pier) -> None:
        handle, _ = pier.open(room=1)
        pier.hub.now = 10.0
        pier.ledger.enqueue(handle, Frame(b"xx"))
        pier.loop.run()
        pier.hub.sweep_slow(10.1, 0.0)
        assert pier.hub.slow_figures(handle) == (10.0, 10.0, 0, False)
        pier.hub.sweep_slow(10.1, 10.1)
        assert pier.hub.slow_figures(handle) == (10.0, 10.0, 0, True)

    def test_a_full_socket_for_which_nothing_waits_makes_nobody_slow(self, pier: Pier) -> None:
        handle, _ = stalled(pier)
        pier.hub.sweep_slow(1e9, 0.0)
        assert not pier.hub.is_slow(handle)

    def test_a_message_that_another_keeps_waiting_for_long_counts_from_its_own_time(
        self, pier: Pier, press: Press
    ) -> None:
        handle, _ = pier.open(room=0)
        pier.ledger.enqueue(handle, press.data(1))
        pier.loop.run()
        pier.hub.now = 9.0
        late, _ = pier.open(room=0)
        pier.ledger.enqueue(late, press.data(2))
        pier.loop.run()
        pier.hub.sweep_slow(5.0, 0.0)
        assert pier.hub.slow_handles() == [handle]

    def test_thousands_at_once_are_sorted_out_turn_by_turn(self, pier: Pier) -> None:
        """Where a switch fails, all pass the bound with the same message: that must not hold up the loop."""
        handles = [stalled(pier)[0] for _ in range(200)]
        everybody = recipients(handles)
        for number in range(501):
            pier.hub.enqueue_many(everybody, Frame(b"x", None, DATA, stream=str(number % 7)))
        a_turn = -(-65_536 // 500)
        assert pier.hub.slow_count == a_turn < 200
        pier.hub.enqueue_many(everybody, Frame(b"x"))
        assert pier.hub.slow_count == a_turn
        pier.loop.run()
        pier.hub.enqueue_many(everybody, Frame(b"x"))
        assert pier.hub.slow_count == 200

    def test_thousands_that_have_waited_too_long_are_sorted_out_look_by_look(self, pier: Pier) -> None:
        handles = [stalled(pier)[0] for _ in range(200)]
        everybody = recipients(handles)
        for number in range(400):
            pier.hub.enqueue_many(everybody, Frame(b"x", None, DATA, stream=str(number % 7)))
        pier.hub.now = 9.0
        pier.hub.sweep_slow(5.0, 0.0)
        a_look = -(-65_536 // 400)
        assert pier.hub.slow_handles() == handles[:a_look]
        pier.hub.sweep_slow(5.0, 0.0)
        assert pier.hub.slow_count == 200

    def test_the_hard_bound_waits_for_no_turn(self, pier: Pier) -> None:
        handles = [stalled(pier)[0] for _ in range(200)]
        everybody = recipients(handles)
        for number in range(1001):
            outcome = pier.hub.enqueue_many(everybody, Frame(b"x", None, DATA, stream=str(number % 7)))
            assert outcome == (200, 0, 0, 0)
        assert pier.hub.slow_count == 200

    def test_a_socket_that_takes_all_is_never_slow_however_much_waits(self, pier: Pier) -> None:
        pier.hub.max_queue_messages = 1000
        pier.hub.batch_size = 1
        handle, transport = pier.open()
        outcomes = {pier.ledger.enqueue(handle, Frame(b"x")) for _ in range(900)}
        assert outcomes == {QUEUED}
        assert not pier.hub.is_slow(handle)
        pier.loop.run()
        assert transport.sent == b"x" * 900


class TestKeepingUpAgain:
    def test_it_is_told_once_a_quarter_of_what_makes_one_slow_is_left(self, pier: Pier) -> None:
        relieved: list[object] = []
        pier.hub.on_relief = lambda side: relieved.append(side.handle)
        pier.hub.max_queue_messages = 16
        handle, transport = stalled(pier)
        for _ in range(9):
            pier.ledger.enqueue(handle, Frame(b"xy"))
        assert pier.hub.is_slow(handle)
        pier.hub.batch_size = 1
        transport.room = 13
        pier.hub.unblock(handle)
        pier.loop.run()
        assert pier.hub.is_slow(handle)
        assert relieved == []
        transport.give_room(5)
        pier.loop.run()
        assert not pier.hub.is_slow(handle)
        assert pier.hub.slow_count == 0
        assert relieved == [handle]

    @pytest.mark.parametrize(
        ("kept", "size", "age", "slow"),
        [
            (2, 1, 0.0, False),
            (3, 1, 0.0, True),
            (1, 200, 0.0, False),
            (1, 201, 0.0, True),
            (1, 1, 2.5, False),
            (1, 1, 2.75, True),
        ],
    )
    def test_little_must_wait_and_not_for_long(
        self, pier: Pier, press: Press, kept: int, size: int, age: float, slow: bool
    ) -> None:
        """A quarter of the messages and bytes that make one slow, and half of the time."""
        pier.hub.max_queue_messages = 16
        pier.hub.max_queue_bytes = 1600
        handle, _ = stalled(pier)
        pier.hub.sweep_slow(-5.0, -100.0)
        for _ in range(kept):
            pier.ledger.enqueue(handle, Frame(b"x" * size))
        for number in range(9):
            pier.ledger.enqueue(handle, press.data(number))
        assert pier.hub.is_slow(handle)
        pier.hub.now = age
        pier.hub.shed(handle, DATA)
        pier.hub.unblock(handle)
        assert pier.hub.is_slow(handle) == slow

    def test_one_that_falls_behind_again_while_it_is_told_is_slow_as_any_other(
        self, pier: Pier, press: Press
    ) -> None:
        def told(side: HubSide) -> None:
            pier.hub.take_losses(side.handle)
            pier.hub.block(side.handle)
            for number in range(3):
                pier.ledger.enqueue(side.handle, press.data(number, stream="s"))

        pier.hub.on_relief = told
        pier.hub.max_queue_messages = 4
        handle, transport = stalled(pier)
        for number in range(3):
            pier.ledger.enqueue(handle, press.data(number, stream="s"))
        pier.hub.unblock(handle)
        pier.loop.run()
        assert transport.sent == b"<2>"
        assert pier.hub.slow_handles() == [handle]
        assert pier.hub.take_losses(handle) == [("l", "t", "conflated", 4, 5, 2)]

    def test_nothing_is_kept_in_mind_of_one_that_keeps_up(self, pier: Pier, press: Press) -> None:
        pier.hub.max_queue_messages = 4
        handle, transport = stalled(pier)
        for number in range(3):
            pier.ledger.enqueue(handle, press.data(number))
        drain(pier, handle, transport)
        pier.hub.block(handle)
        pier.ledger.enqueue(handle, press.data(4))
        pier.hub.shed(handle, DATA)
        assert pier.hub.take_losses(handle) == []

    def test_a_socket_that_takes_all_that_waited_keeps_up_at_once(self, pier: Pier, press: Press) -> None:
        pier.hub.max_queue_messages = 16
        handle, _, peer = pier.open_socket()
        pier.hub.block(handle)
        for number in range(9):
            pier.ledger.enqueue(handle, press.data(number))
        pier.hub.unblock(handle)
        assert pier.hub.is_slow(handle)
        pier.loop.run()
        assert not pier.hub.is_slow(handle)
        assert len(read_all(peer)) == 27

    def test_one_that_is_closing_has_nothing_to_be_told(self, pier: Pier, press: Press) -> None:
        relieved: list[object] = []
        pier.hub.on_relief = relieved.append
        pier.hub.max_queue_messages = 4
        handle, transport = stalled(pier)
        for number in range(3):
            pier.ledger.enqueue(handle, press.data(number))
        pier.ledger.enqueue(handle, Frame(b"close"), True)
        assert drain(pier, handle, transport) == b"<0><1><2>close"
        assert relieved == []
        pier.hub.release(handle)
        assert pier.hub.slow_count == 0

    def test_it_is_not_while_its_oldest_byte_is_old(self, pier: Pier) -> None:
        """Else one who takes a byte a second would be relieved and slow again all the time."""
        pier.hub.max_queue_messages = 1000
        handle, transport = pier.open(room=2)
        for _ in range(3):
            pier.ledger.enqueue(handle, Frame(b"xx"))
        pier.loop.run()
        pier.hub.now = 6.0
        pier.hub.sweep_slow(1.0, -100.0)
        assert pier.hub.is_slow(handle)
        transport.give_room(2)
        pier.loop.run()
        assert queue_of(pier.hub, handle)[0] > 0
        assert pier.hub.is_slow(handle)
        drain(pier, handle, transport)
        assert not pier.hub.is_slow(handle)

    @pytest.mark.parametrize("which", ["on_overflow", "on_relief"])
    def test_owners_are_told_a_hundred_in_a_turn(self, pier: Pier, press: Press, which: str) -> None:
        told: list[int] = []
        setattr(pier.hub, which, lambda side: told.append(side.handle))
        pier.hub.max_queue_messages = 2
        handles = [stalled(pier)[0] for _ in range(250)]
        for number in range(3):
            pier.hub.enqueue_many(recipients(handles), press.data(number))
        if which == "on_relief":
            pier.hub.on_overflow = None
            pier.loop.run()
            for handle in handles:
                pier.hub.discard(handle, SLOW)
                pier.hub.unblock(handle)
        shares = []
        while pier.loop.soon:
            before = len(told)
            pier.loop.turn()
            shares.append(len(told) - before)
        assert told == handles
        assert [share for share in shares if share] == [100, 100, 50]

    def test_one_that_has_gone_or_is_slow_again_is_not_told(self, pier: Pier, press: Press) -> None:
        relieved: list[object] = []
        pier.hub.on_relief = relieved.append
        pier.hub.max_queue_messages = 4
        first, _ = stalled(pier)
        second, _ = stalled(pier)
        for handle in (first, second):
            for number in range(3):
                pier.ledger.enqueue(handle, press.data(number, stream="s"))
            assert pier.hub.is_slow(handle)
            pier.hub.discard(handle, SLOW)
            pier.hub.unblock(handle)
            assert not pier.hub.is_slow(handle)
        pier.hub.block(first)
        for number in range(3):
            pier.ledger.enqueue(first, press.data(number, stream=str(number)))
        assert pier.hub.is_slow(first)
        pier.hub.release(second)
        pier.loop.run()
        assert relieved == []
        # Nothing of its losses is forgotten meanwhile.
        assert [loss[2] for loss in pier.hub.take_losses(first)] == ["conflated", "slow"]
        pier.ledger.check()


class TestConflation:
    def test_a_slow_connection_keeps_the_newest_of_each_stream_in_order(
        self, pier: Pier, press: Press
    ) -> None:
        pier.hub.max_queue_messages = 12
        handle, transport = stalled(pier)
        for number in range(6):
            pier.ledger.enqueue(handle, press.data(number, stream="odd" if number % 2 else "even"))
        assert queue_of(pier.hub, handle)[0] == 6
        pier.ledger.enqueue(handle, press.data(6, stream="even"))
        assert queue_of(pier.hub, handle)[0] == 2
        for number in range(7, 100):
            pier.ledger.enqueue(handle, press.data(number, stream="odd" if number % 2 else "even"))
        assert queue_of(pier.hub, handle)[0] == 2
        assert pier.hub.take_losses(handle) == [("l", "t", "conflated", 1, 98, 98)]
        assert pier.hub.frames_dropped["conflated"] == 98
        assert drain(pier, handle, transport) == b"<98><99>"
        pier.ledger.check()

    def test_alerts_critical_messages_and_data_without_a_stream_stay_as_they_are(
        self, pier: Pier, press: Press
    ) -> None:
        pier.hub.max_queue_messages = 20
        handle, transport = stalled(pier)
        expected = b""
        for number in range(11):
            importance = (DATA, ALERT, CRITICAL, CONTROL)[number % 4]
            frame = press.frame(importance, number, stream=None if importance == DATA else "s")
            pier.ledger.enqueue(handle, frame)
            expected += frame.wire
        assert pier.hub.is_slow(handle)
        assert drain(pier, handle, transport) == expected
        assert pier.hub.take_losses(handle) == []

    def test_alerts_of_a_stream_neither_replace_nor_are_replaced(self, pier: Pier, press: Press) -> None:
        pier.hub.max_queue_messages = 8
        handle, transport = stalled(pier)
        pier.ledger.enqueue(handle, press.data(1, stream="s"))
        for number in range(2, 6):
            pier.ledger.enqueue(handle, press.frame(ALERT, number, stream="s"))
        assert pier.hub.is_slow(handle)
        assert queue_of(pier.hub, handle)[0] == 5
        pier.ledger.enqueue(handle, press.frame(ALERT, 6, stream="s"))
        assert queue_of(pier.hub, handle)[0] == 6
        pier.ledger.enqueue(handle, press.data(7, stream="s"))
        assert drain(pier, handle, transport) == b"<2><3><4><5><6><7>"
        pier.ledger.check()

    def test_what_has_begun_to_leave_is_not_replaced(self, pier: Pier, press: Press) -> None:
        handle, transport = pier.open(room=1)
        pier.ledger.enqueue(handle, press.data(1, stream="s"))
        pier.loop.run()
        pier.hub.now = 9.0
        pier.hub.sweep_slow(8.0, 0.0)
        for number in (2, 3):
            pier.ledger.enqueue(handle, press.data(number, stream="s"))
        assert drain(pier, handle, transport) == b"<1><3>"

    def test_a_stream_without_a_name_is_one_and_no_stream_is_none(self, pier: Pier, press: Press) -> None:
        """The hash of empty text is 0, which also marks what nothing replaces."""
        pier.hub.max_queue_messages = 8
        handle, transport = stalled(pier)
        for number in range(5):
            pier.ledger.enqueue(handle, press.data(number))
        assert pier.hub.is_slow(handle)
        for name in ("a", "b"):
            pier.ledger.enqueue(handle, press.data(name, stream=""))
            pier.ledger.enqueue(handle, press.frame(ALERT, "!", stream=""))
        assert drain(pier, handle, transport) == b"<0><1><2><3><4><!><b><!>"

    @pytest.mark.parametrize("place", range(9))
    @pytest.mark.parametrize("leaving", [0, 1, 2])
    def test_the_older_one_goes_wherever_it_stands_and_the_others_keep_their_order(
        self, pier: Pier, press: Press, place: int, leaving: int
    ) -> None:
        pier.hub.max_queue_messages = 18
        handle, transport = pier.open(room=1)
        expected = b""
        for number in range(leaving):
            frame = press.data(f"leaving{number}", stream=str(place))
            pier.ledger.enqueue(handle, frame)
            expected += frame.wire
        pier.loop.run()
        if not leaving:
            pier.hub.block(handle)
        for number in range(10):
            frame = press.data(number, stream=str(number))
            pier.ledger.enqueue(handle, frame)
            expected += frame.wire if number != place else b""
        assert pier.hub.is_slow(handle)
        newer = press.data("newer", stream=str(place))
        pier.ledger.enqueue(handle, newer)
        assert drain(pier, handle, transport) == expected + newer.wire
        pier.ledger.check()

    @pytest.mark.parametrize("stream", [1, ("t",), b"s"])
    def test_a_stream_is_named_by_text(self, stream: object) -> None:
        with pytest.raises(TypeError):
            Frame(b"x", None, DATA, stream=stream)

    def test_a_broadcast_reaches_the_others_whole(self, pier: Pier, press: Press) -> None:
        pier.hub.max_queue_messages = 4
        slow, _ = stalled(pier)
        quick, transport = pier.open()
        for number in range(10):
            outcome = pier.ledger.enqueue_many([slow, quick], press.data(number, stream="s"))
            assert outcome == (2, 0, 0, 0)
            pier.loop.run()
        assert transport.sent == b"".join(b"<%d>" % number for number in range(10))
        assert queue_of(pier.hub, slow)[0] == 1


class TestRoomForWhatMatters:
    def full_of(self, pier: Pier, press: Press, importance: int) -> tuple[int, RecordingTransport]:
        pier.hub.max_queue_messages = 4
        handle, transport = stalled(pier)
        for number in range(4):
            assert pier.ledger.enqueue(handle, press.frame(importance, number)) == QUEUED
        return handle, transport

    @pytest.mark.parametrize("importance", [ALERT, CRITICAL, CONTROL])
    def test_data_goes_for_anything_that_matters_more(
        self, pier: Pier, press: Press, importance: int
    ) -> None:
        handle, transport = self.full_of(pier, press, DATA)
        assert pier.ledger.enqueue(handle, press.frame(importance, "more")) == QUEUED
        assert pier.hub.take_losses(handle) == [("l", "t", "slow", 1, 4, 4)]
        assert drain(pier, handle, transport) == b"<more>"
        pier.ledger.check()

    def test_what_was_refused_may_be_newer_than_what_is_dropped_later(self, pier: Pier, press: Press) -> None:
        handle, _ = self.full_of(pier, press, DATA)
        assert pier.ledger.enqueue(handle, press.data("more")) == REFUSED_SLOW
        pier.loop.run()
        assert pier.ledger.enqueue(handle, press.frame(ALERT, "alert")) == QUEUED
        assert pier.hub.take_losses(handle) == [("l", "t", "slow", 1, 5, 5)]

    def test_what_is_refused_until_the_owner_decides_is_lost_and_told(self, pier: Pier, press: Press) -> None:
        handle, _ = self.full_of(pier, press, DATA)
        for _ in range(3):
            assert pier.ledger.enqueue(handle, press.data("more")) == REFUSED_SLOW
        assert pier.ledger.enqueue_many([handle], press.data("more")) == (0, 1, 0, 0)
        assert pier.hub.take_losses(handle) == [("l", "t", "slow", 5, 8, 4)]

    def test_more_data_overflows(self, pier: Pier, press: Press) -> None:
        handle, _ = self.full_of(pier, press, DATA)
        assert pier.ledger.enqueue(handle, press.data("more")) == REFUSED_SLOW
        assert queue_of(pier.hub, handle)[0] == 4
        # Those in the queue are not lost yet; the refused one is.
        assert pier.hub.take_losses(handle) == [("l", "t", "slow", 5, 5, 1)]

    def test_alerts_go_for_critical_messages_only(self, pier: Pier, press: Press) -> None:
        handle, _ = self.full_of(pier, press, ALERT)
        assert pier.ledger.enqueue(handle, press.frame(ALERT, "more")) == REFUSED_SLOW
        pier.loop.run()
        assert pier.ledger.enqueue(handle, press.frame(CRITICAL, "more")) == QUEUED
        assert queue_of(pier.hub, handle)[0] == 1

    def test_critical_messages_go_for_nothing(self, pier: Pier, press: Press) -> None:
        handle, transport = self.full_of(pier, press, CRITICAL)
        assert pier.ledger.enqueue(handle, press.frame(CRITICAL, "more")) == REFUSED_SLOW
        assert drain(pier, handle, transport) == b"<0><1><2><3>"

    def test_news_is_taken_past_every_bound(self, pier: Pier, press: Press) -> None:
        handle, transport = self.full_of(pier, press, CRITICAL)
        assert pier.ledger.enqueue(handle, press.frame(CRITICAL, "lost")) == REFUSED_SLOW
        news = Frame(b"<news>")
        assert pier.hub.insist(handle, news) == QUEUED
        assert drain(pier, handle, transport).endswith(b"<3><news>")

    def test_shedding_takes_one_importance_and_leaves_the_others(self, pier: Pier, press: Press) -> None:
        handle, transport = stalled(pier)
        for number in range(8):
            pier.ledger.enqueue(handle, press.frame((DATA, ALERT, CRITICAL, CONTROL)[number % 4], number))
        assert pier.hub.shed(handle, DATA) == 2
        assert pier.hub.shed(handle, ALERT) == 2
        assert drain(pier, handle, transport) == b"<2><3><6><7>"
        pier.ledger.check()

    @pytest.mark.parametrize("importance", [CONTROL, CRITICAL, 4, -1])
    def test_what_is_never_dropped_cannot_be_shed(self, pier: Pier, importance: int) -> None:
        handle, _ = stalled(pier)
        with pytest.raises(ValueError, match="alerts and data"):
            pier.hub.shed(handle, importance)


class TestLosses:
    def test_there_is_one_for_each_log_topic_and_reason(self, pier: Pier, press: Press) -> None:
        pier.hub.max_queue_messages = 8
        handle, _ = stalled(pier)
        for number in range(10):
            topic = "even" if number % 2 == 0 else "odd"
            pier.ledger.enqueue(handle, press.data(number, topic=topic, stream=topic))
        pier.hub.shed(handle, DATA)
        assert pier.hub.take_losses(handle) == [
            ("l", "even", "conflated", 1, 7, 4),
            ("l", "odd", "conflated", 2, 8, 4),
            ("l", "even", "slow", 9, 9, 1),
            ("l", "odd", "slow", 10, 10, 1),
        ]
        assert pier.hub.take_losses(handle) == []

    def test_control_frames_and_the_end_of_a_connection_are_no_losses(self, pier: Pier, press: Press) -> None:
        pier.hub.max_queue_messages = 2
        handle, _ = stalled(pier)
        for _ in range(2):
            pier.ledger.enqueue(handle, Frame(b"x"))
        pier.ledger.enqueue(handle, press.data("more"))
        pier.hub.take_losses(handle)
        pier.loop.run()
        assert pier.hub.insist(handle, press.data("waits")) == QUEUED
        pier.hub.discard(handle, DROP_REASONS.index("closed"))
        assert pier.hub.take_losses(handle) == []
        pier.hub.release(handle)
        assert pier.hub.take_losses(handle) == []

    def test_topics_beyond_a_bound_are_summed_up(self, pier: Pier, press: Press) -> None:
        pier.hub.max_queue_messages = 1000
        handle, _ = stalled(pier)
        for number in range(501):
            pier.ledger.enqueue(handle, press.data(number, topic=str(number), stream=str(number)))
        assert pier.hub.is_slow(handle)
        pier.hub.shed(handle, DATA)
        losses = pier.hub.take_losses(handle)
        assert len(losses) == 257
        assert losses[:2] == [("l", "0", "slow", 1, 1, 1), ("l", "1", "slow", 2, 2, 1)]
        assert losses[-1] == ("l", None, "slow", 257, 501, 245)


class TestTooLong:
    def test_one_that_has_been_slow_for_too_long_overflows_once(self, pier: Pier, press: Press) -> None:
        told: list[object] = []
        pier.hub.on_overflow = lambda side: told.append(side.handle)
        handle, _ = pier.open(room=0)
        pier.ledger.enqueue(handle, press.data(1))
        pier.loop.run()
        pier.hub.now = 5.0
        pier.hub.sweep_slow(4.0, 5.0)
        pier.loop.run()
        assert told == []
        pier.hub.now = 99.0
        for _ in range(3):
            pier.hub.sweep_slow(98.0, 5.1)
        assert pier.ledger.enqueue(handle, press.data(2)) == REFUSED_SLOW
        pier.loop.run()
        assert told == [handle]

    def test_one_that_has_just_caught_up_is_left_alone(self, pier: Pier, press: Press) -> None:
        told: list[object] = []
        pier.hub.on_overflow = told.append
        handle, transport = pier.open(room=0)
        pier.ledger.enqueue(handle, press.data(1))
        pier.loop.run()
        pier.hub.now = 5.0
        pier.hub.sweep_slow(4.0, 0.0)
        assert pier.hub.is_slow(handle)
        transport.give_room()
        assert not pier.hub.is_slow(handle)
        pier.hub.sweep_slow(4.0, 99.0)
        pier.loop.run()
        assert told == []

    def test_those_slow_for_longest_come_first(self, pier: Pier, press: Press) -> None:
        pier.hub.max_queue_messages = 4
        opened = [stalled(pier)[0] for _ in range(3)]
        for handle in (*opened, opened[0]):
            if pier.hub.is_slow(handle):
                pier.hub.unblock(handle)
                pier.hub.discard(handle, SLOW)
                pier.hub.block(handle)
            for number in range(3):
                pier.ledger.enqueue(handle, press.data(number))
        assert pier.hub.slow_handles() == [opened[1], opened[2], opened[0]]

    def test_the_absence_of_this_process_is_nobodys_slowness(self, pier: Pier, press: Press) -> None:
        told: list[object] = []
        pier.hub.on_overflow = told.append
        handle, _ = pier.open(room=0)
        pier.ledger.enqueue(handle, press.data(1))
        pier.loop.run()
        pier.hub.now = 5.0
        pier.hub.sweep_slow(4.0, 0.0)
        pier.hub.excuse(10.0)
        pier.hub.sweep_slow(4.0, 15.0)
        pier.loop.run()
        assert told == []
        pier.hub.sweep_slow(4.0, 15.1)
        pier.loop.run()
        assert len(told) == 1

    def test_one_that_is_closing_is_left_to_its_close(self, pier: Pier) -> None:
        told: list[object] = []
        pier.hub.on_overflow = told.append
        handle, _ = pier.open(room=0)
        pier.ledger.enqueue(handle, Frame(b"x"))
        pier.loop.run()
        pier.hub.sweep_slow(1.0, -1.0)
        assert pier.hub.is_slow(handle)
        pier.ledger.enqueue(handle, Frame(b"close"), True)
        pier.hub.sweep_slow(1.0, 1.0)
        pier.loop.run()
        assert told == []
        pier.hub.release(handle)
        assert pier.hub.slow_count == 0


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
