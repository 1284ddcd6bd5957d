import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from wsserver_core.envelope import encode_control, encode_message

TOKEN = "canary.token.text"
CONNECTED = {"type": "connected", "errors": []}


def message(number: int) -> str:
    return json.dumps({"type": "ecg_data", "n": number, "_meta": {"id": f"m_{number}", "seq": number}})


class Endpoint:
    """A WebSocket endpoint that remembers the first frame, sends a script and closes."""

    def __init__(self) -> None:
        self.first: Any = None
        self.protocol: str | None = None
        self.script: list[str | bytes] = []
        self.close_code = 1000

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("wsserver.v1.json", "wsserver.v1.bin"))
        await socket.prepare(request)
        self.protocol = socket.ws_protocol
        self.first = await socket.receive_json()
        for frame in self.script:
            await (socket.send_str(frame) if isinstance(frame, str) else socket.send_bytes(frame))
        await socket.close(code=self.close_code)
        return socket


@pytest.fixture
async def endpoint(aiohttp_server) -> tuple[Endpoint, str]:
    endpoint = Endpoint()
    app = web.Application()
    app.router.add_get("/ws/connect", endpoint.handle)
    server = await aiohttp_server(app)
    return endpoint, str(server.make_url("/"))


async def subscribed(invoke, url: str, *arguments: str):
    return await asyncio.to_thread(invoke, "subscribe", "--url", url, *arguments, WSSERVER_TOKEN=TOKEN)


async def test_each_message_is_one_line_and_the_first_frame_asks_for_the_topics(invoke, endpoint) -> None:
    server, url = endpoint
    server.script = [json.dumps(CONNECTED), message(1), '{"type":"pong"}', message(2)]
    result = await subscribed(invoke, url, "patient:123", "type:ecg")
    assert result.exit_code == 0, result.output
    assert [json.loads(line)["n"] for line in result.stdout.splitlines()] == [1, 2]
    assert server.first == {"type": "connect", "token": TOKEN, "subscriptions": ["patient:123", "type:ecg"]}
    assert server.protocol == "wsserver.v1.json"
    assert result.stderr == ""


async def test_a_message_with_line_ends_and_terminal_codes_stays_one_harmless_line(invoke, endpoint) -> None:
    server, url = endpoint
    server.script = [json.dumps(CONNECTED), '{\n"_meta": {},\r\n"x": "\x9b31m"}']
    result = await subscribed(invoke, url, "all:x")
    assert result.stdout == '{ "_meta": {},  "x": "\\u009b31m"}\n'


async def test_count_ends_after_as_many_messages(invoke, endpoint) -> None:
    server, url = endpoint
    server.script = [json.dumps(CONNECTED), *map(message, range(5))]
    result = await subscribed(invoke, url, "-n", "2", "type:ecg")
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 2


async def test_what_is_no_message_goes_to_standard_error(invoke, endpoint) -> None:
    server, url = endpoint
    gap = '{"type":"gap","count":3}'
    server.script = [json.dumps(CONNECTED), gap, message(1), b"binary"]
    result = await subscribed(invoke, url, "type:ecg")
    assert result.stderr == f"{gap}\n"
    assert result.stdout.count("\n") == 1


async def test_a_refused_subscription_is_told_and_the_others_go_on(invoke, endpoint) -> None:
    server, url = endpoint
    server.script = [json.dumps({"type": "connected", "errors": [{"code": 1011}]}), message(1)]
    result = await subscribed(invoke, url, "patient:1", "type:ecg")
    assert result.exit_code == 0
    assert result.stderr == '{"code":1011}\n'
    assert result.stdout.count("\n") == 1


async def test_with_no_subscription_left_it_ends_with_1(invoke, endpoint) -> None:
    server, url = endpoint
    server.script = [json.dumps({"type": "connected", "errors": [{"code": 1011}]}), message(1)]
    result = await subscribed(invoke, url, "patient:1")
    assert result.exit_code == 1
    assert "no subscription was accepted" in result.stderr


async def test_a_refused_token_ends_with_1_and_the_servers_error(invoke, endpoint) -> None:
    server, url = endpoint
    server.script = ['{"type":"error","code":1001,"message":"Authentication failed."}']
    server.close_code = 4501
    result = await subscribed(invoke, url, "type:ecg")
    assert result.exit_code == 1
    assert '"code":1001' in result.stderr
    assert "close code 4501" in result.stderr
    assert "canary" not in result.output


async def test_a_frame_that_is_no_json_object_ends_with_1(invoke, endpoint) -> None:
    server, url = endpoint
    for frame in ("[]", "{", "[" * 100_000):
        server.script = [frame]
        result = await subscribed(invoke, url, "type:ecg")
        assert result.exit_code == 1
        assert "is this a wsserver?" in result.stderr


async def test_a_refused_handshake_ends_with_1(invoke, aiohttp_server) -> None:
    server = await aiohttp_server(web.Application())
    result = await subscribed(invoke, str(server.make_url("/")), "type:ecg")
    assert result.exit_code == 1
    assert "refused the handshake: HTTP 404" in result.stderr


async def test_binary_frames_are_printed_as_the_same_json(invoke, endpoint) -> None:
    server, url = endpoint
    body = {"_meta": {"id": "m_1", "log": "k3f9v"}, "type": "ecg_data", "data": [*range(-8, 8)], "x": 1.5}
    server.script = [
        encode_control(CONNECTED, time=0),
        encode_control({"type": "gap", "count": 3}, time=0),
        encode_message(body, topic="ecg:*", seq=7, time=1_767_225_600_000_000),
        encode_message({**body, "data": "\x9b31m"}, topic="ecg:*", seq=8, time=0),
        message(1),
    ]
    result = await subscribed(invoke, url, "--binary", "type:ecg")
    assert result.exit_code == 0, result.output
    assert server.protocol == "wsserver.v1.bin"
    first, second = result.stdout.splitlines()
    meta = {"id": "m_1", "topic": "ecg:*", "log": "k3f9v", "seq": 7, "ts": "2026-01-01T00:00:00.000Z"}
    assert json.loads(first) == {**body, "_meta": meta}
    assert first.startswith('{"_meta":{')
    assert "\x9b" not in second
    assert result.stderr == '{"type":"gap","count":3}\n'


async def test_a_binary_frame_that_cannot_be_read_ends_with_1(invoke, endpoint) -> None:
    server, url = endpoint
    server.script = [b"\xb1"]
    result = await subscribed(invoke, url, "--binary", "type:ecg")
    assert result.exit_code == 1
    assert "cannot be read" in result.stderr


async def test_an_interrupt_is_the_normal_end(invoke, endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(main) -> None:
        main.close()
        raise KeyboardInterrupt

    monkeypatch.setattr("wsserver.cli.subscribe.asyncio.run", interrupted)
    assert invoke("subscribe", "--token", TOKEN, "type:ecg").exit_code == 0


def test_topics_and_a_token_are_needed(invoke) -> None:
    assert invoke("subscribe", "--token", TOKEN).exit_code == 2
    assert invoke("subscribe", "type:ecg").exit_code == 2
