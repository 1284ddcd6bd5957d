"""What other threads leave for the loop."""

from collections.abc import Callable

import pytest
from hand_loop import HandLoop

from wsserver.errors import BACKPRESSURE, ServerError
from wsserver.protocol.report import DeliveryReport
from wsserver.publishing.inbox import SLICE, Inbox


def report(number: int = 0) -> DeliveryReport:
    return DeliveryReport(
        message_id="m", topic="*", log="k", seq=1, considered=0, filtered=0, denied=0, matched=number,
        delivered=number, refused={},
    )  # fmt: skip


@pytest.fixture
def loop() -> HandLoop:
    return HandLoop()


def bound(loop: HandLoop, capacity: int = 10) -> Inbox:
    inbox = Inbox(capacity)
    inbox.bind(loop)
    return inbox


def test_calls_are_made_in_order_in_the_loops_turn_and_not_before(loop: HandLoop) -> None:
    inbox = bound(loop)
    calls: list[int] = []

    def call(number: int) -> Callable[[], DeliveryReport]:
        return lambda: (calls.append(number), report(number))[1]

    futures = [inbox.put(call(number)) for number in range(5)]
    assert calls == []
    assert len(inbox) == 5
    assert loop.turn() == 1
    assert calls == [0, 1, 2, 3, 4]
    assert [int(future.result(0)) for future in futures] == [0, 1, 2, 3, 4]
    assert len(inbox) == 0


def test_the_place_after_the_last_is_refused_and_free_again_after_a_turn(loop: HandLoop) -> None:
    inbox = bound(loop, 3)
    for _ in range(3):
        inbox.put(report)
    with pytest.raises(ServerError) as refused:
        inbox.put(report)
    assert refused.value.kind is BACKPRESSURE
    assert refused.value.retry_after_ms
    loop.run()
    assert inbox.put(report)


def test_a_call_that_fails_tells_its_own_caller_only(loop: HandLoop) -> None:
    inbox = bound(loop)

    def fail() -> DeliveryReport:
        raise ServerError(BACKPRESSURE)

    failed, good = inbox.put(fail), inbox.put(report)
    loop.run()
    assert isinstance(failed.exception(0), ServerError)
    assert good.result(0) == 0


def test_a_call_that_was_cancelled_is_not_made(loop: HandLoop) -> None:
    inbox = bound(loop)
    made = []
    future = inbox.put(lambda: (made.append(1), report())[1])
    assert future.cancel()
    loop.run()
    assert made == []


def test_when_the_loop_ends_what_waits_is_refused_even_behind_a_cancelled_one(loop: HandLoop) -> None:
    inbox = bound(loop)
    cancelled, waiting = inbox.put(report), inbox.put(report)
    cancelled.cancel()
    inbox.unbind()
    error = waiting.exception(0)
    assert isinstance(error, ServerError)
    assert error.kind is BACKPRESSURE
    loop.run()
    with pytest.raises(ServerError):
        inbox.put(report)


def test_nothing_is_taken_before_a_loop_is_there_or_after_it_was_closed(loop: HandLoop) -> None:
    with pytest.raises(ServerError):
        Inbox().put(report)
    inbox = bound(loop)
    loop.closed = True
    with pytest.raises(ServerError):
        inbox.put(report)


def test_what_waits_is_done_by_the_next_loop(loop: HandLoop) -> None:
    inbox = bound(loop)
    future = inbox.put(report)
    second = HandLoop()
    inbox.bind(second)
    second.run()
    assert future.done()
    loop.run()


def test_a_thread_that_floods_has_a_part_of_each_turn(loop: HandLoop) -> None:
    inbox = bound(loop, 1_000)
    for number in range(SLICE * 2 + 1):
        inbox.put(lambda number=number: report(number))
    left = []
    while len(inbox):
        loop.turn()
        left.append(len(inbox))
    assert left == [SLICE + 1, 1, 0]
