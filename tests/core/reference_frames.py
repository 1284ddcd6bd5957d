"""The slow, obvious twin of ``wsserver_core.frames``: one byte at a time, straight from RFC 6455.

``client_frame`` builds what a client sends, faults included; ``ReferenceReader`` says what
must come out of it. The twin knows no budget: that one depends on how the stream is split.
"""

from collections.abc import Generator
from functools import cache

OVERSIZE = -1
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

Event = tuple[int, bytes | int]


def client_frame(
    opcode: int,
    payload: bytes = b"",
    *,
    final: bool = True,
    key: bytes = b"\x37\xfa\x21\x3d",
    rsv: int = 0,
    masked: bool = True,
    length_form: int | None = None,
    declared: int | None = None,
) -> bytes:
    """A frame as a client sends it; ``length_form`` (7, 16 or 64 bits) and ``declared`` override."""
    length = len(payload) if declared is None else declared
    if length_form is None:
        length_form = 7 if length < 126 else 16 if length < 1 << 16 else 64
    first = final << 7 | rsv << 4 | opcode
    bit = masked << 7
    if length_form == 7:
        head = bytes([first, bit | length])
    elif length_form == 16:
        head = bytes([first, bit | 126]) + length.to_bytes(2, "big")
    else:
        head = bytes([first, bit | 127]) + length.to_bytes(8, "big")
    if not masked:
        return head + payload
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


def reference_encode(opcode: int, payload: bytes) -> bytes:
    return client_frame(opcode, payload, masked=False)


# Each way in which the rest of a character can begin, completed by the smallest bytes.
TAILS = [second + b"\x80" * more for second in (b"\x80", b"\x90", b"\xa0") for more in range(3)]


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@cache
def begins_a_character(data: bytes) -> bool:
    """Whether some bytes after ``data`` make it one whole character.

    Not by an incremental decoder: CPython's takes ED A0, half a surrogate, for unfinished.
    """
    return is_text(data) or any(is_text(data + tail) for tail in TAILS)


class FrameError(Exception):
    def __init__(self, code: int) -> None:
        self.code = code


class ReferenceReader:
    def __init__(self, max_message_size: int, hard_message_size: int, max_fragments: int) -> None:
        self.max_message_size = max_message_size
        self.hard_message_size = hard_message_size
        self.max_fragments = max_fragments
        self.failure = 0
        self.ended = False
        self.unfinished = False
        self._events: list[Event] = []
        self._start_message()
        self._parser = self._read_frames()
        next(self._parser)

    def feed(self, data: bytes) -> list[Event]:
        for byte in data:
            if self.ended:
                break
            try:
                self._parser.send(byte)
            except FrameError as fault:
                self.failure = fault.code
                self.ended = True
            except StopIteration:
                self.ended = True
            if self.ended:
                self.unfinished = False
        events, self._events = self._events, []
        return events

    def _start_message(self) -> None:
        self._opcode = 0
        self._payload = b""
        self._size = 0
        self._fragments = 0
        self._swallowing = False
        self._character = b""  # the bytes of one that is not complete

    def _read_frames(self) -> Generator[None, int, None]:
        """Receives one byte at each ``yield``; returns after a close frame."""
        while True:
            self.unfinished = self._opcode != 0
            first = yield
            self.unfinished = True
            final, rsv, opcode = first >> 7, first >> 4 & 7, first & 15
            if rsv:
                raise FrameError(1002)
            if opcode not in (0, TEXT, BINARY, CLOSE, PING, PONG):
                raise FrameError(1002)
            control = opcode >= 8
            if control and not final:
                raise FrameError(1002)
            if opcode == 0 and not self._opcode:
                raise FrameError(1002)
            if opcode in (TEXT, BINARY) and self._opcode:
                raise FrameError(1002)
            if not control and self._fragments == self.max_fragments:
                raise FrameError(1009)

            second = yield
            if not second & 0x80:
                raise FrameError(1002)
            length = second & 0x7F
            if control and length > 125:
                raise FrameError(1002)
            if length == 126:
                length = yield from self._read_number(2)
                if length < 126:
                    raise FrameError(1002)
            elif length == 127:
                length = yield from self._read_number(8)
                if length >= 1 << 63 or length < 1 << 16:
                    raise FrameError(1002)
            if not control and self._size + length > self.hard_message_size:
                raise FrameError(1009)

            key = []
            for _ in range(4):
                key.append((yield))  # noqa: PERF401  a comprehension cannot receive

            if control:
                payload = b""
                for i in range(length):
                    payload += bytes([(yield) ^ key[i % 4]])
                if opcode == CLOSE:
                    self._check_close(payload)
                self._events.append((opcode, payload))
                if opcode == CLOSE:
                    return
                continue

            self._opcode = self._opcode or opcode
            self._fragments += 1
            if self._size + length > self.max_message_size:
                self._swallowing = True
            for i in range(length):
                byte = bytes([(yield) ^ key[i % 4]])
                self._payload += byte
                self._size += 1
                self._check_text(byte)
            if final:
                if self._character:
                    raise FrameError(1007)
                if self._swallowing:
                    self._events.append((OVERSIZE, self._size))
                else:
                    self._events.append((self._opcode, self._payload))
                self._start_message()

    def _read_number(self, size: int) -> Generator[None, int, int]:
        number = 0
        for _ in range(size):
            number = number * 256 + (yield)
        return number

    def _check_text(self, byte: bytes) -> None:
        if self._opcode == TEXT:
            self._character += byte
            if not begins_a_character(self._character):
                raise FrameError(1007)
            if is_text(self._character):
                self._character = b""

    @staticmethod
    def _check_close(body: bytes) -> None:
        if not body:
            return
        if len(body) == 1:
            raise FrameError(1002)
        code = int.from_bytes(body[:2], "big")
        if code not in {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}:
            raise FrameError(1002)
        if not is_text(body[2:]):
            raise FrameError(1007)
