"""The inspector: what it counts and how it prints."""

from workbench import Bench

from wsserver.connections.connection_state import connection_state


def test_it_counts_who_is_there_and_nobody_who_was() -> None:
    bench = Bench()
    for user, role in (("u1", "nurse"), ("u2", "nurse"), ("u3", "doctor"), ("u4", "admin")):
        connection_id, _ = bench.connect(user, role)
        bench.manager.subscribe(connection_id, "alerts")
    bench.manager.disconnect(connection_id)
    state = connection_state(bench.manager)
    assert (state.total_connections, state.total_subscriptions) == (3, 3)
    assert state.by_role == {"nurse": 2, "doctor": 1}
    assert state.subscriptions == bench.manager.subscription_manager.get_metrics()
    assert state.health == bench.manager.health_monitor.get_health_metrics()


def test_it_prints_as_the_specification_does() -> None:
    bench = Bench()
    bench.connect("u1", "nurse")
    state = connection_state(bench.manager)
    assert state.lines() == [
        "=== Connection State Inspection ===",
        "Total connections: 1",
        "Total subscriptions: 0",
        "Connections by role:",
        "  nurse: 1",
        f"Subscription metrics: {state.subscriptions}",
        f"Health metrics: {state.health}",
    ]
