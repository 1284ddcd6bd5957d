"""The HTTP side: who may, what is answered, and that the figures are true."""

import asyncio
import functools
import json
import time
from typing import Any

import pytest
from http_request import exchange, request
from live_server import ALL_SCOPES, LiveServer, settings_of, sign, token_of
from raw_socket import RawSocket

from wsserver.connection_manager import ConnectionManager
from wsserver.settings import Loaded
from wsserver.web import server as server_module

DOORS = {
    "/ws/broadcast/patient/1": {"broadcast:patient"},
    "/ws/broadcast/type/ecg": {"broadcast:type"},
    "/ws/broadcast/type/patient": {"broadcast:type", "broadcast:patient"},
    "/ws/broadcast/all": {"broadcast:all"},
    "/ws/metrics": {"metrics:read"},
    "/ws/revoke": {"admin:write"},
    "/ws/trace": {"admin:read"},
    "/ws/subscriptions": {"admin:read"},
    "/ws/events": {"admin:read"},
}
GETS = {"/ws/metrics", "/ws/subscriptions", "/ws/events"}
BODIES: dict[str, Any] = {
    **dict.fromkeys(GETS),
    "/ws/revoke": {"user": "nobody"},
    "/ws/trace": {"message": {}, "topic": "*"},
}
SCOPES = [*ALL_SCOPES.split(), "broadcast", "broadcast:*", "metrics:read:x", "*", ""]


async def ask(server: LiveServer, path: str, **how: Any) -> Any:
    method = "GET" if path in GETS else "POST"
    return await server.http(method, path, BODIES.get(path, {"type": "note"}), **how)


# -- who may


@pytest.mark.parametrize("path", DOORS)
async def test_without_a_valid_token_the_answer_is_401(server: LiveServer, path: str) -> None:
    expired = token_of(scope=ALL_SCOPES, exp=int(time.time()) - 100)
    foreign = sign({"sub": "a", "role": "admin", "exp": 2**33, "scope": ALL_SCOPES}, "x" * 40)
    good = token_of(scope=ALL_SCOPES)
    for how in (
        {},
        {"token": expired},
        {"token": foreign},
        {"token": "rubbish"},
        {"headers": {"Cookie": f"token={good}"}},
        {"headers": {"Authorization": f"Basic {good}"}},
        {"headers": {"Authorization": good}},
        {"headers": {"Authorization": "Bearer"}},
    ):
        answer = await ask(server, path, **how)
        assert answer.status == 401, how
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.error == {
            "code": 1001,
            "name": "authentication_failed",
            "message": "Authentication failed.",
        }


async def test_a_token_in_the_query_counts_for_nothing_over_rest(server: LiveServer) -> None:
    answer = await server.http("GET", f"/ws/metrics?token={token_of(scope='metrics:read')}")
    assert answer.status == 401


async def test_two_authorization_headers_are_no_credentials(server: LiveServer) -> None:
    token = token_of(scope=ALL_SCOPES)
    line = f"Authorization: Bearer {token}\r\n"
    wire = f"GET /ws/metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{line}{line}\r\n"
    assert (await exchange(server.port, wire.encode())).status in (400, 401)


@pytest.mark.parametrize("path", DOORS)
async def test_every_scope_opens_its_own_doors_only(server: LiveServer, path: str) -> None:
    needed = DOORS[path]
    for scope in SCOPES:
        rest = " ".join(needed - {scope})
        answer = await ask(server, path, token=token_of("ops", "admin", scope=scope))
        assert answer.status == (200 if needed == {scope} else 403), scope
        if answer.status == 403:
            assert (answer.error["code"], answer.error["name"]) == (1011, "permission_denied")
        # Everything but this one scope, of those that are needed.
        if scope in needed:
            assert (await ask(server, path, token=token_of("ops", "admin", scope=rest))).status == 403
    assert (await ask(server, path, token=token_of("ops", "admin", scope=" ".join(needed)))).status == 200


