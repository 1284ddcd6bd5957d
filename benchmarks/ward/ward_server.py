"""A whole server in a process of its own, with the ward's backend inside it.

``python -m benchmarks.ward.ward_server PATIENTS MONITORS`` prints its port. Each line on its standard
input is ``ACTIVE START WARM_UP HOLD``: the first ``ACTIVE`` monitors speak from the moment ``START`` (ns of
the monotonic clock) on, for so many seconds of which the second part is measured. The answer is a line of
JSON, when all has been published and has left the queues. ``numbers`` is answered with the next number of
each monitor.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Self

import uvloop

from benchmarks.machine import resident_bytes
from benchmarks.servers.probed_server import LoopProbe
from benchmarks.servers.real_server import HEARTBEATS, RealServer, load_profile, real_server
from benchmarks.ward.publisher import Publisher
from wsserver.loop.garbage import leave_the_living_alone
from wsserver.overload import Overload

LOOK_EVERY: Final = 0.1
"""Seconds between two looks at what may break."""
PROBE_EVERY: Final = 0.01
"""Seconds between two looks at how late the loop is; less than that is not told."""
LATE: Final = 0.1
"""Seconds of lateness from which on a publisher counts as behind."""
BUSY: Final = 0.97
"""Share of the processor, over half a second, from which on it counts as used up."""
CALM_LOOKS: Final = 6
"""Looks in a row, 50 ms apart, at which nothing was ready to be sent."""
PATIENCE: Final = 10.0
"""Seconds to wait for that at most."""


class WardServer:
    """The child process."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.port = port
        self._process = process

    async def step(self, monitors: int, start: int, warm_up: float, hold: float) -> dict[str, Any]:
        """Have that many monitors speak from ``start`` on; what the server saw of the second part."""
        return dict(await self._ask(f"{monitors} {start} {warm_up} {hold}", warm_up + hold + 60))

    async def numbers(self) -> Sequence[int]:
        """The next number of each monitor."""
        return list(await self._ask("numbers", 10))

    async def _ask(self, line: str, timeout: float) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n".encode())
        async with asyncio.timeout(timeout):
            return json.loads(await self._process.stdout.readline())


