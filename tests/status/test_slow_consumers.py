"""Who is slow, since when, and what waits."""

import pytest
from watch_room import WatchRoom

from wsserver.status.slow_consumers import slow_panel


@pytest.fixture
async def room() -> WatchRoom:
    connection = {"max_connections_per_role": None}
    return await WatchRoom(backpressure={"max_queue_messages": 8}, connection=connection).start()


async def stuck(room: WatchRoom, user: str) -> int:
    """A client whose socket is full."""
    far_end = await room.client(user)
    await room.ask(far_end, type="subscribe", topic="type:ecg")
    handle = room.owner(far_end).handle
    room.manager.hub.block(handle)
    return handle


def publish(room: WatchRoom, times: int) -> None:
    for number in range(times):
        room.manager.broadcast_to_type("ecg", {"type": "ecg_data", "n": number})
    room.loop.run()


async def test_without_anybody_slow_it_says_what_the_rules_are(room: WatchRoom) -> None:
    panel = slow_panel(room.service)
    assert (panel.consumers, panel.left_out, panel.slow_connections) == ([], 0, 0)
    assert (panel.slow_after_s, panel.closed_after_s) == (5.0, 120.0)
    assert panel.queue_limit_bytes == 256 * 2**20
    assert not panel.publishers_wait


async def test_a_slow_connection_is_shown_with_what_waits_and_what_it_lost(room: WatchRoom) -> None:
    await stuck(room, "nurse-17")
    publish(room, 1)
    room.second(2)
    publish(room, 7)
    room.second(1)
    (consumer,) = slow_panel(room.service).consumers
    assert (consumer.role, consumer.protocol, consumer.policy) == ("doctor", "wsserver.v1.json", "thinning")
    assert consumer.user_id == "nurse-17"
    assert consumer.slow_for_s == pytest.approx(1, abs=0.3)
    # The newest waits, and perhaps a ping.
    assert consumer.dropped == 7
    assert consumer.pending_messages in (1, 2)
    assert consumer.pending_bytes > 0
    panel = slow_panel(room.service)
    assert (panel.slow_connections, panel.stalled_connections) == (1, 1)
    assert panel.queued_bytes > 0


async def test_its_user_is_masked_on_the_way_to_viewers(room: WatchRoom) -> None:
    await stuck(room, "nurse-17")
    publish(room, 8)
    page = await room.watching("slow")
    room.second()
    message = page.take()[-1]
    assert [one["user_id"] for one in message["consumers"]] == ["•••17"]
    assert "nurse-17" not in str(message)


async def test_a_hundred_are_shown_and_the_others_counted(room: WatchRoom) -> None:
    for number in range(103):
        await stuck(room, f"u{number}")
        publish(room, 6 if number == 0 else 0)
    publish(room, 8)
    panel = slow_panel(room.service)
    assert (len(panel.consumers), panel.left_out, panel.slow_connections) == (100, 3, 103)
    assert panel.consumers[0].user_id == "u0"
