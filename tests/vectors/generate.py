"""Writes the golden vectors; README.md tells their form. ``python tests/vectors/generate.py``

They come from the reference twins and the lz4 package, never from the code that is tested with them.
"""

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "core")]

from damaged_envelopes import cut_frames, damaged_bodies, damaged_headers  # noqa: E402 - found by the line above
from envelope_vectors import valid_frames, valid_messages  # noqa: E402 - found by the line above
from lz4_vectors import lz4_blocks  # noqa: E402 - found by the line above
from messagepack_vectors import message_packs  # noqa: E402 - found by the line above

Vector = dict[str, Any]


def envelopes() -> list[Vector]:
    return [*valid_messages(), *valid_frames(), *damaged_headers(), *damaged_bodies(), *cut_frames()]


FILES = {"envelopes.json": envelopes, "messagepack.json": message_packs, "lz4.json": lz4_blocks}


def text_of(vectors: list[Vector]) -> str:
    """One vector a line, in ASCII."""
    names = [vector["name"] for vector in vectors]
    assert len(set(names)) == len(names), [name for name in names if names.count(name) > 1]
    return "[\n" + ",\n".join(json.dumps(vector, allow_nan=False) for vector in vectors) + "\n]\n"


if __name__ == "__main__":
    for name, vectors in FILES.items():
        (HERE / name).write_text(text_of(vectors()))
