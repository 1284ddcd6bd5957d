"""Envelopes that are right."""

import struct
from collections.abc import Iterator
from typing import Any

import reference_envelope as twin
from messagepack_vectors import EVERYTHING, nested

Vector = dict[str, Any]

SEQ, TIME = 42, 1_767_225_600_123_456
META = {"id": "m_0123456789abcdefghijklmnop", "log": "k3f9d"}
TYPE_NAMES = {"h": "int16", "i": "int32", "f": "float32", "d": "float64"}
MESSAGE = {"_meta": META, "type": "note", "text": "ok"}


def message(name: str, body: dict[str, Any], **options: Any) -> Vector:
    """What ``encode_message`` makes, with what it was made of."""
    made_of = {"topic": "patient:123", "seq": SEQ, "time": TIME, **options}
    return right(name, twin.encode_message(body, **made_of), encode={"body": body, **made_of})


def control(name: str, body: dict[str, Any], **options: Any) -> Vector:
    made_of = {"time": TIME, **options}
    return right(name, twin.encode_control(body, **made_of), encode={"body": body, **made_of})


def right(name: str, frame: bytes, **more: Any) -> Vector:
    envelope = twin.decode(frame)
    body, samples = dict(envelope.body), None
    for field, value in body.items():
        if hasattr(value, "typecode"):
            samples = {"field": field, "type": TYPE_NAMES[value.typecode]}
            body[field] = value.tolist()
    said = {"kind": envelope.kind, "topic": envelope.topic, "seq": envelope.seq, "time": envelope.time}
    return {"name": name, "hex": frame.hex(), "envelope": {**said, "samples": samples, "body": body}, **more}


def ecg(data: list[Any], **more: Any) -> dict[str, Any]:
    return {"_meta": META, "type": "ecg_data", "patient_id": "123", "data": data, **more}


def frame(body: bytes, kind: int = twin.MESSAGE, **fields: Any) -> bytes:
    topic = b"" if kind == twin.CONTROL else b"patient:123"
    return twin.lay_out(kind, body, **{"topic": topic, "time": TIME, **fields})


def samples_frame(members: dict[str, Any], count: int, raw: bytes, sample_type: int = 1) -> bytes:
    return frame(twin.samples_body(members, count, raw), twin.SAMPLES, sample_type=sample_type)


