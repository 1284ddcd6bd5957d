"""``/ws/drain`` on a real server: begun, watched, taken back."""

import asyncio
from typing import Any

import pytest
import websockets
from http_request import Answer
from live_server import LiveServer, token_of, until
from raw_socket import TEXT

OPERATOR = {"scope": "admin:read admin:write"}


async def drain(server: LiveServer, method: str, body: Any = None, scope: str | None = None) -> Answer:
    token = token_of("ops", "admin", scope=scope or OPERATOR["scope"])
    return await server.http(method, "/ws/drain", body, token=token)


async def state(server: LiveServer) -> dict[str, Any]:
    return (await drain(server, "GET")).json["data"]


async def test_a_drain_empties_the_server_and_leaves_it_running(start_server) -> None:
    server = await start_server(shutdown={"notice": 0.0})
    assert (await state(server))["state"] == "serving"
    clients = [await server.enter(f"u{number}") for number in range(10)]
    answer = await drain(server, "POST", {"timeout": 10, "return_rate": 1000})
    assert answer.status == 202
    assert answer.json["data"]["open"] == 10
    for client in clients:
        assert (await client.closing())[0] == 4020
        # Others take them: nobody waits for a restart.
        assert client.waiting[-1]["reconnect_after_ms"] < 1000
    await until(lambda: server.service.departure.is_over)
    assert await state(server) == {
        "state": "drained", "total": 10, "closed": 10, "open": 0, "seconds_left": 0.0,
    }  # fmt: skip
    assert (await server.http("GET", "/health")).status == 200
    ready = await server.http("GET", "/ready")
    assert (ready.status, ready.json["reason"]) == (503, "draining")
    with pytest.raises(websockets.InvalidStatus) as refused:
        await server.connect(token_of())
    assert refused.value.response.status_code == 503
    assert int(refused.value.response.headers["Retry-After"]) >= 1


@pytest.mark.parametrize(
    ("body", "path", "reason"),
    [
        ({"timeout": "25s"}, "timeout", "must be `float | null`, not `str`"),
        ({"return_rate": 0}, "return_rate", "must be `float` "),
        ({"patience": 3}, "", "Object contains unknown field `patience`"),
        ([], "", "must be `object`, not `array`"),
    ],
)
async def test_a_body_that_is_wrong_is_told_where_and_why(
    server: LiveServer, body: Any, path: str, reason: str
) -> None:
    answer = await drain(server, "POST", body)
    assert (answer.status, answer.error["code"]) == (400, 1003)
    assert answer.error["details"]["path"] == path
    assert answer.error["details"]["reason"].startswith(reason)
    assert answer.error["message"].endswith(f"{path or 'it'} {answer.error['details']['reason']}.")
    assert (await state(server))["state"] == "serving"


async def test_a_drain_that_is_taken_back_keeps_who_is_left_and_takes_others(start_server) -> None:
    server = await start_server()
    clients = [await server.enter(f"u{number}") for number in range(3)]
    body = {"notice": 0, "return_rate": 0.5, "timeout": 3600}
    assert (await drain(server, "POST", body)).status == 202
    assert (await clients[0].closing())[0] == 4020
    assert (await state(server))["state"] == "closing"
    again = await drain(server, "POST", {"timeout": 1, "notice": 0})
    assert again.status == 202
    assert again.json["data"]["seconds_left"] > 1000, "a second one changes nothing"
    answer = await drain(server, "DELETE")
    assert (answer.status, answer.json["data"]["state"], answer.json["data"]["open"]) == (200, "serving", 2)
    assert (await server.http("GET", "/ready")).status == 200
    await server.enter("u9")
    for client in clients[1:]:
        await client.ask("ping")
    assert (await drain(server, "DELETE")).json["data"]["state"] == "serving"
    # And from the beginning once more.
    assert (await drain(server, "POST", {"notice": 0, "timeout": 0})).status == 202
    for client in clients[1:]:
        assert (await client.closing())[0] == 4020


