import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

TOKEN = "canary.token.text"
ERROR = {"code": 1011, "name": "permission_denied", "message": "No.\x1b[0m"}
REPORT = {"message_id": "m_1", "matched": 2, "delivered": 2}


class Rest:
    """A REST server that remembers what was published and answers as it is told to."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, Any]] = []
        self.answer = lambda: web.json_response({"status": "success", "data": REPORT})

    async def handle(self, request: web.Request) -> web.Response:
        self.seen.append((request.path, request.headers["Authorization"], await request.json()))
        return self.answer()


@pytest.fixture
async def rest(aiohttp_server) -> tuple[Rest, str]:
    rest = Rest()
    app = web.Application()
    app.router.add_post("/{path:.*}", rest.handle)
    server = await aiohttp_server(app)
    return rest, str(server.make_url("/"))


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("patient:123", "/ws/broadcast/patient/123"),
        ("type:ecg", "/ws/broadcast/type/ecg"),
        ("all", "/ws/broadcast/all"),
    ],
)
async def test_a_message_goes_to_the_route_of_its_target(invoke, rest, target: str, path: str) -> None:
    server, url = rest
    result = await asyncio.to_thread(
        invoke, "publish", "--url", url, target, '{"a": 1}', WSSERVER_TOKEN=TOKEN
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == REPORT
    assert result.stdout.count("\n") == 1
    assert server.seen == [(path, f"Bearer {TOKEN}", {"a": 1})]


async def test_a_message_may_come_from_standard_input(invoke, rest) -> None:
    server, url = rest
    for arguments in ([], ["-"]):
        result = await asyncio.to_thread(
            invoke, "publish", "--url", url, "--token", TOKEN, "all", *arguments, stdin='{"b": "é"}\n'
        )
        assert result.exit_code == 0, result.output
    assert [body for _, _, body in server.seen] == [{"b": "é"}, {"b": "é"}]


@pytest.mark.parametrize(
    "message", ["", "[]", "3", "{", "{'a': 1}", "[" * 100_000, "\ud800", '{"a": "\ud800"}', '{"\ud800": 1}']
)
def test_what_is_no_json_object_is_not_sent(invoke, message: str) -> None:
    result = invoke("publish", "--token", TOKEN, "all", message)
    assert result.exit_code == 2
    assert "must be a JSON object" in result.stderr


@pytest.mark.parametrize(
    "target", ["everyone", "all:x", "patient", "patient:", "patient:a/b", "type:*", "x:1"]
)
def test_a_target_that_does_not_exist_is_not_sent_to(invoke, target: str) -> None:
    result = invoke("publish", "--token", TOKEN, target, "{}")
    assert result.exit_code == 2
    assert result.stdout == ""


def test_a_token_is_needed(invoke) -> None:
    assert invoke("publish", "all", "{}").exit_code == 2


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (
            lambda: web.json_response({"status": "error", "error": ERROR}, status=403),
            "Error: 1011 permission_denied: No.\\x1b[0m (HTTP 403)\n",
        ),
        (
            lambda: web.Response(text="<html>"),
            "Error: the answer is no JSON object (HTTP 200): is this a wsserver?\n",
        ),
        (lambda: web.Response(status=302, headers={"Location": "/elsewhere"}), "(HTTP 302)"),
    ],
    ids=["refused", "not ours", "redirect"],
)
async def test_a_refusal_ends_with_1_and_its_reason(invoke, rest, answer, text: str) -> None:
    server, url = rest
    server.answer = answer
    result = await asyncio.to_thread(invoke, "publish", "--url", url, "--token", TOKEN, "all", "{}")
    assert result.exit_code == 1
    assert text in result.stderr
    assert result.stdout == ""
    assert "canary" not in result.output
    assert len(server.seen) == 1


def test_a_server_that_is_not_there_ends_with_1(invoke, unused_tcp_port: int) -> None:
    result = invoke("publish", "--url", f"http://127.0.0.1:{unused_tcp_port}", "--token", TOKEN, "all", "{}")
    assert result.exit_code == 1
    assert f"cannot reach http://127.0.0.1:{unused_tcp_port}" in result.stderr
    assert "canary" not in result.output


def test_a_token_that_cannot_stand_in_a_header_is_not_sent(invoke, unused_tcp_port: int) -> None:
    result = invoke(
        "publish", "--url", f"http://127.0.0.1:{unused_tcp_port}", "--token", "canary\r\nX: 1", "all", "{}"
    )
    assert result.exit_code != 0
    assert "canary" not in result.output


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://h", "http://", "http://["])
def test_an_address_that_is_none_ends_with_2(invoke, url: str) -> None:
    assert invoke("publish", "--url", url, "--token", TOKEN, "all", "{}").exit_code == 2


async def test_a_key_makes_it_safe_to_ask_again(invoke, aiohttp_server) -> None:
    seen: list[str | None] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Idempotency-Key"))
        return web.json_response({"status": "success", "data": REPORT})

    app = web.Application()
    app.router.add_post("/{path:.*}", handle)
    url = str((await aiohttp_server(app)).make_url("/"))
    for arguments in (["--key", "order-17"], []):
        result = await asyncio.to_thread(
            invoke, "publish", "--url", url, "--token", TOKEN, *arguments, "all", "{}"
        )
        assert result.exit_code == 0, result.output
    assert seen == ["order-17", None]


@pytest.mark.parametrize("key", ["", "two words", "é", "a\r\nX: y", "x" * 256])
def test_what_is_no_key_is_not_sent(invoke, key: str) -> None:
    result = invoke("publish", "--token", TOKEN, "--key", key, "all", "{}")
    assert result.exit_code == 2
    assert "visible ASCII" in result.stderr
