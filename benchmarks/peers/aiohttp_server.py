"""aiohttp's own WebSockets on uvloop: ``await ws.send_str`` for one client after the other, or by gather.

``python -m benchmarks.peers.aiohttp_server loop|gather``; see ``control`` for what it is told. At
``/ws/echo`` it sends back what it gets.
"""

import asyncio
import sys

import uvloop
from aiohttp import WSMsgType, web

from benchmarks.peers.control import CONFIRMATION, GREETING, obey


class AiohttpServer:
    """A set of sockets and two ways to send to all of them."""

    def __init__(self) -> None:
        self.subscribers: dict[web.WebSocketResponse, None] = {}

    async def connect(self, request: web.Request) -> web.WebSocketResponse:
        """Greet, confirm any command, and keep the socket until the client leaves."""
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        await socket.send_str(GREETING)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self.subscribers[socket] = None
                    await socket.send_str(CONFIRMATION)
        finally:
            self.subscribers.pop(socket, None)
        return socket

    async def echo(self, request: web.Request) -> web.WebSocketResponse:
        """Greet, and send back whatever comes."""
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        await socket.send_str(GREETING)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        return socket

    async def loop(self, text: str) -> None:
        """What one writes first."""
        for socket in list(self.subscribers):
            await socket.send_str(text)

    async def gather(self, text: str) -> None:
        """What one writes next, so that a slow client does not hold up the others."""
        await asyncio.gather(*[socket.send_str(text) for socket in self.subscribers])


async def main(way: str) -> None:
    """Serve until standard input ends."""
    server = AiohttpServer()
    app = web.Application()
    app.router.add_get("/ws/connect", server.connect)
    app.router.add_get("/ws/echo", server.echo)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
    await obey(runner.addresses[0][1], {"loop": server.loop, "gather": server.gather}[way])


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