async def test_a_publisher_reaches_only_patients_that_it_may_see(server: LiveServer) -> None:
    token = token_of("gateway", "service", scope=ALL_SCOPES, patients=["1", "2"])
    for path, body, status in (
        ("patient/1", {}, 200),
        ("patient/3", {}, 403),
        ("patient/3", b"not even json", 403),
        ("type/ecg", {"patient_id": 2}, 200),
        ("type/ecg", {"patient_id": "3"}, 403),
        ("type/patient", {"patient_id": 3}, 403),
        ("all", {"patient_id": 3}, 403),
        ("all", {}, 200),
    ):
        answer = await server.http("POST", f"/ws/broadcast/{path}", body, token=token)
        assert answer.status == status, (path, body)
    unlisted = token_of("gateway", "service", scope=ALL_SCOPES, patients=None)
    assert (await server.http("POST", "/ws/broadcast/patient/1", {}, token=unlisted)).status == 403


async def test_forbidden_and_unknown_patients_are_answered_alike(server: LiveServer) -> None:
    await server.enter("d", "doctor", "patient:3")
    token = token_of("gateway", "service", scope=ALL_SCOPES, patients=["1"])
    known, unknown = [
        await server.http("POST", f"/ws/broadcast/patient/{one}", {}, token=token) for one in ("3", "999")
    ]
    assert (known.status, known.body) == (unknown.status, unknown.body)


# -- what is answered


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"1",
        b'{"a":1}{"b":2}',
        b'{"a":NaN}',
        b'{"a":1e400}',
        b'{"a":9007199254740993}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":"\\ud800"}',
        b'{"a":"\xff"}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":' * 33 + b"1" + b"}" * 33,
        b'{"a":' * 100_000,
        b'{"type":1}',
        b'{"type":"error"}',
        b'{"type":"subscribe"}',
        b'{"type":"system_shutdown"}',
        b'{"_meta":{}}',
        b'{"patient_id":true}',
        b'{"patient_id":""}',
        b'{"patient_id":"a b"}',
        b'{"patient_id":1.0}',
        b'{"patient_id":[1]}',
        b'{"patient_id":2}',
        b'{"patient_id":"01"}',
    ],
    ids=lambda body: repr(body[:30]),
)
async def test_a_body_that_is_no_message_is_answered_with_400(server: LiveServer, body: bytes) -> None:
    answer = await server.http(
        "POST", "/ws/broadcast/patient/1", body, token=token_of("b", "service", scope=ALL_SCOPES)
    )
    assert answer.status == 400
    assert answer.error["code"] == 1003
    assert set(answer.error) <= {"code", "name", "message", "details"}


async def test_a_message_of_exactly_the_limit_passes_and_a_byte_more_does_not(server: LiveServer) -> None:
    limit = server.settings.broadcast.max_message_size
    token = token_of("b", "service", scope=ALL_SCOPES)
    frame = len(b'{"a":""}')
    client = await server.enter("d", "doctor", "patient:1")
    for size, status in ((limit, 200), (limit + 1, 413), (4 * limit, 413)):
        body = b'{"a":"' + b"x" * (size - frame) + b'"}'
        answer = await server.http("POST", "/ws/broadcast/patient/1", body, token=token)
        assert answer.status == status, size
    assert answer.error["code"] == 1004
    (got,) = await client.published()
    assert len(got["a"]) == limit - frame


async def test_a_chunked_body_is_measured_as_it_comes(server: LiveServer) -> None:
    token = token_of("b", "service", scope=ALL_SCOPES)
    how = {"token": token, "headers": {"Transfer-Encoding": "chunked"}}
    small = b"8\r\n" + b'{"a":"x"' + b"\r\n1\r\n}\r\n0\r\n\r\n"
    assert (await request(server.port, "POST", "/ws/broadcast/patient/1", small, **how)).status == 200
    big = (b"10000\r\n" + b"x" * 65536 + b"\r\n") * 20 + b"0\r\n\r\n"
    answer = await request(server.port, "POST", "/ws/broadcast/patient/1", big, **how)
    assert (answer.status, answer.error["code"]) == (413, 1004)


