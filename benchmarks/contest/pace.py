"""Messages at an even pace, whatever became of the one before."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from benchmarks.machine import resident_bytes
from benchmarks.servers.real_server import SUBSCRIPTION_TYPE, RealServer
from wsserver.protocol.report import DeliveryReport

PAYLOAD = 2_000
"""Bytes of text in a message, so that a client that does not read fills its socket within seconds."""


TIMER = 0.002
"""Seconds by which a timer of the loop may be late: for as long it is not slept."""


async def due_moments(per_second: float) -> AsyncIterator[float]:
    """The moments at which messages are due, each when it has come; the first one is now.

    They are even whatever is done in between: one that was held up gets the moments that have passed
    meanwhile, one after the other, and can tell how late each is.
    """
    due = time.monotonic()
    while True:
        await asyncio.sleep(max(0.0, due - TIMER - time.monotonic()))
        while time.monotonic() < due:
            # A timer's lateness would count as the server's.
            await asyncio.sleep(0)
        yield due
        due += 1 / per_second


class Pace:
    """Publishes at an even pace and keeps the reports, from which every outcome can be told later."""

    def __init__(self, server: RealServer, per_second: float) -> None:
        self._manager = server.manager
        self._per_second = per_second
        self.reports: list[DeliveryReport] = []
        self.alerts = 0
        self.peak_memory = 0
        self.worst_delay = 0.0
        """Seconds by which a message was published later than it was due, at worst."""

    async def run(self, seconds: float, number: int) -> int:
        """Publish for that long, counting from ``number``; returns the next number."""
        end = time.monotonic() + seconds
        async for due in due_moments(self._per_second):
            if due >= end:
                break
            self.worst_delay = max(self.worst_delay, time.monotonic() - due)
            self._publish(number, due)
            self.peak_memory = max(self.peak_memory, resident_bytes())
            number += 1
        return number

    def _publish(self, number: int, due: float) -> None:
        message: dict[str, Any] = {"type": "ecg_data", "n": number, "at": int(due * 1e9)}
        each = max(2, round(self._per_second))
        if number % each == 0:
            # One a second: every other one critical, the rest alerts. The client wants it right here.
            message |= {"alert": 1, "severity": "critical" if number // each % 2 else "warning"}
            self.alerts += 1
        message["text"] = "x" * PAYLOAD
        self.reports.append(self._manager.broadcast_to_type(SUBSCRIPTION_TYPE, message))
