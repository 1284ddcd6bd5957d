"""The document of ``GET /ws/metrics``."""

from workbench import Workbench

from wsserver.specification_metrics import specification_metrics

SPECIFIED = {
    "connections": {"total", "active", "disconnected", "errors"},
    "messages": {"sent", "received", "bytes_sent", "bytes_received"},
    "subscriptions": {"total", "active", "expired", "operations"},
    "performance": {"broadcast_operations", "filter_operations", "memory_usage_mb"},
}


async def test_the_document_has_every_member_of_the_specifications_example_and_plain_numbers() -> None:
    bench = await Workbench().start()
    document = specification_metrics(bench.service)
    assert document.keys() == {
        *SPECIFIED,
        *("health", "deliveries", "sessions", "remembered", "storage", "auditing"),
    }
    for section, members in SPECIFIED.items():
        assert members <= document[section].keys()
        assert all(type(document[section][member]) in (int, float) for member in members)
    assert document["performance"]["memory_usage_mb"] > 1


async def test_the_figures_are_those_of_what_happened() -> None:
    bench = await Workbench().start()
    client = await bench.client("u1", patients=["5"])
    await bench.ask(client, type="subscribe", topic="patient:5", filters={"a": 1})
    await bench.ask(client, type="nonsense")
    gone = await bench.client("u2")
    gone.leave()
    bench.loop.run()
    bench.manager.broadcast_to_patient(5, {"a": 1})
    bench.manager.broadcast_to_patient(5, {"a": 2})
    bench.loop.run()
    document = specification_metrics(bench.service)
    connections = document["connections"]
    assert (connections["total"], connections["active"], connections["disconnected"]) == (2, 1, 1)
    assert (connections["errors"], connections["slow"]) == (1, 0)
    messages = document["messages"]
    assert (messages["received"], messages["queued"]) == (4, 0)
    assert messages["sent"] == len(client.frames) + len(gone.frames)
    assert messages["bytes_sent"] == len(client.data) + len(gone.data)
    subscriptions = document["subscriptions"]
    assert (subscriptions["total"], subscriptions["active"], subscriptions["expired"]) == (1, 1, 0)
    assert subscriptions["operations"] == 1
    performance = document["performance"]
    assert (performance["broadcast_operations"], performance["filter_operations"]) == (2, 2)


async def test_what_is_refused_and_who_is_held_up_is_told() -> None:
    bench = await Workbench(
        rate_limit={"burst": 2, "refusals": 1, "byte_burst": 1024, "bytes_per_second": 1024}
    ).start()
    client, other = await bench.client(), await bench.client("u2")
    for _ in range(3):
        await bench.ask(client, type="ack", message_id="m")
    other.send_raw(1, b'{"type":"ack","message_id":"m"}'.ljust(2000))
    document = specification_metrics(bench.service)
    assert document["messages"]["refused"]["connection_messages"] == 2
    assert (document["connections"]["offenders"], document["connections"]["throttled"]) == (1, 1)


async def test_an_expired_subscription_counts_as_expired_until_it_is_cleaned_up() -> None:
    bench = await Workbench().start()
    one, _ = bench.connect()
    bench.manager.subscribe(one, "ecg")
    bench.clock.advance(3600)
    subscriptions = specification_metrics(bench.service)["subscriptions"]
    assert (subscriptions["total"], subscriptions["active"], subscriptions["expired"]) == (1, 0, 1)


async def test_health_is_that_of_the_monitor() -> None:
    bench = await Workbench().start()
    await bench.client()
    health = specification_metrics(bench.service)["health"]
    assert health == bench.service.health.get_health_metrics()
    assert health["healthy_connections"] == 1
