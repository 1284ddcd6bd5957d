"""One round of a contest, and the check that everybody gets everything."""

import time
from typing import Any

from benchmarks.contest.contestants import Contestant

BROADCASTS = 20
"""Messages of the check that everybody gets everything."""

SENDS_PER_ROUND = 40_000
SENDS_PER_CONNECTION = 20
"""The most in one round: the floor must never fill a socket, however slow the client."""


async def play_round(contestant: Contestant) -> tuple[float, float, float]:
    """One round: deliveries per second, processor seconds per delivery, the client's share of its core."""
    audience = contestant.audience
    sends = max(1, min(SENDS_PER_CONNECTION, SENDS_PER_ROUND // audience.size))
    count = sends if contestant.joined == 1 else contestant.joined * max(1, sends // 2)
    await audience.client.expect(audience.sent + count)
    began = time.monotonic()
    cost = await contestant.publish(audience.sent, count)
    done = await audience.client.done()
    audience.sent += count
    deliveries = audience.size * count
    return deliveries / (done["at"] - began), cost / deliveries, done["cpu_share"]


async def check_delivery(contestant: Contestant) -> dict[str, Any]:
    """20 broadcasts, each to arrive once and in order at every connection."""
    audience = contestant.audience
    before = (await audience.client.report())["messages"]
    await audience.client.expect(audience.sent + BROADCASTS)
    await contestant.publish(audience.sent, BROADCASTS)
    done = await audience.client.done()
    audience.sent += BROADCASTS
    return {
        "connections": done["confirmed"],
        "broadcasts": BROADCASTS,
        "received": done["messages"] - before,
        **{fault: done[fault] for fault in ("missing", "duplicates", "disorder", "foreign", "lost")},
    }
