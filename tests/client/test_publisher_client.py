"""The publisher against a server that answers as a test wants it to, over real sockets."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from wsserver.client import (
    BroadcastReport,
    ClientError,
    ConnectionLost,
    InvalidOption,
    NoAnswer,
    Publisher,
    RequestRefused,
)

TOKEN = "canary.token.text"
REPORT = {
    "message_id": "m_1", "topic": "patient:1", "log": "d", "seq": 4, "durability": "memory",
    "duplicate": False, "considered": 3, "filtered": 1, "denied": 0, "matched": 2, "delivered": 1,
    "refused": {"slow": 1},
}  # fmt: skip


def answer(status: int, document: Any, **headers: str) -> bytes:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    lines = [
        f"HTTP/1.1 {status} X",
        f"Content-Length: {len(body)}",
        *(f"{n}: {v}" for n, v in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


SUCCESS = answer(200, {"status": "success", "data": REPORT})


def refusal(status: int, code: int, name: str, **more: Any) -> bytes:
    headers = {"Retry-After": str(more["retry_after_ms"] // 1000)} if "retry_after_ms" in more else {}
    error = {"code": code, "name": name, "message": "m", **more}
    return answer(status, {"status": "error", "error": error}, **headers)


class ScriptedServer:
    """Answers requests one by one from ``script``; the last one stays. What is no bytes ends the connection.

    ``CUT`` ends it without an answer, after the request was read; ``b"..."`` is sent as it is.
    """

    CUT = None

    def __init__(self) -> None:
        self.script: list[bytes | None] = [SUCCESS]
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.connections = 0
        self.ends_after_answer = False
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
        for one in self._open:
            one.close()

    def _accept(self) -> None:
        threads = []
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                break
            self.connections += 1
            self._open.append(client)
            threads.append(threading.Thread(target=self._serve, args=(client,)))
            threads[-1].start()
        for client in self._open:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()

    def _serve(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as reader:
            while True:
                try:
                    first = reader.readline()
                    headers: dict[str, str] = {}
                    while (line := reader.readline().strip()) != b"":
                        name, _, value = line.decode().partition(": ")
                        headers[name.lower()] = value
                    if not first:
                        return
                    body = reader.read(int(headers["content-length"]))
                except OSError:
                    return
                with self._lock:
                    self.requests.append((first.split()[1].decode(), headers, body))
                    reply = self.script.pop(0) if len(self.script) > 1 else self.script[0]
                if reply is self.CUT:
                    return
                client.sendall(reply)
                if self.ends_after_answer:
                    return


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    server.stop()


@pytest.fixture
def publisher(server: ScriptedServer) -> Iterator[Callable[..., Publisher]]:
    made: list[Publisher] = []

    def make(**how: Any) -> Publisher:
        how = {"token": TOKEN, "sleep": lambda seconds: None, "timeout": 5, **how}
        made.append(Publisher(server.url, **how))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_each_method_has_its_route_and_the_report_is_a_number(server, publisher) -> None:
    with publisher() as one:
        report = one.broadcast_to_patient(123, {"a": 1, "é": "ü"})
        one.broadcast_to_patient("a/b c", {})
        one.broadcast_to_type("ecg", {})
        one.broadcast_to_all({})
    assert isinstance(report, BroadcastReport)
    assert (int(report), report.delivered, report.matched, report.refused) == (1, 1, 2, {"slow": 1})
    assert [path for path, _, _ in server.requests] == [
        "/ws/broadcast/patient/123", "/ws/broadcast/patient/a%2Fb%20c", "/ws/broadcast/type/ecg",
        "/ws/broadcast/all",
    ]  # fmt: skip
    _, headers, body = server.requests[0]
    assert json.loads(body) == {"a": 1, "é": "ü"}
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert len({headers["idempotency-key"] for _, headers, _ in server.requests}) == 4
    assert server.connections == 1


@pytest.mark.parametrize(
    "first",
    [
        ScriptedServer.CUT,
        SUCCESS[:25],
        SUCCESS[:-20],
        refusal(503, 1005, "n"),
        refusal(429, 1010, "n"),
        answer(502, b"<html>"),
        answer(504, b""),
    ],
)
def test_what_may_get_better_is_asked_again_with_the_same_key_and_bytes(server, publisher, first) -> None:
    server.script = [first, first, SUCCESS]
    # What is cut off ends with the connection.
    server.ends_after_answer = first is not None and SUCCESS.startswith(first)
    assert publisher().broadcast_to_all({"a": 1.5}).matched == 2
    keys = {(headers["idempotency-key"], body) for _, headers, body in server.requests}
    assert len(server.requests) == 3
    assert len(keys) == 1


def test_retry_after_is_waited_for(server, publisher) -> None:
    waits: list[float] = []
    server.script = [refusal(503, 1005, "backpressure_active", retry_after_ms=3000), SUCCESS]
    publisher(sleep=waits.append).broadcast_to_all({})
    assert waits == [3.0]


def test_patience_is_for_the_whole_call(server, publisher) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    server.script = [refusal(503, 1005, "backpressure_active", details={"reason": "store"})]
    with pytest.raises(RequestRefused) as refused:
        publisher(sleep=sleep, monotonic=lambda: now[0], patience=20).broadcast_to_all({})
    assert 10 < now[0] < 20
    assert (refused.value.code, refused.value.status, refused.value.details) == (
        1005,
        503,
        {"reason": "store"},
    )
    server.script = [refusal(429, 1010, "rate_limit_exceeded", retry_after_ms=60_000)]
    requests = len(server.requests)
    with pytest.raises(RequestRefused) as refused:
        publisher().broadcast_to_all({})
    assert refused.value.retry_after == 60.0
    assert len(server.requests) == requests + 1


@pytest.mark.parametrize(
    ("status", "code"), [(400, 1003), (403, 1011), (404, 1014), (409, 1003), (413, 1004), (500, 1015)]
)
def test_what_is_refused_is_not_asked_again(server, publisher, status: int, code: int) -> None:
    server.script = [refusal(status, code, "a_name")]
    with pytest.raises(RequestRefused) as refused:
        publisher().broadcast_to_all({})
    assert (refused.value.code, refused.value.name, refused.value.status) == (code, "a_name", status)
    assert len(server.requests) == 1


def test_without_an_answer_it_cannot_be_told_and_the_key_is_given(server, publisher) -> None:
    server.script = [ScriptedServer.CUT]
    with pytest.raises(NoAnswer) as failed:
        publisher(patience=0).broadcast_to_all({}, idempotency_key="order-17")
    assert failed.value.key == "order-17"
    assert server.requests[0][1]["idempotency-key"] == "order-17"


@pytest.mark.parametrize("last", [refusal(503, 1005, "n"), refusal(403, 1011, "n")])
def test_a_refusal_after_an_attempt_without_an_answer_does_not_say_that_nothing_was_done(
    server, publisher, last
) -> None:
    server.script = [ScriptedServer.CUT, last]
    now = iter(range(0, 1000, 7))
    with pytest.raises(NoAnswer):
        publisher(monotonic=lambda: float(next(now))).broadcast_to_all({})


def test_where_nobody_listens_nothing_was_sent(unused_tcp_port: int) -> None:
    one = Publisher(f"http://127.0.0.1:{unused_tcp_port}", token=TOKEN, patience=0)
    with pytest.raises(ConnectionLost) as failed:
        one.broadcast_to_all({})
    assert "canary" not in str(failed.value)


def test_a_connection_that_was_closed_while_idle_is_no_failure(server, publisher) -> None:
    server.ends_after_answer = True
    one = publisher(patience=0)
    for _ in range(3):
        one.broadcast_to_all({})
    assert len(server.requests) == 3
    assert server.connections == 3


@pytest.mark.parametrize("reply", [answer(200, b"<html>"), answer(200, {"data": {"a": 1}}), answer(200, [])])
def test_an_answer_that_is_no_report_is_told(server, publisher, reply: bytes) -> None:
    server.script = [reply]
    with pytest.raises(NoAnswer):
        publisher().broadcast_to_all({})


def test_a_redirect_is_not_followed(server, publisher) -> None:
    server.script = [answer(307, b"", Location="/elsewhere")]
    with pytest.raises(RequestRefused) as refused:
        publisher().broadcast_to_all({})
    assert refused.value.status == 307
    assert len(server.requests) == 1


def test_an_answer_without_end_is_given_up(server, publisher) -> None:
    server.script = [answer(200, b"x" * 2_000_000)]
    with pytest.raises(NoAnswer):
        publisher(patience=0).broadcast_to_all({})


def test_a_refused_token_is_replaced_once(server, publisher) -> None:
    reasons: list[str] = []

    def get_token(reason: str) -> str:
        reasons.append(reason)
        return f"token{len(reasons)}"

    server.script = [SUCCESS, refusal(401, 1001, "n"), SUCCESS, refusal(401, 1001, "n")]
    one = publisher(token=None, get_token=get_token)
    one.broadcast_to_all({})
    one.broadcast_to_all({})
    with pytest.raises(RequestRefused):
        one.broadcast_to_all({})
    assert reasons == ["first", "refused", "refused"]
    assert [headers["authorization"] for _, headers, _ in server.requests] == [
        "Bearer token1", "Bearer token1", "Bearer token2", "Bearer token2", "Bearer token3",
    ]  # fmt: skip


@pytest.mark.parametrize("token", ["canary\r\nX: 1", "canary é", "", None, 3])
def test_a_token_that_cannot_stand_in_a_header_is_refused_without_being_quoted(server, token) -> None:
    with pytest.raises(InvalidOption) as refused:
        Publisher(server.url, token=token)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("message", [[], "text", {"a": float("nan")}, {"a": "\ud800"}, {"a": b""}])
def test_what_is_no_message_is_not_sent(server, publisher, message) -> None:
    with pytest.raises(InvalidOption):
        publisher().broadcast_to_all(message)
    assert server.requests == []


@pytest.mark.parametrize(
    "how", [{"idempotency_key": "two words"}, {"idempotency_key": ""}, {"idempotency_key": "x" * 256}]
)
def test_what_is_no_key_is_not_sent(server, publisher, how) -> None:
    with pytest.raises(InvalidOption):
        publisher().broadcast_to_all({}, **how)
    assert server.requests == []


@pytest.mark.parametrize("patient", ["", True, 1.5, None])
def test_what_is_no_id_is_not_sent(server, publisher, patient) -> None:
    with pytest.raises(InvalidOption):
        publisher().broadcast_to_patient(patient, {})


@pytest.mark.parametrize("url", ["", "h", "ftp://h", "http://", None])
def test_what_is_no_address_is_refused(url) -> None:
    with pytest.raises(InvalidOption):
        Publisher(url, token=TOKEN)


def test_an_address_of_the_websocket_does_as_well(server, publisher) -> None:
    one = Publisher(f"ws://127.0.0.1:{server.port}/prefix/ws/connect", token=TOKEN)
    one.broadcast_to_all({})
    one.close()
    assert server.requests[0][0] == "/prefix/ws/broadcast/all"


def test_threads_share_it_and_each_request_has_a_connection_for_itself(server, publisher) -> None:
    one, reports = publisher(), []

    def work() -> None:
        reports.extend(one.broadcast_to_all({"n": n}) for n in range(20))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reports) == len(server.requests) == 120
    assert server.connections <= 6


def test_after_a_fork_the_connections_of_the_parent_are_left_alone(server, publisher, monkeypatch) -> None:
    one = publisher()
    one.broadcast_to_all({})
    monkeypatch.setattr("wsserver.client.rest_connections.os.getpid", lambda: -1)
    for _ in range(2):
        one.broadcast_to_all({})
    assert server.connections == 2


def test_after_close_nothing_is_sent(server, publisher) -> None:
    one = publisher(patience=0)
    one.close()
    with pytest.raises(ConnectionLost, match="closed"):
        one.broadcast_to_all({})
    assert issubclass(ConnectionLost, ClientError)


def test_no_repr_shows_the_token(publisher) -> None:
    one = publisher()
    assert "canary" not in repr(one) + repr(vars(one)["_connections"])
