"""Who is there and what they have, as the specification's inspector tells it."""

from typing import Any

import msgspec

from wsserver.connection_manager import ConnectionManager


class ConnectionState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of all connections of one manager; no ids in it."""

    total_connections: int
    total_subscriptions: int
    by_role: dict[str, int]
    """Open connections by role, those without any left out."""
    subscriptions: dict[str, Any]
    """What ``SubscriptionManager.get_metrics`` gives."""
    health: dict[str, Any]
    """What ``HealthMonitor.get_health_metrics`` gives."""

    def lines(self) -> list[str]:
        """As the specification's tool prints it."""
        return [
            "=== Connection State Inspection ===",
            f"Total connections: {self.total_connections}",
            f"Total subscriptions: {self.total_subscriptions}",
            "Connections by role:",
            *(f"  {role}: {count}" for role, count in self.by_role.items()),
            f"Subscription metrics: {self.subscriptions}",
            f"Health metrics: {self.health}",
        ]


def connection_state(manager: ConnectionManager) -> ConnectionState:
    """The state of now; changes nothing."""
    return ConnectionState(
        total_connections=len(manager.connections),
        total_subscriptions=len(manager.subscription_manager),
        by_role=dict(manager.limits.by_role),
        subscriptions=manager.subscription_manager.get_metrics(),
        health=manager.health_monitor.get_health_metrics(),
    )
