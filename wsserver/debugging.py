"""The specification's debugging functions, for the server of this process."""

import logging
from collections.abc import Mapping
from typing import Any

from wsserver.connection_manager import connection_manager
from wsserver.subscriptions.match_explainer import MatchExplainer, MatchVerdict

logger = logging.getLogger("wsserver.debugging")


def debug_subscription_matching(
    connection_id: str,
    message_type: str | None,
    target_id: str | int | None,
    message_data: Mapping[str, Any],
) -> list[MatchVerdict]:
    """Why this message would reach each subscription of a connection, or would not; logged at DEBUG.

    Nothing is sent. Raises ConnectionNotFound, and ServerError 1003 as sending would.
    """
    verdicts = MatchExplainer(connection_manager).explain_match(
        connection_id, message_data, type_name=message_type, target_id=target_id
    )
    for verdict in verdicts:
        # Ids only: what a clause wanted and what a message held is for the caller.
        logger.debug("subscription %s: %s", verdict.subscription.subscription_id, verdict.outcome)
    return verdicts


def check_subscription_health() -> dict[str, int]:
    """Counts, and the self-test that no subscription has outlived its connection.

    ``orphaned`` is 0 unless something is wrong; orphans are removed.
    """
    manager = connection_manager.subscription_manager
    health = {"total_subscriptions": len(manager), "active_connections": len(connection_manager.connections)}
    health["orphaned"] = manager.cleanup_orphaned_subscriptions()
    if health["orphaned"]:
        logger.warning("found and removed %d orphaned subscriptions", health["orphaned"])
    return health
