"""Starlette under uvicorn, with httptools, uvloop and its default WebSocket implementation.

The broadcast is ``await websocket.send_text`` for one after the other: an ASGI server holds a send back
while that client's buffer is full, and has no send to many. The implementation that ``auto`` takes
(``websockets-sansio``) cost less processor time per delivery than ``wsproto`` and ``websockets``.
"""

import asyncio
import contextlib
import socket

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from benchmarks.peers.control import CONFIRMATION, GREETING, obey

_subscribers: dict[WebSocket, None] = {}


async def _connect(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(GREETING)
    try:
        while True:
            await websocket.receive_text()
            _subscribers[websocket] = None
            await websocket.send_text(CONFIRMATION)
    except WebSocketDisconnect:
        _subscribers.pop(websocket, None)


async def _send(text: str) -> None:
    for websocket in list(_subscribers):
        await websocket.send_text(text)


async def main() -> None:
    """Serve until standard input ends."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    config = uvicorn.Config(
        Starlette(routes=[WebSocketRoute("/ws/connect", _connect)]),
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
