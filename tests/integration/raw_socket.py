"""A bare socket that speaks WebSocket by hand: it can be wrong, slow, or not read at all."""

import asyncio
import json
import os
import socket
import struct
from typing import Any, NamedTuple, Self

PATIENCE = 10.0
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    length: bytes | None = None,
) -> bytes:
    """One client frame; ``length`` overrides the spelling of its length (7-bit code and what follows)."""
    size = len(payload)
    if length is None:
        if size < 126:
            length = bytes([size])
        elif size < 65536:
            length = b"\x7e" + struct.pack("!H", size)
        else:
            length = b"\x7f" + struct.pack("!Q", size)
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode, length[0] | (0x80 if masked else 0)]) + length[1:]
    if not masked:
        return head + payload
    mask = os.urandom(4)
    repeated = mask * (size // 4 + 1)
    mixed = int.from_bytes(payload, "little") ^ int.from_bytes(repeated[:size], "little")
    return head + mask + mixed.to_bytes(size, "little")


def command(kind: str, **members: Any) -> bytes:
    return frame(TEXT, json.dumps({"type": kind, **members}).encode())


class Frame(NamedTuple):
    opcode: int
    payload: bytes

    @property
    def json(self) -> Any:
        assert self.opcode == TEXT, self
        return json.loads(self.payload)


class RawSocket:
    """Reads when asked and never on its own."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = b""

    @classmethod
    async def dial(cls, port: int, *, receive_buffer: int | None = None) -> Self:
        """Connect TCP and nothing more."""
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with asyncio.timeout(PATIENCE):
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        return cls(sock)

    @classmethod
    async def open(
        cls,
        port: int,
        token: str | None = None,
        *,
        path: str = "/ws/connect",
        behind: bytes = b"",
        receive_buffer: int | None = None,
    ) -> Self:
        """Do the handshake, with ``behind`` in the same segment right after it."""
        raw = await cls.dial(port, receive_buffer=receive_buffer)
        await raw.send(upgrade(port, token, path=path) + behind)
        head = await raw.read_head()
        assert head.startswith("HTTP/1.1 101 "), head
        return raw

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(PATIENCE):
            await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def read_head(self) -> str:
        while b"\r\n\r\n" not in self._buffer:
            assert await self._fill(), f"the server hung up: {self._buffer!r}"
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head.decode("latin-1")

    async def read_frame(self) -> Frame | None:
        """The next frame, or None when the server has closed the TCP connection."""
        if (first := await self._take(2)) is None:
            return None
        size = first[1] & 0x7F
        assert first[0] & 0xF0 == 0x80, "a server frame is final and has no reserved bits"
        assert first[1] < 128, "a server does not mask"
        if size >= 126:
            long = await self._take(2 if size == 126 else 8)
            assert long is not None
            size = int.from_bytes(long, "big")
        payload = await self._take(size)
        assert payload is not None
        return Frame(first[0] & 0x0F, payload)

    async def read_message(self) -> Any:
        """The next text frame as JSON; pings are passed over."""
        while (got := await self.read_frame()) is not None:
            if got.opcode == TEXT:
                return got.json
            assert got.opcode != CLOSE, f"closed: {got.payload!r}"
        raise AssertionError("the server hung up")

    async def read_close(self) -> tuple[int, list[Frame]]:
        """Read up to the close frame: its code, and the frames before it. 1006 for a bare end."""
        before: list[Frame] = []
        while (got := await self.read_frame()) is not None:
            if got.opcode == CLOSE:
                return struct.unpack("!H", got.payload[:2])[0], before
            before.append(got)
        return 1006, before

    async def hung_up(self) -> bool:
        """Whether the server ends the TCP connection; reads away what comes before."""
        while await self._fill():
            self._buffer = b""
        return True

    async def abort(self) -> None:
        self.sock.close()

    async def _take(self, size: int) -> bytes | None:
        while len(self._buffer) < size:
            if not await self._fill():
                return None
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    async def _fill(self) -> bool:
        async with asyncio.timeout(PATIENCE):
            try:
                data = await asyncio.get_running_loop().sock_recv(self.sock, 1 << 18)
            except ConnectionError:
                return False
        self._buffer += data
        return bool(data)


def upgrade(port: int, token: str | None = None, *, path: str = "/ws/connect", extra: str = "") -> bytes:
    """The bytes of an opening handshake."""
    bearer = f"Authorization: Bearer {token}\r\n" if token is not None else ""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{bearer}{extra}\r\n"
    ).encode()
