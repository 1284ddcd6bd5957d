"""Binary frames: literal bytes, the golden vectors, and what is refused before it costs anything."""

import json
import tracemalloc
from array import array
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lz4.block
import pytest
import reference_envelope as twin
from reference_messagepack import Fault, pack, unpack

from wsserver_core.envelope import (
    CONTROL,
    MESSAGE,
    SAMPLES,
    Envelope,
    EnvelopeError,
    decode,
    encode_control,
    encode_message,
)

VECTORS = Path(__file__).parent.parent / "vectors"
TYPE_CODES = {"int16": "h", "int32": "i", "float32": "f", "float64": "d"}
TIME = 1_767_225_600_123_456
MIB = 1 << 20


def vectors(name: str) -> list[Any]:
    entries = json.loads((VECTORS / name).read_text())
    return [pytest.param(entry, id=entry["name"]) for entry in entries]


def read(data: bytes, **options: Any) -> Envelope:
    return decode(data, **{"max_size": MIB, **options})


def judged(reading: Callable[[], Any]) -> Any:
    """What is read, or what is wrong."""
    try:
        return reading()
    except (EnvelopeError, Fault) as fault:
        return str(fault)


def refusal(data: bytes, **options: Any) -> str:
    with pytest.raises(EnvelopeError) as caught:
        read(data, **options)
    assert str(caught.value) == caught.value.reason
    return caught.value.reason


