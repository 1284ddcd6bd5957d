"""Going down without losing anybody unheard."""

import asyncio
import logging
from typing import Final

from wsserver.connection_manager import ConnectionManager
from wsserver.errors import CloseCode
from wsserver.protocol.control import SystemShutdown

logger = logging.getLogger("wsserver.lifecycle")

RETURN_RATE: Final = 500
"""Connections per second that a restarted server should see come back; each client gets its own moment."""

STEP: Final = 0.1
"""Seconds between two portions of closes."""


async def graceful_shutdown(manager: ConnectionManager, timeout: float | None = None) -> int:
    """Send every client away, each with its own time to come back; returns how many there were.

    Takes at most ``timeout`` seconds (the setting ``shutdown.timeout`` if None) and ends as
    soon as all have left. Clients are told first and closed (4020) in portions, so that they
    do not return all at once. Then the subscriptions end.
    """
    if timeout is None:
        timeout = manager.settings.shutdown.timeout
    manager.set_accept_connections(False)
    waiting = list(manager.connections.values())
    total = len(waiting)
    logger.info("shutting down: %d connections, at most %g s", total, timeout)
    for place, metadata in enumerate(waiting):
        notice = SystemShutdown(
            message="The server is shutting down.", reconnect_after_ms=1_000 + place * 1_000 // RETURN_RATE
        )
        metadata.link.send_text(notice.encode())
    steps = max(1, int(timeout / 2 / STEP))
    portion = max(1, -(-total // steps))
    while waiting and manager.connections:
        for metadata in waiting[:portion]:
            manager.disconnect(metadata.connection_id, "server_shutdown", code=CloseCode.DRAIN)
        del waiting[:portion]
        if waiting:
            await asyncio.sleep(STEP if timeout else 0)
    for _ in range(int(timeout / 2 / STEP)):
        if not manager.hub.open_count:
            break
        await asyncio.sleep(STEP)
    await manager.subscription_manager.shutdown()
    return total
