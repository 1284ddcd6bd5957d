"""``/ws/metrics``, ``/health`` and ``/ready``: the shape that was promised, and figures that are true."""

from typing import Any

from aiohttp import ClientSession
from live_server import LiveServer, token_of, until
from raw_socket import command

SHAPE = {
    "connections": {"total", "active", "disconnected", "errors"},
    "messages": {"sent", "received", "bytes_sent", "bytes_received"},
    "subscriptions": {"total", "active", "expired", "operations"},
    "performance": {"broadcast_operations", "filter_operations", "memory_usage_mb"},
}


async def test_metrics_have_the_shape_of_the_specification(server: LiveServer) -> None:
    answer = await server.http("GET", "/ws/metrics", token=token_of("o", "admin", scope="metrics:read"))
    document = answer.json
    assert set(document) == {"status", "data"}
    assert document["status"] == "success"
    assert set(document["data"]) >= set(SHAPE)
    for section, members in SHAPE.items():
        figures = document["data"][section]
        assert set(figures) >= members
        for name in members:
            assert type(figures[name]) is (float if name == "memory_usage_mb" else int), name
    assert 5 < document["data"]["performance"]["memory_usage_mb"] < 4000


async def test_the_health_figures_are_those_of_the_metrics(server: LiveServer) -> None:
    await server.enter("d1", "doctor")
    answer = await server.http("GET", "/ws/health", token=token_of("o", "admin", scope="admin:read"))
    assert answer.status == 200
    assert answer.json["data"] == (await server.metrics())["health"]
    assert answer.json["data"]["healthy_connections"] == 1


async def test_probes_may_ask_with_head(server: LiveServer) -> None:
    async with ClientSession() as session:
        for path in ("/health", "/ready"):
            async with session.head(f"http://127.0.0.1:{server.port}{path}") as answer:
                assert answer.status == 200


NO_PINGS = {"heartbeat_interval": 86_400.0, "timeout": 172_800.0}
"""For counting frames: a ping may come at any moment."""


async def test_metrics_agree_with_known_traffic(start_server) -> None:
    server: LiveServer = await start_server(connection=NO_PINGS)
    one = await server.enter("a", "doctor", "patient:1")
    two = await server.enter("b", "doctor", "patient:1", "type:ecg")
    three = await server.enter("c", "doctor")
    await three.ask("subscribe", topic="patient:1", filters={"severity": "critical"})
    await three.ask("subscribe", subscription_type="nonsense here")
    for number in range(5):
        await server.publish("patient/1", {"n": number})
    await server.publish("type/ecg", {"n": 5})
    await server.publish("all", {"n": 6})
    for client, count in ((one, 6), (two, 7), (three, 1)):
        assert len(await client.published()) == count
    await two.ask("unsubscribe", topic="type:ecg")
    await one.close()
    await until(lambda: len(server.manager.connections) == 2)
    figures = await server.metrics()

    assert {name: figures["connections"][name] for name in SHAPE["connections"]} == {
        "total": 3, "active": 2, "disconnected": 1, "errors": 1,
    }  # fmt: skip
    # Subscribes (5, one refused before it was an operation), pings (3), one unsubscribe.
    assert figures["messages"]["received"] == 5 + 3 + 1
    # What the clients saw: 101 heads (3), connected (3), answers (9), published (14), and one close frame.
    assert figures["messages"]["sent"] == 3 + 3 + 9 + 14 + 1
    assert figures["subscriptions"] | {"operations": 0} == {
        "total": 2,
        "active": 2,
        "expired": 0,
        "operations": 0,
    }
    assert figures["subscriptions"]["operations"] == 4 + 1
    assert figures["performance"]["broadcast_operations"] == 7
    # patient/1: three subscriptions, five times; type/ecg: one; to all: three connections.
    assert figures["performance"]["filter_operations"] == 15 + 1 + 3


async def test_metrics_count_the_bytes_on_the_wire(start_server) -> None:
    server: LiveServer = await start_server(connection=NO_PINGS)
    raw = await server.raw(token_of())
    await raw.read_message()
    before = (await server.metrics())["messages"]
    ping = command("ping", request_id="x")
    await raw.send(ping)
    pong = await raw.read_frame()
    await server.publish("all", {"a": "x" * 1000})
    published = await raw.read_frame()
    assert pong is not None
    assert published is not None
    after = (await server.metrics())["messages"]
    assert after["bytes_received"] - before["bytes_received"] == len(ping)
    sent = 2 + len(pong.payload) + 4 + len(published.payload)
    assert after["bytes_sent"] - before["bytes_sent"] == sent
    assert after["sent"] - before["sent"] == 2
    assert after["received"] - before["received"] == 1


# -- health


async def test_health_says_ok_and_nothing_else(server: LiveServer) -> None:
    answer = await server.http("GET", "/health")
    assert (answer.status, answer.json) == (200, {"status": "ok"})


async def test_ready_gives_the_reason_why_not(start_server) -> None:
    server = await start_server(connection={"max_connections": 1}, shutdown={"timeout": 0.2})

    async def ready() -> tuple[int, Any]:
        answer = await server.http("GET", "/ready")
        return answer.status, answer.json.get("reason")

    assert await ready() == (200, None)
    server.manager.set_accept_connections(False)
    assert await ready() == (503, "refusing")
    server.manager.set_accept_connections(True)
    client = await server.enter()
    assert await ready() == (503, "full")
    await client.close()
    await until(lambda: not server.manager.connections)
    assert await ready() == (200, None)
    await server.service.drain()
    assert await ready() == (503, "draining")
    await server.service.stop()
    assert (await ready())[0] == 503
