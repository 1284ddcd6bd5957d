"""Objects in MessagePack, right and wrong."""

import struct
from collections.abc import Iterator
from typing import Any

from reference_messagepack import Fault, pack, unpack

Vector = dict[str, Any]

NAN, INFINITY = float("nan"), float("inf")


def nested(depth: int) -> dict[str, Any]:
    body: Any = {}
    for level in range(depth - 1):
        body = [body] if level % 2 and level < depth - 2 else {"a": body}
    return body


EVERYTHING = {
    "null": None,
    "true": True,
    "false": False,
    "integers": [n for b in (0, 5, 7, 8, 15, 16, 31, 32, 53) for n in (2**b - 1, 2**b, -(2**b), 1 - 2**b)],
    "below": [-(2**b) - 1 for b in (5, 7, 15, 31)],
    "floats": [0.0, -0.0, 1.0, -1.5, 0.1, 5e-324, 1.7976931348623157e308],
    "texts": ["", "x" * 31, "x" * 32, "x" * 255, "x" * 256],
    "lists": [[], [0] * 15, [0] * 16],
    "objects": [{}, {f"k{i}": i for i in range(15)}, {f"k{i}": i for i in range(16)}],
}


def message_packs() -> list[Vector]:
    return [*(good_pack(name, data) for name, data in good_packs()), *(bad_pack(*one) for one in bad_packs())]


def good_pack(name: str, data: bytes) -> Vector:
    return {"name": name, "hex": data.hex(), "value": unpack(data)}


def bad_pack(name: str, data: bytes) -> Vector:
    try:
        unpack(data)
    except Fault as fault:
        return {"name": name, "hex": data.hex(), "error": str(fault)}
    raise AssertionError(f"{name} is right")


def one(value: bytes) -> bytes:
    """An object whose only member is these bytes."""
    return b"\x81\xa1a" + value


def good_packs() -> Iterator[tuple[str, bytes]]:
    yield "an empty object", b"\x80"
    yield "every kind of value", pack(EVERYTHING)
    yield "nested as deep as may be", pack(nested(32))
    yield "the largest integer", one(b"\xcf" + (2**53).to_bytes(8, "big"))
    yield "the smallest integer", one(b"\xd3" + (-(2**53)).to_bytes(8, "big", signed=True))
    for lead in range(0xCC, 0xD4):
        size = 1 << (lead & 3)
        yield f"a small integer in form {lead:#x}", one(bytes([lead]) + (7).to_bytes(size, "big"))
    for lead, size in ((0xD0, 1), (0xD1, 2), (0xD2, 4), (0xD3, 8)):
        yield f"-1 in form {lead:#x}", one(bytes([lead]) + b"\xff" * size)
    for lead, size in ((0xD9, 1), (0xDA, 2), (0xDB, 4)):
        yield f"empty text in form {lead:#x}", one(bytes([lead]) + bytes(size))
        yield f"an empty key in form {lead:#x}", b"\x81" + bytes([lead]) + bytes(size) + b"\xc0"
    for lead, size in ((0xDC, 2), (0xDD, 4), (0xDE, 2), (0xDF, 4)):
        yield f"nothing inside form {lead:#x}", one(bytes([lead]) + bytes(size))
    yield "float32", one(b"\xca" + struct.pack(">f", 0.1))
    yield "the smallest float32", one(b"\xca" + struct.pack(">f", 2.0**-149))
    yield "minus zero", one(b"\xcb" + struct.pack(">d", -0.0))
    yield (
        "characters of each length",
        pack({"a": "a\u0080\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"}),
    )
    yield "a byte order mark is text", pack({"a": "\ufeffx"})
    yield "__proto__", pack({"__proto__": {"a": 1}, "constructor": {"prototype": 1}})
    yield "a key twice further inside: the last one counts", one(b"\x82\xa1b\1\xa1b\2")


