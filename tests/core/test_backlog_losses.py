"""The queues of those who do not keep up: what is dropped, what replaces what, and what is told of it."""

import pytest
from pier import QUEUED, REFUSED_SLOW, Pier, queue_of
from press import Press, drain, stalled
from recording_transport import RecordingTransport

from wsserver_core.outgoing import ALERT, CONTROL, CRITICAL, DATA, DROP_REASONS, Frame

SLOW = DROP_REASONS.index("slow")


@pytest.fixture
def press() -> Press:
    return Press()


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
