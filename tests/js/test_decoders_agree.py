"""The decoder in JavaScript against the one in the core: what one takes or refuses, so does the other."""

import json
import random
import struct
import subprocess
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wsserver_core.envelope import EnvelopeError, decode

HERE = Path(__file__).parent
VECTORS = HERE.parent / "vectors" / "envelopes.json"
MAX_SIZE = 1 << 14
HEADER_SIZE = 32
LZ4 = 1
SIZES = (0, 1, 7, 8, 15, 16, 255, 256, 2**16, 2**20, 2**31 - 1, 2**31, 2**32 - 8, 2**32 - 1)


def mutated(dice: random.Random, frame: bytes, other: bytes) -> bytes:
    """The frame, changed in one place or two; mostly with lengths that fit all the same."""
    made = bytearray(frame)
    for _ in range(dice.randint(1, 2)):
        at = dice.randint(0, len(made))
        match dice.randrange(6):
            case 0 if at < len(made):
                made[at] ^= 1 << dice.randrange(8)
            case 1 if at < len(made):
                made[at] = dice.randrange(256)
            case 2:
                made[at:at] = other[at : at + dice.randint(1, 24)]
            case 3:
                del made[at : at + dice.randint(1, 4)]
            case 4 if at + 4 <= len(made):
                made[at : at + 4] = struct.pack(dice.choice("<>") + "I", dice.choice(SIZES))
            case _:
                made[at:at] = bytes([dice.randrange(256)])
    if len(made) >= HEADER_SIZE and dice.random() < 0.8:
        (topic,) = struct.unpack_from("<I", made, 4)
        sent = max(0, len(made) - HEADER_SIZE - (topic + -topic % 8))
        struct.pack_into("<I", made, 24, sent)
        if not made[2] & LZ4:
            struct.pack_into("<I", made, 28, sent)
    return bytes(made)


def in_the_core(frame: bytes) -> dict[str, Any]:
    try:
        envelope = decode(frame, max_size=MAX_SIZE)
    except EnvelopeError:
        # Which of several faults is met first is nobody's business.
        return {"refused": True}
    return {name: getattr(envelope, name) for name in ("kind", "topic", "seq", "time", "body")}


def plain(value: Any) -> Any:
    """As it compares with what has come through JSON, and 1 is not true."""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, list | array):
        return [plain(one) for one in value]
    return value


def frames(seed: int, count: int) -> Iterator[bytes]:
    dice = random.Random(seed)
    vectors = [one for one in json.loads(VECTORS.read_text()) if "envelope" in one]
    seeds = [frame for frame in (bytes.fromhex(one["hex"]) for one in vectors) if len(frame) <= 4096]
    for _ in range(count):
        yield mutated(dice, dice.choice(seeds), dice.choice(seeds))


@pytest.mark.parametrize(
    ("seed", "count"),
    [(1, 10_000), pytest.param(2, 200_000, marks=[pytest.mark.long, pytest.mark.timeout(1800)])],
)
def test_both_say_the_same_of_mutated_frames(node: Path, seed: int, count: int) -> None:
    taken = 0
    command = [node, HERE / "decode-lines.js", str(MAX_SIZE)]
    for start in range(0, count, 10_000):
        made = list(frames(seed + start, min(10_000, count - start)))
        lines = "".join(f"{frame.hex()}\n" for frame in made)
        done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stderr
        for frame, line in zip(made, done.stdout.splitlines(), strict=True):
            said = in_the_core(frame)
            # JavaScript writes large floats like integers, with digits that only the nearest float has.
            assert plain(json.loads(line, parse_int=float)) == plain(said), frame.hex()
            taken += "refused" not in said
    # Both ways must be walked, or nothing has been compared.
    assert count / 20 < taken < count * 19 / 20, taken
