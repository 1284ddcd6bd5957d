"""The hub: taking back what waits about those whom a connection may not see any more."""

import random

import pytest
from pier import Pier, queue_of

from wsserver_core.outgoing import Frame


def test_frames_about_others_and_about_nobody_stay_in_order(pier: Pier) -> None:
    handle, transport = pier.open()
    frames = [
        Frame(text, about) for text, about in ((b"a1 ", "1"), (b"b2 ", "2"), (b"c ", None), (b"d1", "1"))
    ]
    for frame in frames:
        pier.ledger.enqueue(handle, frame)
    assert pier.hub.withdraw(handle, frozenset({"1"})) == 1
    pier.ledger.check()
    assert frames[1].dropped["closed"] == 1
    pier.loop.run()
    assert transport.sent == b"a1 c d1"


def test_what_has_begun_to_leave_still_arrives_whole(pier: Pier) -> None:
    handle, transport = pier.open(room=2)
    pier.ledger.enqueue(handle, Frame(b"first ", "1"))
    pier.loop.run()
    pier.ledger.enqueue(handle, Frame(b"second ", "1"))
    assert pier.hub.withdraw(handle, frozenset()) == 1
    assert queue_of(pier.hub, handle) == (1, 6)
    transport.give_room()
    pier.loop.run()
    assert transport.sent == b"first "
    pier.ledger.check()


def test_a_connection_that_is_gone_loses_nothing_more(pier: Pier) -> None:
    handle, _ = pier.open()
    pier.hub.release(handle)
    assert pier.hub.withdraw(handle, frozenset()) == 0


def test_the_last_frame_withdrawn_lets_a_finished_connection_close(pier: Pier) -> None:
    handle, transport = pier.open()
    pier.ledger.enqueue(handle, Frame(b"x", "1"))
    pier.hub.finish(handle)
    assert not transport.closing
    assert pier.hub.withdraw(handle, frozenset()) == 1
    assert transport.closing


def test_nothing_but_a_set_will_do(pier: Pier) -> None:
    handle, _ = pier.open()
    with pytest.raises(TypeError):
        pier.hub.withdraw(handle, None)


def test_random_queues_keep_exactly_what_is_allowed() -> None:
    dice = random.Random(7)
    for number in range(300):
        if number % 5 == 0:
            # The ledger counts every queue there is after each step: a few at a time.
            pier = Pier()
        handle, transport = pier.open()
        expected = b""
        allowed = frozenset(name for name in "123" if dice.random() < 0.5)
        for place in range(dice.randrange(40)):
            about = dice.choice(["1", "2", "3", None])
            text = b"%d," % place
            pier.ledger.enqueue(handle, Frame(text, about))
            expected += text if about is None or about in allowed else b""
        pier.hub.withdraw(handle, allowed)
        pier.ledger.check()
        pier.loop.run()
        assert transport.sent == expected


@pytest.mark.parametrize("arguments", [(None,), ()])
def test_a_missing_frame_is_an_error_and_no_crash(pier: Pier, arguments: tuple[None, ...]) -> None:
    handle, _ = pier.open()
    with pytest.raises(TypeError):
        pier.hub.enqueue(handle, *arguments)
