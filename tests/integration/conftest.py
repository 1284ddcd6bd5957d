"""Real servers on real sockets. A test that leaves an error in the log or an entry in an index fails."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from live_server import LiveServer, StartServer, settings_of


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


@pytest.fixture
async def server(start_server: StartServer) -> LiveServer:
    """A server with the default settings."""
    return await start_server()
