"""JSON as commands print it: on one line, with nothing in it that a terminal obeys."""

import re
from typing import Any

import msgspec

# What JSON allows inside strings and a terminal obeys: DEL, C1, separators, directions.
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_C0 = re.compile("[\x00-\x1f]")


def json_line(document: Any) -> str:
    """A document as such a line."""
    return one_line(msgspec.json.encode(document).decode())


def one_line(json_text: str) -> str:
    """The same JSON as such a line."""
    # JSON allows C0 characters between its tokens only, where a space is as good.
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", _C0.sub(" ", json_text))
