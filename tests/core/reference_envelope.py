"""The slow, obvious twin of ``wsserver_core.envelope``: the table of the protocol, field by field.

``lay_out`` puts a frame together from its parts, any of which may be a lie; ``encode_message``,
``encode_control`` and ``decode`` are what the core has to agree with, byte by byte and word by word.
"""

import math
import struct
from array import array
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import lz4.block
from reference_lz4 import BlockFault, decompress
from reference_messagepack import Fault, pack, unpack

MAGIC = 0xB1
MESSAGE, SAMPLES, CONTROL = 1, 2, 3
LZ4, TOPIC = 1, 2
HEADER = struct.Struct("<BBBBIQqII")
COUNTS = struct.Struct("<II")
MAX_TOPIC = 130
MAX_NUMBER = 2**53
MIN_SAMPLES = 16
# A byte of an LZ4 block stands for at most so many.
LZ4_EXPANSION = 255
SAMPLE_TYPES = {1: "h", 2: "i", 3: "f", 4: "d"}

NO_HEADER = "the frame is shorter than its header"
WRONG_MAGIC = "the first byte is not 0xB1"
WRONG_KIND = "the kind is unknown"
KIND_NOT_TAKEN = "this kind is not taken here"
WRONG_FLAGS = "the flags are unknown"
WRONG_SAMPLE_TYPE = "the sample type does not fit the kind"
WRONG_TOPIC_LENGTH = "the topic's length does not fit"
WRONG_SEQ = "seq is out of range"
WRONG_TIME = "the time is out of range"
TOO_LARGE = "the body is over the limit"
WRONG_LENGTH = "the body's lengths do not fit"
WRONG_TOPIC = "the topic is not visible ASCII"
WRONG_PADDING = "the padding is not zero"
WRONG_LZ4 = "the LZ4 block is damaged"
WRONG_COUNT = "the samples' lengths do not fit"
WRONG_FIELD = "the samples have no field of their own"
SAMPLE_NOT_FINITE = "a sample is not finite"
WRONG_META = "_meta is not an id and a log"


@dataclass
class Envelope:
    kind: int
    topic: str | None
    seq: int
    time: int
    body: dict[str, Any]
    body_size: int


def padding(size: int) -> bytes:
    return bytes(-size % 8)


def lay_out(
    kind: int,
    sent: bytes,
    *,
    topic: bytes = b"",
    seq: int = 0,
    time: int = 0,
    magic: int = MAGIC,
    flags: int | None = None,
    sample_type: int = 0,
    topic_length: int | None = None,
    topic_padding: bytes | None = None,
    length: int | None = None,
    raw_length: int | None = None,
) -> bytes:
    """A frame around ``sent``. What is not given is what belongs there."""
    header = HEADER.pack(
        magic,
        kind,
        (TOPIC if topic else 0) if flags is None else flags,
        sample_type,
        len(topic) if topic_length is None else topic_length,
        seq,
        time,
        len(sent) if length is None else length,
        len(sent) if raw_length is None else raw_length,
    )
    return header + topic + (padding(len(topic)) if topic_padding is None else topic_padding) + sent


def samples_body(members: dict[str, Any], count: int, raw: bytes) -> bytes:
    """The body of kind 2; ``members`` name the samples' field under ``_samples``."""
    packed = pack(members)
    head = COUNTS.pack(len(packed), count) + packed
    return head + padding(len(head)) + raw


def narrowest(values: list[Any]) -> int:
    """The number of the narrowest sample type that holds every value exactly, or 0."""
    if not all(type(value) in (int, float) for value in values):
        return 0
    if all(type(value) is int for value in values):
        for number, bits in ((1, 15), (2, 31)):
            if all(-(1 << bits) <= value < 1 << bits for value in values):
                return number
        return 0
    for number, form in ((3, "<f"), (4, "<d")):
        if all(survives(form, value) for value in values):
            return number
    return 0


def survives(form: str, value: float) -> bool:
    if type(value) is int and abs(value) > MAX_NUMBER:
        return False
    try:
        return math.isfinite(value) and struct.unpack(form, struct.pack(form, value))[0] == value
    except OverflowError:
        return False


def encode_message(
    body: dict[str, Any],
    *,
    topic: str,
    seq: int,
    time: int,
    sample_fields: Collection[str] = ("data",),
    compression_threshold: int | None = 102400,
) -> bytes:
    field = next((name for name in sample_fields if name in body), None)
    sample_type = 0
    if field not in (None, "_meta", "_samples") and "_samples" not in body:
        values = body[field]
        if type(values) is list and len(values) >= MIN_SAMPLES:
            sample_type = narrowest(values)
    if sample_type:
        members = {name: value for name, value in body.items() if name != field} | {"_samples": field}
        form = f"<{len(values)}{SAMPLE_TYPES[sample_type]}"
        raw = samples_body(members, len(values), struct.pack(form, *values))
    else:
        raw = pack(body)
    return wrap(
        SAMPLES if sample_type else MESSAGE,
        raw,
        compression_threshold,
        topic=topic.encode(),
        seq=seq,
        time=time,
        sample_type=sample_type,
    )


