"""One POST: what is sent, what counts as success, and that no failure shows a token or loses an answer."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from wsserver.cli import rest_call
from wsserver.cli.failures import Failure
from wsserver.cli.rest_call import post

TOKEN = "canary.token.text"


@pytest.fixture
async def serve(aiohttp_server) -> Callable[..., Any]:
    """Starts a server that answers every POST with one handler; returns its address."""

    async def start(handle: Callable[[web.Request], Any]) -> URL:
        async def answer(request: web.Request) -> web.StreamResponse:
            return handle(request)

        app = web.Application()
        app.router.add_post("/{path:.*}", answer)
        return (await aiohttp_server(app)).make_url("/x")

    return start


async def ask(url: URL, token: str = TOKEN, body: bytes = b"{}", **how: str) -> Any:
    return await asyncio.to_thread(post, url, token, body, **how)


async def failure_of(url: URL, token: str = TOKEN, **how: str) -> str:
    with pytest.raises(Failure) as failed:
        await ask(url, token, **how)
    assert "canary" not in failed.value.message
    assert failed.value.exit_code == 1
    return failed.value.message


async def test_success_gives_the_data_of_the_envelope(serve) -> None:
    seen = []

    def handle(request: web.Request) -> web.Response:
        seen.append((request.path, request.headers["Authorization"], request.content_type))
        return web.json_response({"status": "success", "data": {"a": [1, "é"]}})

    assert await ask(await serve(handle)) == {"a": [1, "é"]}
    assert seen == [("/x", f"Bearer {TOKEN}", "application/json")]


@pytest.mark.parametrize("size", [10, 100_000, 8_000_000])
async def test_an_answer_is_read_to_its_end_however_long_it_is(serve, size: int) -> None:
    url = await serve(lambda request: web.json_response({"data": "x" * size}))
    assert await ask(url) == "x" * size


async def test_an_answer_without_end_is_given_up(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_call, "_MAX_ANSWER", 100_000)
    assert await ask(await serve(lambda request: web.json_response({"data": "x" * 90_000})))
    url = await serve(lambda request: web.json_response({"data": "x" * 100_000}))
    assert await failure_of(url) == "the answer is larger than 100000 bytes"


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"3", b"{", b'{"a":"\xff"}', b"\xff", b"[" * 100_000]
)
async def test_what_is_no_answer_of_ours_is_said_to_be_none(serve, body: bytes) -> None:
    text = await failure_of(await serve(lambda request: web.Response(body=body)))
    assert text == "the answer is no JSON object (HTTP 200): is this a wsserver?"


@pytest.mark.parametrize(
    ("status", "document", "text"),
    [
        (
            403,
            {"error": {"code": 1011, "name": "permission_denied", "message": "No.\x1b[0m\n"}},
            "1011 permission_denied: No.\\x1b[0m\\n (HTTP 403)",
        ),
        (200, {"error": {"code": 1, "name": "n", "message": "m"}}, "1 n: m (HTTP 200)"),
        (500, {"data": 1}, ":  (HTTP 500)"),
        (404, {"error": "text"}, ":  (HTTP 404)"),
    ],
)
async def test_a_refusal_is_told_with_its_code_and_status(
    serve, status: int, document: Any, text: str
) -> None:
    url = await serve(lambda request: web.json_response(document, status=status))
    assert (await failure_of(url)).strip() == text.strip()


async def test_a_redirect_is_not_followed(serve) -> None:
    seen = []

    def handle(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    assert "(HTTP 307)" in await failure_of(await serve(handle))
    assert seen == ["/x"]


@pytest.mark.parametrize("token", ["canary\r\nX: 1", "canary\n", "canary\x00"])
async def test_a_token_that_cannot_stand_in_a_header_is_not_sent(serve, token: str) -> None:
    url = await serve(lambda request: pytest.fail("it was sent"))
    assert await failure_of(url, token) == "the token cannot stand in a header"


async def test_a_server_that_is_not_there_is_named_without_its_path(unused_tcp_port: int) -> None:
    url = URL(f"http://127.0.0.1:{unused_tcp_port}/canary?token=canary")
    assert (await failure_of(url)).startswith(f"cannot reach http://127.0.0.1:{unused_tcp_port}: ")


@pytest.mark.parametrize(("unsure", "end"), [("", ""), ("it may have been done", "; it may have been done")])
async def test_no_answer_in_time_says_what_may_have_happened(
    aiohttp_server, monkeypatch: pytest.MonkeyPatch, unsure: str, end: str
) -> None:
    monkeypatch.setattr(rest_call, "_PATIENCE", 0.05)
    over = asyncio.Event()

    async def never(request: web.Request) -> web.Response:
        await over.wait()
        return web.Response()

    app = web.Application()
    app.router.add_post("/x", never)
    url = (await aiohttp_server(app)).make_url("/x")
    assert await failure_of(url, unsure=unsure) == f"{url.origin()} did not answer in time{end}"
    over.set()
