"""A whole server on a bench: real parts, a clock and a loop moved by hand, sockets that record."""

import asyncio
from typing import Any

import msgspec
from fake_clock import FakeClock
from far_end import FarEnd, RecordingWebSocket
from hand_loop import HandLoop

from wsserver.access.principal import Principal
from wsserver.access.provider import AccessProvider
from wsserver.access.roles import RoleRights
from wsserver.access.tokens import mint_token
from wsserver.connection_manager import NEVER, ConnectionManager
from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.connections.newcomer import Newcomer
from wsserver.protocol.encoding import JSON
from wsserver.service import Service
from wsserver.settings import AuthSettings, Settings
from wsserver_core.connection import Connection

SECRET = "0123456789abcdef0123456789abcdef-not-a-real-secret"

EVERY_RIGHT = RoleRights(subscribe=frozenset("*"), wildcard=True)

EMPTY_INDEX = {
    "connections": 0,
    "subscriptions": 0,
    "topics": 0,
    "types": 0,
    "shelves": 0,
    "patients": 0,
    "full_scopes": 0,
    "scopes": 0,
}


def settings_with(**sections: dict[str, Any]) -> Settings:
    """The default settings with changes, section by section."""
    base = Settings(auth=AuthSettings(secret=SECRET))
    changed = {
        name: msgspec.structs.replace(getattr(base, name), **changes) for name, changes in sections.items()
    }
    return msgspec.structs.replace(base, **changed)


def assert_nothing_left(manager: ConnectionManager) -> None:
    """Every index, table and counter of what is open is empty."""
    assert not manager.connections
    assert manager.index.sizes() == EMPTY_INDEX
    assert manager.limits.total == 0
    assert not manager.limits.by_user
    assert not manager.limits.by_role
    assert len(manager.subscription_manager) == 0
    assert len(manager.subscription_manager.filters) == 0


class Bench:
    """A connection manager alone, with foreign websockets."""

    def __init__(self, **sections: dict[str, Any]) -> None:
        self.clock = FakeClock()
        self.loop = HandLoop()
        self.manager = ConnectionManager(settings_with(**sections), clock=self.clock)
        self.manager.bind(self.loop)

    def connect(
        self,
        user_id: str | int = "u1",
        role: str = "doctor",
        patient_id: str | int | None = None,
        **more: Any,
    ) -> tuple[str, RecordingWebSocket]:
        websocket = RecordingWebSocket()
        return str(self.manager.connect(websocket, user_id, role, patient_id, **more)), websocket

    def metadata(self, connection_id: str) -> ConnectionMetadata:
        return self.manager.connections[connection_id]


def principal(bench: Bench, user_id: str, patients: set[str] | None, role: str = "doctor") -> Principal:
    """Somebody with every right who sees these patients, None being all."""
    seen = None if patients is None else frozenset(patients)
    return Principal(
        user_id=user_id,
        role=role,
        rights=EVERY_RIGHT,
        scope=bench.manager.scopes.intern(seen),
        expires_at=NEVER,
    )


class Workbench(Bench):
    """The whole service, with connections of the core on recording transports.

    The hub turns with ``loop``; tasks run on pytest's loop, which ``settle`` lets turn.
    """

    def __init__(self, *, provider: AccessProvider | None = None, **sections: dict[str, Any]) -> None:
        super().__init__(**sections)
        self.service = Service(self.manager.settings, manager=self.manager, provider=provider)
        self.manager.hub.now = self.clock.monotonic()
        self.left = 0

    async def start(self) -> "Workbench":
        """Load the keys; what else ``Service.start`` does needs a real loop."""
        await self.service.verifier.keys.load()
        self.service.running = True
        return self

    def token(self, user_id: str = "u1", role: str = "doctor", **more: Any) -> str:
        return mint_token(self.manager.settings.auth, self.clock, user_id=user_id, role=role, **more)

    def newcomer(self, *, binary: bool = False) -> FarEnd:
        """A socket after the handshake, of which nothing is known."""
        far_end = FarEnd(self.loop)
        connection = Connection(self.service.inlet, self.service.newcomer_limits, None, binary)
        newcomer = Newcomer(connection, self.manager.binary if binary else JSON, self._leave)
        connection.owner = newcomer
        connection.attach(far_end, -1)
        self.service.admission.expect(newcomer)
        return far_end

    async def client(
        self, user_id: str = "u1", role: str = "doctor", *, binary: bool = False, **more: Any
    ) -> FarEnd:
        """A connection that has been admitted and has read its ``connected``."""
        far_end = self.newcomer(binary=binary)
        far_end.send(type="connect", token=self.token(user_id, role, **more))
        await self.settle()
        assert far_end.take()[-1]["type"] == "connected"
        return far_end

    def owner(self, far_end: FarEnd) -> ConnectionMetadata:
        assert far_end.connection is not None
        metadata = far_end.connection.owner
        assert isinstance(metadata, ConnectionMetadata)
        return metadata

    async def settle(self) -> None:
        """Let tasks and the hub come to rest."""
        for _ in range(20):
            await asyncio.sleep(0)
            self.loop.run()

    async def settle_once(self) -> None:
        """One turn of each loop."""
        await asyncio.sleep(0)
        self.loop.turn()

    async def ask(self, far_end: FarEnd, **command: Any) -> list[dict[str, Any]]:
        """Send a command and return what came back."""
        far_end.send(**command)
        await self.settle()
        return far_end.take()

    def pass_time(self, seconds: float) -> None:
        """Move the clock in steps of the housekeeping, so that nobody takes it for a stall."""
        for _ in range(round(seconds / 0.25)):
            self.clock.advance(0.25)
            self.service.housekeeping.tick()
            self.loop.run()

    def _leave(self) -> None:
        self.left += 1