NOT_UTF8 = [
    *(b"\x80", b"\xbf", b"\xff", b"\xc0\x80", b"\xc1\xbf", b"\xf5\x80\x80\x80"),  # no first byte
    *(b"\xc2", b"\xe1\x80", b"\xf0\x90\x80", b"a\xc3", b"\xc3a", b"\xe1\x80a"),  # breaks off
    *(b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf"),  # longer than needed
    *(b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf4\x90\x80\x80"),  # surrogates, beyond the last character
    *(b"abcdefgh\xff", b"abcdefgh\xc3", b"abcdefghijklm\x80"),
]


def bad_packs() -> Iterator[tuple[str, bytes]]:
    yield "nothing", b""
    yield "no object: a number", b"\1"
    yield "no object: a list", b"\x91\x80"
    yield "no object: text", b"\xa1a"
    yield "two objects", b"\x80\x80"
    yield "a byte behind the object", one(b"\1") + b"\0"
    yield "a key twice", b"\x82\xa1a\1\xa1a\2"
    yield "nested one too deep", pack(nested(33))
    yield "lists one too deep", one(b"\x91" * 31 + b"\x90")
    yield "objects one too deep", one(b"\x81\xa1a" * 31 + b"\x80")
    yield "10,000 lists", one(b"\x91" * 10_000)
    for lead, size in ((0xDC, 2), (0xDD, 4), (0xDE, 2), (0xDF, 4)):
        yield f"the largest length in form {lead:#x}", one(bytes([lead]) + b"\xff" * size + b"\xc0" * 9)
        yield f"one item too few in form {lead:#x}", one(bytes([lead]) + (2).to_bytes(size, "big") + b"\xa0")
    for lead, size in ((0xD9, 1), (0xDA, 2), (0xDB, 4)):
        yield f"the largest length in form {lead:#x}", one(bytes([lead]) + b"\xff" * size + b"x" * 9)
        yield (
            f"the largest length of a key in form {lead:#x}",
            b"\x81" + bytes([lead]) + b"\xff" * size + b"x",
        )
    yield "an object of 4 Gi members", b"\xdf\xff\xff\xff\xff"
    # Twice 2^31 + 1 is 2 where sizes are 32 bits wide.
    yield "an object whose items wrap around", b"\xdf\x80\x00\x00\x01\xa1a\1"
    yield "a list that takes the next member's bytes", b"\x82\xa1a\x93\1\2\xa1b\3"
    for lead in (0xC1, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8):
        yield f"type {lead:#x}", one(bytes([lead]) + bytes(20))
    yield "a timestamp", one(b"\xd6\xff\0\0\0\0")
    for lead in (0x01, 0xFF, 0xC0, 0xC3, 0xCC, 0xCB, 0x80, 0x90, 0xC4):
        yield f"a key of type {lead:#x}", b"\x81" + bytes([lead]) + bytes(20)
    for value in (2**53 + 1, 2**63, 2**64 - 1):
        yield f"the integer {value}", one(b"\xcf" + value.to_bytes(8, "big"))
    for value in (2**53 + 1, -(2**53) - 1, -(2**63)):
        yield f"the signed integer {value}", one(b"\xd3" + value.to_bytes(8, "big", signed=True))
    for value in (NAN, INFINITY, -INFINITY):
        yield f"{value} as float32", one(b"\xca" + struct.pack(">f", value))
        yield f"{value} as float64", one(b"\xcb" + struct.pack(">d", value))
    for text in NOT_UTF8:
        yield f"the text {text!r}", one(bytes([0xA0 | len(text)]) + text)
    yield "a key that is not UTF-8", b"\x81\xa1\xff\1"
    whole = pack({"n": None, "i": [1, -40, 300, 70_000], "f": 0.5, "t": "é" * 20, "o": {"x": True}})
    for size in range(1, len(whole)):
        yield f"cut after {size} of {len(whole)} bytes", whole[:size]
