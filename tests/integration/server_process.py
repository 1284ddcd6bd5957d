"""The server as a process of its own, as an operator starts it."""

import asyncio
import re
from typing import Any

from live_server import claims_of, sign, until
from ward_client import WardClient


class ServerProcess:
    """``python -m wsserver run`` with a settings file."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.output = ""
        self.log = ""
        self.port = 0
        self._readers = [
            asyncio.create_task(self._read(stream, where))
            for stream, where in ((process.stdout, "output"), (process.stderr, "log"))
            if stream is not None
        ]

    async def _read(self, stream: asyncio.StreamReader, where: str) -> None:
        while line := (await stream.readline()).decode():
            setattr(self, where, getattr(self, where) + line)

    async def listening(self) -> None:
        def told() -> Any:
            assert self.process.returncode is None, self.output + self.log
            return re.search(r"listening on https?://127\.0\.0\.1:(\d+)", self.output)

        # To take up 100,000 messages takes some seconds of a processor, which others may have.
        await until(told, patience=120)
        self.port = int(told()[1])

    async def ended(self) -> int:
        async with asyncio.timeout(30):
            await asyncio.gather(*self._readers)
            return await self.process.wait()

    async def enter(self, user: str = "u1", role: str = "doctor") -> WardClient:
        client = await WardClient.open(
            self.port, headers={"Authorization": f"Bearer {sign(claims_of(user, role))}"}
        )
        first = await client.receive()
        assert first["type"] == "connected", first
        return client
