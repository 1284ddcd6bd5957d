"""python-socketio under aiohttp on uvloop: ``emit`` to everybody, which encodes the packet once.

Its clients speak Engine.IO 4 over WebSocket from the start: the server's ``0{…}`` is the greeting, ``40``
joins the namespace, ``42["message",{…}]`` is what is published. Of the servers that it supports aiohttp
cost it less processor time per delivery than uvicorn did.
"""

import json

import socketio
import uvloop
from aiohttp import web

from benchmarks.peers.control import obey

_server = socketio.AsyncServer(
    async_mode="aiohttp",
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
    app = web.Application()
    _server.attach(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
    await obey(runner.addresses[0][1], _send)


if __name__ == "__main__":
    uvloop.run(main())
