"""Chromium by its own protocol: Playwright keeps every page visible, and a visible page cannot be frozen.

``await browser.open(url)`` opens a tab in front of those there are, which hides them. A tab is asked by
``await tab.evaluate(expression)`` and told by ``await tab.send(method, **parameters)``.
"""

import asyncio
import contextlib
import itertools
import tempfile
from pathlib import Path
from typing import Any, Self

import aiohttp
from chromium import ARGUMENTS, CHROMIUM

PATIENCE = 30.0


class BareChromium:
    """One process with a profile of its own."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}

    async def __aenter__(self) -> Self:
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._process = await asyncio.create_subprocess_exec(
            CHROMIUM, "--headless", *ARGUMENTS, *self._arguments,
            f"--user-data-dir={self._profile.name}", "--remote-debugging-port=0", "about:blank",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        told = Path(self._profile.name, "DevToolsActivePort")
        async with asyncio.timeout(PATIENCE):
            while not (told.exists() and (lines := told.read_text().split("\n"))[1:]):
                await asyncio.sleep(0.05)
        self._http = aiohttp.ClientSession()
        self._socket = await self._http.ws_connect(f"ws://127.0.0.1:{lines[0]}{lines[1]}", max_msg_size=0)
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *fault: object) -> None:
        with contextlib.suppress(Exception):
            await self.send("Browser.close")
        self._reader.cancel()
        await self._socket.close()
        await self._http.close()
        async with asyncio.timeout(PATIENCE):
            await self._process.wait()
        self._profile.cleanup()

    async def open(self, url: str) -> "Tab":
        target = (await self.send("Target.createTarget", url=url))["targetId"]
        session = (await self.send("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        return Tab(self, session)

    async def send(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        command = {"id": number, "method": method, "params": parameters}
        await self._socket.send_json(command if session is None else {**command, "sessionId": session})
        async with asyncio.timeout(PATIENCE):
            told = await answer
        assert "error" not in told, (method, told["error"])
        result: dict[str, Any] = told["result"]
        return result

    async def _read(self) -> None:
        async for frame in self._socket:
            message = frame.json()
            answer = self._answers.pop(message.get("id", 0), None)
            if answer is not None and not answer.done():
                answer.set_result(message)


class Tab:
    """A page."""

    def __init__(self, browser: BareChromium, session: str) -> None:
        self._browser = browser
        self._session = session

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        return await self._browser.send(method, self._session, **parameters)

    async def evaluate(self, expression: str) -> Any:
        """The value of an expression, awaited if it is a promise."""
        told = await self.send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    async def until(self, condition: str) -> None:
        """Wait until an expression is true."""
        async with asyncio.timeout(PATIENCE):
            while not await self.evaluate(condition):
                await asyncio.sleep(0.02)
