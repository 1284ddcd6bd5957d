"""Messages at an even pace, whatever became of the one before."""

import asyncio
import time
from typing import Any

from benchmarks.machine import resident_bytes
from benchmarks.servers.real_server import SUBSCRIPTION_TYPE, RealServer
from wsserver.protocol.report import DeliveryReport

PAYLOAD = 2_000
"""Bytes of text in a message, so that a client that does not read fills its socket within seconds."""


class Pace:
    """Publishes at an even pace and keeps the reports, from which every outcome can be told later."""

    def __init__(self, server: RealServer, per_second: float) -> None:
        self._manager = server.manager
        self._interval = 1 / per_second
        self._per_second = per_second
        self.reports: list[DeliveryReport] = []
        self.alerts = 0
        self.peak_memory = 0
        self.worst_delay = 0.0
        """Seconds by which a message was published later than it was due, at worst."""

    async def run(self, seconds: float, number: int) -> int:
        """Publish for that long, counting from ``number``; returns the next number."""
        due = time.monotonic()
        end = due + seconds
        while due < end:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.worst_delay = max(self.worst_delay, time.monotonic() - due)
            self._publish(number, due)
            self.peak_memory = max(self.peak_memory, resident_bytes())
            number += 1
            due += self._interval
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
