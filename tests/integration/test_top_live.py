"""``wsserver top`` on a real server: the live socket, and polling beside it."""

import asyncio
from contextlib import aclosing

from live_server import ALL_SCOPES, LiveServer, token_of
from yarl import URL

from wsserver.cli.terminal.feed import Feed
from wsserver.cli.terminal.picture import Picture

OPERATOR = token_of("ops", "admin", scope=ALL_SCOPES)


async def pictures(server: LiveServer, count: int, *, live: bool) -> list[Picture]:
    feed, found = Feed(URL(f"http://127.0.0.1:{server.port}"), OPERATOR, live=live), []
    async with asyncio.timeout(15), aclosing(feed.pictures()) as source:
        async for picture in source:
            found.append(picture)
            if len(found) == count:
                assert feed.notice == ""
                return found
    raise AssertionError


async def test_the_live_socket_and_polling_show_the_same_server(server: LiveServer) -> None:
    await server.enter("d1", "doctor", "patient:1")
    await server.enter("n1", "nurse", "patient:1", "type:ecg")
    live = (await pictures(server, 2, live=True))[-1]
    polled = (await pictures(server, 2, live=False))[-1]
    assert (live.source, polled.source) == ("live", "polled")
    assert (live.state, polled.state) == ("accepting", "answering")
    for name, count in (("connections", 2), ("subscriptions", 3)):
        for picture in (live, polled):
            (bar,) = [bar for bar in picture.bars if bar.name == name]
            assert bar.current == count, (picture.source, name)
    (connections,) = [bar for bar in live.bars if bar.name == "connections"]
    assert connections.limit == 10_000
    assert live.rates["messages_out"] is not None
    assert polled.rates["messages_out"] is not None
    assert live.version is not None
