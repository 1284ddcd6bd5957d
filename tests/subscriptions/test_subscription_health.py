"""The self-test for subscriptions that have outlived their connection."""

import logging

import pytest
from workbench import Bench

from wsserver.subscriptions.subscription_health import SubscriptionHealth, subscription_health


def health(total: int, active: int, orphaned: int) -> SubscriptionHealth:
    return SubscriptionHealth(total_subscriptions=total, active_connections=active, orphaned=orphaned)


def test_a_look_changes_nothing_and_the_repair_ends_orphans(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    gone, _ = bench.connect("secret-user")
    kept, _ = bench.connect("u2")
    for connection_id in (gone, kept):
        assert bench.manager.subscribe(connection_id, "alerts", "secret-ward")
    assert subscription_health(bench.manager, remove=False) == health(2, 2, 0)
    assert caplog.messages == []
    bench.manager._connections.pop(gone)
    with caplog.at_level(logging.DEBUG):
        assert subscription_health(bench.manager, remove=False) == health(2, 1, 1)
        assert subscription_health(bench.manager, remove=True) == health(2, 1, 1)
    assert len(bench.manager.subscription_manager) == 1
    assert caplog.messages == [
        "found 1 orphaned subscriptions",
        "found and removed 1 orphaned subscriptions",
    ]
    assert "secret" not in caplog.text
    assert subscription_health(bench.manager, remove=False) == health(1, 1, 0)
