"""Alerts and overload from outside: what operators see, what clients and publishers feel."""

import asyncio
import signal
import time
from typing import Any

import msgspec
import psutil
import pytest
from aiohttp import web
from http_request import Answer
from live_server import LiveServer, StartServer, token_of, until
from raw_socket import upgrade

from wsserver.overload import Cause
from wsserver.settings import Settings


async def alerts(server: LiveServer, query: str = "") -> dict[str, Any]:
    answer = await server.http(
        "GET", f"/ws/alerts{query}", token=token_of("ops", "admin", scope="admin:read")
    )
    assert answer.status == 200, answer
    return answer.json["data"]


async def emergency(server: LiveServer, body: Any) -> Answer:
    token = token_of("ops", "admin", scope="admin:write")
    return await server.http("POST", "/ws/emergency", body, token=token)


async def probe(server: LiveServer, path: str) -> tuple[int, str | None]:
    answer = await server.http("GET", path)
    return answer.status, answer.json.get("reason")


async def handshake(server: LiveServer) -> str:
    """The first answer to a handshake that may be refused, its head."""
    raw = await server.dial()
    await raw.send(upgrade(server.port, token_of()))
    return await raw.read_head()


# -- what operators see


async def test_alerts_are_listed_with_values_thresholds_and_history(start_server: StartServer) -> None:
    server = await start_server(connection={"max_connections": 10})
    for number in range(8):
        await server.enter(f"u{number}")
    await until(lambda: server.service.alerts.active())
    document = await alerts(server)
    assert set(document) == {"active", "current", "overload", "history", "webhook"}
    assert [(one["alert"], one["level"]) for one in document["active"]] == [("connection_count", "warning")]
    count = document["current"]["connection_count"]
    assert (count["value"], count["warning"], count["critical"]) == (8, 8, 10)
    assert document["history"][0]["alert"] == "connection_count"
    assert document["overload"] == {"active": False, "causes": [], "entered": 0}


async def test_the_limit_is_checked_and_kept(server: LiveServer) -> None:
    for _ in range(3):
        server.service.alerts.notify("mine")
    assert len((await alerts(server, "?limit=2"))["history"]) == 2
    for wrong in ("0", "1001", "x", "1" * 5000):
        token = token_of("ops", "admin", scope="admin:read")
        answer = await server.http("GET", f"/ws/alerts?limit={wrong}", token=token)
        assert answer.status == 400
        assert answer.error["code"] == 1003


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"active":1}', b'{"active":true,"x":1}', {"active": True, "reason": "x" * 201}],
)
async def test_a_bad_emergency_changes_nothing(server: LiveServer, body: Any) -> None:
    answer = await emergency(server, body)
    assert answer.status == 400
    assert answer.error["code"] == 1003
    assert not server.service.overload.active


async def test_an_emergency_body_is_bounded(server: LiveServer) -> None:
    assert (await emergency(server, b" " * 5000)).status == 413


# -- what clients feel


async def test_by_hand_newcomers_are_refused_and_those_inside_go_on(server: LiveServer) -> None:
    inside = await server.enter("d1", "doctor", "patient:1")
    answer = await emergency(server, {"active": True, "reason": "too hot"})
    assert answer.json["data"] == {"active": True, "changed": True, "causes": ["operator"]}
    assert (await emergency(server, {"active": True})).json["data"]["changed"] is False
    head = await handshake(server)
    assert head.startswith("HTTP/1.1 503 ")
    assert "Retry-After: " in head
    assert await probe(server, "/ready") == (503, "overloaded")
    assert await probe(server, "/health") == (200, None)
    assert (await server.publish("patient/1", {"type": "vitals"}))["delivered"] == 1
    assert [one["type"] for one in await inside.published()] == ["vitals"]
    document = await alerts(server)
    assert document["active"][0]["alert"] == "SYSTEM_OVERLOAD"
    assert document["history"][0]["details"]["reason"] == "too hot"
    assert (await emergency(server, {"active": False})).json["data"] == {
        "active": False, "changed": True, "causes": [],
    }  # fmt: skip
    await server.enter("d2")
    assert await probe(server, "/ready") == (200, None)
    server.faults.seen.remove(
        "wsserver.overload: system overload (operator): no new connections, less at a time"
    )


