"""python-socketio under uvicorn: ``emit`` to everybody, which encodes the packet once.

Its clients speak Engine.IO 4 over WebSocket from the start: the server's ``0{…}`` is the greeting, ``40``
joins the namespace, ``42["message",{…}]`` is what is published.
"""

import asyncio
import contextlib
import json
import socket

import socketio
import uvicorn
import uvloop

from benchmarks.peers.control import obey

_server = socketio.AsyncServer(
    async_mode="asgi",
    # Pings within a run would be measured as well.
    ping_interval=86_400,
    ping_timeout=86_400,
    http_compression=False,
    transports=["websocket"],
)


async def _send(text: str) -> None:
    # A string would be quoted; as an object it goes out as the same JSON as everybody else's.
    await _server.emit("message", json.loads(text))


async def main() -> None:
    """Serve until standard input ends."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    config = uvicorn.Config(
        socketio.ASGIApp(_server),
        http="httptools",
        ws="auto",
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        access_log=False,
        log_level="error",
        backlog=4096,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    await obey(listener.getsockname()[1], _send)
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving


if __name__ == "__main__":
    uvloop.run(main())
