"""The parts together: what runs when, and what it costs while nobody looks."""

import pytest
from watch_room import WatchRoom


@pytest.fixture
async def room() -> WatchRoom:
    return await WatchRoom().start()


async def test_figures_are_kept_whether_anybody_watches_or_not(room: WatchRoom) -> None:
    await room.client()
    room.second(3)
    assert room.live.series.minutes.row[0] == 1
    assert room.live.feed.published == 0


async def test_before_its_start_and_after_its_end_it_does_nothing(room: WatchRoom) -> None:
    await room.live.stop()
    before = room.live.series.minutes.last_at
    room.second(3)
    assert room.live.series.minutes.last_at == before


async def test_a_feed_that_fails_once_goes_on(
    room: WatchRoom, monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    page = await room.watching("overview")
    room.second()
    page.take()
    with monkeypatch.context() as broken:
        broken.setitem(room.live.feed._desks, "overview", lambda: 1 / 0)
        room.second()
    assert "ZeroDivisionError" in caplog.text
    room.second()
    assert [one["panel"] for one in page.take()] == ["overview"]
