"""Clients of a wsserver: ``WebSocketClient`` for asyncio, ``Publisher`` for everything else.

They import nothing of the server. ``WebSocketClient`` comes back after a cut, goes on where it was
and tells what is missing; ``Publisher`` sends messages over REST, once, whatever the network does.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsserver.client.client import WebSocketClient
    from wsserver.client.errors import (
        AuthenticationFailed,
        ClientError,
        ConnectionEnded,
        ConnectionLost,
        HandshakeRefused,
        InvalidOption,
        NoAnswer,
        OutboxFull,
        ReconnectFailed,
        RequestRefused,
        UntrustedServer,
    )
    from wsserver.client.message import Gap, Message, Meta
    from wsserver.client.publisher import Publisher
    from wsserver.client.reconnection_config import ReconnectionConfig
    from wsserver.client.report import BroadcastReport
    from wsserver.client.state import State
    from wsserver.client.subscriptions import Subscription

__all__ = [
    "AuthenticationFailed",
    "BroadcastReport",
    "ClientError",
    "ConnectionEnded",
    "ConnectionLost",
    "Gap",
    "HandshakeRefused",
    "InvalidOption",
    "Message",
    "Meta",
    "NoAnswer",
    "OutboxFull",
    "Publisher",
    "ReconnectFailed",
    "ReconnectionConfig",
    "RequestRefused",
    "State",
    "Subscription",
    "UntrustedServer",
    "WebSocketClient",
]

# Found on first use: a script that only publishes does not load asyncio and aiohttp.
_HOMES = {
    "BroadcastReport": "report",
    "Gap": "message",
    "Message": "message",
    "Meta": "message",
    "Publisher": "publisher",
    "ReconnectionConfig": "reconnection_config",
    "State": "state",
    "Subscription": "subscriptions",
    "WebSocketClient": "client",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"wsserver.client.{_HOMES.get(name, 'errors')}"), name)
