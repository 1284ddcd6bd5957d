"""The ward's compiled viewers as a child process: one line out, one line back."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.build import build

_SOURCE = Path(__file__).with_name("ward_client.c")


class WardClient:
    """All viewers of a plan; see ``ward_client.c``."""

    def __init__(self, process: asyncio.subprocess.Process, directory: Path) -> None:
        self._process = process
        self._numbers = directory / "numbers"
        assert process.stdin is not None
        assert process.stdout is not None
        self._commands, self._answers = process.stdin, process.stdout

    async def open(self, expected: int) -> None:
        """Open all who are to be there. Raises RuntimeError unless that many can subscribe."""
        opened = await self._ask("open", "opened", 240)
        if opened["ready"] != expected or opened["errors"]:
            raise RuntimeError(f"{expected} viewers were to be there: {opened}")

    async def step(self, since: int, until: int, churn: float) -> None:
        """Measure messages due in that time (monotonic ns), exchanging ``churn`` viewers per second."""
        await self._ask(f"step {since} {until} {churn:g}", "stepping", 10)

    async def report(self) -> dict[str, Any]:
        """What was measured since ``step``."""
        return await self._ask("report", "report", 10)

    async def settle(self) -> None:
        """From now on everybody reads as they should."""
        await self._ask("settle", "settled", 10)

    async def behind(self, numbers: Sequence[int]) -> int:
        """How many messages have not come yet, by the next number of each monitor."""
        self._write(numbers)
        return int((await self._ask(f"behind {self._numbers}", "behind", 10))["messages"])

    async def final(self, numbers: Sequence[int]) -> dict[str, Any]:
        """As ``report``, at the end: what has not come by now is missing."""
        self._write(numbers)
        return await self._ask(f"final {self._numbers}", "final", 10)

    def _write(self, numbers: Sequence[int]) -> None:
        self._numbers.write_text("".join(f"{number}\n" for number in numbers))

    async def _ask(self, command: str, word: str, timeout: float) -> dict[str, Any]:
        self._commands.write(f"{command}\n".encode())
        async with asyncio.timeout(timeout):
            line = await self._answers.readline()
        found, _, members = line.partition(b" ")
        if found.decode() != word:
            raise RuntimeError(f"the ward's client said {line!r} instead of {word!r}")
        return msgspec.json.decode(members, type=dict[str, Any])


@asynccontextmanager
async def ward_client(port: int, plan: Path, *, core: int | None) -> AsyncIterator[WardClient]:
    """The viewers of a plan for ``127.0.0.1:port``, ended with the block; ``core`` as for ``load_client``."""
    process = await asyncio.create_subprocess_exec(
        build(_SOURCE),
        "--port",
        str(port),
        "--plan",
        plan,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        yield WardClient(process, plan.parent)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
