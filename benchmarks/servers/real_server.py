"""The server under test, whole: handshake, tokens, subscriptions, broadcast; in this process."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from wsserver.access.tokens import mint_token
from wsserver.clock import SystemClock
from wsserver.service import Service
from wsserver.settings import Loaded, load_settings
from wsserver.settings.descriptors import fit_descriptors
from wsserver.web.server import WebSocketServer

PROFILE = Path(__file__).with_name("profile.toml")

HEARTBEATS = {"connection.heartbeat_interval": "30s", "connection.timeout": "90s"}
"""The defaults, which the profile switches off."""

SUBSCRIPTION_TYPE = "ecg"
SUBSCRIBE = '{"type":"subscribe","topic":"type:ecg"}'


WARD = 25
"""Users who see the same patients, as the nurses of a ward do."""


def load_profile(changes: Mapping[str, object] | None = None) -> Loaded:
    """The benchmarks' settings; the environment has no say, so that figures can be compared.

    Their ``connection.max_connections`` is lowered where this process may open too few descriptors.
    """
    return fit_descriptors(load_settings(PROFILE, {}, {"server.port": 0, **(changes or {})}), dev=True)


def write_tokens(path: Path, count: int, loaded: Loaded, *, ward: int, role: str = "nurse") -> int:
    """Write tokens of about 300 bytes, one a line, each of a user of its own.

    ``ward`` users in a row see the same two patients. With 1 nobody shares anything with
    anybody, which is the dear case. Returns the length of the first token.
    """
    clock = SystemClock()
    size = 0
    with path.open("w") as file:
        for number in range(count):
            patient = f"patient-{number // ward:05}"
            token = mint_token(
                loaded.settings.auth,
                clock,
                user_id=f"user-{number:05}",
                role=role,
                lifetime=7200,
                patients=[f"{patient}-a", f"{patient}-b"],
            )
            size = size or len(token)
            file.write(f"{token}\n")
    return size


class RealServer:
    """The running server, as the benchmarks need it."""

    def __init__(self, port: int, service: Service) -> None:
        self.port = port
        self.service = service
        self.manager = service.manager

    def descriptors(self) -> list[int]:
        """The sockets of all connections, in the order in which a broadcast serves them."""
        return [self.manager.hub.fileno(one.handle) for one in self.manager.connections.values()]


@asynccontextmanager
async def real_server(loaded: Loaded) -> AsyncIterator[RealServer]:
    """Serve on a free port while the block runs."""
    server = WebSocketServer()
    await server.start(loaded)
    try:
        assert server.service is not None
        port = urlsplit(server.url or "").port
        assert port is not None
        yield RealServer(port, server.service)
    finally:
        await server.stop()
