"""Which requests pass the router by, over a real socket."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from wsserver.web.short_way import ShortWay


class Place:
    """A server with one route that has a short way, and a note of who went by it."""

    def __init__(self) -> None:
        self.attended: list[str] = []
        self.routed: list[str] = []
        self.port = 0

    @web.middleware
    async def attend(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.attended.append(request.raw_path)
        return await handler(request)

    async def here(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text=f"{request.method} here {request.query.get('x')}")

    async def ask(self, text: str) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"{text}\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        return answer.decode()


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    place = Place()
    app = web.Application(middlewares=[place.attend])
    app.router.add_route("*", "/here", place.here)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    assert runner.server is not None
    whole = runner.server.request_handler

    async def others(request: Any) -> web.StreamResponse:
        place.routed.append(request.raw_path)
        return await whole(request)

    runner.server.request_handler = ShortWay(app, "/here", place.attend, others)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    place.port = runner.addresses[0][1]
    yield place
    await runner.cleanup()


@pytest.mark.parametrize(("target", "x"), [("/here", None), ("/here?x=1", "1"), ("/here?", None)])
async def test_a_get_for_the_path_goes_straight_to_its_handler(
    place: Place, target: str, x: str | None
) -> None:
    answer = await place.ask(f"GET {target} HTTP/1.1")
    assert answer.startswith("HTTP/1.1 200")
    assert answer.endswith(f"GET here {x}")
    assert (place.attended, place.routed) == ([target], [])


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("POST /here HTTP/1.1", "200"),
        ("GET /here/ HTTP/1.1", "404"),
        ("GET /heretic HTTP/1.1", "404"),
        ("GET /%68ere HTTP/1.1", "200"),
        ("GET http://a/here HTTP/1.1", "200"),
        ("GET //here HTTP/1.1", "404"),
        ("GET /there HTTP/1.1", "404"),
        ("GET /here HTTP/1.1\r\nExpect: 100-continue", "100"),
    ],
)
async def test_everything_else_is_left_to_the_application(place: Place, text: str, status: str) -> None:
    answer = await place.ask(text)
    assert answer.startswith(f"HTTP/1.1 {status}")
    assert place.routed == place.attended == [text.split(" ")[1]]


def test_a_path_without_a_handler_of_its_own_is_a_mistake() -> None:
    app = web.Application()

    async def nothing(request: Any) -> web.StreamResponse:
        raise AssertionError

    with pytest.raises(LookupError):
        ShortWay(app, "/here", Place().attend, nothing)
    app.router.add_post("/here", nothing)
    with pytest.raises(LookupError):
        ShortWay(app, "/here", Place().attend, nothing)
