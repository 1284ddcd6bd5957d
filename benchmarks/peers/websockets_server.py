"""websockets on uvloop, with its ``broadcast()``: no compression, no pings while others are measured.

It pushes into the write buffers whatever they hold, which is what its documentation advises for a broadcast.
"""

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

from benchmarks.peers.control import CONFIRMATION, GREETING, obey

_subscribers: set[ServerConnection] = set()


async def _connect(connection: ServerConnection) -> None:
    await connection.send(GREETING)
    try:
        async for _ in connection:
            _subscribers.add(connection)
            await connection.send(CONFIRMATION)
    finally:
        _subscribers.discard(connection)


async def _send(text: str) -> None:
    broadcast(_subscribers, text)


async def main() -> None:
    """Serve until standard input ends."""
    async with serve(
        _connect, "127.0.0.1", 0, compression=None, ping_interval=None, backlog=4096, close_timeout=0.1
    ) as server:
        await obey(next(iter(server.sockets)).getsockname()[1], _send)


if __name__ == "__main__":
    uvloop.run(main())