async def test_a_drain_may_begin_while_another_is_being_taken_back(start_server) -> None:
    server = await start_server()
    await server.enter()
    service = server.service
    service.start_drain()
    taken_back = asyncio.ensure_future(service.cancel_drain())
    await asyncio.sleep(0)
    service.start_drain()
    await taken_back
    assert service.draining
    assert service.departure is not None


async def test_what_cannot_be_meant_is_refused_and_changes_nothing(start_server) -> None:
    server: LiveServer = await start_server()
    for body in (
        {"timeout": -1}, {"timeout": "25s"}, {"return_rate": 0}, {"notice": 30}, {"timeout": 1, "notice": 1},
        {"time_out": 1}, [], b"{", {"timeout": float("inf")},
    ):  # fmt: skip
        body = b'{"timeout": 1e999}' if body == {"timeout": float("inf")} else body
        answer = await drain(server, "POST", body)
        assert (answer.status, answer.error["code"]) == (400, 1003), body
    for method, scope in (("POST", "admin:read"), ("DELETE", "admin:read"), ("GET", "admin:write")):
        assert (await drain(server, method, scope=scope)).status == 403
    assert not server.service.draining


async def test_a_server_that_ends_can_be_neither_drained_nor_kept(start_server) -> None:
    server = await start_server()
    await server.enter()
    ending = asyncio.ensure_future(server.service.drain())
    await until(lambda: server.service.draining)
    assert (await state(server))["state"] == "ending"
    for method in ("POST", "DELETE"):
        answer = await drain(server, method)
        assert (answer.status, answer.error["code"]) == (503, 1013)
    ending.cancel()


async def test_the_end_of_the_process_takes_over_a_drain(start_server) -> None:
    server = await start_server(shutdown={"notice": 0.0, "timeout": 5.0})
    clients = [await server.enter(f"u{number}") for number in range(3)]
    await drain(server, "POST", {"timeout": 3600, "return_rate": 0.01})
    assert (await clients[0].closing())[0] == 4020
    ended = asyncio.ensure_future(server.service.drain())
    for client in clients[1:]:
        assert (await client.closing())[0] == 4020
    assert await ended == 2


async def test_what_still_waits_when_the_time_is_over_is_counted_as_lost_to_the_shutdown(
    start_server,
) -> None:
    server: LiveServer = await start_server(
        shutdown={"timeout": 0.5, "notice": 0.0}, backpressure={"send_buffer": 16 * 1024}
    )
    raw = await server.raw(token_of(), path="/ws/connect?subscriptions=patient:1", receive_buffer=4096)
    await raw.read_message()
    reports = [server.manager.broadcast_to_patient(1, {"n": n, "text": "x" * 8192}) for n in range(100)]
    await server.service.drain()
    assert server.manager.hub.open_count == 1, "it reads nothing, so it has not seen the close"
    await server.service.stop()
    dropped = [report.outcome()["dropped"] for report in reports]
    assert sum(one["shutdown"] for one in dropped) > 50
    # Those that the transport had begun to send belong to the socket's end.
    assert sum(one["closed"] for one in dropped) <= 16
    for report, one in zip(reports, dropped, strict=True):
        assert report.delivered == report.outcome()["written"] + sum(one.values())
    await raw.abort()


async def test_what_waits_for_a_slow_reader_leaves_before_its_close(start_server) -> None:
    server: LiveServer = await start_server(
        shutdown={"timeout": 10.0, "notice": 0.0}, backpressure={"send_buffer": 16 * 1024}
    )
    raw = await server.raw(token_of(), path="/ws/connect?subscriptions=patient:1", receive_buffer=4096)
    await raw.read_message()
    for n in range(50):
        server.manager.broadcast_to_patient(1, {"n": n, "text": "x" * 8192})
    drained = asyncio.ensure_future(server.service.drain())
    await until(lambda: not server.manager.connections)
    code, frames = await raw.read_close()
    texts = [frame.json for frame in frames if frame.opcode == TEXT]
    assert code == 4020
    assert [one["n"] for one in texts[:-1]] == list(range(50))
    assert texts[-1]["type"] == "system_shutdown"
    await raw.abort()
    await drained
