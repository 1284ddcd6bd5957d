"""picows on uvloop: the text is encoded once, behind room for a head that each transport writes anew.

``send_reuse_external_bytearray`` is the way of its documentation to send without a copy of the payload for
each client. What a socket does not take at once lies in the buffer of its transport.
"""

import asyncio

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from benchmarks.peers.control import CONFIRMATION, GREETING, obey

_HEAD = 14
"""Bytes that picows wants in front of a payload."""

_subscribers: set[WSTransport] = set()


class _Client(WSListener):
    def on_ws_connected(self, transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, GREETING.encode())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            _subscribers.add(transport)
            transport.send(WSMsgType.TEXT, CONFIRMATION.encode())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        _subscribers.discard(transport)


def _listener(request: WSUpgradeRequest) -> WSListener:
    return _Client()


async def _send(text: str) -> None:
    buffer = bytearray(_HEAD) + text.encode()
    for transport in _subscribers:
        transport.send_reuse_external_bytearray(WSMsgType.TEXT, buffer, _HEAD)


async def main() -> None:
    """Serve until standard input ends."""
    server: asyncio.Server = await ws_create_server(_listener, "127.0.0.1", 0, backlog=4096)
    await obey(server.sockets[0].getsockname()[1], _send)


if __name__ == "__main__":
    uvloop.run(main())
