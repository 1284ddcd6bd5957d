"""The debugging tools of a server on real sockets."""

import asyncio
import sys
from typing import Any
from urllib.parse import quote

import pytest
from live_server import LiveServer, token_of, until

READ = token_of("ops", "admin", scope="admin:read")
WRITE = token_of("ops", "admin", scope="admin:write")


async def told(server: LiveServer, target: str) -> dict[str, Any]:
    answer = await server.http("GET", target, token=READ)
    assert answer.status == 200, answer
    return answer.json["data"]


async def test_the_inspector_tells_who_is_there(server: LiveServer) -> None:
    await server.enter("d1", "doctor", "patient:1", "type:ecg")
    await server.enter("n1", "nurse", "patient:1")
    found = await told(server, "/ws/inspect")
    assert (found["total_connections"], found["total_subscriptions"]) == (2, 3)
    assert found["by_role"] == {"doctor": 1, "nurse": 1}
    assert found["subscriptions"]["by_type"] == {"patient": 2, "ecg": 1}
    assert found["health"]["healthy_connections"] == 2
    assert found["subscription_health"] == {
        "total_subscriptions": 3, "active_connections": 2, "orphaned": 0,
    }  # fmt: skip


async def test_the_self_test_ends_orphans_only_when_told_to(server: LiveServer) -> None:
    await server.enter("d1", "doctor", "patient:1")
    (connection_id,) = server.manager.connections
    server.manager.health_monitor.stop_monitoring(connection_id)
    metadata = server.manager._connections.pop(connection_id)
    for _ in range(2):
        assert (await told(server, "/ws/inspect"))["subscription_health"]["orphaned"] == 1
    refused = await server.http("POST", "/ws/subscriptions/check", token=READ)
    assert refused.error["details"] == {"scope": "admin:write"}
    for orphaned in (1, 0):
        answer = await server.http("POST", "/ws/subscriptions/check", token=WRITE)
        assert answer.json["data"]["orphaned"] == orphaned
    server.manager._connections[connection_id] = metadata


async def test_a_profile_tells_of_the_functions_and_the_core(server: LiveServer) -> None:
    await server.enter("d1", "doctor", "patient:1")
    profiling = asyncio.ensure_future(told(server, "/ws/profile?seconds=1"))
    while not profiling.done():
        await server.publish("patient/1", {"type": "vitals", "hr": 60})
    found = profiling.result()
    assert found["ended"] == "time"
    assert 1 <= found["seconds"] < 3
    assert 0 < found["cpu_seconds"] <= found["seconds"] + 0.1
    counters = found["core"]["counters"]
    assert counters["broadcasts"] == counters["matched"] == counters["delivered"] > 1
    assert 0 < counters["frames_sent"] <= counters["delivered"]
    assert counters["bytes_sent"] > 100 * counters["frames_sent"]
    assert found["core"]["times"]["broadcast_write_durable"]["count"] > 0
    assert found["core"]["times"]["loop_lag"]["count"] > 3
    names = [one["function"] for one in found["by_total_time"] + found["by_own_time"]]
    assert any(name.startswith("wsserver.web.handlers.publishing:PublishingHandlers.") for name in names)
    assert not [name for name in names if "/" in name]
    assert sys.getprofile() is None


async def test_one_profile_at_a_time_and_each_is_accounted_for(server: LiveServer) -> None:
    first = asyncio.ensure_future(told(server, "/ws/profile?seconds=1"))
    await until(lambda: sys.getprofile() is not None)
    second = await server.http("GET", "/ws/profile", token=READ)
    assert (second.status, second.error["code"]) == (409, 1003)
    await first
    assert (await told(server, "/ws/profile?seconds=1"))["ended"] == "time"
    noted = server.service.audit.latest(action="profile")
    assert [(one.actor, one.role, one.outcome, one.details) for one in noted] == [
        ("ops", "admin", "allowed", {"seconds": 1})
    ] * 2


@pytest.mark.parametrize("seconds", ["0", "31", "1.5", "-1", "+1", "", "a", "1e1", "1" * 5000, "٣"])
async def test_seconds_are_whole_and_within_bounds(server: LiveServer, seconds: str) -> None:
    answer = await server.http("GET", f"/ws/profile?seconds={quote(seconds)}", token=READ)
    assert (answer.status, answer.error["code"]) == (400, 1003)
    assert server.service.audit.latest(action="profile") == []


@pytest.mark.parametrize(
    ("method", "target", "scope"),
    [
        ("GET", "/ws/inspect", "admin:read"),
        ("GET", "/ws/profile", "admin:read"),
        ("POST", "/ws/subscriptions/check", "admin:write"),
    ],
)
async def test_each_asks_for_its_scope_and_knows_its_query(
    server: LiveServer, method: str, target: str, scope: str
) -> None:
    assert (await server.http(method, target)).status == 401
    other = token_of("ops", "admin", scope="metrics:read")
    assert (await server.http(method, target, token=other)).error["details"] == {"scope": scope}
    right = token_of("ops", "admin", scope=scope)
    assert (await server.http(method, f"{target}?nonsense=1", token=right)).status == 400
    assert sys.getprofile() is None
