"""Clients that leave all at once and come back into their sessions: a child process of ``replay``.

``python -m benchmarks.clients.absent_crowd PORT TOKENS COUNT TOPIC``, then a word a line on standard input,
each answered by one line of JSON: ``enter`` connects and subscribes, ``leave`` drops every socket,
``return N`` comes back and waits until each client has had N published messages.
"""

import asyncio
import json
import secrets
import socket
import sys
import time
from base64 import b64encode
from pathlib import Path
from typing import Any, Final

import uvloop

MARK: Final = b'{"_meta":'
AT_A_TIME: Final = 100
"""Handshakes that are under way together, fewer than the server lets wait without credentials."""


def masked(text: str) -> bytes:
    """A client's text frame; a mask of zeros is a mask."""
    payload = text.encode()
    size = len(payload)
    head = bytes([0x81, 0x80 | size]) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
    return head + bytes(4) + payload


class Absentee(asyncio.Protocol):
    """One client: its session, and how many published messages have come since it connected."""

    def __init__(self, token: str, topic: str) -> None:
        self.token = token
        self.topic = topic
        self.session: dict[str, Any] | None = None
        self.received = 0
        self.told: dict[str, Any] = {}
        self._wanted = 0
        self._tail = b""
        self._transport: asyncio.Transport | None = None
        self.connected = asyncio.Event()
        self.complete = asyncio.Event()

    async def connect(self, port: int, wanted: int) -> None:
        """Connect, with the session if there is one; back when ``connected`` has come."""
        self._wanted, self.received, self._tail = wanted, 0, b""
        self.connected.clear()
        self.complete.clear()
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", port)
        await self.connected.wait()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = b64encode(secrets.token_bytes(16)).decode()
        transport.write(
            f"GET /ws/connect HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        command: dict[str, Any] = {"type": "connect", "token": self.token, "subscriptions": [self.topic]}
        if self.session is not None:
            command["session"] = self.session
        transport.write(masked(json.dumps(command)))

    def data_received(self, data: bytes) -> None:
        if not self.connected.is_set():
            data = self._tail + data
            # The frame behind the answer to the handshake; it has from 126 bytes to 64 KiB.
            start = data.find(b"\r\n\r\n") + 8
            end = start + int.from_bytes(data[start - 2 : start], "big")
            if start < 8 or len(data) < end:
                self._tail = data
                return
            self.told = json.loads(data[start:end])
            self.session = {"id": self.told["session_id"], "cursor": self.told["cursor"]}
            self.connected.set()
            data, self._tail = data[end:], b""
        # A mark may lie across two reads.
        seen = self._tail + data
        self.received += seen.count(MARK)
        self._tail = seen[-len(MARK) + 1 :]
        if self.received >= self._wanted:
            self.complete.set()

    def leave(self) -> None:
        """Drop the socket."""
        if self._transport is not None:
            self._transport.abort()


class Crowd:
    """All of them."""

    def __init__(self, port: int, tokens: list[str], topic: str) -> None:
        self._port = port
        self._clients = [Absentee(token, topic) for token in tokens]

    async def enter(self, wanted: int = 0) -> None:
        gate = asyncio.Semaphore(AT_A_TIME)

        async def one(client: Absentee) -> None:
            async with gate:
                await client.connect(self._port, wanted)

        await asyncio.gather(*map(one, self._clients))

    async def leave(self) -> None:
        for client in self._clients:
            client.leave()
        await asyncio.sleep(0.1)

    async def come_back(self, wanted: int) -> dict[str, Any]:
        began = time.monotonic()
        await self.enter(wanted)
        connected = time.monotonic() - began
        await asyncio.gather(*(client.complete.wait() for client in self._clients))
        return {
            "connected_after": connected,
            "complete_after": time.monotonic() - began,
            "resumed": sum(client.told["session"]["resumed"] for client in self._clients),
            "promised": sum(client.told["session"]["replayed"] for client in self._clients),
            "gaps": sum(len(client.told["session"]["gaps"]) for client in self._clients),
            "received": sum(client.received for client in self._clients),
        }


async def obey(port: int, tokens: list[str], topic: str) -> None:
    """Do what comes on standard input."""
    crowd = Crowd(port, tokens, topic)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        word, *rest = line.split()
        answer: dict[str, Any] = {}
        if word == "enter":
            await crowd.enter()
        elif word == "leave":
            await crowd.leave()
        else:
            answer = await crowd.come_back(int(rest[0]))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    wanted = int(sys.argv[3])
    uvloop.run(obey(int(sys.argv[1]), Path(sys.argv[2]).read_text().split()[:wanted], sys.argv[4]))
