"""``wsserver run`` with a probe: ``python -m benchmarks.servers.probed_server [options of run]``.

On USR1, and when it ends, it writes one line of JSON about the time since the last one to standard output.
"""

import asyncio
import atexit
import json
import signal
import sys
import time
from typing import Any

from wsserver.cli import main
from wsserver.web.server import websocket_server

INTERVAL = 0.005
"""Seconds between two looks at the clock."""


class LoopProbe:
    """The longest time that the loop let a due timer wait, and how much of it this process worked."""

    def __init__(self, loop: asyncio.AbstractEventLoop, interval: float = INTERVAL) -> None:
        self._loop = loop
        self._interval = interval
        self._due = time.monotonic() + interval
        self._worked = time.process_time()
        self._stalls: list[tuple[float, float]] = []
        self._timer = loop.call_later(interval, self._look)

    def _look(self) -> None:
        now, worked = time.monotonic(), time.process_time()
        if now - self._due > self._interval:
            self._stalls.append((now - self._due, worked - self._worked))
        self._due, self._worked = now + self._interval, worked
        self._timer = self._loop.call_later(self._interval, self._look)

    def stop(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def take(self) -> dict[str, Any]:
        """Figures since the last call."""
        stalls, self._stalls = self._stalls, []
        longest = max(stalls, default=(0.0, 0.0))
        return {
            "worst_stall_ms": round(longest[0] * 1000, 1),
            # On a busy machine the rest of it is other processes' time.
            "of_which_own_work_ms": round(longest[1] * 1000, 1),
            "most_work_at_a_time_ms": round(max((work for _, work in stalls), default=0.0) * 1000, 1),
            "stalls_over_100_ms": sum(stall > 0.1 for stall, _ in stalls),
            "cpu_seconds": round(time.process_time(), 3),
        }


async def start(*arguments: Any, **options: Any) -> None:
    """Start as always, then begin to probe."""
    await type(websocket_server).start(websocket_server, *arguments, **options)
    loop = asyncio.get_running_loop()
    probe = LoopProbe(loop)

    def tell() -> None:
        print(json.dumps(probe.take()), flush=True)

    loop.add_signal_handler(signal.SIGUSR1, tell)
    atexit.register(tell)


if __name__ == "__main__":
    vars(websocket_server)["start"] = start
    main(["run", *sys.argv[1:]])
