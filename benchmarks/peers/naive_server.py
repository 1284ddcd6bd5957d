"""What one writes first: aiohttp's own WebSockets, and ``await ws.send_str`` for one client after the other.

Run as a process: it prints its port; for each line ``FIRST COUNT TEXT`` from stdin it sends the
text COUNT times to everybody, ``%d`` replaced by FIRST, FIRST + 1, …, and prints the processor
seconds that took. At ``/ws/echo`` it sends back what it gets.
"""

import asyncio
import sys
import time

import uvloop
from aiohttp import WSMsgType, web


class NaiveServer:
    """A set of sockets and a loop over it."""

    def __init__(self) -> None:
        self.subscribers: dict[web.WebSocketResponse, None] = {}

    async def connect(self, request: web.Request) -> web.WebSocketResponse:
        """Greet, confirm any command, and keep the socket until the client leaves."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str('{"type":"connected"}')
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self.subscribers[socket] = None
                    await socket.send_str('{"type":"subscription_confirmed"}')
        finally:
            self.subscribers.pop(socket, None)
        return socket

    async def echo(self, request: web.Request) -> web.WebSocketResponse:
        """Greet, and send back whatever comes."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str('{"type":"connected"}')
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        return socket

    async def broadcast(self, text: str) -> None:
        """Send to everybody."""
        for socket in list(self.subscribers):
            await socket.send_str(text)


async def main() -> None:
    """Serve until stdin ends."""
    naive = NaiveServer()
    app = web.Application()
    app.router.add_get("/ws/connect", naive.connect)
    app.router.add_get("/ws/echo", naive.echo)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
    print(runner.addresses[0][1], flush=True)
    commands = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        first, count, text = line.decode().rstrip("\n").split(" ", 2)
        before = time.process_time()
        for number in range(int(first), int(first) + int(count)):
            await naive.broadcast(text.replace("%d", str(number)))
        print(time.process_time() - before, flush=True)


if __name__ == "__main__":
    uvloop.run(main())
