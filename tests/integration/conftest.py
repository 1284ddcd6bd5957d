"""Real servers on real sockets. A test that leaves an error in the log or an entry in an index fails."""

import asyncio
import contextlib
import itertools
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from delivery_ward import Enrol
from laws.node_crowd import NodeCrowd
from laws.python_client import PythonClient
from laws.resuming_client import ResumingClient
from live_server import SECRET, LiveServer, StartServer, settings_of
from server_process import ServerProcess

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def start_server() -> AsyncIterator[StartServer]:
    """Starts servers with settings by section: ``await start_server(auth={"timeout": 0.3})``."""
    servers: list[LiveServer] = []

    async def start(*, options: dict[str, Any] | None = None, **sections: Any) -> LiveServer:
        server = LiveServer(settings_of(**sections), **(options or {}))
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()
        assert server.faults.seen == []


@pytest.fixture(params=["double", "python", "node"])
async def enrol(request: pytest.FixtureRequest) -> AsyncIterator[Enrol]:
    """Makes the clients of a ward: the double, or real ones, of which every other one speaks binary."""
    if request.param == "double":
        yield ResumingClient
        return
    codecs = itertools.cycle(["json", "binary"])
    if request.param == "python":
        yield lambda *who, **how: PythonClient(*who, codec=next(codecs), **how)
        return
    async with NodeCrowd(request.getfixturevalue("node")) as crowd:
        yield lambda *who, **how: crowd.enrol(*who, codec=next(codecs), **how)


@pytest.fixture
async def server(start_server: StartServer) -> LiveServer:
    """A server with the default settings."""
    return await start_server()


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Any]:
    """Starts server processes with the text of a settings file: ``await run(settings)``."""
    children: list[ServerProcess] = []

    async def start(
        settings: str = "", *arguments: str, secret: str | None = SECRET, log: int = asyncio.subprocess.PIPE
    ) -> ServerProcess:
        file = tmp_path / "settings.toml"
        file.write_text(settings)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "WSSERVER_SHUTDOWN__NOTICE": "0"}
        if secret is not None:
            environment["WSSERVER_AUTH__SECRET"] = secret
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "wsserver", "run", "--config", str(file), *(arguments or ("--port", "0")),
            stdout=asyncio.subprocess.PIPE, stderr=log, env=environment, cwd=tmp_path,
        )  # fmt: skip
        children.append(ServerProcess(process))
        return children[-1]

    start.file = tmp_path / "settings.toml"
    yield start
    for child in children:
        if child.process.returncode is None:
            child.process.kill()
            with contextlib.suppress(TimeoutError):
                await child.ended()
