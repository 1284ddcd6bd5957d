from collections.abc import Collection, Sequence
from typing import Any, Final, final

from typing_extensions import Buffer

MESSAGE: Final = 1
SAMPLES: Final = 2
CONTROL: Final = 3

class EnvelopeError(ValueError):
    """The frame, or what should become one, is against the protocol.

    ``reason`` says in a few words how, and never holds anything of the frame.
    """

    reason: str
    def __init__(self, reason: str) -> None: ...

@final
class Envelope:
    """What a binary frame says.

    ``kind`` is MESSAGE, SAMPLES or CONTROL; ``topic`` is None in a control frame. ``time`` is in
    microseconds since 1970 UTC. ``body`` is the object as JSON has it, ``_meta`` with all its
    members; samples are an ``array.array`` of type h, i, f or d in their field. ``body_size``
    is the length of the body in bytes, uncompressed: what the frame costs its receiver.
    """

    @property
    def kind(self) -> int: ...
    @property
    def topic(self) -> str | None: ...
    @property
    def seq(self) -> int: ...
    @property
    def time(self) -> int: ...
    @property
    def body(self) -> dict[str, Any]: ...
    @property
    def body_size(self) -> int: ...

def encode_message(
    body: dict[str, Any],
    *,
    topic: str,
    seq: int,
    time: int,
    sample_fields: Sequence[str] = ("data",),
    compression_threshold: int | None = 102400,
) -> bytes:
    """A published message as a binary frame. Raises EnvelopeError.

    ``body`` is the message with ``_meta`` of an id and a log, if it has one: the rest of it is
    made of ``topic``, ``seq`` and ``time`` (microseconds since 1970). Of ``sample_fields`` the
    first that the body has is sent as typed samples if it is a list of 16 numbers or more that
    a type holds exactly. A body of more than ``compression_threshold`` bytes is compressed if
    that makes it smaller; None never compresses.
    """

def encode_control(
    body: dict[str, Any], *, time: int, compression_threshold: int | None = 102400
) -> bytes:
    """A command or a control message as a binary frame. Raises EnvelopeError."""

def decode(
    data: Buffer,
    *,
    max_size: int,
    kinds: Collection[int] = (1, 2, 3),
    max_containers: int | None = None,
) -> Envelope:
    """Read one frame of a kind that is taken here. Raises EnvelopeError.

    ``max_size`` bounds the uncompressed body, in bytes, and ``max_containers`` the objects and arrays
    in it: a compressed body of a few kilobytes holds a million empty ones. Every length in the
    frame is held against the bytes that are there before anything is allocated for it. Of a key that
    stands twice in an object the last one counts, as in JSON; in the body itself it is an error.
    """
