"""JSON objects from tokens and key sets, read so that no two readers can disagree."""

import json
from typing import Any, Final, NoReturn

MAX_OPENINGS: Final = 256
"""Opening brackets in one document. Depth cannot exceed it, so the recursive parser of the
standard library stays far from the interpreter's limit (about 1,000)."""


def parse_object(raw: bytes) -> dict[str, Any] | None:
    """The object in ``raw``, or None for anything else.

    Refused besides broken JSON: encodings other than UTF-8, a byte order mark, a member
    named twice (readers differ in which one counts), NaN and Infinity, deep nesting.
    """
    if raw.count(b"{") + raw.count(b"[") > MAX_OPENINGS:
        return None
    try:
        # Text, not bytes: json.loads would guess UTF-16 and UTF-32 and skip a byte order mark. And it would
        # make a decoder for each call, which takes longer than decoding.
        value = _DECODER.decode(raw.decode())
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique_members, parse_constant=_refuse_constant)