async def test_a_body_that_never_ends_does_not_hurt(server: LiveServer) -> None:
    token = token_of("b", "service", scope=ALL_SCOPES)
    raw = await RawSocket.dial(server.port)
    await raw.send(
        f"POST /ws/broadcast/patient/1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        "Content-Length: 100\r\n\r\n{".encode()
    )
    assert (await server.http("GET", "/health")).status == 200
    await raw.abort()
    await server.publish("patient/1", {})


TRAVERSALS = [
    "..%2f..%2fmetrics", "%2e%2e/all", "../all", "..", ".", "%2e", "./1", "1/../2", "1%2F2", "1/2", "1/", "*",
    "%2A", "1%0a2", "1%0d%0aX-A:b", "1%00", "%00", "1%2500", "%2531%252e", "%c0%ae%c0%ae", "%c0%af",
    "%e2%80%8b1", "1;x", "1%3Bx", "1%20", "%201", "1+1", "", "%", "%zz", "1%", "a" * 65, "a" * 5000, "-1",
    "_1", ".1", "%EF%BC%91", "%D9%A1", "1%26", "1%23", "patient:1", "patient%3A1", "1,2", "\\1", "%5C1", "~1",
    "@1", "%7B1%7D", "1%E2%80%AE",
]  # fmt: skip


@pytest.mark.parametrize("spelling", TRAVERSALS)
async def test_a_path_that_is_no_id_reaches_nobody(server: LiveServer, spelling: str) -> None:
    client = await server.enter("d", "doctor", "*", "patient:*", "patient:1")
    token = token_of("b", "service", scope=ALL_SCOPES)
    answer = await server.http("POST", f"/ws/broadcast/patient/{spelling}", {"a": 1}, token=token)
    assert answer.status in (400, 404)
    if "json" in answer.headers["content-type"]:
        assert answer.error["code"] in (1003, 1014)
    assert await client.published() == []


async def test_other_methods_and_paths_are_refused(server: LiveServer) -> None:
    token = token_of("b", "service", scope=ALL_SCOPES)
    for method, path, status in (
        ("GET", "/ws/broadcast/all", 405),
        ("PUT", "/ws/broadcast/patient/1", 405),
        ("POST", "/ws/metrics", 405),
        ("GET", "/ws/trace", 405),
        ("POST", "/ws/subscriptions", 405),
        ("DELETE", "/ws/events", 405),
        ("DELETE", "/ws/revoke", 405),
        ("POST", "/health", 405),
        ("GET", "/ws", 404),
        ("GET", "/ws/echo", 404),
        ("GET", "/demo", 404),
        ("GET", "/", 404),
    ):
        assert (await server.http(method, path, token=token)).status == status, (method, path)


async def test_a_server_of_its_own_answers_unknown_paths_in_the_envelope(monkeypatch) -> None:
    settings = settings_of(server={"port": 0})
    own = functools.partial(server_module.setup, manager=ConnectionManager(settings))
    monkeypatch.setattr(server_module, "setup", own)
    server = server_module.WebSocketServer()
    await server.start(Loaded(settings=settings, origins={}, warnings=[]))
    try:
        assert server.is_running()
        port = int(server.url.rpartition(":")[2])
        for method, path, status, code in (
            ("GET", "/nowhere", 404, 1014),
            ("GET", "/ws/broadcast/all", 405, 1003),
            ("POST", "/ws/broadcast/patient/1/2", 404, 1014),
        ):
            answer = await request(port, method, path)
            assert (answer.status, answer.error["code"]) == (status, code)
            assert ("allow" in answer.headers) == (status == 405)
        token = token_of("b", "service", scope=ALL_SCOPES)
        body = b'{"a":"' + b"x" * ((1 << 20) - 8) + b'"}'
        assert (await request(port, "POST", "/ws/broadcast/all", body, token=token)).status == 200
    finally:
        await server.stop()
    assert not server.is_running()


async def test_answers_are_neither_cached_nor_sniffed(server: LiveServer) -> None:
    for path in ("/health", *GETS):
        headers = (await server.http("GET", path)).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-type"].startswith("application/json")


async def test_a_body_that_is_said_to_be_packed_is_no_fault_of_the_server(monkeypatch, caplog) -> None:
    settings = settings_of(server={"port": 0})
    own = functools.partial(server_module.setup, manager=ConnectionManager(settings))
    monkeypatch.setattr(server_module, "setup", own)
    server = server_module.WebSocketServer()
    await server.start(Loaded(settings=settings, origins={}, warnings=[]))
    try:
        port = int(server.url.rpartition(":")[2])
        packed = {"Content-Encoding": "gzip"}
        for method, path, status in (
            ("POST", "/ws/login", 400),
            ("GET", "/health", 200),
            ("POST", "/ws/emergency", 401),
        ):
            answer = await request(port, method, path, b"\x1f\x8bnope{}", headers=packed)
            assert answer.status == status, path
    finally:
        await server.stop()
    assert not [one for one in caplog.records if one.levelname == "ERROR"]


async def test_revoke_refuses_what_it_cannot_mean(server: LiveServer) -> None:
    token = token_of("ops", "admin", scope="admin:write")
    for body in (
        {}, {"patients": ["1"]}, {"token_id": "t", "patients": ["1"]}, {"user": "a b"}, {"user": True},
        {"users": ["a"]}, {"user": "a", "patients": "1"}, {"user": "a", "patients": ["a/b"]}, [], "x", b"{",
        b'{"user":' * 100_000, {"token_id": "t" * 257},
    ):  # fmt: skip
        answer = await server.http("POST", "/ws/revoke", body, token=token)
        assert (answer.status, answer.error["code"]) == (400, 1003), body


async def test_publishing_to_a_server_that_stops_is_answered_with_503(server: LiveServer) -> None:
    await server.service.stop()
    token = token_of("b", "service", scope=ALL_SCOPES)
    answer = await server.http("POST", "/ws/broadcast/all", {}, token=token)
    assert (answer.status, answer.error["code"]) == (503, 1013)


async def test_many_requests_on_one_connection_are_answered_in_order(server: LiveServer) -> None:
    """Pipelined HTTP: one answer for each, none of them read as another's body."""
    token = token_of("b", "service", scope=ALL_SCOPES)
    raw = await RawSocket.dial(server.port)
    for number in range(20):
        body = json.dumps({"n": number}).encode()
        head = f"POST /ws/broadcast/all HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        await raw.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    sequence = []
    async with asyncio.timeout(10):
        for _ in range(20):
            head = await raw.read_head()
            assert head.startswith("HTTP/1.1 200 ")
            length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
            body = await raw._take(length)
            assert body is not None
            sequence.append(json.loads(body)["data"]["seq"])
    assert sequence == list(range(1, 21))
    await raw.abort()


async def test_the_topic_of_everything_is_no_type(server: LiveServer) -> None:
    token = token_of("gateway", "service", scope="broadcast:type")
    for name in ("*", "%2a"):
        answer = await server.http("POST", f"/ws/broadcast/type/{name}", {"a": 1}, token=token)
        assert (answer.status, answer.json["error"]["code"]) == (400, 1003)


async def keyed(server: LiveServer, door: str, message: Any, key: str, user: str = "gateway") -> Any:
    token = token_of(user, "service", scope=ALL_SCOPES)
    return await server.http(
        "POST", f"/ws/broadcast/{door}", message, token=token, headers={"Idempotency-Key": key}
    )


@pytest.mark.parametrize("door", ["patient/1", "type/ecg", "all"])
async def test_a_request_that_is_sent_again_with_its_key_delivers_once(server: LiveServer, door: str) -> None:
    client = await server.enter("d1", "doctor", "patient:1", "type:ecg", patients=["1"])
    first = await keyed(server, door, {"n": 1}, "k1")
    again = [await keyed(server, door, {"n": 1}, "k1") for _ in range(3)]
    assert first.json["data"]["duplicate"] is False
    for answer in again:
        assert answer.status == 200
        assert answer.json["data"] == {**first.json["data"], "duplicate": True}
    assert [message["n"] for message in await client.published()] == [1]
    assert (await keyed(server, door, {"n": 1}, "k2")).json["data"]["duplicate"] is False
    assert (await keyed(server, door, {"n": 1}, "k1", user="another")).json["data"]["duplicate"] is False
    assert [message["n"] for message in await client.published()] == [1, 1]
    assert (await server.metrics())["deliveries"]["duplicates"] == 3


async def test_many_at_once_with_one_key_deliver_once(server: LiveServer) -> None:
    client = await server.enter("d1", "doctor", "patient:1", patients=["1"])
    answers = await asyncio.gather(*(keyed(server, "patient/1", {"n": 1}, "k") for _ in range(20)))
    assert sorted(answer.json["data"]["duplicate"] for answer in answers) == [False] + [True] * 19
    assert len({answer.json["data"]["message_id"] for answer in answers}) == 1
    assert len(await client.published()) == 1


async def test_one_key_for_two_bodies_is_a_conflict(server: LiveServer) -> None:
    await keyed(server, "patient/1", {"n": 1}, "k")
    answer = await keyed(server, "patient/1", {"n": 2}, "k")
    assert (answer.status, answer.error["code"]) == (409, 1003)
    assert answer.error["details"] == {"reason": "idempotency_key_reused"}
    assert (await keyed(server, "patient/2", {"n": 2}, "k")).status == 200, "another patient, another route"


@pytest.mark.parametrize("key", ["", "two words", "x" * 256, "caf\u00e9"])
async def test_what_is_no_idempotency_key_is_refused(server: LiveServer, key: str) -> None:
    answer = await keyed(server, "patient/1", {"n": 1}, key)
    assert (answer.status, answer.error["code"]) == (400, 1003)
    assert "visible ASCII" in answer.error["message"]
    assert server.manager.broadcasts.operations == 0


async def test_two_idempotency_keys_are_none(server: LiveServer) -> None:
    token = token_of("gateway", "service", scope=ALL_SCOPES)
    raw = await RawSocket.dial(server.port)
    await raw.send(
        f"POST /ws/broadcast/all HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        "Idempotency-Key: a\r\nIdempotency-Key: b\r\nContent-Length: 2\r\n\r\n{}".encode()
    )
    assert (await raw.read_head()).startswith("HTTP/1.1 400 ")
    await raw.abort()


async def test_a_refusal_is_not_remembered(server: LiveServer) -> None:
    server.manager.backpressure.memory_pressure = True
    answer = await keyed(server, "patient/1", {"n": 1}, "k")
    assert (answer.status, answer.error["code"]) == (503, 1005)
    assert (await keyed(server, "patient/1", {"type": "pong"}, "k")).status == 400
    server.manager.backpressure.memory_pressure = False
    assert (await keyed(server, "patient/1", {"n": 1}, "k")).json["data"]["duplicate"] is False


async def test_a_first_answer_is_not_for_those_who_lost_the_right(server: LiveServer) -> None:
    await keyed(server, "patient/1", {"n": 1}, "k")
    token = token_of("gateway", "service", scope=ALL_SCOPES, patients=["2"])
    answer = await server.http(
        "POST", "/ws/broadcast/patient/1", {"n": 1}, token=token, headers={"Idempotency-Key": "k"}
    )
    assert answer.status == 403


async def test_a_token_subject_that_asks_too_often_is_answered_with_429(start_server) -> None:
    server = await start_server(rate_limit={"requests_per_second": 0.01, "request_burst": 3})
    mine, others = token_of("b", "service", scope=ALL_SCOPES), token_of("c", "service", scope=ALL_SCOPES)
    before = server.manager.broadcasts.operations
    answers = [await server.http("POST", "/ws/broadcast/all", {"n": n}, token=mine) for n in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert server.manager.broadcasts.operations == before + 3, "what is refused does nothing"
    error = answers[-1].json["error"]
    assert (error["code"], error["name"]) == (1010, "rate_limit_exceeded")
    assert error["details"] == {"scope": "token", "limit": "requests"}
    assert 90_000 <= error["retry_after_ms"] <= 100_000
    assert 90 <= int(answers[-1].headers["retry-after"]) <= 100
    # Another token of the same subject is no way out; another subject is not concerned, nor is /health.
    again = token_of("b", "service", scope=ALL_SCOPES, jti="another")
    assert (await server.http("GET", "/ws/metrics", token=again)).status == 429
    assert (await server.http("GET", "/ws/metrics", token=others)).status == 200
    assert (await server.http("GET", "/health")).status == 200
    await server.service.reconfigure(settings_of(rate_limit={"requests_per_second": None}))
    assert (await server.http("GET", "/ws/metrics", token=mine)).status == 200