def valid_messages() -> Iterator[Vector]:
    yield message("a message", MESSAGE)
    yield message("an empty body", {})
    yield message("a message without _meta", {"type": "note"})
    yield message("the shortest topic", MESSAGE, topic="*")
    yield message("a topic of eight bytes needs no padding", MESSAGE, topic="ecg:1234")
    yield message("the longest topic", MESSAGE, topic="t" * 64 + ":" + "x" * 65)
    yield message("the smallest seq and time", MESSAGE, seq=0, time=0)
    yield message("the largest seq and time", MESSAGE, seq=2**53, time=2**53)
    yield message("milliseconds are cut and not rounded", MESSAGE, time=TIME - TIME % 1000 + 999)
    yield message(
        "text outside ASCII", {"_meta": META, "name": "Zoë, 心電図, \U0001f493", "中": "\0\u007f\u0080"}
    )
    yield message("names that are special elsewhere", {"__proto__": {"a": 1}, "constructor": "x", "": 0})
    yield message("_samples is an ordinary name in a message", {"_samples": "data", "data": [1] * 16})
    yield message("every kind of value", EVERYTHING)
    yield message("nested as deep as may be", nested(32))
    yield control("a control frame", {"type": "pong", "t": 1, "cursor": {"k3f9d": 48}})
    yield control("an empty control frame", {})
    yield control("_meta of a control frame is left alone", {"_meta": {"seq": 1}})

    yield message("15 numbers are a list", ecg(list(range(15))))
    yield message("16 numbers are samples", ecg(list(range(16))))
    yield message("int16 to its limits", ecg([-(2**15), 2**15 - 1, 0, -1] * 4))
    yield message("one above int16", ecg([0] * 16 + [2**15]))
    yield message("one below int16", ecg([0] * 16 + [-(2**15) - 1]))
    yield message("int32 to its limits", ecg([-(2**31), 2**31 - 1] * 8))
    yield message("integers beyond int32 are a list", ecg([0] * 16 + [2**31]))
    yield message("integers below int32 are a list", ecg([0] * 16 + [-(2**31) - 1]))
    yield message("float32 where all are exact", ecg([0.5, -0.25, 1.0, 2.0**-149] * 4))
    yield message("float32 to its limits", ecg([3.4028234663852886e38, -3.4028234663852886e38] * 8))
    yield message("float64 where one is not", ecg([0.5] * 15 + [0.1]))
    yield message("float64 beyond the range of float32", ecg([0.5] * 15 + [1e300]))
    yield message("float64 below the range of float32", ecg([0.5] * 15 + [5e-324]))
    yield message("integers and floats mixed", ecg([1, 0.5] * 8))
    yield message("an integer that float32 rounds, among floats", ecg([2**24 + 1, 0.5] * 8))
    yield message("the largest integer among floats", ecg([2**53, 0.5] * 8))
    yield message("minus zero is a float", ecg([-0.0] * 16))
    yield message("minus zero among integers", ecg([0, 1, -0.0] * 6))
    yield message("booleans are no numbers", ecg([1] * 15 + [True]))
    yield message("null is no number", ecg([1] * 15 + [None]))
    yield message("text is no number", ecg([1] * 15 + ["1"]))
    yield message("samples without _meta", {"data": [0] * 16})
    yield message("samples with a map whose end needs no padding", {"data": [7] * 16, "pad": "xxxx"})
    yield message("an odd number of samples", ecg(list(range(17))))
    yield message(
        "the first of the sample fields", ecg([1] * 16, ecg=[2] * 16), sample_fields=["ecg", "data"]
    )
    yield message(
        "the first of the sample fields that is there", ecg([1] * 16), sample_fields=["ecg", "data"]
    )
    yield message(
        "the first of the sample fields decides", ecg([1] * 16, ecg="no"), sample_fields=["ecg", "data"]
    )
    yield message("no sample fields", ecg([1] * 16), sample_fields=[])
    yield message("a field with a long name outside ASCII", {"µV" * 20: [1] * 16}, sample_fields=["µV" * 20])
    yield message("_samples beside the samples", ecg([1] * 16, _samples="data"))

    yield message("LZ4", {**MESSAGE, "text": "beat " * 200}, compression_threshold=100)
    yield message("LZ4 at the threshold", {"text": "x" * 92}, compression_threshold=100)
    yield message("LZ4 one above the threshold", {"text": "x" * 93}, compression_threshold=99)
    yield message("LZ4 only if it gets smaller", {"text": "abcdefgh"}, compression_threshold=0)
    yield message("LZ4 of samples", ecg([1000, -1000] * 200), compression_threshold=100)
    yield message("LZ4 of float64 samples", ecg([0.1, 0.2] * 200), compression_threshold=100)
    yield control("LZ4 of a control frame", {"type": "error", "text": "x" * 500}, compression_threshold=100)


def valid_frames() -> Iterator[Vector]:
    """What other encoders may make."""
    yield right("no samples at all", samples_frame({"_samples": "data"}, 0, b""))
    yield right("one sample", samples_frame({"_samples": "v"}, 1, struct.pack("<h", -2)))
    yield right("integers in longer forms than needed", frame(b"\x81\xa1a\xcf" + (5).to_bytes(8, "big")))
    yield right("a length in a longer form than needed", frame(b"\xdf\0\0\0\1\xdb\0\0\0\1a\xc0"))
    yield right("float32 in MessagePack", frame(b"\x81\xa1a\xca" + struct.pack(">f", 1.5)))
    yield right(
        "members of one name further inside: the last one counts", frame(b"\x81\xa1a\x82\xa1b\1\xa1b\2")
    )