def in_order_of(body: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """``other`` with its members in the order of ``body``: samples come last."""
    return dict(sorted(other.items(), key=lambda member: list(body).index(member[0])))


def spelled(value: object) -> str:
    """With what == does not see: the difference of 1, 1.0 and True, and of 0.0 and -0.0."""
    return repr(value)


# -- literal bytes


def test_a_message_byte_by_byte() -> None:
    frame = encode_message({"a": 1}, topic="ecg:1", seq=258, time=3)
    assert frame == bytes.fromhex(
        "b1 01 02 00  05000000  0201000000000000 0300000000000000  04000000 04000000"
        "6563673a31 000000  81 a161 01"
    )


def test_a_control_frame_byte_by_byte() -> None:
    frame = encode_control({"type": "ping"}, time=-1 + (1 << 53))
    assert frame == bytes.fromhex(
        "b1 03 00 00  00000000  0000000000000000 ffffffffffff1f00  0b000000 0b00000081 a474797065 a470696e67"
    )


def test_samples_byte_by_byte() -> None:
    frame = encode_message({"data": [1, -2] * 8, "t": None}, topic="*", seq=0, time=0)
    assert frame == bytes.fromhex(
        "b1 02 02 01  01000000  0000000000000000 0000000000000000  40000000 40000000"
        "2a 00000000000000  12000000 10000000"
        "82 a174 c0 a85f73616d706c6573 a464617461 000000000000" + "0100feff" * 8
    )


# -- golden vectors


@pytest.mark.parametrize("vector", vectors("envelopes.json"))
def test_golden_envelopes(vector: dict[str, Any]) -> None:
    frame = bytes.fromhex(vector["hex"])
    options = {name: vector[name] for name in ("max_size", "kinds") if name in vector}
    if "error" in vector:
        assert refusal(frame, **options) == vector["error"]
        return
    envelope, expected = read(frame, **options), vector["envelope"]
    body = dict(envelope.body)
    if expected["samples"] is not None:
        field = expected["samples"]["field"]
        assert type(body[field]) is array
        assert body[field].typecode == TYPE_CODES[expected["samples"]["type"]]
        body[field] = body[field].tolist()
    assert spelled(body) == spelled(in_order_of(body, expected["body"]))
    assert (envelope.kind, envelope.topic, envelope.seq, envelope.time) == tuple(
        expected[name] for name in ("kind", "topic", "seq", "time")
    )
    assert envelope.body_size == int.from_bytes(frame[28:32], "little")


@pytest.mark.parametrize("vector", [each for each in vectors("envelopes.json") if "encode" in each.values[0]])
def test_golden_encodings(vector: dict[str, Any]) -> None:
    made_of = dict(vector["encode"])
    encode = encode_control if vector["envelope"]["kind"] == CONTROL else encode_message
    frame, golden = encode(made_of.pop("body"), **made_of), bytes.fromhex(vector["hex"])
    if golden[2] & twin.LZ4:
        # Another version of LZ4 may choose other bytes: all else has to be the same.
        assert (frame[:24], frame[28:32]) == (golden[:24], golden[28:32])
        assert spelled(read(frame).body) == spelled(read(golden).body)
    else:
        assert frame == golden


@pytest.mark.parametrize("vector", vectors("messagepack.json"))
def test_golden_objects(vector: dict[str, Any]) -> None:
    frame = twin.lay_out(CONTROL, bytes.fromhex(vector["hex"]))
    if "error" in vector:
        assert refusal(frame) == vector["error"]
    else:
        assert spelled(read(frame).body) == spelled(vector["value"])


@pytest.mark.parametrize("vector", vectors("lz4.json"))
def test_golden_blocks(vector: dict[str, Any]) -> None:
    block, size = bytes.fromhex(vector["hex"]), vector["size"]
    frame = twin.lay_out(CONTROL, block, flags=twin.LZ4, raw_length=size)
    if not len(block) < size <= 255 * len(block):
        assert refusal(frame) == twin.WRONG_LENGTH
    elif "error" in vector:
        assert refusal(frame) == vector["error"]
    else:
        text = b"".join(bytes.fromhex(unit) * times for unit, times in vector["output"])
        assert judged(lambda: read(frame).body) == judged(lambda: unpack(text))


# -- what is allowed to be encoded


def nested(depth: int) -> list[Any]:
    return [nested(depth - 1)] if depth > 1 else []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"a": b"x"}, "MessagePack has a type that JSON does not have"),
        ({"a": datetime(2026, 1, 1, tzinfo=UTC)}, "MessagePack has a type that JSON does not have"),
        ({"a": object()}, "MessagePack has a type that JSON does not have"),
        ({1: 2}, "MessagePack has a key that is not text"),
        ({"a": 2**53 + 1}, "MessagePack has an integer beyond 2^53"),
        ({"a": 2**64}, "MessagePack has an integer beyond 2^53"),
        ({"data": [2**53 + 1] * 16}, "MessagePack has an integer beyond 2^53"),
        ({"a": float("nan")}, "MessagePack has a number that is not finite"),
        ({"data": [0.5] * 16 + [float("inf")]}, "MessagePack has a number that is not finite"),
        ({"a": "\ud800"}, "MessagePack has text that is not UTF-8"),
        ({"a": nested(40)}, "MessagePack is nested deeper than 32"),
        ({"_meta": {"id": "m_", "log": "k", "seq": 1}}, "_meta is not an id and a log"),
        ({"_meta": {"id": "m_", "log": 1}}, "_meta is not an id and a log"),
        ({"_meta": None}, "_meta is not an id and a log"),
    ],
)
def test_what_cannot_be_said_is_refused(body: dict[Any, Any], reason: str) -> None:
    with pytest.raises(EnvelopeError) as caught:
        encode_message(body, topic="patient:1", seq=1, time=1)
    assert caught.value.reason == reason


