"""Where the core delivers what it read from clients."""

from collections import Counter

from wsserver.connection_manager import ConnectionManager
from wsserver.connections.admission import Admission
from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.connections.newcomer import Newcomer
from wsserver.errors import MESSAGE_TOO_LARGE, CloseCode, ServerError
from wsserver.health_monitor import HealthMonitor
from wsserver.message_router import MessageRouter
from wsserver.protocol import control
from wsserver.rate_limiter import RateLimiter
from wsserver_core.connection import Connection


class ClientSink:
    """The sink of ``/ws/connect``: sorts by who is speaking."""

    def __init__(
        self,
        manager: ConnectionManager,
        admission: Admission,
        router: MessageRouter,
        health: HealthMonitor,
        rates: RateLimiter,
    ) -> None:
        self._manager = manager
        self._admission = admission
        self._router = router
        self._health = health
        self._rates = rates
        self.closes: Counter[int] = Counter()
        """Closed connections by code, since the start."""

    def message_received(self, connection: Connection, opcode: int, payload: bytes) -> None:
        """A complete message."""
        owner = connection.owner
        if type(owner) is ConnectionMetadata:
            if owner.resumed is not None:
                self._manager.sessions.heard(owner)
            unpacked = owner.encoding.unpacked(opcode, payload)
            if unpacked:
                unpacked = min(unpacked, connection.reader.limits.max_message_size)
            error = self._rates.take_message(owner, len(payload), unpacked)
            if error is None:
                self._router.route(owner, opcode, payload)
            else:
                self._router.refuse(owner, error)
        elif type(owner) is Newcomer:
            self._admission.first_frame(owner, opcode, payload)

    def oversize_received(self, connection: Connection, size: int) -> None:
        """A message over the limit, which the core has swallowed."""
        limit = connection.reader.limits.max_message_size
        error = ServerError(MESSAGE_TOO_LARGE, details={"size": size, "max_message_size": limit})
        owner = connection.owner
        if type(owner) is ConnectionMetadata:
            self._rates.take_bytes(owner, size)
            self._router.refuse(owner, error)
        else:
            self._end(connection, error, CloseCode.AUTHENTICATION_FAILED)

    def message_flood(self, connection: Connection, wait: float) -> None:
        """A message came too fast and was dropped."""
        owner = connection.owner
        error = self._rates.flood("messages", wait)
        if type(owner) is ConnectionMetadata:
            self._router.refuse(owner, error)
        else:
            self._rates.expel(error)
            self._end(connection, error, CloseCode.RATE_LIMIT)

    def control_flood(self, connection: Connection, wait: float) -> None:
        """Pings or pongs come too fast."""
        owner = connection.owner
        error = self._rates.flood("control", wait)
        self._rates.expel(error)
        if type(owner) is ConnectionMetadata:
            self._rates.hold_against(owner.user_id)
        self._end(connection, error, CloseCode.RATE_LIMIT)

    def pong_received(self, connection: Connection, payload: bytes) -> None:
        """An answer to a ping."""
        owner = connection.owner
        if type(owner) is ConnectionMetadata:
            if owner.resumed is not None:
                self._manager.sessions.heard(owner)
            self._health.pong_received(owner, payload)

    def connection_closed(self, connection: Connection, code: int, reason: str) -> None:
        """The socket is gone: everything that belonged to it ends."""
        owner = connection.owner
        self.closes[code] += 1
        if type(owner) is ConnectionMetadata:
            self._manager.forget(owner, code)
        elif type(owner) is Newcomer:
            self._admission.left(owner)
        if owner is not None and owner.leave is not None:
            owner.leave()

    def _end(self, connection: Connection, error: ServerError, code: CloseCode) -> None:
        self._manager.faults += 1
        owner = connection.owner
        if owner is not None:
            owner.say(control.Error.of(error))
        if type(owner) is ConnectionMetadata:
            self._manager.disconnect(owner.connection_id, error.kind.name, code=code)
        else:
            connection.close(code, error.kind.name)
