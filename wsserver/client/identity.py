"""Who connects, where, and with which subscriptions to begin with."""

import inspect
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from wsserver.client.errors import InvalidOption
from wsserver.client.topic import Topic

Url = str | Callable[[], str | Awaitable[str]]
"""An address, or what gives one before each attempt."""

_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """What ``connect`` says besides the token. Without a repr: it may name a patient."""

    url: Url
    user_id: str | int | None = None
    role: str | None = None
    patient_id: str | int | None = None
    subscriptions: tuple[Topic, ...] = ()
    tls: ssl.SSLContext | None = None

    def members(self) -> dict[str, Any]:
        """The members of ``connect``."""
        said = {"user_id": self.user_id, "role": self.role, "patient_id": self.patient_id}
        return {name: value for name, value in said.items() if value is not None}

    async def address(self) -> str:
        """Where to connect now. Raises InvalidOption."""
        if isinstance(self.url, str):
            return websocket_url(self.url)
        given = self.url()
        return websocket_url(await given if inspect.isawaitable(given) else given)


def websocket_url(url: object) -> str:
    """The address of a server's WebSocket; raises InvalidOption, whose text does not quote what was given."""
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        scheme, host, _ = _SCHEMES.get(parts.scheme), parts.hostname, parts.port
    except ValueError:
        scheme = host = None
    if scheme is None or not host:
        raise InvalidOption("url", "must be an address such as wss://host/ws/connect")
    path = "/ws/connect" if parts.path in ("", "/") else parts.path
    return urlunsplit((scheme, parts.netloc, path, parts.query, ""))
