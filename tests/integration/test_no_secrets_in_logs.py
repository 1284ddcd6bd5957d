"""A full day in small, logged at DEBUG: no token in any line, no patient or user above DEBUG."""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
import websockets
from http_request import exchange
from live_server import ALL_SCOPES, LiveServer, sign, token_of, until
from raw_socket import TEXT, RawSocket, command, frame, upgrade

from wsserver.log import JsonLineFormatter, TextFormatter

PATIENT = "c4n4ry-patient"
USER = "c4n4ry-user"
ROLE = "doctor"
PERSONAL = ("c4n4ry", "canary-value")


class Everything(logging.Handler):
    """Keeps every record of every logger, formatted as the server would and as plain ``logging`` would."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[tuple[int, str]] = []
        self._plain = logging.Formatter("%(name)s %(message)s")
        self._ours = (TextFormatter(), JsonLineFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        # The plain one first: it must not rely on what our formatters redact.
        self.lines.append((record.levelno, self._plain.format(record)))
        self.lines.extend((record.levelno, formatter.format(record)) for formatter in self._ours)


@pytest.fixture
def log() -> Iterator[Everything]:
    handler = Everything()
    root = logging.getLogger()
    before = {
        name: logging.getLogger(name).level for name in ("", "wsserver", "aiohttp", "asyncio", "websockets")
    }
    root.addHandler(handler)
    for name in before:
        # The clients of the tests share this process; their lines are not the server's.
        logging.getLogger(name).setLevel(logging.CRITICAL if name == "websockets" else logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def parts_of(tokens: list[str]) -> set[str]:
    """Every token, its payload and its signature; the header is the same for all and no secret."""
    return {piece for token in tokens for piece in (token, *token.split(".")[1:]) if len(piece) > 12}


class BrokenProvider:
    """Fails with a text that a backend should not have put there."""

    async def patients(self, user_id: str, role: str, claims: Any) -> Any:
        if user_id == "broken":
            raise RuntimeError(f"no row for {PATIENT} and {USER}")
        return "*"


async def a_full_day(server: LiveServer, tokens: list[str]) -> list[str]:
    """Everything that can go well or wrong; returns the texts of all pages that people may see."""

    def fresh(**changed: Any) -> str:
        claims = {"user": USER, "role": ROLE, "patients": [PATIENT, "2"], "scope": ALL_SCOPES, **changed}
        tokens.append(token_of(claims.pop("user"), claims.pop("role"), **claims))
        return tokens[-1]

    seen: list[str] = []
    # Every way in.
    client = await server.connect(fresh())
    await client.receive()
    await (await server.connect(protocols=["wsserver.v1.json", "wsserver.bearer." + fresh()])).receive()
    await (await server.connect(query="?token=" + fresh())).receive()
    first = await server.connect()
    await first.ask(
        "connect", token=fresh(), user_id=USER, patient_id=PATIENT, subscriptions=[f"patient:{PATIENT}"]
    )
    # Every way to be refused.
    wrong = [
        fresh(exp=int(time.time()) - 100), fresh(role="c4n4ry-role"), fresh()[:-8] + "AAAAAAAA",
        fresh(user="broken"), fresh(aud="x"), fresh() + "=", "x" * 9000, fresh().replace(".", "..", 1),
    ]  # fmt: skip
    tokens += wrong
    for token in wrong:
        for how in ({"headers": {"Authorization": f"Bearer {token}"}}, {"query": f"?token={token}"}):
            try:
                refused = await server.connect(**how)
                await refused.receive()
                await refused.abort()
            except (websockets.InvalidHandshake, websockets.ConnectionClosed, OSError):
                pass
        seen.append((await server.http("GET", "/ws/metrics", token=token)).body.decode())
    seen.append((await server.http("GET", f"/ws/metrics?token={fresh()}")).body.decode())
    # Broken HTTP that carries a token.
    for wire in (
        f"GET /ws/connect HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {fresh()}\x00\r\n\r\n",
        f"GET /ws/connect?token={fresh()} HTTP/9.9\r\nHost: x\r\n\r\n",
        f"GET /ws/connect?token={fresh()}\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
        f"POST /ws/broadcast/patient/{PATIENT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {fresh()}\r\n"
        "Content-Length: x\r\n\r\n",
        f"GET /ws/connect HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer {fresh()}\r\n\r\n",
        f"{fresh()}\r\n\r\n",
    ):
        # What aiohttp answers quotes the broken line back to whoever sent it; only the log counts.
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            assert (await exchange(server.port, wire.encode())).status in (400, 404, 405, 505)
    # Commands, right and wrong.
    for kind, members in (
        ("subscribe", {"topic": f"patient:{PATIENT}"}),
        ("subscribe", {"topic": "patient:c4n4ry-other"}),
        ("subscribe", {"topic": f"c4n4ry {PATIENT}"}),
        ("subscribe", {"topic": "patient:2", "filters": {"c4n4ry": {"$c4n4ry": "canary-value"}}}),
        ("subscribe", {"topic": "patient:2", "filters": {"patient_id": PATIENT}}),
        ("broadcast", {"target_type": "patient", "target_id": PATIENT, "message": {"v": "canary-value"}}),
        ("auth", {"token": fresh()}),
        ("auth", {"token": fresh(exp=1)}),
        ("c4n4ry", {"token": fresh()}),
        ("ping", {"token": fresh()}),
        ("connect", {"token": fresh()}),
    ):
        await client.ask(kind, **members)
    raw = await server.raw(fresh())
    await raw.send(frame(TEXT, b'{"type":"auth","token":"' + fresh().encode() + b'\xff"}'))
    await raw.hung_up()
    raw = await server.raw(behind=frame(TEXT, json.dumps({"token": fresh()}).encode()) * 3)
    await raw.hung_up()
    leaving = await RawSocket.dial(server.port)
    await leaving.send(upgrade(server.port) + command("connect", token=fresh()))
    await leaving.abort()
    # REST, right and wrong.
    token = fresh()
    for path, body in (
        (f"patient/{PATIENT}", {"value": "canary-value"}),
        (f"patient/{PATIENT}%20", {}),
        (f"patient/{PATIENT}", {"patient_id": "c4n4ry-other"}),
        (f"patient/{PATIENT}", {"canary-value": 2**70}),
        ("patient/c4n4ry-other", {"type": "canary-value"}),
        ("type/x", {"patient_id": "c4n4ry-other", "token": token}),
        ("all", b'{"canary-value": NaN'),
    ):
        await server.http("POST", f"/ws/broadcast/{path}", body, token=token)
    await server.http("POST", "/ws/revoke", {"user": USER, "patients": [PATIENT]}, token=token)
    await server.http("POST", "/ws/revoke", {"user": "c4n4ry-user x"}, token=token)
    # Faults of ours.
    broken = server.manager.subscription_manager
    original = broken.subscribe
    broken.subscribe = lambda *_: 1 / len([]) if _ else None
    assert (await client.ask("subscribe", topic=f"patient:{PATIENT}"))["code"] == 1015
    broken.subscribe = original

    def fail(*_: Any) -> Any:
        raise RuntimeError(f"{PATIENT} {token}")

    publish = server.manager.broadcasts.publish
    server.manager.broadcasts.publish = fail
    answer = await server.http(
        "POST", f"/ws/broadcast/patient/{PATIENT}", {}, token=fresh(iat=int(time.time()) + 3)
    )
    assert (answer.status, answer.error["code"]) == (500, 1015)
    seen.append(answer.body.decode())
    server.manager.broadcasts.publish = publish
    # The pages.
    pages = ("/ws/metrics", "/health", "/ready", "/nowhere", f"/ws/broadcast/patient/{PATIENT}")
    answers = [await server.http("GET", path, token=fresh(user="ops", role="admin")) for path in pages]
    seen += [answer.body.decode() for answer in answers]
    # Too fast, too slow, silent; an overload that comes and goes; a drain that is taken back.
    fast = await server.raw(fresh())
    await fast.send(command("ping", t=PATIENT) * 500)
    assert (await fast.read_close())[0] == 4110
    path = f"/ws/connect?subscriptions=patient:{PATIENT}"
    slow = await server.raw(fresh(user="c4n4ry-slow"), path=path, receive_buffer=4096)
    await slow.read_message()
    for number in range(200):
        text = f"canary-value {number} " * 500
        server.manager.broadcast_to_patient(PATIENT, {"type": "alert", "severity": "high", "text": text})
    await until(lambda: server.manager.backpressure.get_metrics()["closed_slow"] > 0)
    await slow.abort()
    silent = await server.raw(fresh(user="c4n4ry-silent"))
    await until(lambda: any(one.user_id == "c4n4ry-silent" for one in server.manager.connections.values()))
    (gone,) = [one for one in server.manager.connections.values() if one.user_id == "c4n4ry-silent"]
    server.manager._end_silent(gone)
    assert (await silent.read_close())[0] == 4006
    operator = fresh(user="ops", role="admin", scope="admin:read admin:write")
    for method, path, body in (
        ("POST", "/ws/emergency", {"active": True}),
        ("POST", "/ws/emergency", {"active": False}),
        ("POST", "/ws/drain", {"notice": 1, "return_rate": 0.01, "timeout": 3600}),
        ("GET", "/ws/drain", None),
        ("DELETE", "/ws/drain", None),
        ("GET", "/ws/alerts", None),
    ):
        seen.append((await server.http(method, path, body, token=operator)).body.decode())
    # The end of some, by their users and by us.
    await server.http("POST", "/ws/revoke", {"user": USER}, token=fresh(user="ops", role="admin"))
    assert (await client.closing())[0] == 4511
    await server.service.drain()
    return seen


async def test_no_token_in_any_line_and_no_person_above_debug(start_server, log: Everything) -> None:
    server = await start_server(
        auth={"allow_query_token": True}, options={"provider": BrokenProvider()}, shutdown={"timeout": 0.5},
        connection={"max_connections_per_user": 100},
        backpressure={"max_queue_bytes": 128 * 1024, "send_buffer": 16 * 1024},
    )  # fmt: skip
    server.service.inlet.close_timeout = 0.5
    tokens: list[str] = []
    seen = await a_full_day(server, tokens)
    await until(lambda: server.manager.hub.open_count == 0)
    meant = ("wsserver.incidents", "wsserver.overload")
    server.faults.seen = [line for line in server.faults.seen if not line.startswith(meant)]
    assert len(tokens) > 30
    assert len(log.lines) > 10, "a day without a line proves nothing"
    secrets = parts_of(tokens)
    for level, line in log.lines:
        for secret in secrets:
            assert secret not in line, f"a token at level {level}: {line[:300]}"
        if level > logging.DEBUG:
            for personal in PERSONAL:
                assert personal not in line, f"a person at level {level}: {line[:300]}"
    for page in seen:
        assert not [secret for secret in secrets if secret in page]
        assert not [personal for personal in PERSONAL if personal in page], page
    for told in ("incident", "reads too slowly", "system overload", "draining: "):
        assert any(told in line for _, line in log.lines), told


async def test_a_rejected_tokens_exception_carries_nothing_of_it(server: LiveServer) -> None:
    """What a crash reporter would collect: the exception, its causes, and its text."""
    from wsserver.access.refusal import AuthenticationFailed

    for token in (
        sign({"sub": USER, "exp": 1}),
        token_of(USER, "c4n4ry-role"),
        "a.b.c",
        token_of(USER) + "x",
    ):
        with pytest.raises(AuthenticationFailed) as refused:
            await server.service.authenticator.authenticate(token)
        fault: BaseException | None = refused.value
        while fault is not None:
            text = repr(fault) + str(fault) + repr(vars(fault))
            assert not [piece for piece in parts_of([token]) if piece in text]
            assert "c4n4ry" not in text
            fault = fault.__cause__ or fault.__context__
