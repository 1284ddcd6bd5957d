"""The binary protocol as a client of another make would read and write it: by its table, field by field."""

import struct
from typing import Any, NamedTuple

import lz4.block
import msgspec

HEADER = struct.Struct("<BBBBIQqII")
TYPES = {1: "h", 2: "i", 3: "f", 4: "d"}


class BinaryFrame(NamedTuple):
    """What the header of a frame says, and its body as the object that JSON would have."""

    kind: int
    flags: int
    sample_type: int
    topic: str | None
    seq: int
    time: int
    body: dict[str, Any]


def pack_frame(kind: int, body: Any, *, topic: str = "", seq: int = 0, flags: int = 0) -> bytes:
    """A frame of kind 1 or 3; with bit 0 of the flags its body is compressed."""
    raw = body if isinstance(body, bytes) else msgspec.msgpack.encode(body)
    sent = lz4.block.compress(raw, store_size=False) if flags & 1 else raw
    header = HEADER.pack(0xB1, kind, flags | (2 if topic else 0), 0, len(topic), seq, 0, len(sent), len(raw))
    return header + topic.encode() + bytes(-len(topic) % 8) + sent


def read_frame(data: bytes) -> BinaryFrame:
    """A frame of the server, which is taken to be right."""
    magic, kind, flags, sample_type, topic_length, seq, time, length, whole = HEADER.unpack_from(data)
    assert magic == 0xB1
    start = HEADER.size + topic_length + -topic_length % 8
    raw = data[start:]
    assert len(raw) == length
    if flags & 1:
        raw = lz4.block.decompress(raw, uncompressed_size=whole)
    assert len(raw) == whole
    topic = data[HEADER.size : HEADER.size + topic_length].decode() if flags & 2 else None
    if kind == 2:
        map_length, count = struct.unpack_from("<II", raw)
        body = msgspec.msgpack.decode(raw[8 : 8 + map_length])
        at = 8 + map_length + -(8 + map_length) % 8
        body[body.pop("_samples")] = list(struct.unpack_from(f"<{count}{TYPES[sample_type]}", raw, at))
    else:
        body = msgspec.msgpack.decode(raw)
    return BinaryFrame(kind, flags, sample_type, topic, seq, time, body)
