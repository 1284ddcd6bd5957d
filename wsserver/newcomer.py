"""A socket whose owner has not proved who it is."""

from collections.abc import Callable

from wsserver_core.connection import Connection


class Newcomer:
    """What is remembered between the handshake and ``connected``."""

    __slots__ = ("busy", "connection", "faults", "leave", "protocol", "waiting")

    def __init__(self, connection: Connection, protocol: str, leave: Callable[[], None]) -> None:
        self.connection = connection
        self.protocol = protocol
        self.leave = leave
        """Gives the place at the gate back."""
        self.busy = False
        """Its credentials are being checked."""
        self.waiting: list[tuple[int, bytes]] = []
        """Frames that came meanwhile; reading is paused, so at most one read's worth."""
        self.faults = 0
