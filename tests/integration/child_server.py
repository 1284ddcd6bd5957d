"""``python -m wsserver run`` as a process of its own, whose processor time and memory can be told."""

import asyncio
import contextlib
import os
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil
from live_server import SECRET, token_of
from ward_client import WardClient

ROOT = Path(__file__).parents[2]


@dataclass
class Usage:
    """What a process took of a processor in a stretch of time, both in seconds."""

    used: float = 0.0
    passed: float = 0.0


class ChildServer:
    """A running server with the tests' secret and a free port."""

    def __init__(self, child: asyncio.subprocess.Process, port: int) -> None:
        self._child = child
        self.port = port
        self.process = psutil.Process(child.pid)

    @classmethod
    async def start(cls, folder: Path, settings: str) -> Self:
        file = folder / "settings.toml"
        file.write_text(settings)
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "wsserver", "run", "--config", str(file), "--port", "0",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "WSSERVER_AUTH__SECRET": SECRET},
        )  # fmt: skip
        assert child.stdout is not None
        async with asyncio.timeout(30):
            while line := (await child.stdout.readline()).decode():
                if found := re.search(r"listening on http://127\.0\.0\.1:(\d+)", line):
                    return cls(child, int(found[1]))
        raise AssertionError("the server did not start")

    async def enter(self, user: str, role: str = "doctor") -> WardClient:
        """A client that is in."""
        client = await WardClient.open(self.port, headers={"Authorization": f"Bearer {token_of(user, role)}"})
        first = await client.receive()
        assert first["type"] == "connected", first
        return client

    @contextlib.contextmanager
    def cpu(self) -> Iterator[Usage]:
        """What it takes while the block runs; known behind it."""
        usage = Usage()
        started, before = time.monotonic(), self._seconds()
        yield usage
        usage.used, usage.passed = self._seconds() - before, time.monotonic() - started

    def _seconds(self) -> float:
        times = self.process.cpu_times()
        return times.user + times.system

    async def stop(self) -> None:
        """End it now."""
        if self._child.returncode is None:
            self._child.kill()
        await self._child.wait()
        # Its end of the pipe is closed with it; the transport's in the next turn.
        await asyncio.sleep(0)
