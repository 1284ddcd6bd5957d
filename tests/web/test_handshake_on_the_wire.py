"""The strict handshake seen from outside: literal bytes into a socket, literal bytes back."""

import asyncio
import json
import re

import pytest
from aiohttp import web

from wsserver.web.handshake import HandshakeRules, check_handshake, response_head
from wsserver.web.refusal import HandshakeRefused

GOOD = (
    b"GET /ws/connect HTTP/1.1\r\n"
    b"Host: ward.example\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: wsserver.v1.json\r\n"
    b"\r\n"
)
ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    b"Sec-WebSocket-Protocol: wsserver.v1.json\r\n"
    b"\r\n"
)
LINE = b"GET /ws/connect HTTP/1.1\r\n"
HOST = b"Host: ward.example\r\n"
UPGRADE = b"Upgrade: websocket\r\n"
CONNECTION = b"Connection: Upgrade\r\n"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
VERSION = b"Sec-WebSocket-Version: 13\r\n"
PROTOCOL = b"Sec-WebSocket-Protocol: wsserver.v1.json\r\n"
END = b"\r\n\r\n"
STATUS_LINE = re.compile(rb"^HTTP/\d\.\d \d{3} ", re.MULTILINE)

RULES = HandshakeRules(allowed_origins=frozenset({"https://app.example.com"}))


@pytest.fixture
async def exchange():
    """Send bytes to a server of our own and get all that it answers until it closes."""

    async def answer(request):
        try:
            found = check_handshake(request, RULES)
        except HandshakeRefused as refused:
            return refused.response()
        request.transport.write(response_head(found))
        request.transport.close()
        return web.Response()

    server = web.Server(answer, access_log=None)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]

    async def send(data):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(data)
            head = await asyncio.wait_for(reader.readuntil(END), 10)
            # A server that waits for a body which never comes need not be waited for.
            writer.write_eof()
            return head + await asyncio.wait_for(reader.read(), 10)
        finally:
            writer.close()
            await writer.wait_closed()

    yield send
    listener.close()
    await server.shutdown(1)
    await listener.wait_closed()


def parsed(answer):
    """Status, headers and body of the only response in ``answer``."""
    head, _, body = answer.partition(END)
    line, *fields = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
    assert len(body) <= int(headers.get("content-length", 0)), "bytes behind the response"
    return int(line.split(" ")[1]), headers, body


def replaced(old, new):
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def added(lines):
    return replaced(PROTOCOL, PROTOCOL + lines)


def offering(protocols):
    return replaced(PROTOCOL, b"Sec-WebSocket-Protocol: " + protocols + b"\r\n")


async def test_a_correct_handshake_gets_exactly_the_switching_response(exchange):
    assert await exchange(GOOD) == ACCEPTED


async def test_the_absolute_form_of_the_target_is_accepted(exchange):
    assert await exchange(replaced(LINE, b"GET http://ward.example/ws/connect HTTP/1.1\r\n")) == ACCEPTED


A_400 = (400, {}, 1003)
A_405 = (405, {"allow": "GET"}, 1003)
A_426 = (426, {"upgrade": "websocket", "sec-websocket-version": "13"}, 1003)

