"""A client that sends as fast as it is told, heeds nothing and comes back at once.

It runs in a thread of its own with a blocking socket, so that it floods while a test's loop measures what
that does to others.
"""

import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable

from raw_socket import CLOSE, PONG, TEXT, upgrade

GRAIN = 0.005
"""Seconds between two batches."""


class Flooder:
    """Sends what ``wire(count)`` gives, ``per_second`` of them, for ``seconds``.

    ``rest`` are the seconds between two connections. Read the figures when ``join`` has returned.
    """

    def __init__(
        self,
        port: int,
        token: str,
        wire: Callable[[int], bytes],
        per_second: float,
        *,
        seconds: float,
        rest: float = 0.0,
        reads: bool = True,
    ) -> None:
        self._port, self._token, self._wire, self._reads = port, token, wire, reads
        self._per_second, self._rest = per_second, rest
        self._ends = time.monotonic() + seconds
        self.connections = self.sent = self.refused = self.pongs = 0
        """Handshakes that succeeded, things sent, handshakes that were refused, pongs received."""
        self.bytes_sent = 0
        self.errors: Counter[int] = Counter()
        """Error messages by their code."""
        self.answers: Counter[str] = Counter()
        """Messages that are no errors by their type."""
        self.waits: list[int] = []
        """What ``retry_after_ms`` said, each time."""
        self.closes: Counter[int] = Counter()
        """How connections ended: the code of the close frame, 1006 without one, 0 for one that lasted."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def is_done(self) -> bool:
        return not self._thread.is_alive()

    def _run(self) -> None:
        while time.monotonic() < self._ends:
            with socket.create_connection(("127.0.0.1", self._port), 5) as sock:
                try:
                    sock.sendall(upgrade(self._port, self._token))
                    rest = _head(sock)
                    if rest is None:
                        self.refused += 1
                        continue
                    self.connections += 1
                    self.closes[self._flood(sock, bytearray(rest))] += 1
                except OSError:
                    self.closes[1006] += 1
            time.sleep(self._rest)

    def _flood(self, sock: socket.socket, received: bytearray) -> int:
        sock.settimeout(GRAIN)
        started, count, waiting = time.monotonic(), 0, b""
        if code := self._read(received):
            return code
        while (now := time.monotonic()) < self._ends:
            if not waiting and (due := int((now - started) * self._per_second) + 1 - count):
                waiting = self._wire(due)
                count += due
                self.sent += due
            try:
                if waiting:
                    gone = sock.send(waiting[: 1 << 18])
                    self.bytes_sent += gone
                    waiting = waiting[gone:]
            except TimeoutError:
                pass
            except OSError:
                waiting = b""
            if not self._reads:
                continue
            try:
                data = sock.recv(1 << 18)
            except TimeoutError:
                continue
            received += data
            code = self._read(received)
            if code or not data:
                return code or 1006
        return 0

    def _read(self, received: bytearray) -> int:
        """Take the frames out of what was received; the code of a close frame among them, or 0."""
        while len(received) >= 2:
            size, start = received[1], 2
            if size == 126:
                size, start = struct.unpack_from("!H", received, 2)[0] if len(received) >= 4 else 1 << 20, 4
            if len(received) < start + size:
                return 0
            opcode, payload = received[0] & 0x0F, bytes(received[start : start + size])
            del received[: start + size]
            if opcode == CLOSE:
                return int(struct.unpack("!H", payload[:2])[0])
            if opcode == PONG:
                self.pongs += 1
            elif opcode == TEXT:
                message = json.loads(payload)
                if message["type"] == "error":
                    self.errors[message["code"]] += 1
                    if "retry_after_ms" in message:
                        self.waits.append(message["retry_after_ms"])
                else:
                    self.answers[message["type"]] += 1
        return 0


def _head(sock: socket.socket) -> bytes | None:
    """Read the answer to the handshake: what came behind a 101, or None for a refusal."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(4096)
        if not more:
            return None
        data += more
    return data.partition(b"\r\n\r\n")[2] if data.startswith(b"HTTP/1.1 101") else None
