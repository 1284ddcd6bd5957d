"""The server under test as a process of its own, that can be told to go, killed and started again."""

import asyncio
import json
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.servers.real_server import PROFILE

_ROOT = Path(__file__).parents[2]


class ServerProcess:
    """A running server, on the processors of this process; only a probed one has figures."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, started_after: float) -> None:
        self.port = port
        self.started_after = started_after
        """Seconds from the start of the process to its first ``listening``."""
        self._process = process

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    async def ended(self, timeout: float) -> tuple[int, dict[str, Any]]:
        """Its exit status and its last figures, if it had any, once it has ended. Raises TimeoutError."""
        async with asyncio.timeout(timeout):
            assert self._process.stdout is not None
            last = await self._process.stdout.read()
            return await self._process.wait(), json.loads(last or b"{}")

    async def figures(self) -> dict[str, Any]:
        """What its probe has seen since the last call."""
        self.send(signal.SIGUSR1)
        assert self._process.stdout is not None
        async with asyncio.timeout(10):
            return dict(json.loads(await self._process.stdout.readline()))

    async def end(self) -> None:
        """End it now, whatever it does."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


async def start_server(port: int, variables: Mapping[str, str], *, probed: bool = True) -> ServerProcess:
    """Start one at a port, 0 for any, with settings by ``WSSERVER_…`` variables; back when it listens.

    With a probe it is ``benchmarks.servers.probed_server``, otherwise ``wsserver run`` as it is.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WSSERVER_")}
    # Of the profile's well-known secret nobody needs to be warned here.
    environment["WSSERVER_LOGGING__LEVEL"] = "error"
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *(("benchmarks.servers.probed_server",) if probed else ("wsserver", "run")),
        "--config", str(PROFILE), "--port", str(port),
        cwd=_ROOT, env={**environment, **variables}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            line = (await process.stdout.readline()).decode()
        found = re.match(r"listening on http://127\.0\.0\.1:(\d+)", line)
        if found is None:
            raise RuntimeError(f"the server said {line!r}")
    except BaseException:
        if process.returncode is None:
            process.kill()
        await process.wait()
        raise
    return ServerProcess(process, int(found[1]), time.monotonic() - began)


@asynccontextmanager
async def server_process(
    port: int = 0, *, probed: bool = True, **variables: str
) -> AsyncIterator[ServerProcess]:
    """The same for the time of a block."""
    server = await start_server(port, variables, probed=probed)
    try:
        yield server
    finally:
        await server.end()
