"""What became of each copy of a frame that is watched."""

import pytest
from pier import Pier

from wsserver_core.fates import Fates
from wsserver_core.outgoing import DATA, DROP_REASONS, Frame
from wsserver_core.recipients import Recipients

pytestmark = pytest.mark.core


class Watch(Pier):
    """A hub with clocks moved by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.hub.now = self.time = 100.0
        self.hub.stopwatch = lambda: self.time

    def enter(self) -> int:
        return self.open()[0]

    def frame(self, seq: int = 7, **more: object) -> Frame:
        return Frame(b"message", None, DATA, topic="ecg:*", log="l1v", seq=seq, lane=2, **more)

    def publish(self, frame: Frame, *handles: int) -> None:
        recipients = Recipients()
        for handle in handles:
            recipients.add(handle)
        self.hub.enqueue_many(recipients, frame)


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_a_frame_is_watched_once_and_from_when_it_is_asked_for(watch: Watch) -> None:
    frame = watch.frame()
    fates = frame.watch(3)
    assert frame.watch(50) is fates
    assert (fates.room, fates.writes, fates.losses, fates.first_write, fates.last_write) == (
        3,
        0,
        0,
        0.0,
        0.0,
    )
    assert (fates.written(), fates.lost(), fates.replays) == ([], [], None)


@pytest.mark.parametrize("room", [0, 100_001])
def test_its_room_is_bounded(room: int) -> None:
    with pytest.raises(ValueError, match="room must be from 1 to 100000"):
        Fates(room)


def test_each_write_has_its_connection_and_its_time(watch: Watch) -> None:
    one, two = watch.enter(), watch.enter()
    frame = watch.frame()
    fates = frame.watch()
    watch.publish(frame, one, two)
    watch.hub.block(two)
    watch.time = 100.5
    watch.loop.run()
    assert fates.written() == [(one, 100.5)]
    watch.time = 103.25
    watch.hub.unblock(two)
    watch.loop.run()
    assert fates.written() == [(one, 100.5), (two, 103.25)]
    assert (fates.writes, fates.first_write, fates.last_write) == (2, 100.5, 103.25)


@pytest.mark.parametrize("reason", DROP_REASONS)
def test_each_loss_has_its_reason_and_the_coarse_time(watch: Watch, reason: str) -> None:
    one = watch.enter()
    frame = watch.frame()
    fates = frame.watch()
    watch.publish(frame, one)
    watch.hub.now = 101.0
    watch.hub.discard(one, DROP_REASONS.index(reason))
    assert fates.lost() == [(one, reason, 0, 101.0)]
    assert (fates.losses, fates.writes) == (1, 0)


def test_one_that_ends_loses_what_waits(watch: Watch) -> None:
    one = watch.enter()
    frame = watch.frame()
    fates = frame.watch()
    watch.publish(frame, one)
    watch.hub.release(one)
    assert fates.lost() == [(one, "closed", 0, 100.0)]


def test_what_a_newer_one_replaced_names_it(watch: Watch) -> None:
    watch.hub.max_queue_messages = 4
    one = watch.enter()
    watch.hub.block(one)
    first = watch.frame(1, stream="s")
    fates = first.watch()
    for frame in (first, *(watch.frame(seq, stream="s") for seq in (2, 3, 4))):
        watch.publish(frame, one)
    assert fates.lost() == [(one, "conflated", fates.lost()[0][2], 100.0)]
    assert fates.lost()[0][2] in (2, 3, 4)


def test_beyond_its_room_there_are_counts_and_losses_have_a_room_of_their_own(watch: Watch) -> None:
    handles = [watch.enter() for _ in range(5)]
    frame = watch.frame()
    fates = frame.watch(2)
    watch.publish(frame, *handles)
    watch.hub.discard(handles[4], 0)
    watch.loop.run()
    assert [handle for handle, _ in fates.written()] == handles[:2]
    assert fates.lost() == [(handles[4], "slow", 0, 100.0)]
    assert (fates.writes, fates.losses) == (4, 1)
    assert frame.written == 4


def test_what_is_sent_once_more_is_told_apart(watch: Watch) -> None:
    one, two = watch.enter(), watch.enter()
    frame = watch.frame()
    fates = frame.watch()
    watch.publish(frame, one)
    again = frame.again()
    watch.hub.set_out(two, (0, 0), True)
    assert watch.hub.replay(two, again) == 0
    watch.loop.run()
    assert fates.written() == [(one, 100.0)]
    assert fates.replays is not None
    assert fates.replays.written() == [(two, 100.0)]
    # A copy of a copy belongs to them, too, and whatever is asked for that one.
    assert again.again().watch() is again.without_binary().watch() is fates.replays
    assert fates.replays.replays is None


def test_what_nobody_watches_notes_nothing(watch: Watch) -> None:
    one = watch.enter()
    frame = watch.frame()
    watch.publish(frame, one)
    watch.loop.run()
    fates = frame.watch()
    assert (fates.writes, fates.losses) == (0, 0)
    assert frame.written == 1
