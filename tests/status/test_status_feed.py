"""What viewers are sent, when, and what it costs to send it."""

from typing import Any

import msgspec
import pytest
from far_end import FarEnd
from watch_room import WatchRoom

from wsserver.observe.trace_order import TraceOrder
from wsserver.protocol.topic import Topic
from wsserver.status.panels import Panel
from wsserver.status.viewers import QUEUED


@pytest.fixture
async def room() -> WatchRoom:
    return await WatchRoom().start()


def panels(far_end: FarEnd) -> list[dict[str, Any]]:
    """The messages of panels, each of which must have the shape that is written down."""
    found = []
    for message in far_end.take():
        meta = message.pop("_meta")
        assert meta["topic"] == f"status:{message['panel']}"
        msgspec.convert(message, Panel)
        found.append(message)
    return found


async def test_the_overview_comes_every_second(room: WatchRoom) -> None:
    page = await room.watching("overview")
    for _ in range(3):
        room.second()
        (message,) = panels(page)
        assert (message["panel"], message["type"]) == ("overview", "status")


async def test_a_panel_that_nobody_watches_is_not_drawn_up(
    room: WatchRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    for name, desk in room.live.feed._desks.items():
        monkeypatch.setitem(
            room.live.feed._desks, name, lambda name=name, desk=desk: (drawn.append(name), desk())[1]
        )
    room.second(3)
    assert drawn == []
    page = await room.watching("alerts")
    room.second(2)
    assert drawn == ["alerts"] * 2
    await room.ask(page, type="unsubscribe", topic="status:alerts")
    room.second(2)
    assert len(drawn) == 2


async def test_a_message_is_encoded_once_for_all_who_watch(room: WatchRoom) -> None:
    pages = [await room.watching("overview") for _ in range(5)]
    before = room.live.feed.published
    room.second()
    assert room.live.feed.published - before == 1
    assert room.live.viewers.manager.broadcasts.operations == 1
    received = [panels(page) for page in pages]
    assert all(one == received[0] for one in received)


async def test_what_stays_the_same_is_not_sent_again(room: WatchRoom) -> None:
    page = await room.watching("slow")
    room.second()
    (first,) = panels(page)
    assert first["consumers"] == []
    room.second(5)
    assert panels(page) == []


async def test_somebody_new_has_the_state_within_a_second(room: WatchRoom) -> None:
    await room.watching("slow")
    room.second(3)
    late = await room.watching("slow")
    room.second()
    assert [one["panel"] for one in panels(late)] == ["slow"]


async def test_a_follower_of_the_whole_type_gets_every_panel(room: WatchRoom) -> None:
    page = await room.watching("*")
    room.second()
    assert {one["panel"] for one in panels(page)} == set(room.live.feed._desks)


# -- alerts


async def test_alerts_come_with_their_changes(room: WatchRoom) -> None:
    page = await room.watching("alerts")
    room.second()
    panels(page)
    room.service.alerts.switch("store", True, {"reason": "the disk is full"})
    room.service.alerts.acknowledge("store", "olga")
    room.second()
    (message,) = panels(page)
    (active,) = message["active"]
    assert (active["alert"], active["level"], active["acknowledged"]["by"]) == ("store", "critical", "olga")
    assert message["history"][0]["alert"] == "store"
    assert message["changes"] == 1


# -- events


async def test_events_are_those_since_the_last_message(room: WatchRoom) -> None:
    page, client = await room.watching("events"), await room.client(patients="*")
    room.second()
    (first,) = panels(page)
    assert first["events"] == []
    await room.ask(client, type="subscribe", topic="patient:123456")
    await room.ask(client, type="subscribe", topic="type:ecg")
    room.second()
    (message,) = panels(page)
    assert [(one["kind"], one["target_id"]) for one in message["events"]] == [
        ("subscribed", "*"),
        ("subscribed", "•••56"),
    ]
    assert (message["left_out"], message["total"], message["counts"]["subscribed"]) == (0, 2, 2)
    room.second(2)
    assert panels(page) == []


async def test_of_many_events_the_newest_are_shown_and_the_others_counted(room: WatchRoom) -> None:
    page = await room.watching("events")
    room.second()
    panels(page)
    history = room.manager.subscription_manager.history
    for number in range(250):
        history.note("subscribed", connection_id=f"c_{number}")
    room.second()
    (message,) = panels(page)
    assert len(message["events"]) == 100
    assert message["events"][0]["connection_id"] == "c_249"
    assert message["left_out"] == 150


async def test_what_happened_while_nobody_watched_is_not_made_up_for(room: WatchRoom) -> None:
    client = await room.client()
    await room.ask(client, type="subscribe", topic="type:ecg")
    page = await room.watching("events")
    room.second()
    (message,) = panels(page)
    assert (message["events"], message["left_out"], message["total"]) == ([], 0, 1)


async def test_nor_for_what_happened_between_two_watches(room: WatchRoom) -> None:
    page, client = await room.watching("events"), await room.client()
    room.second()
    await room.ask(page, type="unsubscribe", topic="status:events")
    room.second()
    await room.ask(client, type="subscribe", topic="type:ecg")
    await room.ask(page, type="subscribe", topic="status:events")
    room.second()
    (message,) = panels(page)
    assert (message["events"], message["left_out"], message["total"]) == ([], 0, 1)


# -- those who do not read


async def test_for_a_viewer_that_does_not_read_the_newest_of_each_panel_waits(room: WatchRoom) -> None:
    reads, stuck = await room.watching("overview", "slow"), await room.watching("overview", "slow")
    hub = room.live.viewers.manager.hub
    (handle,) = [
        one.handle for one in room.live.viewers.manager.connections.values() if one.link.transport is stuck
    ]
    hub.block(handle)
    stuck.take()
    for _ in range(20):
        reads.send_raw(10, b"")
        room.second()
        reads.take()
        assert hub.connection_figures(handle)[2] <= 10
    assert hub.is_slow(handle)
    for _ in range(25):
        reads.send_raw(10, b"")
        room.second()
    assert stuck.connection is None or len(room.live.viewers) == 1
    assert room.manager.hub.pinned_bytes == 0


async def test_its_queue_is_short_whatever_it_is_sent(room: WatchRoom) -> None:
    page = await room.watching("overview")
    manager = room.live.viewers.manager
    (viewer,) = manager.connections.values()
    manager.hub.block(viewer.handle)
    for number in range(200):
        manager.publish(Topic("status", "overview"), {"type": "other", "n": number})
    queued = manager.hub.connection_figures(viewer.handle)
    assert queued is not None
    assert queued[2] <= QUEUED
    assert page.take() == []


# -- traces


async def test_traced_messages_come_as_they_go_with_ids_masked(room: WatchRoom) -> None:
    page = await room.watching("traces")
    room.second()
    (message,) = panels(page)
    assert (message["armed"], message["latest"]) == ([], [])
    room.service.traces.arm(TraceOrder(patient_id="123456", messages=1), by="olga")
    room.second()
    (message,) = panels(page)
    (armed,) = message["armed"]
    assert armed["criteria"] == {"patient_id": "•••56"}
    client = await room.client("nurse-17", patients="*")
    await room.ask(client, type="subscribe", topic="patient:123456")
    room.manager.broadcast_to_patient(123456, {"type": "vitals", "hr": 60})
    room.loop.run()
    room.second()
    (message,) = panels(page)
    (traced,) = message["latest"]
    assert traced["patient_id"] == "•••56"
    assert "123456" not in str(message)
    assert "nurse-17" not in str(message)
    room.second(2)
    assert len(panels(page)) <= 1
