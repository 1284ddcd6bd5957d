"""Real-time WebSocket server for watching patients.

``setup(app, settings)`` adds it to an aiohttp application; a backend publishes through
``wsserver.connection_manager.connection_manager``; ``websocket_server`` is the server that
``wsserver run`` runs.
"""

import importlib
from typing import TYPE_CHECKING, Any

from wsserver._version import __version__

if TYPE_CHECKING:
    from wsserver.compression import compress_message
    from wsserver.connection_manager import ConnectionManager
    from wsserver.settings import Settings
    from wsserver.token_check import verify_token
    from wsserver.web.app import setup
    from wsserver.web.server import websocket_server

__all__ = [
    "ConnectionManager",
    "Settings",
    "__version__",
    "compress_message",
    "setup",
    "verify_token",
    "websocket_server",
]

# Found on first use: importing one part of the package must not load all of it, and the
# package's own modules import from here while it is being loaded.
_HOMES = {
    "ConnectionManager": "wsserver.connection_manager",
    "Settings": "wsserver.settings",
    "compress_message": "wsserver.compression",
    "setup": "wsserver.web.app",
    "verify_token": "wsserver.token_check",
    "websocket_server": "wsserver.web.server",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
