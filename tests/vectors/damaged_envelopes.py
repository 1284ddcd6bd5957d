"""Envelopes that are wrong, each in one way."""

import json
import struct
from collections.abc import Iterator
from typing import Any

import lz4.block
import reference_envelope as twin
from envelope_vectors import MESSAGE, META, Vector, frame, samples_frame
from reference_messagepack import Fault, pack

NAN, INFINITY = float("nan"), float("inf")


def wrong(name: str, data: bytes, **options: Any) -> Vector:
    try:
        twin.decode(data, **options)
    except Fault as fault:
        return {"name": name, "hex": data.hex(), "error": str(fault), **options}
    raise AssertionError(f"{name} is right")


def damaged_headers() -> Iterator[Vector]:
    body = pack(MESSAGE)
    whole = len(body)
    yield wrong("nothing", b"")
    yield wrong("a wrong magic byte", frame(body, magic=0xB2))
    yield wrong("JSON", b'{"type":"ping","padding":"0123456789"}')
    for kind in (0, 4, 255):
        yield wrong(f"kind {kind}", frame(body, kind))
    yield wrong("samples where they are not taken", samples_frame({"_samples": "v"}, 0, b""), kinds=[1, 3])
    yield wrong("a message where only control frames are taken", frame(body), kinds=[3])
    for flags in (4, 6, 0x80, 0xFE):
        yield wrong(f"flags {flags:#x}", frame(body, flags=flags))
    yield wrong("a sample type in a message", frame(body, sample_type=1))
    yield wrong("a sample type in a control frame", frame(body, twin.CONTROL, sample_type=1))
    for number in (0, 5, 255):
        yield wrong(f"sample type {number}", samples_frame({"_samples": "v"}, 0, b"", number))
    yield wrong("a message without topic", frame(body, topic=b""))
    yield wrong("a message with a topic and no flag", frame(body, flags=0))
    yield wrong("a message with the flag and no topic", frame(body, topic=b"", flags=2))
    yield wrong("a control frame with a topic", frame(body, twin.CONTROL, topic=b"patient:123"))
    yield wrong("a control frame with a topic and no flag", frame(body, twin.CONTROL, topic=b"x", flags=0))
    yield wrong("a control frame with the flag and no topic", frame(body, twin.CONTROL, flags=2))
    yield wrong("a topic of 131 bytes", frame(body, topic=b"t" * 131))
    yield wrong("a topic of 4 GiB", frame(body, topic_length=2**32 - 1))
    yield wrong("a topic that reaches beyond the end", frame(body, topic=b"t", topic_length=130))
    yield wrong("a topic one longer than it is", frame(body, topic=b"ecg:1234", topic_length=9))
    yield wrong("a topic one shorter than it is", frame(body, topic=b"ecg:12345", topic_length=8))
    yield wrong("a topic shorter than it is, within its padding", frame(body, topic_length=10))
    for topic in (b"a b", b"\0", b"a\x7f", "ä:1".encode()):
        yield wrong(f"the topic {topic!r}", frame(body, topic=topic))
    yield wrong("a topic without its padding", frame(body, topic_padding=b""))
    yield wrong("a topic's padding that is not zero", frame(body, topic_padding=b"\0\0\0\0\1"))
    yield wrong("seq beyond 2^53", frame(body, seq=2**53 + 1))
    yield wrong("the largest seq of 64 bits", frame(body, seq=2**64 - 1))
    yield wrong("seq in a control frame", frame(body, twin.CONTROL, seq=1))
    yield wrong("a time before 1970", frame(body, time=-1))
    yield wrong("a time beyond 2^53", frame(body, time=2**53 + 1))
    yield wrong("a body over the limit", frame(body), max_size=whole - 1)
    yield wrong("a body of 4 GiB", frame(body, length=2**32 - 1, raw_length=2**32 - 1))
    yield wrong("a body one longer than it is", frame(body, length=whole + 1, raw_length=whole + 1))
    yield wrong("a body one shorter than it is", frame(body, length=whole - 1, raw_length=whole - 1))
    yield wrong("a body of no bytes, and bytes", frame(body, length=0, raw_length=0))
    yield wrong("no body", frame(b""))
    yield wrong("a byte behind the frame", frame(body) + b"\0")
    yield wrong("an uncompressed size without LZ4", frame(body, raw_length=whole + 1))
    yield wrong("a smaller uncompressed size without LZ4", frame(body, raw_length=whole - 1))


