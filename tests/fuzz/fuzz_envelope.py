"""Frames of a coverage-guided fuzzer for the decoder of binary frames; ``bash .ci/fuzz`` runs it.

The golden vectors are where it begins. Half of its inputs are frames as they are; in the other half the
lengths of the header are put right first, so that damage reaches what lies behind them. Any
end but an envelope or an EnvelopeError is a crash, and so is what the sanitizers find, or one
allocation beyond what the limit of the body allows.
"""

import json
import sys
from pathlib import Path

import atheris

from wsserver_core.envelope import EnvelopeError, decode

MAX_SIZE = 1 << 16
AS_IT_IS, PUT_RIGHT = b"\0", b"\1"
LZ4 = 1


def put_right(frame: bytes) -> bytes:
    """The frame with lengths that fit; that of a compressed body is left to the fuzzer."""
    topic = frame[4] if len(frame) > 4 else 0
    sent = len(frame) - 32 - (topic + 7 & ~7)
    if sent < 0:
        return frame
    size = sent.to_bytes(4, "little")
    return frame[:24] + size + (frame[28:32] if frame[2] & LZ4 else size) + frame[32:]


def decode_one(data: bytes) -> None:
    frame = data[1:]
    if data[:1] > AS_IT_IS:
        frame = put_right(frame)
    try:
        envelope = decode(frame, max_size=MAX_SIZE)
    except EnvelopeError as error:
        if not error.reason:
            raise AssertionError("an error without a reason") from error
    else:
        if not (type(envelope.body) is dict and envelope.body_size <= MAX_SIZE):
            raise AssertionError("an envelope that cannot be")


def write_corpus(folder: Path) -> None:
    vectors = json.loads((Path(__file__).parent.parent / "vectors" / "envelopes.json").read_text())
    packs = json.loads((Path(__file__).parent.parent / "vectors" / "messagepack.json").read_text())
    control = bytes.fromhex("b1030000") + bytes(28)
    frames = [bytes.fromhex(vector["hex"]) for vector in vectors]
    frames += [put_right(control + bytes.fromhex(pack["hex"])) for pack in packs]
    for number, frame in enumerate(frames):
        (folder / f"{number:04}").write_bytes((AS_IT_IS, PUT_RIGHT)[number % 2] + frame)


if __name__ == "__main__":
    if sys.argv[1] == "--write-corpus":
        write_corpus(Path(sys.argv[2]))
    else:
        atheris.Setup(sys.argv, decode_one)
        atheris.Fuzz()