MALFORMED = {
    "POST": (replaced(b"GET", b"POST"), A_405),
    "PUT": (replaced(b"GET", b"PUT"), A_405),
    "DELETE": (replaced(b"GET", b"DELETE"), A_405),
    "OPTIONS": (replaced(b"GET", b"OPTIONS"), A_405),
    "POST with a body": (replaced(b"GET", b"POST").replace(END, b"\r\nContent-Length: 2\r\n\r\nhi"), A_405),
    "HTTP/1.0": (replaced(b"HTTP/1.1", b"HTTP/1.0"), A_400),
    "HTTP/0.9": (replaced(b"HTTP/1.1", b"HTTP/0.9"), A_400),
    "no version of HTTP": (replaced(b" HTTP/1.1", b""), A_400),
    "HTTP/2.0": (replaced(b"HTTP/1.1", b"HTTP/2.0"), A_400),
    "target with another host": (replaced(b"GET /", b"GET http://other.example/"), A_400),
    "target with userinfo": (replaced(b"GET /", b"GET http://a@ward.example/"), A_400),
    "target with another port": (replaced(b"GET /", b"GET http://ward.example:81/"), A_400),
    "no Host in HTTP/1.0": (replaced(HOST, b"").replace(b"HTTP/1.1", b"HTTP/1.0"), A_400),
    "empty Host": (replaced(HOST, b"Host:\r\n"), A_400),
    "Host with userinfo": (replaced(HOST, b"Host: a@ward.example\r\n"), A_400),
    "Host with a path": (replaced(HOST, b"Host: ward.example/x\r\n"), A_400),
    "Host with a space": (replaced(HOST, b"Host: ward example\r\n"), A_400),
    "Host as a list": (replaced(HOST, b"Host: ward.example, other\r\n"), A_400),
    "Host not ASCII": (replaced(HOST, b"Host: w\xe4rd.example\r\n"), A_400),
    "Host with a long port": (replaced(HOST, b"Host: ward.example:123456\r\n"), A_400),
    "no Upgrade": (replaced(UPGRADE, b""), A_426),
    "neither Upgrade nor Connection": (replaced(UPGRADE + CONNECTION, b""), A_426),
    "empty Upgrade": (replaced(UPGRADE, b"Upgrade:\r\n"), A_426),
    "Upgrade to h2c": (replaced(UPGRADE, b"Upgrade: h2c\r\n"), A_426),
    "Upgrade to websocketx": (replaced(UPGRADE, b"Upgrade: websocketx\r\n"), A_426),
    "Upgrade to websocket/13": (replaced(UPGRADE, b"Upgrade: websocket/13\r\n"), A_426),
    "Upgrade to two words": (replaced(UPGRADE, b"Upgrade: web socket\r\n"), A_426),
    "Upgrade with a Kelvin sign": (replaced(UPGRADE, "Upgrade: websoc\u212aet\r\n".encode()), A_426),
    "no Connection": (replaced(CONNECTION, b""), A_400),
    "empty Connection": (replaced(CONNECTION, b"Connection:\r\n"), A_400),
    "Connection keep-alive": (replaced(CONNECTION, b"Connection: keep-alive\r\n"), A_400),
    "Connection close": (replaced(CONNECTION, b"Connection: close\r\n"), A_400),
    "Connection upgraded": (replaced(CONNECTION, b"Connection: upgraded\r\n"), A_400),
    "no version": (replaced(VERSION, b""), A_426),
    "empty version": (replaced(VERSION, b"Sec-WebSocket-Version:\r\n"), A_426),
    "version 8": (replaced(b"Version: 13", b"Version: 8"), A_426),
    "version 12": (replaced(b"Version: 13", b"Version: 12"), A_426),
    "version 14": (replaced(b"Version: 13", b"Version: 14"), A_426),
    "version 99": (replaced(b"Version: 13", b"Version: 99"), A_426),
    "version 013": (replaced(b"Version: 13", b"Version: 013"), A_426),
    "version +13": (replaced(b"Version: 13", b"Version: +13"), A_426),
    "version 13.0": (replaced(b"Version: 13", b"Version: 13.0"), A_426),
    "version in Arabic digits": (replaced(b"Version: 13", "Version: ١٣".encode()), A_426),
    "versions as a list": (replaced(b"Version: 13", b"Version: 13, 8"), A_426),
    "two equal versions": (replaced(VERSION, VERSION * 2), A_426),
    "two versions": (replaced(VERSION, VERSION + b"Sec-WebSocket-Version: 8\r\n"), A_426),
    "no key": (replaced(KEY, b""), A_400),
    "empty key": (replaced(KEY, b"Sec-WebSocket-Key:\r\n"), A_400),
    "two equal keys": (replaced(KEY, KEY * 2), A_400),
    "two keys": (replaced(KEY, KEY + b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"), A_400),
    "keys as a list": (replaced(KEY, KEY[:-2] + b", AAAAAAAAAAAAAAAAAAAAAA==\r\n"), A_400),
    "key of 15 bytes": (replaced(b"dGhlIHNhbXBsZSBub25jZQ==", b"AAAAAAAAAAAAAAAAAAAA"), A_400),
    "key of 17 bytes": (replaced(b"dGhlIHNhbXBsZSBub25jZQ==", b"AAAAAAAAAAAAAAAAAAAAAAA="), A_400),
    "key of 18 bytes": (replaced(b"dGhlIHNhbXBsZSBub25jZQ==", b"AAAAAAAAAAAAAAAAAAAAAAAA"), A_400),
    "key without padding": (replaced(b"jZQ==", b"jZQ"), A_400),
    "key with too much padding": (replaced(b"jZQ==", b"jZQ==="), A_400),
    "key with unused bits set": (replaced(b"jZQ==", b"jZR=="), A_400),
    "key in the alphabet of addresses": (replaced(b"dGhl", b"d-_l"), A_400),
    "key with a space inside": (replaced(b"dGhl", b"d hl"), A_400),
    "key in quotes": (replaced(b"dGhlIHNhbXBsZSBub25jZQ==", b'"dGhlIHNhbXBsZSBub25jZQ=="'), A_400),
    "key not ASCII": (replaced(b"dGhl", b"d\xe9hl"), A_400),
    "a body": (added(b"Content-Length: 5\r\n") + b"hello", A_400),
    "a body announced and not sent": (added(b"Content-Length: 5\r\n"), A_400),
    "a smuggled request as body": (
        added(b"Content-Length: 34\r\n") + b"GET /x HTTP/1.1\r\nHost: ward.ex\r\n\r\n",
        A_400,
    ),
    "a length of 00": (added(b"Content-Length: 00\r\n"), A_400),
    "a chunked body": (added(b"Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n", A_400),
    "a chunked body in capitals": (
        added(b"Transfer-Encoding: Chunked\r\n") + b"5\r\nhello\r\n0\r\n\r\n",
        A_400,
    ),
    "no subprotocol in the header": (offering(b""), A_400),
    "subprotocols not ours": (offering(b"chat, superchat"), A_400),
    "subprotocol twice": (replaced(PROTOCOL, PROTOCOL * 2), A_400),
    "subprotocol not ASCII": (offering(b"wsserver.v1.json, \xff\xfe"), A_400),
    "subprotocol in UTF-8": (offering("wsserver.v1.json, ü".encode()), A_400),
    "subprotocol in quotes": (replaced(PROTOCOL, b'Sec-WebSocket-Protocol: "wsserver.v1.json"\r\n'), A_400),
    "subprotocol with a parameter": (offering(b"wsserver.v1.json; q=1"), A_400),
    "8000 spaces": (offering(b"wsserver.v1.json" + b" " * 8000 + b"x y"), A_400),
    "four headers of 8000 commas": (
        replaced(PROTOCOL, (b"Sec-WebSocket-Protocol: " + b"," * 8000 + b"\r\n") * 4),
        A_400,
    ),
    "a token alone": (offering(b"wsserver.bearer.canary"), A_400),
    "an empty token": (offering(b"wsserver.v1.json, wsserver.bearer."), A_400),
    "two tokens": (offering(b"wsserver.v1.json, wsserver.bearer.canary, wsserver.bearer.b"), A_400),
    "a token in two places": (
        offering(b"wsserver.v1.json, wsserver.bearer.canary\r\nAuthorization: Bearer canary"),
        A_400,
    ),
    "two Authorizations": (added(b"Authorization: Bearer canary\r\n" * 2), A_400),
    "Bearer without a token": (added(b"Authorization: Bearer\r\n"), A_400),
    "another scheme": (added(b"Authorization: Token canary\r\n"), A_400),
    "a token in the address": (replaced(b"/ws/connect", b"/ws/connect?token=canary"), A_400),
    "a parameter twice": (replaced(b"/ws/connect", b"/ws/connect?user_id=canary&user_id=b"), A_400),
}


@pytest.mark.parametrize(("sent", "expected"), MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_upgrade_is_refused_with_status_headers_and_json(exchange, sent, expected):
    status, headers, code = expected
    answer = await exchange(sent)
    got, got_headers, body = parsed(answer)
    assert got == status
    assert headers.items() <= got_headers.items()
    # Before HTTP/1.1 a connection ends with its response unless told otherwise.
    assert "close" in got_headers.get("connection", "" if answer.startswith(b"HTTP/1.1") else "close")
    assert got_headers["content-type"] == "application/json"
    document = json.loads(body)
    assert document["status"] == "error"
    assert document["error"]["code"] == code
    assert document["error"]["message"]
    assert b"canary" not in answer


@pytest.mark.parametrize("sent", [sent for sent, _ in MALFORMED.values()], ids=MALFORMED)
async def test_bytes_behind_a_refused_upgrade_are_never_answered_as_a_request(exchange, sent):
    answer = await exchange(sent + b"GET /smuggled HTTP/1.1\r\nHost: ward.example\r\n\r\n")
    assert len(STATUS_LINE.findall(answer)) == 1
    assert parsed(answer)[0] >= 400


# These never reach a handler: aiohttp's parser answers them in its own words.
UNPARSABLE = {
    "no Host": replaced(HOST, b""),
    "two Hosts": replaced(HOST, HOST + b"Host: other.example\r\n"),
    "lower-case method": replaced(b"GET", b"get"),
    "HTTP/1.2": replaced(b"HTTP/1.1", b"HTTP/1.2"),
    "length and chunks": added(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + b"0\r\n\r\n",
    "two lengths": added(b"Content-Length: 0\r\nContent-Length: 5\r\n"),
    "signed length": added(b"Content-Length: +0\r\n"),
    "length in words": added(b"Content-Length: none\r\n"),
    "space before the colon": replaced(b"Upgrade:", b"Upgrade :"),
    "folded header": replaced(UPGRADE, b"Upgrade:\r\n websocket\r\n"),
    "NUL in a value": replaced(b"wsserver.v1.json", b"wsserver\0.v1.json"),
    "control character in a name": replaced(b"Upgrade:", b"Upgr\x01ade:"),
    "bare carriage return": replaced(UPGRADE, b"Upgrade: web\rsocket\r\n"),
    "32 KB of spaces": offering(b"wsserver.v1.json" + b" " * 32_768 + b"x"),
    "2000 headers": added(b"X: y\r\n" * 2000),
    "frames instead of a request": b"\x81\x85\x00\x00\x00\x00hello\r\n\r\n",
}


@pytest.mark.parametrize("sent", UNPARSABLE.values(), ids=UNPARSABLE)
async def test_what_is_no_http_is_refused_once_and_not_upgraded(exchange, sent):
    answer = await exchange(sent)
    assert parsed(answer)[0] == 400
    assert len(STATUS_LINE.findall(answer)) == 1


async def test_a_refused_head_request_has_no_body(exchange):
    status, headers, body = parsed(await exchange(replaced(b"GET", b"HEAD")))
    assert (status, headers["allow"], body) == (405, "GET", b"")


ORIGINS = {
    "none": ([], 101),
    "allowed": ([b"https://app.example.com"], 101),
    "own": ([b"http://ward.example"], 101),
    "own with its port": ([b"http://ward.example:80"], 101),
    "evil": ([b"https://evil.example"], 403),
    "null": ([b"null"], 403),
    "empty": ([b""], 403),
    "star": ([b"*"], 403),
    "suffix": ([b"https://app.example.com.evil"], 403),
    "prefix": ([b"https://evil-app.example.com"], 403),
    "subdomain": ([b"https://x.app.example.com"], 403),
    "parent": ([b"https://example.com"], 403),
    "other port": ([b"https://app.example.com:8443"], 403),
    "default port": ([b"https://app.example.com:443"], 403),
    "http": ([b"http://app.example.com"], 403),
    "own over TLS": ([b"https://ward.example"], 403),
    "own at another port": ([b"http://ward.example:8000"], 403),
    "upper case": ([b"HTTPS://APP.EXAMPLE.COM"], 403),
    "upper-case scheme": ([b"HTTP://ward.example"], 403),
    "trailing dot": ([b"https://app.example.com."], 403),
    "own with trailing dot": ([b"http://ward.example."], 403),
    "path": ([b"https://app.example.com/"], 403),
    "userinfo": ([b"https://app.example.com@evil.example"], 403),
    "userinfo before the own": ([b"http://a@ward.example"], 403),
    "international": (["https://äpp.example.com".encode()], 403),
    "look-alike": (["https://аpp.example.com".encode()], 403),
    "list": ([b"https://app.example.com, https://evil.example"], 403),
    "two with a space": ([b"https://app.example.com https://evil.example"], 403),
    "two headers": ([b"https://app.example.com", b"https://evil.example"], 403),
    "two equal headers": ([b"https://app.example.com", b"https://app.example.com"], 403),
    "8 KB": ([b"https://" + b"a" * 8000], 403),
}


@pytest.mark.parametrize(
    "credentials",
    [b"", b"Cookie: session=valid\r\nAuthorization: Bearer abc\r\n"],
    ids=["bare", "with credentials"],
)
@pytest.mark.parametrize(("origins", "status"), ORIGINS.values(), ids=ORIGINS)
async def test_only_exactly_allowed_origins_reach_the_upgrade(exchange, origins, status, credentials):
    lines = b"".join(b"Origin: " + origin + b"\r\n" for origin in origins)
    answer = await exchange(added(lines + credentials))
    if status == 101:
        assert answer == ACCEPTED
    else:
        got, _, body = parsed(answer)
        assert (got, json.loads(body)["error"]["code"]) == (403, 1011)
