"""The first screen: state, capacities, the newest second, ends, topics and alerts."""

from typing import Any

import pytest
from watch_room import WatchRoom

from wsserver._version import __version__
from wsserver.overload import Cause
from wsserver.status.columns import COLUMNS


@pytest.fixture
async def room() -> WatchRoom:
    return await WatchRoom(connection={"max_connections": 100}).start()


async def overview(room: WatchRoom) -> dict[str, Any]:
    """The next one that a page gets."""
    page = await room.watching("overview")
    room.second()
    message = page.take()[-1]
    page.leave()
    room.loop.run()
    return message


async def test_it_says_which_server_it_is_and_how_it_stands(room: WatchRoom) -> None:
    room.second(10)
    shown = await overview(room)
    assert (shown["state"], shown["reasons"], shown["version"]) == ("accepting", [], __version__)
    assert shown["uptime_s"] == pytest.approx(11, abs=0.5)
    assert shown["core"] == "cython"
    assert shown["node"]
    assert (shown["viewers"], shown["viewers_limit"]) == (1, 50)
    room.service.overload.enter(Cause.OPERATOR)
    shown = await overview(room)
    assert (shown["state"], shown["reasons"]) == ("overloaded", ["operator"])
    assert [one["alert"] for one in shown["alerts"]] == ["SYSTEM_OVERLOAD"]


async def test_capacities_have_what_is_what_was_and_what_may_be(room: WatchRoom) -> None:
    clients = [await room.client(f"u{number}") for number in range(3)]
    await room.ask(clients[0], type="subscribe", topic="type:ecg")
    room.second(2)
    for client in clients[1:]:
        client.leave()
    room.loop.run()
    capacity = (await overview(room))["capacity"]
    assert capacity["connections"] == {"current": 1, "peak": 3, "limit": 100}
    assert capacity["subscriptions"] == {"current": 1, "peak": 1, "limit": 50_000}
    assert 0 < capacity["memory_bytes"]["current"] < capacity["memory_bytes"]["limit"]
    assert 0 < capacity["descriptors"]["current"] <= capacity["descriptors"]["peak"]
    assert capacity["queue_bytes"]["current"] == 0


async def test_the_newest_second_has_every_column(room: WatchRoom) -> None:
    client = await room.client()
    await room.ask(client, type="subscribe", topic="type:ecg")
    page = await room.watching("overview")
    for _ in range(4):
        room.manager.broadcast_to_type("ecg", {"type": "ecg_data"})
    room.loop.run()
    room.second()
    shown = page.take()[-1]
    assert list(shown["point"]) == [column.name for column in COLUMNS]
    assert (shown["point"]["published"], shown["point"]["deliveries"]) == (4, 4)
    assert shown["point"]["rtt_ms"] is None
    assert shown["point_at"] == room.clock.time()


async def test_ends_are_counted_by_code(room: WatchRoom) -> None:
    room.second(10)
    for number in range(3):
        client = await room.client(f"u{number}")
        client.leave()
        room.loop.run()
    client = await room.client("u9")
    await room.ask(client, type="disconnect")
    client.leave()
    room.loop.run()
    shown = await overview(room)
    assert shown["disconnects"] == {"1006": 3, "1000": 1}
    assert shown["disconnects_over_s"] == pytest.approx(10, abs=1)


async def test_the_largest_topics_are_named_with_patients_masked(room: WatchRoom) -> None:
    client = await room.client("u1", patients="*")
    for number in range(12):
        await room.ask(client, type="subscribe", topic=f"ecg:lead{number}")
    other = await room.client("u2", patients="*")
    for far_end in (client, other):
        await room.ask(far_end, type="subscribe", topic="patient:123456")
    shown = await overview(room)
    assert len(shown["top_targets"]) == 10
    assert shown["top_targets"][0] == {
        "subscription_type": "patient",
        "target_id": "•••56",
        "subscriptions": 2,
    }


async def test_topics_are_looked_through_once_in_ten_seconds(
    room: WatchRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    desk = room.live._overview
    index = room.manager.index
    service = desk._service

    class Index:
        def largest_topics(self, most: int) -> list[tuple[str, str, int]]:
            looks.append(most)
            return index.largest_topics(most)

    monkeypatch.setattr(service.manager, "index", Index())
    for _ in range(25):
        desk._top_targets()
        room.clock.advance(1)
    assert len(looks) == 3
