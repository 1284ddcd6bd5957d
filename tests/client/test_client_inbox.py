"""What waits for its consumer, and when the socket is not read."""

import asyncio

import pytest
from hand_clock import settle

from wsserver.client.cursor import Position
from wsserver.client.errors import ConnectionEnded
from wsserver.client.inbox import STRETCH, Drained, Inbox
from wsserver.client.message import Gap, Message


async def test_what_waits_is_given_before_the_end_is_told() -> None:
    inbox = Inbox(10, 1000)
    inbox.put(Message(n=1), 10)
    inbox.end(ConnectionEnded(4511, "revoked"))
    assert await inbox.get() == {"n": 1}
    for _ in range(2):
        with pytest.raises(ConnectionEnded):
            await inbox.get()
    inbox.reopen()
    inbox.end(None)
    with pytest.raises(Drained):
        await inbox.get()


@pytest.mark.parametrize(("most", "size"), [((3, 10**9), 1), ((10**9, 30), 10)])
async def test_it_is_full_by_number_or_by_bytes(most, size: int) -> None:
    inbox = Inbox(*most)
    for n in range(3):
        assert not inbox.is_full
        inbox.put(Message(n=n), size)
    assert inbox.is_full
    waiting = asyncio.ensure_future(inbox.room())
    await settle()
    assert not waiting.done()
    await inbox.get()
    await waiting
    assert inbox.bytes == 2 * size


async def test_it_stretches_while_an_answer_is_awaited_and_only_so_far() -> None:
    inbox = Inbox(2, 10**9)
    inbox.put(Message(), 1)
    inbox.put(Message(), 1)
    waiting = asyncio.ensure_future(inbox.room())
    await settle()
    with inbox.stretched():
        await waiting
        while not inbox.is_full:
            inbox.put(Message(), 1)
        assert len(inbox) == 2 * STRETCH
    assert inbox.is_full


async def test_positions_that_follow_each_other_are_one() -> None:
    inbox = Inbox(10, 1000)
    inbox.put(Gap("slow"))
    for seq in (3, 9, 5):
        inbox.put(Position(1, {"d": seq}))
    inbox.put(Position(2, {"d": 1}))
    await inbox.get()
    assert await inbox.get() == Position(1, {"d": 9})
    assert await inbox.get() == Position(2, {"d": 1})
