"""LZ4 blocks, right and wrong: made by the lz4 package or by hand, and judged by it and by the twin."""

import struct
from collections.abc import Iterator
from typing import Any

import lz4.block
import reference_envelope as twin
from reference_messagepack import Fault, pack

Vector = dict[str, Any]


def lz4_blocks() -> list[Vector]:
    return [
        *(compressed_block(*one) for one in texts()),
        *(good_block(*one) for one in good_blocks()),
        *(bad_block(*one) for one in bad_blocks()),
    ]


def runs_of(text: bytes) -> list[tuple[str, int]]:
    """The text as hexadecimal units with how often each stands there: runs of one byte are long."""
    runs: list[tuple[bytes, int]] = []
    at = 0
    while at < len(text):
        end = at
        while end < len(text) and text[end] == text[at]:
            end += 1
        if end - at > 64 or not runs or runs[-1][1] > 1:
            runs.append((text[at : at + 1], end - at) if end - at > 64 else (text[at:end], 1))
        else:
            runs[-1] = (runs[-1][0] + text[at:end], 1)
        at = end
    return [(unit.hex(), times) for unit, times in runs]


def compressed_block(name: str, text: bytes) -> Vector:
    return good_block(name, lz4.block.compress(text, store_size=False), text)


def good_block(name: str, block: bytes, text: bytes) -> Vector:
    assert twin.unblock(block, len(text)) == text, name
    return {"name": name, "hex": block.hex(), "size": len(text), "output": runs_of(text)}


def bad_block(name: str, block: bytes, size: int) -> Vector:
    try:
        twin.unblock(block, size)
    except Fault as fault:
        return {"name": name, "hex": block.hex(), "size": size, "error": str(fault)}
    raise AssertionError(f"{name} is right")


def distinct(size: int) -> bytes:
    """Bytes in which LZ4 finds nothing to refer to."""
    state, made = 1, bytearray()
    for _ in range(size):
        state = state * 1_103_515_245 + 12_345 & 0x7FFFFFFF
        made.append(state >> 16 & 0xFF)
    return bytes(made)


def texts() -> Iterator[tuple[str, bytes]]:
    yield "nothing", b""
    yield "one byte", b"a"
    yield "twelve equal bytes are too short for a match", b"a" * 12
    yield "thirteen equal bytes", b"a" * 13
    yield "words", b"the heart beats, the heart rests, the heart beats, the heart rests"
    yield "65,536 zeros", bytes(65_536)
    yield "as MessagePack has it", pack({"text": "beat " * 200})
    yield "int16 samples", struct.pack("<400h", *([1000, 1010, 1030, 990] * 100))
    for size in (14, 15, 16, 15 + 254, 15 + 255, 15 + 256, 15 + 2 * 255, 15 + 3 * 255 - 1):
        yield f"{size} bytes without a match", distinct(size)
    for size in (18, 19, 20, 19 + 255, 20 + 255, 19 + 2 * 255, 5_000):
        yield f"a match of about {size} bytes", b"a" * (size + 6)
    for period in range(1, 20):
        yield f"a period of {period}", (distinct(period) * 60)[: period * 7 + 40]


def sequence(literals: bytes, offset: int, match: int) -> bytes:
    """One sequence of a block: literals, then ``match`` bytes from ``offset`` bytes back."""
    token = min(len(literals), 15) << 4 | min(match - 4, 15)
    return bytes([token]) + more(len(literals)) + literals + offset.to_bytes(2, "little") + more(match - 4)


def last(literals: bytes) -> bytes:
    return bytes([min(len(literals), 15) << 4]) + more(len(literals)) + literals


def more(length: int) -> bytes:
    if length < 15:
        return b""
    full, rest = divmod(length - 15, 255)
    return b"\xff" * full + bytes([rest])


END = b"0123456789ab"


def good_blocks() -> Iterator[tuple[str, bytes, bytes]]:
    for offset in (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33):
        literals = distinct(offset)
        text = (literals * 90)[: offset + 70] + END
        yield f"a match of 70 from offset {offset}", sequence(literals, offset, 70) + last(END), text
    for match in (4, 5, 18, 19, 20, 19 + 254, 19 + 255, 19 + 256, 19 + 2 * 255):
        text = b"ab" * 300
        yield f"a match of {match}", sequence(b"ab", 2, match) + last(END), text[: match + 2] + END
    yield (
        "a match right behind a match",
        sequence(b"abcd", 4, 8) + sequence(b"", 1, 6) + last(END),
        b"abcd" * 3 + b"d" * 6 + END,
    )
    far = sequence(b"abcd", 4, 4) + sequence(b"", 1, 65_531 - 4) + sequence(b"", 65_535, 8) + last(END)
    yield "the largest offset", far, b"abcdabcd" + b"d" * 65_527 + b"abcdabcd" + END
    yield "a length whose last byte is zero", last(distinct(15 + 255)), distinct(15 + 255)


def bad_blocks() -> Iterator[tuple[str, bytes, int]]:
    tail = last(END)
    yield "no bytes at all", b"", 1
    yield "offset 0", sequence(b"abcd", 0, 8) + tail, 4 + 8 + len(END)
    yield "an offset one beyond the beginning", sequence(b"abcd", 5, 8) + tail, 4 + 8 + len(END)
    yield (
        "the largest offset, far beyond the beginning",
        sequence(b"abcd", 65_535, 8) + tail,
        4 + 8 + len(END),
    )
    yield "a match before anything", sequence(b"", 1, 8) + tail, 8 + len(END)
    yield "fewer literals than announced", b"\x50abcd", 5
    yield "a length without its end", b"\xf0\xff\xff", 600
    yield "a length that never ends", b"\xf0" + b"\xff" * 64, 64 * 255 + 15
    yield "a match's length without its end", sequence(b"abcd", 4, 19 + 255)[:-1], 4 + 19 + 255
    yield "half an offset", b"\x44abcd\4", 12
    yield "no offset behind literals that should have one", sequence(b"abcd", 4, 8)[:-2], 12
    yield "more output than announced, by literals", last(END), len(END) - 1
    yield "more output than announced, by a match", sequence(b"abcd", 4, 80) + tail, 40
    yield "less output than announced", last(END), len(END) + 1
    yield "less output than announced, with a match", sequence(b"abcd", 4, 80) + tail, 4 + 80 + len(END) + 1
    yield "a byte behind the last literals", last(END) + b"\0", len(END)
    whole = sequence(b"abcdefgh" * 3, 8, 40) + tail
    for size in range(1, len(whole)):
        yield f"cut after {size} of {len(whole)} bytes", whole[:size], 24 + 40 + len(END)
