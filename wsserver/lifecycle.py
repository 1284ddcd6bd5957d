"""Going down without losing anybody unheard."""

import asyncio

import msgspec

from wsserver.connection_manager import ConnectionManager
from wsserver.connection_manager import connection_manager as default_manager
from wsserver.connections.drain import Drain, Sleep


async def graceful_shutdown(
    manager: ConnectionManager | None = None, timeout: float | None = None, *, sleep: Sleep = asyncio.sleep
) -> int:
    """Send every client away, each with its own time to come back; returns how many there were.

    Goes by the settings ``shutdown.*`` of the manager, the default one if None is given, and
    takes at most ``timeout`` seconds (``shutdown.timeout`` if None). Clients are told first and
    closed (4020) in portions, what waits for them before. It ends as soon as all have left.
    Then the subscriptions end; nobody comes in any more.
    """
    manager = manager or default_manager
    plan = manager.settings.shutdown
    if timeout is not None:
        plan = msgspec.structs.replace(plan, timeout=timeout, notice=min(plan.notice, timeout / 2))
    total = await Drain(manager, plan, sleep=sleep).run()
    await manager.subscription_manager.shutdown()
    await manager.health_monitor.shutdown()
    return total