def test_a_list_inside_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(EnvelopeError, match="nested deeper"):
        encode_control({"a": endless}, time=0)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"topic": ""}, twin.WRONG_TOPIC_LENGTH),
        ({"topic": "t" * 131}, twin.WRONG_TOPIC_LENGTH),
        ({"topic": "a b"}, twin.WRONG_TOPIC),
        ({"topic": "ä:1"}, twin.WRONG_TOPIC),
        ({"topic": "\ud800"}, twin.WRONG_TOPIC),
        ({"seq": -1}, twin.WRONG_SEQ),
        ({"seq": 2**53 + 1}, twin.WRONG_SEQ),
        ({"seq": 2**64}, twin.WRONG_SEQ),
        ({"seq": 1.0}, twin.WRONG_SEQ),
        ({"seq": True}, twin.WRONG_SEQ),
        ({"time": -1}, twin.WRONG_TIME),
        ({"time": 2**53 + 1}, twin.WRONG_TIME),
    ],
)
def test_a_header_that_no_reader_takes_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(EnvelopeError) as caught:
        encode_message({}, **{"topic": "*", "seq": 1, "time": 1, **fields})
    assert caught.value.reason == reason


def test_what_was_encoded_is_left_as_it_was() -> None:
    body = {"_meta": {"id": "m_", "log": "k"}, "data": [1] * 20, "type": "ecg_data"}
    before = json.dumps(body)
    encode_message(body, topic="*", seq=1, time=1)
    assert json.dumps(body) == before


def test_numbers_that_only_look_like_numbers_are_no_samples() -> None:
    for odd in (True, None, "1", [1]):
        frame = encode_message({"data": [1] * 15 + [odd]}, topic="*", seq=1, time=1)
        assert frame[1] == MESSAGE


@pytest.mark.parametrize("size", [65_535, 65_536, 70_000])
def test_long_texts_and_lists(size: int) -> None:
    for body in ({"a": "x" * size}, {"a": [None] * size}, {str(n): n for n in range(size)}):
        frame = encode_control(body, time=1, compression_threshold=None)
        assert frame == twin.encode_control(body, time=1, compression_threshold=None)
        assert read(frame).body == body


def test_compression_begins_over_the_threshold_and_only_if_it_helps() -> None:
    plain = {"a": "x" * 200}
    size = len(pack(plain))
    assert read(encode_control(plain, time=1, compression_threshold=size)).body_size == size
    assert encode_control(plain, time=1, compression_threshold=size)[2] == 0
    assert encode_control(plain, time=1, compression_threshold=size - 1)[2] == twin.LZ4
    assert encode_control(plain, time=1, compression_threshold=None)[2] == 0
    assert encode_control({"a": "abc"}, time=1, compression_threshold=0)[2] == 0
    large = {"a": "lead II " * 13_000}
    frame = encode_control(large, time=1)
    assert frame[2] == twin.LZ4
    assert len(frame) < 2_000
    assert read(frame).body == large


# -- reading


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_is_read(kind: type) -> None:
    frame = encode_message({"data": [1] * 16}, topic="*", seq=1, time=1)
    assert read(kind(frame)).body["data"] == array("h", [1] * 16)


def test_what_is_no_buffer_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        decode("text", max_size=MIB)


def test_a_buffer_is_let_go_of() -> None:
    buffer = bytearray(encode_control({"a": "text"}, time=1))
    read(buffer)
    refusal(buffer, kinds=[MESSAGE])
    buffer.extend(b"x")


def test_what_was_read_does_not_hold_the_frame() -> None:
    frame = bytearray(encode_message({"text": "abc", "data": [0.5] * 16}, topic="*", seq=1, time=1))
    body = read(frame).body
    frame[:] = bytes(len(frame))
    assert body == {"text": "abc", "data": array("f", [0.5] * 16)}


def test_kinds_are_taken_as_told() -> None:
    frames = {
        MESSAGE: encode_message({}, topic="*", seq=1, time=1),
        SAMPLES: encode_message({"data": [1] * 16}, topic="*", seq=1, time=1),
        CONTROL: encode_control({}, time=1),
    }
    for kinds in ((), (1,), (2,), (3,), (1, 3), (1, 2, 3), {3}, [2, 1]):
        for kind, frame in frames.items():
            if kind in kinds:
                assert read(frame, kinds=kinds).kind == kind
            else:
                assert refusal(frame, kinds=kinds) == twin.KIND_NOT_TAKEN


