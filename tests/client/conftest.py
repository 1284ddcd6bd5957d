"""Clients without sockets and without time."""

import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fake_server import FakeServer
from hand_clock import HandClock, settle

from wsserver.client import ReconnectionConfig, WebSocketClient
from wsserver.client.supervisor import Surroundings


class Scene:
    """A client, its server, its clock, and everything that it told its listeners."""

    def __init__(self) -> None:
        self.server = FakeServer()
        self.clock = HandClock()
        self.random: Callable[[], float] = lambda: 0.5
        self.told: list[tuple[str, Any]] = []
        self.clients: list[WebSocketClient] = []

    def client(self, token: str | None = "t1", **how: Any) -> WebSocketClient:
        """A client that is not connected yet; options of its config may stand among the arguments."""
        fields = ReconnectionConfig.__dataclass_fields__
        options = {name: how.pop(name) for name in list(how) if name in fields}
        client = WebSocketClient(
            "ws://server/ws/connect",
            token=token,
            config=ReconnectionConfig(**options),
            surroundings=Surroundings(self.server, self.clock, lambda: self.random()),
            **how,
        )
        for event in (
            "state", "connecting", "connected", "disconnected", "reconnecting", "reconnected",
            "reconnect_failed", "error", "queue", "server_shutdown", "heartbeat", "token_expiring",
        ):  # fmt: skip
            client.on(event, lambda payload, event=event: self.told.append((event, payload)))
        self.clients.append(client)
        return client

    async def connected(self, **how: Any) -> WebSocketClient:
        return await self.client(**how).connect()

    def of(self, event: str) -> list[Any]:
        """What was told under one name."""
        return [payload for name, payload in self.told if name == event]

    async def cut(self, code: int = 1006, reason: str = "") -> None:
        """End the connection that is open."""
        self.server.last.end(code, reason)
        await settle()

    async def back(self) -> None:
        """Let the client come back."""
        sockets = len(self.server.sockets)
        await self.clock.advance(self.of("reconnecting")[-1].delay)
        assert len(self.server.sockets) == sockets + 1


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    yield scene
    for client in scene.clients:
        await client.disconnect()


@pytest.fixture
def dice() -> random.Random:
    return random.Random(7)
