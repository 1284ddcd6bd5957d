"""Operators at work, in a process of their own: status pages that watch every panel, and a scraper.

``python -m benchmarks.clients.onlookers PORT TOKEN`` reads lines: ``watch VIEWERS INTERVAL`` begins, with a
scrape every so many seconds or none for 0; ``leave`` ends it and answers with what was seen.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

PANELS = ("overview", "slow", "alerts", "events", "traces")


class Onlookers:
    """The process as the benchmark sees it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self._commands, self._answers = process.stdin, process.stdout

    async def watch(self, viewers: int, interval: float) -> None:
        """Have so many status pages look on, and /metrics scraped every ``interval`` seconds if not 0."""
        await self._ask(f"watch {viewers} {interval}")

    async def leave(self) -> dict[str, Any]:
        """Send them away; returns how many panels and scrapes came, their bytes and seconds."""
        return await self._ask("leave")

    async def _ask(self, command: str) -> dict[str, Any]:
        self._commands.write(f"{command}\n".encode())
        async with asyncio.timeout(30):
            line = await self._answers.readline()
        return dict(json.loads(line))


@asynccontextmanager
async def onlookers(port: int, token: str, core: int | None) -> AsyncIterator[Onlookers]:
    """Onlookers of the server at a port, ended with the block; on the processor ``core``."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.clients.onlookers", str(port), token,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        yield Onlookers(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


class _Watch:
    """What goes on between ``watch`` and ``leave``."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self._session = session
        self._port = port
        self._tasks: list[asyncio.Task[None]] = []
        self.seen = {"panels": 0, "panel_bytes": 0, "scrapes": 0, "scrape_bytes": 0, "scrape_s": 0.0}

    async def begin(self, viewers: int, interval: float) -> None:
        for _ in range(viewers):
            websocket = await self._session.ws_connect(f"ws://127.0.0.1:{self._port}/ws/admin")
            for panel in PANELS:
                await websocket.send_json({"type": "subscribe", "topic": f"status:{panel}"})
            self._tasks.append(asyncio.ensure_future(self._read(websocket)))
        if interval:
            self._tasks.append(asyncio.ensure_future(self._scrape(interval)))

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            try:
                await task
            except asyncio.CancelledError:
                continue

    async def _read(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        async with websocket:
            async for frame in websocket:
                if frame.type is aiohttp.WSMsgType.TEXT and '"_meta"' in frame.data[:8]:
                    self.seen["panels"] += 1
                    self.seen["panel_bytes"] += len(frame.data)

    async def _scrape(self, interval: float) -> None:
        while True:
            began = time.monotonic()
            async with self._session.get(f"http://127.0.0.1:{self._port}/metrics") as answer:
                answer.raise_for_status()
                self.seen["scrape_bytes"] += len(await answer.read())
            self.seen["scrapes"] += 1
            took = time.monotonic() - began
            self.seen["scrape_s"] += took
            await asyncio.sleep(interval - took)


async def _main(port: int, token: str) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
        watch = _Watch(session, port)
        while words := (await reader.readline()).decode().split():
            if words[0] == "watch":
                watch = _Watch(session, port)
                await watch.begin(int(words[1]), float(words[2]))
                print("{}", flush=True)
            else:
                await watch.end()
                print(json.dumps(watch.seen), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), sys.argv[2]))
