"""The frame of ``wsserver.v1.bin`` in words and numbers, with an example made by the encoder itself."""

from typing import Any, Final

from wsserver.api_documents.message_examples import PUBLISHED_EXAMPLE
from wsserver_core.envelope import encode_message

EXAMPLE_TIME: Final = 1_795_451_411_349_000
"""Microseconds since 1970 of the example's ``ts``."""

LAYOUT: Final = (
    (0, 1, "magic", "0xB1."),
    (1, 1, "kind", "1 message, 2 message with samples, 3 control message or command."),
    (2, 1, "flags", "Bit 0: the body is an LZ4 block; bit 1: there is a topic; the others are 0."),
    (3, 1, "sample_type", "Of kind 2: 1 int16, 2 int32, 3 float32, 4 float64; else 0."),
    (4, 4, "topic_length", "Bytes of the topic, 1 to 130; 0 in kind 3."),
    (8, 8, "seq", "The place in the log, unsigned; 0 in kind 3."),
    (16, 8, "time", "Microseconds since 1970 UTC."),
    (24, 4, "body_length", "Bytes of the body as sent."),
    (28, 4, "uncompressed_length", "Bytes of the body without LZ4."),
)

TEXT: Final = (
    "One binary message of the WebSocket. The header of 32 bytes is little-endian; the topic follows in "
    "visible ASCII, with zeros up to a multiple of 8, then the body to the end. Kinds 1 and 3: the object in "
    "MessagePack; `_meta` holds only `id` and `log`, the rest of it is in the header. Kind 2: a uint32, the "
    "length of a MessagePack map; a uint32, the number of samples; the map, with the name of the samples' "
    "field under `_samples`; zeros up to a multiple of 8; the samples."
)


def layout() -> list[dict[str, Any]]:
    """The header's fields for programs."""
    names = ("offset", "bytes", "name", "description")
    return [dict(zip(names, row, strict=True)) for row in LAYOUT]


def example() -> bytes:
    """The frame that says the same as the example of a published message."""
    meta = PUBLISHED_EXAMPLE["_meta"]
    body = {**PUBLISHED_EXAMPLE, "_meta": {"id": meta["id"], "log": meta["log"]}}
    return encode_message(body, topic=meta["topic"], seq=meta["seq"], time=EXAMPLE_TIME)