@asynccontextmanager
async def ward_server(patients: int, monitors: int) -> AsyncIterator[WardServer]:
    """A server, ended with the block; it inherits the processor of this process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.ward.ward_server",
        str(patients),
        str(monitors),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    try:
        assert process.stdout is not None
        yield WardServer(process, int(await process.stdout.readline()))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


class Collections:
    """How long the garbage collector holds the loop: a full collection walks every object there is."""

    def __init__(self) -> None:
        self.full = 0
        self.longest = 0.0
        """Seconds."""
        self._began = 0.0

    def __enter__(self) -> Self:
        gc.callbacks.append(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        gc.callbacks.remove(self._note)

    def _note(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.monotonic()
            return
        self.longest = max(self.longest, time.monotonic() - self._began)
        self.full += info["generation"] == 2


class Watch:
    """Notes when each of the things that may break did so first, in seconds from its own start."""

    def __init__(self, server: RealServer, publisher: Publisher) -> None:
        self._server, self._publisher = server, publisher
        self.first: dict[str, float] = {}
        self.most_queued = 0
        self._shares: list[float] = []

    async def run(self) -> None:
        """Look until cancelled."""
        manager, overload = self._server.manager, self._overload
        began = time.monotonic()
        refused, entered = manager.backpressure.refused, overload.entered
        closed = manager.backpressure.closed
        cpu, wall = time.process_time(), began
        while True:
            await asyncio.sleep(LOOK_EVERY)
            now, used = time.monotonic(), time.process_time()
            self._shares = [*self._shares[-4:], (used - cpu) / (now - wall)]
            cpu, wall = used, now
            self.most_queued = max(self.most_queued, manager.hub.frames_queued)
            signs = {
                "busy": len(self._shares) == 5 and sum(self._shares) / 5 >= BUSY,
                "late": self._publisher.lateness >= LATE,
                "behind": manager.hub.crowded_count > 0,
                "refusing": manager.backpressure.refused > refused,
                "closing_slow": manager.backpressure.closed > closed,
                "overload": overload.entered > entered,
            }
            for name, is_so in signs.items():
                if is_so:
                    self.first.setdefault(name, round(now - began, 2))

    @property
    def _overload(self) -> Overload:
        return self._server.service.overload


async def _step(
    server: RealServer, publisher: Publisher, monitors: int, start: int, warm_up: float, hold: float
) -> dict[str, Any]:
    manager, loop = server.manager, asyncio.get_running_loop()
    probe = LoopProbe(loop, PROBE_EVERY)
    run = asyncio.create_task(publisher.run(monitors, start, warm_up + hold))
    await asyncio.sleep(start / 1e9 + warm_up - time.monotonic())
    probe.take()
    publisher.worst_lateness = 0.0
    watch = Watch(server, publisher)
    watching = asyncio.create_task(watch.run())
    before = _counts(server, publisher)
    with Collections() as collections:
        await asyncio.sleep(max(0.0, start / 1e9 + warm_up + hold - time.monotonic()))
    after = _counts(server, publisher)
    stalls = probe.take()
    probe.stop()
    watching.cancel()
    await run
    await _quiet(server)
    wall = after.pop("wall") - before.pop("wall")
    return {
        "seconds": wall,
        **{name: after[name] - before[name] for name in after},
        "cpu_share": (after["cpu"] - before["cpu"]) / wall,
        "waited_share": (after["waited"] - before["waited"]) / wall,
        "worst_lateness_ms": publisher.worst_lateness * 1e3,
        "unpublished": publisher.due - publisher.published - publisher.refused,
        "all_refused": publisher.refused,
        "loop_lag_ms": stalls["worst_stall_ms"],
        "stalls_over_100_ms": stalls["stalls_over_100_ms"],
        "collections": {"full": collections.full, "longest_ms": collections.longest * 1e3},
        "first": watch.first,
        "most_queued": watch.most_queued,
        "overload": server.service.overload.causes,
        "backpressure": manager.backpressure.get_metrics(),
        "connections": len(manager.connections),
        "subscriptions": len(manager.subscription_manager),
        "resident_bytes": resident_bytes(),
    }


def _counts(server: RealServer, publisher: Publisher) -> dict[str, Any]:
    manager = server.manager
    accounts, backpressure = manager.broadcasts.accounts, manager.backpressure.get_metrics()
    return {
        "wall": time.monotonic(),
        "cpu": time.process_time(),
        "waited": _waited(),
        "due": publisher.due,
        "published": publisher.published,
        "refused": publisher.refused,
        "considered": accounts.considered,
        "filtered": accounts.filtered,
        "denied": accounts.denied,
        "matched": accounts.matched,
        "written": manager.hub.frames_written,
        "bytes": manager.hub.bytes_written,
        "sends": manager.hub.send_calls,
        "became_slow": backpressure["became_slow"],
        "closed_slow": backpressure["closed_slow"],
        "dropped_slow": backpressure["dropped_slow"],
        "conflated": backpressure["conflated"],
    }


def _waited() -> float:
    """Seconds since the start in which this thread could have run and somebody else had its processor."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


async def _quiet(server: RealServer) -> None:
    """Wait until nothing is ready to be sent; what waits for full sockets is their readers' affair."""
    calm, until = 0, time.monotonic() + PATIENCE
    while calm < CALM_LOOKS and time.monotonic() < until:
        await asyncio.sleep(0.05)
        calm = 0 if server.manager.hub.dirty_connections else calm + 1


async def _serve(patients: int, monitors: int) -> None:
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with real_server(load_profile(HEARTBEATS)) as server:
        publisher = Publisher(server.manager, patients, monitors)
        # As `wsserver run` does.
        leave_the_living_alone()
        print(server.port, flush=True)
        while line := (await reader.readline()).decode().split():
            if line == ["numbers"]:
                print(json.dumps(publisher.numbers), flush=True)
            else:
                active, start, *times = line
                result = await _step(server, publisher, int(active), int(start), *map(float, times))
                print(json.dumps(result), flush=True)


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
