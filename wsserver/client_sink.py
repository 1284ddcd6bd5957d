"""Where the core delivers what it read from clients."""

from collections import Counter
from typing import Final

from wsserver.admission import Admission
from wsserver.connection_manager import ConnectionManager
from wsserver.connection_metadata import ConnectionMetadata
from wsserver.errors import MESSAGE_TOO_LARGE, RATE_LIMIT, CloseCode, ServerError
from wsserver.health_monitor import HealthMonitor
from wsserver.message_router import MessageRouter
from wsserver.newcomer import Newcomer
from wsserver.protocol import control
from wsserver_core.connection import Connection

MAX_FLOODS: Final = 100
"""Dropped messages a connection may be ahead of those within its rate; then it is closed with 4110."""

RETRY_AFTER_MS: Final = 1_000


class ClientSink:
    """The sink of ``/ws/connect``: sorts by who is speaking."""

    def __init__(
        self, manager: ConnectionManager, admission: Admission, router: MessageRouter, health: HealthMonitor
    ) -> None:
        self._manager = manager
        self._admission = admission
        self._router = router
        self._health = health
        self.closes: Counter[int] = Counter()
        """Closed connections by code, since the start."""

    def message_received(self, connection: Connection, opcode: int, payload: bytes) -> None:
        """A complete message."""
        owner = connection.owner
        if type(owner) is ConnectionMetadata:
            if owner.floods:
                owner.floods -= 1
            self._router.route(owner, opcode, payload)
        elif type(owner) is Newcomer:
            self._admission.first_frame(owner, opcode, payload)

    def oversize_received(self, connection: Connection, size: int) -> None:
        """A message over the limit, which the core has swallowed."""
        limit = connection.reader.limits.max_message_size
        error = ServerError(MESSAGE_TOO_LARGE, details={"size": size, "max_message_size": limit})
        owner = connection.owner
        if type(owner) is ConnectionMetadata:
            self._router.refuse(owner, error)
        else:
            self._end(connection, error, CloseCode.AUTHENTICATION_FAILED)

    def message_flood(self, connection: Connection) -> None:
        """A message came too fast and was dropped."""
        owner = connection.owner
        if type(owner) is not ConnectionMetadata:
            self._end(connection, _too_fast(), CloseCode.RATE_LIMIT)
            return
        owner.floods += 1
        if owner.floods >= MAX_FLOODS:
            self._end(connection, _too_fast(), CloseCode.RATE_LIMIT)
        else:
            self._router.refuse(owner, _too_fast())

    def control_flood(self, connection: Connection) -> None:
        """Pings or pongs come too fast."""
        self._end(connection, _too_fast(), CloseCode.RATE_LIMIT)

    def pong_received(self, connection: Connection, payload: bytes) -> None:
        """An answer to a ping."""
        owner = connection.owner
        if type(owner) is ConnectionMetadata:
            self._health.pong_received(owner, payload)

    def connection_closed(self, connection: Connection, code: int, reason: str) -> None:
        """The socket is gone: everything that belonged to it ends."""
        owner = connection.owner
        self.closes[code] += 1
        if type(owner) is ConnectionMetadata:
            self._manager.forget(owner)
        elif type(owner) is Newcomer:
            self._admission.left(owner)
        if owner is not None and owner.leave is not None:
            owner.leave()

    def _end(self, connection: Connection, error: ServerError, code: CloseCode) -> None:
        self._manager.faults += 1
        connection.send_text(control.Error.of(error).encode())
        owner = connection.owner
        if type(owner) is ConnectionMetadata:
            self._manager.disconnect(owner.connection_id, error.kind.name, code=code)
        else:
            connection.close(code, error.kind.name)


def _too_fast() -> ServerError:
    return ServerError(RATE_LIMIT, retry_after_ms=RETRY_AFTER_MS)
