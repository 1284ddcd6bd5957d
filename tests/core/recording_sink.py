"""A sink that writes down what a connection tells it, and fails when asked to."""

from typing import Any

from wsserver_core.connection import Connection


class RecordingSink:
    """``events`` are tuples that begin with the name of the call, without the connection.

    ``on`` maps the name of a call to what to do when it comes, besides writing it down.
    """

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.closed: list[tuple[Connection, int, str]] = []
        self.on: dict[str, Any] = {}

    def message_received(self, connection: Connection, opcode: int, payload: bytes) -> None:
        self._note("message", connection, opcode, payload)

    def oversize_received(self, connection: Connection, size: int) -> None:
        self._note("oversize", connection, size)

    def message_flood(self, connection: Connection, wait: float) -> None:
        self._note("message_flood", connection, wait)

    def control_flood(self, connection: Connection, wait: float) -> None:
        self._note("control_flood", connection, wait)

    def pong_received(self, connection: Connection, payload: bytes) -> None:
        self._note("pong", connection, payload)

    def connection_closed(self, connection: Connection, code: int, reason: str) -> None:
        self.closed.append((connection, code, reason))
        if "closed" in self.on:
            self.on["closed"](connection)

    def _note(self, name: str, connection: Connection, *values: Any) -> None:
        self.events.append((name, *values))
        if name in self.on:
            self.on[name](connection)