def damaged_bodies() -> Iterator[Vector]:
    text = pack({"text": "beat " * 200})
    block = lz4.block.compress(text, store_size=False)
    lz4_flags = twin.LZ4 | twin.TOPIC

    def compressed(sent: bytes, raw_length: int) -> bytes:
        return frame(sent, flags=lz4_flags, raw_length=raw_length)

    yield wrong("LZ4 over the limit", compressed(block, len(text)), max_size=len(text) - 1)
    yield wrong("LZ4 of 4 GiB", compressed(block, 2**32 - 1))
    yield wrong("LZ4 with more than its bytes can hold", compressed(block, len(block) * 255 + 1))
    yield wrong("LZ4 with one byte more than there is", compressed(block, len(text) + 1))
    yield wrong("LZ4 with as much as its bytes could hold", compressed(block, len(block) * 255))
    yield wrong("LZ4 with one byte less than there is", compressed(block, len(text) - 1))
    yield wrong("LZ4 that is as large as the text", compressed(block, len(block)))
    yield wrong("LZ4 that is larger than the text", compressed(block, len(block) - 1))
    yield wrong("LZ4 of nothing", compressed(b"\0", 0))
    yield wrong("LZ4 of no bytes", compressed(b"", 1))
    yield wrong("LZ4 cut at its end", compressed(block[:-1], len(text)))
    yield wrong("LZ4 with a byte behind it", compressed(block + b"\0", len(text)))
    yield wrong(
        "LZ4 of a message that is none", compressed(lz4.block.compress(b"x" * 99, store_size=False), 99)
    )
    # One literal, then four bytes from the offset, then the five literals that end every block.
    yield wrong("LZ4 with offset 0", compressed(b"\x10a\0\0\x50aaaaa", 30))
    yield wrong("LZ4 with an offset beyond the beginning", compressed(b"\x1fa\2\0\x20\x50aaaaa", 57))

    raw = struct.pack("<16h", *range(16))
    members = {"_meta": META, "type": "ecg_data", "_samples": "data"}
    packed = pack(members)
    body = twin.samples_body(members, 16, raw)
    head = body[: -len(raw)]

    def samples(sent: bytes, sample_type: int = 1) -> bytes:
        return frame(sent, twin.SAMPLES, sample_type=sample_type)

    def counts(map_length: int, count: int) -> bytes:
        return samples(twin.COUNTS.pack(map_length, count) + body[8:])

    yield wrong("samples without counts", samples(body[:7]))
    yield wrong("one sample more than there is", counts(len(packed), 17))
    yield wrong("one sample less than there is", counts(len(packed), 15))
    yield wrong("4 Gi samples", counts(len(packed), 2**32 - 1))
    # 2^31 + 16 of two bytes each: the same as 16 where sizes are 32 bits wide.
    yield wrong("samples that wrap around", counts(len(packed), 2**31 + 16))
    yield wrong("half a sample", samples(body[:-1]))
    yield wrong("samples of another width", samples(body, 2))
    yield wrong("a map of 4 GiB", counts(2**32 - 1, 16))
    yield wrong("a map that takes in samples", counts(len(packed) + 8, 12))
    yield wrong("a map one longer than it is", counts(len(packed) + 1, 16))
    yield wrong("a map one shorter than it is", counts(len(packed) - 1, 16))
    yield wrong("no map", counts(0, 16))
    assert len(packed) % 8 not in (0, 1)  # else the two above would be about something else
    yield wrong("a map's padding that is not zero", samples(head[:-1] + b"\1" + raw))
    yield wrong("a map without its padding", samples(twin.COUNTS.pack(len(packed), 16) + packed + raw))
    yield wrong("a byte behind the samples", samples(body + b"\0"))
    yield wrong("samples without _samples", samples_frame({"a": 1}, 16, raw))
    yield wrong("_samples is a number", samples_frame({"_samples": 1}, 16, raw))
    yield wrong("_samples names a field that is there", samples_frame({"_samples": "a", "a": 1}, 16, raw))
    yield wrong("_samples names itself", samples_frame({"_samples": "_samples"}, 16, raw))
    yield wrong("_samples names _meta", samples_frame({"_samples": "_meta"}, 16, raw))
    for number, form in ((3, "f"), (4, "d")):
        for value in (NAN, INFINITY, -INFINITY):
            packed_samples = struct.pack(f"<2{form}", 0, value)
            yield wrong(
                f"{value} in float{number * 32 - 64}",
                samples_frame({"_samples": "v"}, 2, packed_samples, number),
            )
    yield wrong("a map that is no MessagePack", samples(twin.COUNTS.pack(8, 0) + b"\xc1" * 8))

    for meta in (None, [], "m_", {}, {"id": "m_"}, {"id": 1, "log": "k"}, {"id": "m_", "log": "k", "seq": 1}):
        yield wrong(f"_meta is {json.dumps(meta)}", frame(pack({"_meta": meta})))
    yield wrong("_meta of samples is wrong", samples_frame({"_meta": {}, "_samples": "v"}, 0, b""))
    yield wrong("a body that is no object", frame(b"\x90"))
    yield wrong("a body with a key twice", frame(b"\x82\xa4type\xa1a\xa4type\xa1b"))
    yield wrong("a command with a key twice", frame(b"\x82\xa4type\xa1a\xa4type\xa1b", twin.CONTROL))


def cut_frames() -> Iterator[Vector]:
    whole = samples_frame({"_samples": "v"}, 3, struct.pack("<3h", 1, 2, 3))
    for size in range(1, len(whole)):
        yield wrong(f"samples cut after {size} of {len(whole)} bytes", whole[:size])
