"""The rounds of a contest, and the check that everybody gets everything."""

import gc
import time
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.contest.contestants import MESSAGE_SIZE, Contestant
from benchmarks.contest.flight import FRAMING, cap, sends_at_a_time
from benchmarks.contest.series import Series, note

BROADCASTS = 20
"""Messages of the check that everybody gets everything."""

SENDS_PER_ROUND = 40_000
SENDS_PER_CONNECTION = 20
"""The most in one round: the floor must never fill a socket, however slow the client."""


async def play_round(contestant: Contestant, size: int = MESSAGE_SIZE) -> tuple[float, float, float]:
    """One round: deliveries per second, processor seconds per delivery, the client's share of its core.

    Of messages of so many bytes; see `benchmarks.contest.flight` for how many go together. The clock stops
    when a portion has arrived and starts again with the next one.
    """
    audience, joined = contestant.audience, contestant.joined
    sends = max(1, min(SENDS_PER_CONNECTION, SENDS_PER_ROUND // audience.size))
    if joined > 1:
        sends = max(1, sends // 2)
    together = sends_at_a_time(sends, audience.size, (size + FRAMING) * joined, cap())
    took = cost = busy = lasted = 0.0
    for first in range(0, sends, together):
        count = joined * min(together, sends - first)
        await audience.client.expect(audience.sent + count)
        began = time.monotonic()
        cost += await contestant.publish(audience.sent, count)
        done = await audience.client.done()
        audience.sent += count
        took += done["at"] - began
        busy += done["cpu"]
        lasted += done["wall"]
    deliveries = audience.size * sends * joined
    return deliveries / took, cost / deliveries, busy / lasted if lasted else 0.0


async def play_rounds(
    contestants: Sequence[Contestant], rounds: int, size: int = MESSAGE_SIZE
) -> list[Series]:
    """So many rounds in which they take turns in a changing order, after one that does not count."""
    series = [Series(one.name) for one in contestants]
    gc.collect()
    for number in range(-1, rounds):
        shift = number % len(contestants)
        for place in [*range(shift, len(contestants)), *range(shift)]:
            measured = await play_round(contestants[place], size)
            if number >= 0:
                note(series[place], *measured)
    return series


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


def check_text(check: Mapping[str, Any]) -> str:
    """What such a check has found, for people."""
    return (
        f"{check['connections']:,} connections, {check['broadcasts']} broadcasts, "
        f"{check['received']:,} received; missing {check['missing']}, twice {check['duplicates']}, "
        f"out of order {check['disorder']}, foreign {check['foreign']}, lost {check['lost']}"
    )