@pytest.mark.parametrize(
    "time",
    [
        0,
        999,
        1_000,
        951_782_400_000_000,
        951_868_799_999_999,
        1_709_164_800_000_000,
        TIME,
        4_107_542_399_999_000,
        2**53,
    ],
)
def test_the_time_is_spelled_as_in_json(time: int) -> None:
    meta = {"id": "m_", "log": "k"}
    body = read(encode_message({"_meta": meta}, topic="*", seq=7, time=time)).body
    expected = {"id": "m_", "topic": "*", "log": "k", "seq": 7, "ts": twin.utc_text(time)}
    assert list(body["_meta"].items()) == list(expected.items())


def test_no_envelope_and_no_error_shows_what_is_inside() -> None:
    envelope = read(encode_message({"secret": "Zoe"}, topic="patient:17", seq=5, time=1))
    assert repr(envelope) == "<Envelope kind=1 seq=5 body_size=12>"
    for name in ("kind", "topic", "seq", "time", "body", "body_size"):
        with pytest.raises(AttributeError):
            setattr(envelope, name, None)


# -- lies about sizes


def lies() -> list[Any]:
    """Frames of a few hundred bytes that announce as much as they can."""
    huge = b"\xff\xff\xff\xff"
    nested = b"\x81\xa1a" + b"\xdd\0\0\0\xc8" * 31
    block = lz4.block.compress(bytes(4_000), store_size=False)
    most = len(block) * 255
    samples = twin.samples_body({"_samples": "v"}, 0, b"")
    return [
        pytest.param(twin.lay_out(CONTROL, b"\xdf" + huge + bytes(100)), id="members"),
        pytest.param(twin.lay_out(CONTROL, b"\x81\xa1a\xdd" + huge + bytes(100)), id="items"),
        pytest.param(twin.lay_out(CONTROL, b"\x81\xa1a\xdb" + huge + bytes(100)), id="text"),
        pytest.param(twin.lay_out(CONTROL, b"\x81\xdb" + huge + bytes(100)), id="key"),
        pytest.param(twin.lay_out(CONTROL, nested + b"\xc0" * 200), id="items inside items"),
        pytest.param(twin.lay_out(CONTROL, b"", length=2**32 - 1, raw_length=2**32 - 1), id="body"),
        pytest.param(twin.lay_out(CONTROL, block, flags=1, raw_length=2**32 - 1), id="LZ4"),
        pytest.param(twin.lay_out(CONTROL, block, flags=1, raw_length=most), id="LZ4, as much as can be"),
        pytest.param(
            twin.lay_out(SAMPLES, huge + samples[4:], topic=b"*", sample_type=4), id="length of the map"
        ),
        pytest.param(
            twin.lay_out(SAMPLES, samples[:4] + huge + samples[8:], topic=b"*", sample_type=4), id="samples"
        ),
        pytest.param(twin.lay_out(MESSAGE, b"\x80", topic=b"*", topic_length=2**32 - 1), id="topic"),
    ]


@pytest.mark.parametrize("frame", lies())
def test_a_lie_about_a_size_allocates_nothing(frame: bytes) -> None:
    refusal(frame, max_size=2**32)  # whatever is made once is made now
    tracemalloc.start()
    try:
        refusal(frame, max_size=2**32)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The error, its traceback and this test's own frame; the least of the lies is 60 kB.
    assert peak < 8_000


def test_a_damaged_block_never_becomes_text() -> None:
    """LZ4's decoder takes offset 0, and copies what happens to be in memory."""
    block = b"\x1f{\0\0\xff\x00" + b"\x50aaaaa"
    size = 1 + 4 + 15 + 255 + 5
    assert refusal(twin.lay_out(CONTROL, block, flags=1, raw_length=size)) == twin.WRONG_LZ4
