"""A socket whose owner has not proved who it is."""

from collections.abc import Callable

from wsserver.access.principal import Principal
from wsserver.errors import ServerError
from wsserver.protocol.control import Control
from wsserver.protocol.encoding import Encoding
from wsserver_core.connection import Connection


class Newcomer:
    """What is remembered between the handshake and ``connected``."""

    __slots__ = ("binary_faults", "busy", "connection", "encoding", "faults", "leave", "proof", "waiting")

    def __init__(self, connection: Connection, encoding: Encoding, leave: Callable[[], None]) -> None:
        self.connection = connection
        self.encoding = encoding
        """How it is spoken to."""
        self.leave = leave
        """Gives the place at the gate back."""
        self.busy = False
        """Its credentials are being checked."""
        self.waiting: list[tuple[int, bytes]] = []
        """Frames that came meanwhile; reading is paused, so at most one read's worth."""
        self.faults = 0
        self.binary_faults = 0
        self.proof: Callable[[str], Principal | ServerError] | None = None
        """Who it is by what its first frame shows in place of a token; None where that is a token."""

    def say(self, message: Control) -> int:
        """Queue a control message; 0 is success, else the hub's reason to refuse."""
        return self.connection.send_frame(self.encoding.control(message))
