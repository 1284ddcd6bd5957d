"""Everything that can be wrong on the wire: the stated error or close, and life goes on for all others."""

import asyncio
import contextlib
import json
import random
import struct
from typing import Any

import pytest
from http_request import exchange
from live_server import LiveServer, token_of, until
from raw_socket import BINARY, CLOSE, KEY, PING, PONG, TEXT, RawSocket, command, frame, upgrade
from ward_client import WardClient


@pytest.fixture
async def bystander(server: LiveServer) -> WardClient:
    """Somebody else on the same server, who must not notice anything."""
    return await server.enter("bystander", "doctor", "patient:1")


async def undisturbed(server: LiveServer, bystander: WardClient) -> None:
    assert (await server.publish("patient/1", {"still": "there"}))["delivered"] >= 1
    assert [message.get("still") for message in await bystander.published()] == ["there"]
    fresh = await server.enter("fresh")
    await fresh.close()


# -- frames

SHORT_UTF8 = [b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xff", b"a\x80", b"\xe2\x82"]
FRAMES: dict[str, tuple[bytes, int]] = {
    "unmasked": (frame(TEXT, b"{}", masked=False), 1002),
    "rsv1": (frame(TEXT, b"{}", rsv=4), 1002),
    "rsv2": (frame(TEXT, b"{}", rsv=2), 1002),
    "rsv3": (frame(TEXT, b"{}", rsv=1), 1002),
    "rsv1 on a ping": (frame(PING, b"", rsv=4), 1002),
    **{f"opcode {one}": (frame(one, b""), 1002) for one in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "a fragmented ping": (frame(PING, b"", fin=False), 1002),
    "a fragmented close": (frame(CLOSE, b"", fin=False), 1002),
    "a long ping": (frame(PING, b"x" * 126), 1002),
    "a continuation of nothing": (frame(0, b"x"), 1002),
    "two messages in one": (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
    "two messages in one, the first empty": (frame(TEXT, b"", fin=False) + frame(BINARY, b"b"), 1002),
    "126 for 5": (frame(TEXT, b"x" * 5, length=b"\x7e\x00\x05"), 1002),
    "127 for 5": (frame(TEXT, b"x" * 5, length=b"\x7f" + struct.pack("!Q", 5)), 1002),
    "127 for 65535": (frame(TEXT, b"x" * 65535, length=b"\x7f" + struct.pack("!Q", 65535)), 1002),
    "2^63": (frame(TEXT, b"", length=b"\x7f" + struct.pack("!Q", 1 << 63)), 1002),
    "2^63-1": (frame(TEXT, b"", length=b"\x7f" + struct.pack("!Q", (1 << 63) - 1)), 1009),
    "2^64-1": (frame(TEXT, b"", length=b"\x7f" + struct.pack("!Q", (1 << 64) - 1)), 1002),
    "a byte, then 2^63-1": (
        frame(TEXT, b"x", fin=False) + frame(0, b"", length=b"\x7f" + struct.pack("!Q", (1 << 63) - 1)), 1009,
    ),
    "over twice the limit": (frame(TEXT, b"", length=b"\x7f" + struct.pack("!Q", (2 << 20) + 1)), 1009),
    "129 fragments": (frame(TEXT, b"x", fin=False) + frame(0, b"x", fin=False) * 128, 1009),
    "129 empty fragments": (frame(TEXT, b"", fin=False) + frame(0, b"", fin=False) * 128, 1009),
    "a close of one byte": (frame(CLOSE, b"\x03"), 1002),
    **{
        f"close code {code}": (frame(CLOSE, struct.pack("!H", code)), 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
    "a close reason that is no UTF-8": (frame(CLOSE, b"\x03\xe8\xff\xfe"), 1007),
    **{f"text {one!r}": (frame(TEXT, one), 1007) for one in SHORT_UTF8},
    "text wrong in a later fragment": (frame(TEXT, b"a", fin=False) + frame(0, b"\xff", fin=False), 1007),
}  # fmt: skip


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("inside", [True, False], ids=["authenticated", "newcomer"])
async def test_a_malformed_frame_closes_its_own_connection_only(
    server: LiveServer, bystander: WardClient, name: str, inside: bool
) -> None:
    wire, expected = FRAMES[name]
    raw = await server.raw(token_of("bad") if inside else None)
    if inside:
        await raw.read_message()
    await raw.send(wire)
    code, before = await raw.read_close()
    assert code == expected
    assert not [one for one in before if one.opcode == PONG]
    await raw.abort()
    await until(lambda: server.manager.hub.open_count == 1)
    await undisturbed(server, bystander)


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1011, 1012, 1014, 3000, 4000, 4999])
async def test_a_proper_close_is_answered_with_its_own_code(server: LiveServer, code: int) -> None:
    raw = await server.raw(token_of())
    await raw.read_message()
    await raw.send(frame(CLOSE, struct.pack("!H", code) + "auf Wiedersehen ä".encode()) + command("ping"))
    assert await raw.read_close() == (code, [])
    assert await raw.hung_up()
    assert not server.manager.connections


async def test_nothing_after_a_failure_is_heard(server: LiveServer, bystander: WardClient) -> None:
    raw = await server.raw(token_of("bad"))
    await raw.read_message()
    evil = command("subscribe", topic="patient:1") + command("broadcast", target_type="all", message={})
    await raw.send(frame(TEXT, b"{}", masked=False) + evil)
    await raw.read_close()
    assert len(server.manager.index) == 1
    await undisturbed(server, bystander)


async def test_control_frames_between_fragments_are_answered_at_once(server: LiveServer) -> None:
    raw = await server.raw(token_of())
    await raw.read_message()
    whole = json.dumps({"type": "ping", "request_id": "ä"}, ensure_ascii=False).encode()
    await raw.send(frame(TEXT, whole[:-5], fin=False) + frame(PING, b"are you there"))
    assert await raw.read_frame() == (PONG, b"are you there")
    await raw.send(frame(0, whole[-5:]))
    assert (await raw.read_message())["request_id"] == "ä"


async def test_a_message_in_single_bytes_is_a_message(server: LiveServer) -> None:
    raw = await server.raw(token_of())
    await raw.read_message()
    for byte in command("ping", request_id="x"):
        await raw.send(bytes([byte]))
    assert (await raw.read_message())["type"] == "pong"


# -- sizes


async def test_a_message_over_the_limit_is_dropped_with_an_error_and_the_next_is_heard(
    server: LiveServer,
) -> None:
    raw = await server.raw(token_of())
    await raw.read_message()
    limit = 1 << 20
    head = b'{"type":"ping","t":"'
    await raw.send(frame(TEXT, head + b"x" * limit + b'"}') + command("ping", request_id="after"))
    error = await raw.read_message()
    assert (error["code"], error["name"]) == (1004, "message_too_large")
    assert error["details"]["max_message_size"] == limit
    assert (await raw.read_message())["request_id"] == "after"


async def test_a_newcomers_message_may_be_16_kib_and_no_more(
    server: LiveServer, bystander: WardClient
) -> None:
    within = json.dumps({"type": "connect", "token": token_of("u")}).encode()
    raw = await server.raw()
    await raw.send(frame(TEXT, within + b" " * (16 * 1024 - len(within))))
    assert (await raw.read_message())["type"] == "connected"
    raw = await server.raw()
    await raw.send(frame(TEXT, within + b" " * (16 * 1024 + 1 - len(within))))
    code, before = await raw.read_close()
    assert (before[-1].json["code"], code) == (1004, 4501)
    raw = await server.raw()
    await raw.send(frame(TEXT, b" " * (32 * 1024 + 1)))
    assert (await raw.read_close())[0] == 1009
    await undisturbed(server, bystander)


async def test_a_message_that_is_never_finished_ends_at_its_deadline(start_server) -> None:
    server = await start_server(inbound={"message_deadline": 0.4})
    bystander = await server.enter("bystander", "doctor", "patient:1")
    raw = await server.raw(token_of("bad"))
    await raw.read_message()
    await raw.send(frame(TEXT, b"x" * 1000)[:500])
    assert (await raw.read_close())[0] == 1009
    await undisturbed(server, bystander)


# -- commands

TEXTS: list[bytes | str] = [
    "", " ", "{", "}", "{}", "[]", "null", "true", "1", '"ping"', "{'type':'ping'}", '{"type":"ping"',
    '{"type":"ping"}}', '{"type":"ping"} x', '{"type":"ping",}', '{"type":null}', '{"type":1}',
    '{"type":["ping"]}', '{"type":"PING"}', '{"type":"pign"}', '{"type":"connected"}', '{"type":"error"}',
    '{"type":""}', '{"type":"__class__"}', '{"typ":"ping"}', '{"type":"ping","x":1}',
    '{"type":"ping","request_id":1}', '{"type":"ping","request_id":"' + "x" * 65 + '"}',
    '{"type":"ping","t":{}}', '{"type":"ping","t":[1]}', '{"type":"ping","t":9007199254740993}',
    '{"type":"ping","t":1e400}', '{"type":"ping","t":NaN}', '{"type":"ping","t":-Infinity}',
    '{"type":"ping","t":' + "9" * 5000 + "}", '{"type":"ping","t":"\\ud800"}',
    '{"type":"ping","t":01}', '{"type":"ping","t":"\x01"}', '\ufeff{"type":"ping"}', "// comment",
    '{"type":"subscribe"}', '{"type":"subscribe","topic":1}',
    '{"type":"subscribe","topic":"patient:\\u0000"}', '{"type":"subscribe","topic":"patient:1\\n"}',
    '{"type":"unsubscribe"}', '{"type":"unsubscribe","subscription_id":1}',
    '{"type":"refresh","subscription_id":""}', '{"type":"broadcast"}',
    '{"type":"broadcast","target_type":"all"}', '{"type":"broadcast","target_type":1,"message":{}}',
    '{"type":"broadcast","target_type":"all","message":1}', '{"type":"auth"}', '{"type":"auth","token":""}',
    '{"type":"auth","token":1}', '{"type":"ack"}', '{"type":"ack","message_id":1}',
    '{"type":"ack","message_id":"' + "m" * 65 + '"}', '{"type":"connect"}',
    '{"type":"ping","type":"subscribe"}', "[" * 100_000, '{"type":"ping","t":' + "[" * 40 + "]" * 40 + "}",
    '{"a":' * 100_000, '{"type":"subscribe","topic":"*","filters":' + '{"a":' * 33 + "1" + "}" * 34,
    "\x00", "\u2028", "GET / HTTP/1.1\r\n\r\n", "<xml/>", "\U0010ffff" * 1000,
]  # fmt: skip


async def test_a_text_that_is_no_command_is_answered_with_1003_and_the_connection_stays(
    server: LiveServer, bystander: WardClient
) -> None:
    client = await server.enter("bad")
    for text in TEXTS:
        await client.send_text(text)
        answer = await client.receive()
        assert answer["type"] == "error", text[:80]
        assert (answer["code"], answer["name"]) == (1003, "invalid_subscription"), text[:80]
        assert set(answer) <= {"type", "code", "name", "message", "request_id", "details"}
        assert len(json.dumps(answer)) < 1000
        assert (await client.ask("ping"))["type"] == "pong"
    await undisturbed(server, bystander)


async def test_before_authentication_the_same_texts_close_after_three(
    server: LiveServer, bystander: WardClient
) -> None:
    for start in range(0, len(TEXTS), 3):
        client = await server.connect()
        for text in (TEXTS * 2)[start : start + 3]:
            if len(text) < 8 * 1024:
                await client.send_text(text)
            else:
                await client.send_text("{")
        error, code = await client.refused()
        # A command that is complete, save that it is not connect, is 1001.
        assert error["code"] in (1001, 1003)
        assert code == 4503
    await undisturbed(server, bystander)


async def test_a_client_with_nothing_but_faults_is_closed_with_4503(server: LiveServer) -> None:
    client = await server.enter("bad")
    for _ in range(30):
        await client.send_text("{")
    error, code = await client.refused()
    assert (error["code"], code) == (1003, 4503)
    assert len(client.waiting) <= 20


async def test_a_binary_message_is_told_once_and_then_closes_with_4509(
    server: LiveServer, bystander: WardClient
) -> None:
    client = await server.enter("bad")
    await client.socket.send(b"\xb1\x01\x00\x00")
    answer = await client.receive()
    assert (answer["code"], answer["name"]) == (1009, "binary_protocol_error")
    assert (await client.ask("ping"))["type"] == "pong"
    await client.socket.send(b"")
    error, code = await client.refused()
    assert (error["code"], code) == (1009, 4509)
    await undisturbed(server, bystander)


async def test_an_error_never_quotes_what_the_client_sent(server: LiveServer) -> None:
    client = await server.enter("bad")
    canary = "c4n4ry"
    for members in (
        {"topic": canary},
        {"topic": f"patient:{canary} x"},
        {"topic": f"type:patient:{canary}"},
        {"subscription_type": f"{canary}!"},
        {"topic": "patient:1", "filters": {"a": {f"${canary}": 1}}},
        {"topic": "patient:1", "target_id": canary},
    ):
        answer = await client.ask("subscribe", **members)
        assert canary not in answer["message"], members


# -- handshakes


def lines(port: int, *changes: tuple[str, str | None], first: str = "GET /ws/connect HTTP/1.1") -> bytes:
    headers = {
        "Host": f"127.0.0.1:{port}", "Upgrade": "websocket", "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": KEY,
    }  # fmt: skip
    more = []
    for name, value in changes:
        if value is None:
            del headers[name]
        elif name.startswith("+"):
            more.append(f"{name[1:]}: {value}")
        else:
            headers[name] = value
    every = [first, *(f"{name}: {value}" for name, value in headers.items()), *more]
    return "\r\n".join(every).encode("latin-1") + b"\r\n\r\n"


REQUEST_LINE = "GET /ws/connect HTTP/1.1"
HANDSHAKES: dict[str, tuple[Any, set[int]]] = {
    "POST": ({"first": "POST /ws/connect HTTP/1.1"}, {405}),
    "HEAD": ({"first": "HEAD /ws/connect HTTP/1.1"}, {405}),
    "HTTP/1.0": ({"first": "GET /ws/connect HTTP/1.0"}, {400}),
    "HTTP/2.0": ({"first": "GET /ws/connect HTTP/2.0"}, {400, 505}),
    "no key": ([("Sec-WebSocket-Key", None)], {400}),
    "a short key": ([("Sec-WebSocket-Key", "c2hvcnQ=")], {400}),
    "two keys": ([("+Sec-WebSocket-Key", KEY)], {400}),
    "no version": ([("Sec-WebSocket-Version", None)], {426}),
    "version 8": ([("Sec-WebSocket-Version", "8")], {426}),
    "version 13, 8": ([("Sec-WebSocket-Version", "13, 8")], {426}),
    "two versions": ([("+Sec-WebSocket-Version", "13")], {426}),
    "no upgrade": ([("Upgrade", None)], {426}),
    "an upgrade to h2c": ([("Upgrade", "h2c")], {426}),
    "no connection": ([("Connection", None)], {400}),
    "keep-alive": ([("Connection", "keep-alive")], {400}),
    "a body": ([("+Content-Length", "5")], {400}),
    "chunks": ([("+Transfer-Encoding", "chunked")], {400}),
    "both lengths": ([("+Content-Length", "5"), ("+Transfer-Encoding", "chunked")], {400}),
    "no host": ([("Host", None)], {400}),
    "two hosts": ([("+Host", "evil.example")], {400}),
    "a host with a path": ([("Host", "a/b")], {400}),
    "an evil origin": ([("+Origin", "https://evil.example")], {403}),
    "origin null": ([("+Origin", "null")], {403}),
    "an empty origin": ([("+Origin", "")], {403}),
    "two tokens": ([("+Authorization", "Bearer a"), ("+Sec-WebSocket-Protocol",
    "wsserver.v1.json, wsserver.bearer.b")],
                   {400}),
    "two authorizations": ([("+Authorization", "Bearer a"), ("+Authorization", "Bearer b")], {400}),
    "basic and bearer": ([("+Authorization", "Bearer a b")], {400}),
    "a bearer alone": ([("+Sec-WebSocket-Protocol", "wsserver.bearer.a")], {400}),
    "an unknown protocol": ([("+Sec-WebSocket-Protocol", "chat")], {400}),
    "a protocol twice": ([("+Sec-WebSocket-Protocol", "wsserver.v1.json, wsserver.v1.json")], {400}),
    "a protocol beyond ASCII": ([("+Sec-WebSocket-Protocol", "wsserver.v1.json, \xe4")], {400}),
    "spaces for a protocol": ([("+Sec-WebSocket-Protocol", " " * 7000)], {400}),
    "2,000 headers": ([(f"+X-{number}", "x") for number in range(2000)], {400, 431}),
    "a header of 64 KB": ([("+X-Long", "x" * 65536)], {400, 431}),
    "a fold": ([("+X-Fold", "a\r\n b")], {400}),
    "a bare CR": ([("+X-CR", "a\rb")], {400}),
    "a NUL": ([("+X-NUL", "a\0b")], {400}),
    "a space before the colon": ([("+X-Space ", "a")], {400}),
    "a token in the query": ({"first": "GET /ws/connect?token=abc HTTP/1.1"}, {400}),
    "a role twice": ({"first": "GET /ws/connect?role=nurse&role=admin HTTP/1.1"}, {400}),
    "another authority": ({"first": "GET http://evil.example/ws/connect HTTP/1.1"}, {400}),
    "rubbish": ({"first": "\x16\x03\x01\x02\x00\x01"}, {400}),
}  # fmt: skip


@pytest.mark.parametrize("name", HANDSHAKES)
async def test_a_malformed_handshake_is_refused_before_the_upgrade(
    server: LiveServer, bystander: WardClient, name: str
) -> None:
    how, expected = HANDSHAKES[name]
    wire = lines(server.port, **how) if isinstance(how, dict) else lines(server.port, *how)
    if name == "a body":
        wire += b"hello"
    answer = await exchange(server.port, wire) if name != "HEAD" else None
    if answer is not None:
        assert answer.status in expected
        if answer.status == 426:
            assert answer.headers["sec-websocket-version"] == "13"
    assert server.manager.hub.open_count == 1
    await undisturbed(server, bystander)


async def test_a_request_behind_a_refused_upgrade_is_never_answered(server: LiveServer) -> None:
    """What follows was meant as WebSocket data; a proxy in front may think that it was delivered as such."""
    smuggled = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    raw = await RawSocket.dial(server.port)
    await raw.send(lines(server.port, ("Sec-WebSocket-Version", "8")) + smuggled)
    head = await raw.read_head()
    assert head.startswith("HTTP/1.1 426 ")
    rest = raw._buffer
    while await raw._fill():
        rest += raw._buffer
    assert b"HTTP/1.1 200" not in rest
    await raw.abort()


async def test_a_request_behind_an_accepted_upgrade_is_a_protocol_error(server: LiveServer) -> None:
    raw = await server.raw(behind=b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    code, before = await raw.read_close()
    assert (code, before) == (1002, [])


@pytest.mark.parametrize("name", ["every byte on its own", "in two parts"])
async def test_a_handshake_may_arrive_in_pieces(server: LiveServer, name: str) -> None:
    wire = upgrade(server.port, token_of()) + command("ping")
    raw = await RawSocket.dial(server.port)
    server.clients.append(raw)
    pieces = [bytes([one]) for one in wire] if name.startswith("every") else [wire[:100], wire[100:]]
    for piece in pieces:
        await raw.send(piece)
        await asyncio.sleep(0)
    assert (await raw.read_head()).startswith("HTTP/1.1 101 ")
    assert [(await raw.read_message())["type"] for _ in range(2)] == ["connected", "pong"]


async def test_random_bytes_close_their_own_connection_only(
    server: LiveServer, bystander: WardClient
) -> None:
    source = random.Random(208)
    for _ in range(60):
        raw = await server.raw(token_of("bad") if source.random() < 0.5 else None)
        with contextlib.suppress(OSError):  # it may have been cut off already
            await raw.send(source.randbytes(source.randrange(1, 4000)))
        await raw.abort()
    await until(lambda: server.manager.hub.open_count == 1)
    await undisturbed(server, bystander)
