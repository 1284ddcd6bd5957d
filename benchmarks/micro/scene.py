"""A whole service on a loop that is turned by hand, at a time that stands still, and its clients."""

from typing import Any, Final

import msgspec

from benchmarks.micro.crowd import EndlessSocket, HandLoop, SilentTransport
from wsserver.access.principal import Principal
from wsserver.access.roles import RoleRights
from wsserver.connection_manager import NEVER, ConnectionManager
from wsserver.connections.newcomer import Newcomer
from wsserver.protocol.encoding import JSON
from wsserver.service import Service
from wsserver.settings import AuthSettings, Settings
from wsserver_core.connection import Connection

_SETTINGS: Final = Settings(auth=AuthSettings(secret="benchmarks-only-0123456789abcdef0123456789abcdef"))
_MOST: Final = 10_000_000

_RIGHTS: Final = RoleRights(
    subscribe=frozenset("*"), wildcard=True, publish=frozenset(("type",)), publish_types=frozenset("*")
)


class FixedClock:
    """Time stands still: what happens is the same in each run."""

    def monotonic(self) -> float:
        """Seconds."""
        return 1_000.0

    def time(self) -> float:
        """Seconds since 1970 UTC."""
        return 1_767_225_600.0


class Scene:
    """The service, and its clients."""

    def __init__(self) -> None:
        self.loop: Any = HandLoop()
        clock = FixedClock()
        rates = msgspec.structs.replace(
            _SETTINGS.rate_limit,
            messages_per_second=1e6, burst=_MOST, bytes_per_second=2**40, byte_burst=2**40,
            subscribes_per_second=1e6, subscribe_burst=_MOST, user_messages_per_second=1e6, user_burst=_MOST,
            user_bytes_per_second=2**40, user_byte_burst=2**40, user_subscribes_per_second=1e6,
            user_subscribe_burst=_MOST,
        )  # fmt: skip
        settings = msgspec.structs.replace(_SETTINGS, rate_limit=rates)
        self.manager = ConnectionManager(settings, clock=clock)
        self.manager.bind(self.loop)
        self.service = Service(settings, manager=self.manager)
        self.manager.hub.now = clock.monotonic()
        self.service.running = True
        self._socket = EndlessSocket()

    def client(self, name: str, *, binary: bool = False) -> Connection:
        """One that has been admitted, sees the patient of its name, and may publish to types."""
        service, manager = self.service, self.manager
        connection = Connection(service.inlet, service.newcomer_limits, None, binary)
        newcomer = Newcomer(connection, manager.binary if binary else JSON, _nothing)
        connection.owner = newcomer
        transport: Any = SilentTransport()
        connection.attach(transport, self._socket.fileno())
        service.admission.expect(newcomer)
        patients = frozenset([name])
        scope = manager.scopes.intern(patients)
        service.admission.admit(
            newcomer,
            Principal(user_id=name, role="nurse", rights=_RIGHTS, scope=scope, expires_at=NEVER),
        )
        self.loop.run()
        return connection

    def hear(self, connection: Connection, data: bytes) -> None:
        """Have bytes come in, and do all that follows from them."""
        connection.feed(data)
        self.loop.run()


def _nothing() -> None:
    """The place at a gate that is not there."""
