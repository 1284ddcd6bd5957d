"""The slow, obvious twin of what the core takes as MessagePack: an object of JSON's values.

``pack`` writes each value in its shortest form; ``unpack`` reads one object and says what is wrong
with it in the words of the core. Both follow the tables of the MessagePack specification.
"""

import math
import struct
from typing import Any

MAX_DEPTH = 32
MAX_INTEGER = 2**53

TRUNCATED = "MessagePack ends too early"
TOO_DEEP = "MessagePack is nested deeper than 32"
FOREIGN_TYPE = "MessagePack has a type that JSON does not have"
KEY_NOT_TEXT = "MessagePack has a key that is not text"
NOT_UTF8 = "MessagePack has text that is not UTF-8"
INTEGER_TOO_LARGE = "MessagePack has an integer beyond 2^53"
NOT_FINITE = "MessagePack has a number that is not finite"
NOT_AN_OBJECT = "MessagePack is not an object"
TRAILING = "MessagePack has bytes behind the object"
KEY_TWICE = "MessagePack has a key twice"
TOO_MANY_CONTAINERS = "MessagePack has too many objects and arrays"


class Fault(ValueError):
    """What is wrong with some bytes."""


def pack(value: Any) -> bytes:
    if value is None:
        return b"\xc0"
    if value is True:
        return b"\xc3"
    if value is False:
        return b"\xc2"
    if isinstance(value, int):
        return pack_integer(value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str):
        text = value.encode()
        return pack_length(len(text), (0xA0, 32), (0xD9, 1), (0xDA, 2), (0xDB, 4)) + text
    if isinstance(value, list):
        return pack_length(len(value), (0x90, 16), (0xDC, 2), (0xDD, 4)) + b"".join(map(pack, value))
    head = pack_length(len(value), (0x80, 16), (0xDE, 2), (0xDF, 4))
    return head + b"".join(pack(key) + pack(member) for key, member in value.items())


def pack_integer(value: int) -> bytes:
    if -32 <= value < 128:
        return struct.pack(">b" if value < 0 else ">B", value)
    forms = ">xB >xH >xI >xQ" if value > 0 else ">xb >xh >xi >xq"
    for step, form in enumerate(forms.split()):
        try:
            packed = struct.pack(form, value)
        except struct.error:
            continue
        return bytes([(0xCC if value > 0 else 0xD0) + step]) + packed[1:]
    raise OverflowError(value)


def pack_length(length: int, short: tuple[int, int], *long: tuple[int, int]) -> bytes:
    first, below = short
    if length < below:
        return bytes([first | length])
    for lead, size in long:
        if length < 1 << 8 * size:
            return bytes([lead]) + length.to_bytes(size, "big")
    raise OverflowError(length)


def unpack(data: bytes, max_containers: float = math.inf) -> dict[str, Any]:
    """The object in ``data``, which ends where it does. Raises Fault."""
    if not data:
        raise Fault(TRUNCATED)
    if not (0x80 <= data[0] <= 0x8F or data[0] in (0xDE, 0xDF)):
        raise Fault(NOT_AN_OBJECT)
    reader = Reader(data, max_containers)
    value = reader.value(0)
    if reader.at != len(data):
        raise Fault(TRAILING)
    if reader.root_entries != len(value):
        raise Fault(KEY_TWICE)
    return value


class Reader:
    def __init__(self, data: bytes, max_containers: float) -> None:
        self.data = data
        self.containers_left = max_containers
        self.at = 0
        self.root_entries = 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise Fault(TRUNCATED)
        taken = self.data[self.at : self.at + count]
        self.at += count
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def value(self, depth: int) -> Any:
        lead = self.number(1)
        if lead < 0x80:
            return lead
        if lead >= 0xE0:
            return lead - 0x100
        if lead < 0x90:
            return self.map(lead & 0x0F, depth)
        if lead < 0xA0:
            return self.array(lead & 0x0F, depth)
        if lead < 0xC0:
            return self.text(lead & 0x1F)
        match lead:
            case 0xC0:
                return None
            case 0xC2 | 0xC3:
                return lead == 0xC3
            case 0xCA:
                return self.real(">f", 4)
            case 0xCB:
                return self.real(">d", 8)
            case 0xCC | 0xCD | 0xCE | 0xCF:
                return self.integer(1 << lead - 0xCC, signed=False)
            case 0xD0 | 0xD1 | 0xD2 | 0xD3:
                return self.integer(1 << lead - 0xD0, signed=True)
            case 0xD9 | 0xDA | 0xDB:
                return self.text(self.number(1 << lead - 0xD9))
            case 0xDC | 0xDD:
                return self.array(self.number(2 << lead - 0xDC), depth)
            case 0xDE | 0xDF:
                return self.map(self.number(2 << lead - 0xDE), depth)
        raise Fault(FOREIGN_TYPE)

    def integer(self, size: int, *, signed: bool) -> int:
        value = int.from_bytes(self.take(size), "big", signed=signed)
        if abs(value) > MAX_INTEGER:
            raise Fault(INTEGER_TOO_LARGE)
        return value

    def real(self, form: str, size: int) -> float:
        (value,) = struct.unpack(form, self.take(size))
        if not math.isfinite(value):
            raise Fault(NOT_FINITE)
        return value

    def text(self, size: int) -> str:
        try:
            return self.take(size).decode()
        except UnicodeDecodeError:
            raise Fault(NOT_UTF8) from None

    def array(self, count: int, depth: int) -> list[Any]:
        self.open(count, depth)
        return [self.value(depth + 1) for _ in range(count)]

    def map(self, count: int, depth: int) -> dict[str, Any]:
        self.open(2 * count, depth)
        if depth == 0:
            self.root_entries = count
        members = {}
        for _ in range(count):
            lead = self.take(1)[0]
            if not (0xA0 <= lead < 0xC0 or lead in (0xD9, 0xDA, 0xDB)):
                raise Fault(KEY_NOT_TEXT)
            self.at -= 1
            key = self.value(depth + 1)
            members[key] = self.value(depth + 1)
        return members

    def open(self, items: int, depth: int) -> None:
        """A container of so many items begins ``depth`` containers deep; each takes a byte or more."""
        if depth == MAX_DEPTH:
            raise Fault(TOO_DEEP)
        self.containers_left -= 1
        if self.containers_left < 0:
            raise Fault(TOO_MANY_CONTAINERS)
        if items > len(self.data) - self.at:
            raise Fault(TRUNCATED)