def encode_control(body: dict[str, Any], *, time: int, compression_threshold: int | None = 102400) -> bytes:
    return wrap(CONTROL, pack(body), compression_threshold, time=time)


def wrap(kind: int, raw: bytes, threshold: int | None, *, topic: bytes = b"", **fields: int) -> bytes:
    if threshold is not None and len(raw) > threshold:
        block = lz4.block.compress(raw, store_size=False)
        if len(block) < len(raw):
            flags = LZ4 | (TOPIC if topic else 0)
            return lay_out(kind, block, topic=topic, flags=flags, raw_length=len(raw), **fields)
    return lay_out(kind, raw, topic=topic, **fields)


def utc_text(microseconds: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=microseconds // 1000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{microseconds // 1000 % 1000:03}Z"


def decode(
    data: bytes,
    *,
    max_size: int = 1 << 20,
    kinds: Collection[int] = (1, 2, 3),
    max_containers: float = math.inf,
) -> Envelope:
    """What a frame says. Raises Fault with the core's words."""

    def demand(condition: bool, reason: str) -> None:
        if not condition:
            raise Fault(reason)

    demand(len(data) >= HEADER.size, NO_HEADER)
    magic, kind, flags, sample_type, topic_length, seq, time, length, raw_length = HEADER.unpack_from(data)
    demand(magic == MAGIC, WRONG_MAGIC)
    demand(kind in (MESSAGE, SAMPLES, CONTROL), WRONG_KIND)
    demand(kind in kinds, KIND_NOT_TAKEN)
    demand(flags & ~(LZ4 | TOPIC) == 0, WRONG_FLAGS)
    demand(sample_type in SAMPLE_TYPES if kind == SAMPLES else sample_type == 0, WRONG_SAMPLE_TYPE)
    has_topic = bool(flags & TOPIC)
    demand(has_topic == (kind != CONTROL), WRONG_TOPIC_LENGTH)
    demand(1 <= topic_length <= MAX_TOPIC if has_topic else topic_length == 0, WRONG_TOPIC_LENGTH)
    demand(seq <= MAX_NUMBER if has_topic else seq == 0, WRONG_SEQ)
    demand(0 <= time <= MAX_NUMBER, WRONG_TIME)
    demand(raw_length <= max_size, TOO_LARGE)
    start = HEADER.size + topic_length + len(padding(topic_length))
    demand(start + length == len(data), WRONG_LENGTH)
    if flags & LZ4:
        demand(length < raw_length <= length * LZ4_EXPANSION, WRONG_LENGTH)
    else:
        demand(length == raw_length, WRONG_LENGTH)
    topic = data[HEADER.size : HEADER.size + topic_length]
    demand(all(0x21 <= byte <= 0x7E for byte in topic), WRONG_TOPIC)
    demand(not any(data[HEADER.size + topic_length : start]), WRONG_PADDING)
    raw = data[start:]
    if flags & LZ4:
        raw = unblock(raw, raw_length)
    if kind == SAMPLES:
        body = read_samples(raw, SAMPLE_TYPES[sample_type], demand, max_containers)
    else:
        body = unpack(raw, max_containers)
    text = topic.decode() if has_topic else None
    if has_topic and "_meta" in body:
        meta = body["_meta"]
        demand(type(meta) is dict and set(meta) == {"id", "log"}, WRONG_META)
        demand(all(type(value) is str for value in meta.values()), WRONG_META)
        body["_meta"] = {
            "id": meta["id"],
            "topic": text,
            "log": meta["log"],
            "seq": seq,
            "ts": utc_text(time),
        }
    return Envelope(kind, text, seq, time, body, raw_length)


def unblock(block: bytes, size: int) -> bytes:
    """The text of an LZ4 block: what the twin reads, if the lz4 package takes the block as well."""
    try:
        text = decompress(block)
        same = lz4.block.decompress(block, uncompressed_size=size)
    except (BlockFault, lz4.block.LZ4BlockError):
        raise Fault(WRONG_LZ4) from None
    if text != same or len(text) != size:
        raise Fault(WRONG_LZ4)
    return text


def read_samples(raw: bytes, form: str, demand: Any, max_containers: float) -> dict[str, Any]:
    demand(len(raw) >= COUNTS.size, WRONG_COUNT)
    map_length, count = COUNTS.unpack_from(raw)
    end = COUNTS.size + map_length
    start = end + len(padding(end))
    demand(start + count * struct.calcsize(f"<{form}") == len(raw), WRONG_COUNT)
    demand(not any(raw[end:start]), WRONG_PADDING)
    values = struct.unpack_from(f"<{count}{form}", raw, start)
    demand(all(map(math.isfinite, values)), SAMPLE_NOT_FINITE)
    body = unpack(raw[COUNTS.size : end], max_containers)
    field = body.pop("_samples", None)
    demand(type(field) is str and field not in body and field not in ("_meta", "_samples"), WRONG_FIELD)
    body[field] = array(form, values)
    return body
