"""The client's end of a connection, without a socket."""

import json
from array import array
from collections.abc import Iterator
from typing import Any

from hand_loop import HandLoop

from wsserver_core.connection import Connection
from wsserver_core.envelope import decode, encode_control

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def masked(opcode: int, payload: bytes) -> bytes:
    """A client's frame. A mask of zeros is a mask."""
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 65536:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    return bytes([0x80 | opcode]) + length + bytes(4) + payload


def frames_in(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The server's frames in a stream of whole ones."""
    while data:
        size, start = data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(data[2:10], "big"), 10
        yield data[0] & 15, data[start : start + size]
        data = data[start + size :]


class Written:
    """What the server wrote, as frames."""

    is_binary = False

    def __init__(self) -> None:
        self.data = b""
        self._taken = 0

    @property
    def frames(self) -> list[tuple[int, bytes]]:
        return list(frames_in(self.data))

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What was said, which must be all in the protocol of this connection."""
        spoken = BINARY if self.is_binary else TEXT
        said = [(opcode, payload) for opcode, payload in self.frames if opcode in (TEXT, BINARY)]
        assert all(opcode == spoken for opcode, _ in said)
        return [self._read_message(payload) for _, payload in said]

    def _read_message(self, payload: bytes) -> dict[str, Any]:
        if not self.is_binary:
            message: dict[str, Any] = json.loads(payload)
            return message
        body = decode(payload, max_size=1 << 24).body
        return {name: list(value) if isinstance(value, array) else value for name, value in body.items()}

    @property
    def types(self) -> list[str]:
        return [message["type"] for message in self.messages]

    @property
    def close_code(self) -> int | None:
        """The code of the close frame, None while there is none."""
        for opcode, payload in self.frames:
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big")
        return None

    def take(self) -> list[dict[str, Any]]:
        """The messages that have come since the last call."""
        messages = self.messages
        fresh, self._taken = messages[self._taken :], len(messages)
        return fresh


class RecordingWebSocket(Written):
    """A foreign object for ``ConnectionManager.connect``."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = 0

    def write(self, data: bytes) -> None:
        self.data += data

    def close(self) -> None:
        self.closed += 1


class FarEnd(Written):
    """A transport for a connection of the core, and the client that holds its other end.

    Like a real one it reports its end in a later turn of the loop.
    """

    def __init__(self, loop: HandLoop) -> None:
        super().__init__()
        self.connection: Connection | None = None
        self.reading = True
        self.stuck = False
        self._loop = loop
        self._buffered = 0
        self._closing = False

    # -- the client

    def send(self, **command: Any) -> None:
        """One command as JSON text."""
        self.send_raw(TEXT, json.dumps(command).encode())

    def send_packed(self, **command: Any) -> None:
        """One command as a binary frame."""
        self.send_raw(BINARY, encode_control(command, time=0))

    def send_raw(self, opcode: int, payload: bytes) -> None:
        self.feed(masked(opcode, payload))

    def feed(self, data: bytes) -> None:
        assert self.connection is not None
        self.connection.feed(data)

    def leave(self) -> None:
        """The socket breaks."""
        self.abort()

    # -- asyncio.Transport

    def set_protocol(self, protocol: Connection) -> None:
        self.connection = protocol
        self.is_binary = protocol.is_binary

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        pass

    def write(self, data: bytes) -> None:
        if self.stuck:
            self._buffered += len(data)
        else:
            self.data += bytes(data)

    def get_write_buffer_size(self) -> int:
        return self._buffered

    def is_closing(self) -> bool:
        return self._closing

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        self._end()

    def abort(self) -> None:
        self._end()

    def _end(self) -> None:
        if not self._closing:
            self._closing = True
            assert self.connection is not None
            self._loop.call_soon(self.connection.connection_lost, None)
