"""The socket as a client sees it; tests put one of their own in its place."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from wsserver.client.errors import ClientError


class Closed(ClientError):
    """The connection has ended. ``code`` is 1006 where no close frame was seen."""

    def __init__(self, code: int, reason: str = "", *, was_clean: bool = False) -> None:
        self.code = code
        self.reason = reason
        self.was_clean = was_clean
        super().__init__(f"closed with {code}")


class Transport(Protocol):
    """An open WebSocket. Answers pings of the other side, while it is being read."""

    @property
    def protocol(self) -> str | None:
        """The subprotocol that the server has chosen."""

    async def send(self, frame: str | bytes) -> None:
        """Send a text or a binary frame; waits while the socket is full. Raises Closed."""
        ...

    async def receive(self) -> str | bytes:
        """The next frame. Raises Closed, from then on always."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Say goodbye, and end within a second whatever the other side does. Never raises."""
        ...

    def abort(self) -> None:
        """End at once, without a word."""
        ...


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect, and what to offer."""

    url: str
    protocols: Sequence[str]
    max_message_size: int
    tls: ssl.SSLContext | None = None


class Connector(Protocol):
    """Opens WebSockets."""

    async def open(self, address: Address) -> Transport:
        """Raises HandshakeRefused, UntrustedServer, or Closed (1006) where nobody is to be reached."""
        ...