async def test_memory_over_the_mark_and_under_it_again(start_server: StartServer) -> None:
    server = await start_server(overload={"memory_limit": 1 << 40})
    # What this process has freed belongs to other tests, and giving it back would change the share.
    server.service.overload._give_back = lambda: None
    await server.enter("d1", "doctor", "patient:1")
    base = server.settings

    async def limit(share: float) -> None:
        overload = msgspec.structs.replace(
            base.overload, memory_limit=int(psutil.Process().memory_info().rss / share)
        )
        await server.service.reconfigure(msgspec.structs.replace(base, overload=overload))

    await limit(0.97)
    await until(lambda: server.service.overload.active)
    assert server.service.overload.causes == ["memory"]
    assert (await handshake(server)).startswith("HTTP/1.1 503 ")
    await limit(0.5)
    await until(lambda: not server.service.overload.active)
    await server.enter("d2")
    server.faults.seen.remove(
        "wsserver.overload: system overload (memory): no new connections, less at a time"
    )


# -- R9: the loop


async def test_a_block_of_two_seconds_raises_an_alarm_fails_health_and_ends_nobody(
    start_server: StartServer,
) -> None:
    async def block(request: web.Request) -> web.Response:
        time.sleep(2.0)  # the fault that is injected
        return web.Response()

    server = await start_server(
        options={"prepare": lambda app: app.router.add_get("/block", block)},
        connection={"heartbeat_interval": 0.4, "timeout": 1.5},
    )
    inside = await server.enter("d1", "doctor", "patient:1")
    assert await probe(server, "/health") == (200, None)
    blocking = asyncio.create_task(server.http("GET", "/block"))
    await asyncio.sleep(0.05)
    assert await probe(server, "/health") == (503, "loop_lag")
    await blocking
    await until(lambda: server.service.alerts.level("loop_lag").text == "critical")
    assert (await alerts(server))["current"]["loop_lag"]["value"] is not None
    lag = next(one for one in server.service.alerts.history(10) if one.name == "loop_lag")
    assert 1500 < (lag.value or 0) < 4000
    assert not server.service.overload.active, "one stall is no overload"
    assert (await inside.ask("ping"))["type"] == "pong"
    assert server.manager.connections


# -- posting


async def test_changes_are_posted_and_counted(start_server: StartServer, aiohttp_server) -> None:
    seen: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        seen.append(await request.json())
        return web.Response(status=202)

    app = web.Application()
    app.router.add_post("/hook", take)
    pager = await aiohttp_server(app)
    server = await start_server(alerts={"webhook_url": str(pager.make_url("/hook"))})
    server.service.overload.enter(Cause.OPERATOR)
    await until(lambda: seen)
    assert (seen[0]["alert"], seen[0]["level"]) == ("SYSTEM_OVERLOAD", "critical")
    assert seen[0]["details"]["cause"] == "operator"
    await until(lambda: server.service.alerts.changes)
    assert (await alerts(server))["webhook"]["delivered"] == 1
    server.faults.seen.clear()


async def test_failures_over_http_count_as_errors_and_probes_do_not(server: LiveServer) -> None:
    operations = server.service.operations
    await server.http("GET", "/health")
    await server.http("GET", "/ready")
    assert operations.requests == 0
    await server.http("GET", "/ws/metrics")
    await server.publish("patient/1", {"type": "vitals"})
    assert (operations.requests, operations.failures) == (2, 1)


async def test_new_thresholds_come_with_a_reload(server: LiveServer) -> None:
    stricter = msgspec.structs.replace(server.settings.alerts, connection_count_warning=1)
    fresh: Settings = msgspec.structs.replace(server.settings, alerts=stricter)
    await server.enter()
    await server.service.reconfigure(fresh)
    await until(lambda: server.service.alerts.level("connection_count").text == "warning")
    assert (await alerts(server))["current"]["connection_count"]["warning"] == 1


async def test_hup_takes_new_thresholds(run) -> None:
    """As operators do it: a changed file and a signal."""
    roles = "[connection]\nmax_connections_per_role = 100\n[logging]\nformat = 'text'\n"
    child = await run(roles)
    await child.listening()
    client = await child.enter()
    run.file.write_text(f"{roles}[alerts]\nconnection_count_warning = 1\n")
    child.process.send_signal(signal.SIGHUP)
    await until(lambda: "alert connection_count is warning: 1 connections, threshold 1" in child.log)
    await client.close()
