"""Pictures over the live socket, over polling where there is none, and over cuts."""

import asyncio
from contextlib import aclosing

import pytest
from terminal.panels import METRICS, overview, slow
from terminal.status_double import StatusDouble
from yarl import URL

from wsserver.cli.failures import Failure
from wsserver.cli.terminal import feed as feed_module
from wsserver.cli.terminal.feed import Feed
from wsserver.cli.terminal.picture import Picture

TOKEN = "canary.token.text"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No second passes between two questions, nor between two attempts."""
    sleep = asyncio.sleep
    monkeypatch.setattr(feed_module.asyncio, "sleep", lambda seconds: sleep(0))


async def taken(feed: Feed, count: int = 1) -> list[Picture]:
    pictures = []
    async with asyncio.timeout(10), aclosing(feed.pictures()) as source:
        async for picture in source:
            pictures.append(picture)
            if len(pictures) == count:
                break
    return pictures


async def test_the_live_socket_is_asked_for_two_panels_with_the_token(status: StatusDouble) -> None:
    (picture,) = await taken(Feed(URL(status.url), TOKEN))
    assert (picture.source, picture.state, len(picture.slow)) == ("live", "accepting", 1)
    assert status.handshakes == [f"Bearer {TOKEN}"]
    assert status.topics == ["status:overview", "status:slow"]
    assert status.asked == []


async def test_the_first_picture_waits_for_all_its_panels(status: StatusDouble) -> None:
    status.messages = [overview(state="refusing"), slow(), overview()]
    (picture,) = await taken(Feed(URL(status.url), TOKEN))
    assert picture.state == "accepting"


async def test_a_panel_that_never_comes_holds_nothing_up(
    status: StatusDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "SETTLE", 0.0)
    status.messages = [overview()]
    (picture,) = await taken(Feed(URL(status.url), TOKEN))
    assert picture.slow == []


async def test_without_a_live_socket_it_asks_again_and_again(status: StatusDouble) -> None:
    status.refuse = 404
    feed = Feed(URL(status.url), TOKEN)
    first, second = await taken(feed, 2)
    assert (first.source, second.source) == ("polled", "polled")
    assert first.rates["messages_in"] is None
    assert second.rates["messages_in"] == 0.0
    assert feed.notice == "not live: HTTP 404"
    assert status.asked[:3] == ["/ws/metrics", "/ws/alerts", "/ws/connections?sort=-pending&limit=100"]
    assert len(status.handshakes) == 1


async def test_it_may_be_told_to_poll(status: StatusDouble) -> None:
    await taken(Feed(URL(status.url), TOKEN, live=False))
    assert status.handshakes == []


@pytest.mark.parametrize("status_code", [401, 403])
async def test_a_token_that_does_not_count_ends_it(status: StatusDouble, status_code: int) -> None:
    status.refuse = status_code
    with pytest.raises(Failure, match="refused the token"):
        await taken(Feed(URL(status.url), TOKEN))
    for name in ("metrics", "connections"):
        status.rest = {"metrics": METRICS, **status.rest, name: status_code}
        with pytest.raises(Failure, match="1011"):
            await taken(Feed(URL(status.url), TOKEN, live=False))


async def test_a_server_that_cannot_list_connections_is_shown_without_them(status: StatusDouble) -> None:
    status.rest["connections"] = 404
    (picture,) = await taken(Feed(URL(status.url), TOKEN, live=False))
    assert picture.slow == []


async def test_a_cut_is_told_and_it_goes_on(status: StatusDouble) -> None:
    status.close_code = 1012
    feed = Feed(URL(status.url), TOKEN)
    notices = []
    async with asyncio.timeout(10), aclosing(feed.pictures()) as source:
        async for _ in source:
            notices.append(feed.notice)
            if len(notices) == 3:
                break
    assert len(status.handshakes) == 3
    assert notices == ["", "", ""]


@pytest.mark.parametrize("code", [4001, 4501, 4523])
async def test_an_end_for_good_is_one(status: StatusDouble, code: int) -> None:
    status.close_code = code
    with pytest.raises(Failure, match=str(code)):
        await taken(Feed(URL(status.url), TOKEN), 2)


async def test_a_lost_server_that_was_polled_is_asked_again(status: StatusDouble) -> None:
    feed = Feed(URL(status.url), TOKEN, live=False)
    async with asyncio.timeout(10), aclosing(feed.pictures()) as source:
        await anext(source)
        good, status.rest["metrics"] = status.rest["metrics"], 503
        waiting = asyncio.ensure_future(anext(source))
        while not feed.notice:
            await asyncio.sleep(0)
        assert "1011" in feed.notice
        status.rest["metrics"] = good
        await waiting
        assert feed.notice == ""


@pytest.mark.parametrize(
    "message", [{"type": "status"}, {"type": "status", "panel": "overview"}, {"type": "status", "panel": []}]
)
async def test_another_version_is_told(
    status: StatusDouble, message: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "SETTLE", 0.0)
    status.messages = [message]
    with pytest.raises(Failure, match="not those of a wsserver of this version"):
        await taken(Feed(URL(status.url), TOKEN))


async def test_an_error_that_refuses_is_a_failure_and_others_are_not(status: StatusDouble) -> None:
    status.messages = [{"type": "error", "code": 1003, "name": "n", "message": "m"}, slow(), overview()]
    await taken(Feed(URL(status.url), TOKEN))
    status.messages = [{"type": "error", "code": 1011, "name": "n", "message": "wild\x1b"}]
    with pytest.raises(Failure, match="1011 n: wild") as refused:
        await taken(Feed(URL(status.url), TOKEN))
    assert "\x1b" not in refused.value.message


async def test_nobody_there_is_a_failure() -> None:
    with pytest.raises(Failure, match="cannot reach"):
        await taken(Feed(URL("http://127.0.0.1:1"), TOKEN))
    with pytest.raises(Failure, match="cannot reach"):
        await taken(Feed(URL("http://127.0.0.1:1"), TOKEN, live=False))
