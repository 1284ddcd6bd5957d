"""What the hub times with its stopwatch: broadcasts up to the last queue and socket, and slices."""

import pytest
from pier import Pier

from wsserver_core.histogram import Histogram
from wsserver_core.outgoing import DATA, Frame
from wsserver_core.recipients import Recipients


class Stopwatch:
    """Goes on by ``step`` with every look."""

    def __init__(self, step: float = 0.0) -> None:
        self.now, self.step, self.looks = 100.0, step, 0

    def __call__(self) -> float:
        self.looks += 1
        self.now += self.step
        return self.now


def broadcast(at: float, *, lane: int = 1) -> Frame:
    return Frame(b"\x81\x01x", None, DATA, topic="patient:1", log="l", seq=1, lane=lane, accepted_at=at)


def recipients(*handles: int) -> Recipients:
    found = Recipients()
    for handle in handles:
        found.add(handle)
    return found


def taken(times: Histogram) -> tuple[int, float]:
    """How many, and their sum."""
    return times.figures()[-1][1], pytest.approx(times.total)


def test_a_broadcast_is_timed_to_its_last_queue_and_to_its_last_socket(pier: Pier) -> None:
    pier.hub.stopwatch = watch = Stopwatch()
    (one, _, _), (two, _, _) = pier.open_socket(), pier.open_socket()
    frame = broadcast(watch.now)
    watch.now += 0.25
    pier.hub.enqueue_many(recipients(one, two), frame)
    assert taken(pier.hub.enqueue_times[0]) == (1, 0.25)
    assert taken(pier.hub.write_times[0]) == (0, 0.0)
    watch.now += 0.5
    pier.loop.run()
    assert frame.written == 2
    assert taken(pier.hub.write_times[0]) == (1, 0.75)
    assert taken(pier.hub.enqueue_times[1]) == taken(pier.hub.write_times[1]) == (0, 0.0)


def test_each_log_has_its_own_times(pier: Pier) -> None:
    pier.hub.stopwatch = watch = Stopwatch()
    handle, _, _ = pier.open_socket()
    pier.hub.enqueue_many(recipients(handle), broadcast(watch.now - 1.0, lane=2))
    pier.loop.run()
    assert taken(pier.hub.enqueue_times[1]) == taken(pier.hub.write_times[1]) == (1, 1.0)
    assert taken(pier.hub.enqueue_times[0]) == (0, 0.0)


def test_the_last_socket_may_be_a_slow_transport_s(pier: Pier) -> None:
    pier.hub.stopwatch = watch = Stopwatch()
    fast, _, _ = pier.open_socket()
    slow, transport = pier.open(room=0)
    pier.hub.enqueue_many(recipients(fast, slow), broadcast(watch.now))
    pier.loop.run()
    assert taken(pier.hub.write_times[0]) == (0, 0.0)
    watch.now += 3.0
    transport.give_room(100)
    pier.hub.unblock(slow)
    assert taken(pier.hub.write_times[0]) == (1, 3.0)


def test_a_broadcast_whose_last_copy_is_dropped_has_no_last_socket(pier: Pier) -> None:
    pier.hub.stopwatch = watch = Stopwatch()
    one, _ = pier.open(room=0)
    pier.hub.enqueue_many(recipients(one), broadcast(watch.now))
    pier.loop.run()
    pier.hub.release(one)
    assert taken(pier.hub.write_times[0]) == (0, 0.0)


def test_what_is_given_again_is_not_timed_again(pier: Pier) -> None:
    pier.hub.stopwatch = watch = Stopwatch()
    handle, _, _ = pier.open_socket()
    frame = broadcast(watch.now)
    pier.hub.enqueue_many(recipients(handle), frame)
    pier.loop.run()
    watch.now += 60.0
    pier.hub.replay(handle, frame)
    pier.hub.replay(handle, frame.again())
    pier.loop.run()
    assert taken(pier.hub.write_times[0]) == (1, 0.0)


def test_nobody_reached_is_timed_to_the_queues_alone(pier: Pier) -> None:
    pier.hub.stopwatch = watch = Stopwatch()
    pier.hub.enqueue_many(recipients(), broadcast(watch.now - 0.1))
    pier.loop.run()
    assert taken(pier.hub.enqueue_times[0]) == (1, 0.1)
    assert taken(pier.hub.write_times[0]) == (0, 0.0)


def test_every_slice_is_timed_and_the_stopwatch_is_read_three_times_in_each_and_between(pier: Pier) -> None:
    pier.hub.stopwatch = watch = Stopwatch(step=1.0)
    pier.hub.batch_size = 2
    handles = [pier.open_socket()[0] for _ in range(4)]
    pier.hub.enqueue_many(recipients(*handles), Frame(b"x"))
    pier.loop.run()
    assert taken(pier.hub.slice_times) == (2, 4.0)
    # Once as a turn begins, and once to see whether it may go on: the second turn has nothing left.
    assert watch.looks == 3 + 3 + 1 + 1 + 1
    pier.hub.flush_slice()
    assert watch.looks == 9, "there was nothing to do"


def test_without_a_stopwatch_nothing_is_timed(pier: Pier) -> None:
    handle, _, _ = pier.open_socket()
    pier.hub.enqueue_many(recipients(handle), broadcast(50.0))
    pier.loop.run()
    for times in (pier.hub.slice_times, *pier.hub.enqueue_times, *pier.hub.write_times):
        assert taken(times) == (0, 0.0)
