"""The real server in a process of its own, as a newcomer starts it."""

import asyncio
import re
import sys

_LISTENING = re.compile(r"listening on (http://127\.0\.0\.1:(\d+))")


class RealServer:
    """``python -m wsserver run --dev --demo`` on a free port, which a restart keeps."""

    def __init__(self) -> None:
        self.url = ""
        self._port = 0
        self._process: asyncio.subprocess.Process | None = None
        self._drain: asyncio.Task[None] | None = None

    async def start(self) -> None:
        command = ("-m", "wsserver", "run", "--dev", "--demo", "--port", str(self._port))
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output = self._process.stdout
        assert output is not None
        seen = []
        async with asyncio.timeout(30):
            while line := (await output.readline()).decode():
                seen.append(line)
                if match := _LISTENING.search(line):
                    self.url, self._port = match[1], int(match[2])
                    break
            else:
                raise AssertionError("the server did not start:\n" + "".join(seen))
        # A full pipe would stop the server.
        self._drain = asyncio.create_task(self._read_on(output))

    async def stop(self) -> None:
        """Kill it: no drain and no goodbye."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        if self._drain is not None:
            await self._drain

    @staticmethod
    async def _read_on(output: asyncio.StreamReader) -> None:
        while await output.read(65536):
            pass
