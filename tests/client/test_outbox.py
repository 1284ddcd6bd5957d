"""What waits to be sent: bounded, in order, and only as long as it is worth it."""

import pytest
from hand_clock import HandClock

from wsserver.client import OutboxFull, ReconnectionConfig
from wsserver.client.outbox import Outbox
from wsserver.client.pace import Pace


def test_one_too_many_is_an_error_if_that_is_wanted() -> None:
    outbox = Outbox(ReconnectionConfig(max_queue_size=1, queue_overflow="throw"), HandClock().monotonic)
    outbox.put({"n": 1})
    with pytest.raises(OutboxFull):
        outbox.put({"n": 2})
    assert (len(outbox), outbox.dropped) == (1, 0)


def test_what_is_no_longer_worth_sending_goes() -> None:
    clock = HandClock()
    outbox = Outbox(ReconnectionConfig(), clock.monotonic)
    outbox.put({"n": 1}, ttl=5)
    outbox.put({"n": 2})
    outbox.put({"n": 3}, ttl=0)
    assert outbox.first() == {"n": 1}
    clock.now += 5
    second = outbox.first()
    assert second == {"n": 2}
    outbox.sent(second)
    assert outbox.first() is None
    assert outbox.dropped == 2


def test_what_was_dropped_while_it_was_sent_does_not_take_the_next_one_along() -> None:
    outbox = Outbox(ReconnectionConfig(max_queue_size=1), HandClock().monotonic)
    outbox.put({"n": 1})
    first = outbox.first()
    assert first is not None
    outbox.put({"n": 2})
    outbox.sent(first)
    assert outbox.first() == {"n": 2}


def test_the_pace_is_a_burst_and_then_a_rate() -> None:
    clock = HandClock()
    pace = Pace(40.0, clock.monotonic)
    assert [pace.wait() for _ in range(100)] == [0.0] * 100
    assert [round(pace.wait(), 6) for _ in range(3)] == [0.025, 0.05, 0.075]
    clock.now += 60
    assert pace.wait() == 0.0
    assert Pace(0, clock.monotonic).wait() == 0.0
