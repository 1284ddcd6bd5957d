"""Canonical identifiers.

One spelling per thing: ids are ASCII text and are compared as text. An integer becomes
its decimal text; nothing is ever parsed to a number, so "0123" and "123" are two
patients. Merging them would be a clinical error.
"""

import os
import re
import secrets
from functools import lru_cache

ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_ID = re.compile(ID_PATTERN, re.ASCII)

ID_RULE = "1 to 64 of A-Z a-z 0-9 . _ - and beginning with a letter or digit"


class InvalidId(ValueError):
    """The value is no canonical id; the text says which rule it breaks, never the value itself."""


def canonical_id(value: object, what: str = "id") -> str:
    """The canonical text of an id given as text or as a whole number.

    Raises InvalidId for anything else: bools, floats, empty text, other characters.
    """
    if type(value) is str:
        text = value
    elif type(value) is int:
        if not 0 <= value < 10**63:
            raise InvalidId(f"{what} must be a whole number from 0, or text of {ID_RULE}")
        text = str(value)
    else:
        raise InvalidId(f"{what} must be text or a whole number")
    if _ID.fullmatch(text) is None:
        raise InvalidId(f"{what} must be {ID_RULE}")
    return text


@lru_cache(maxsize=1024)
def shared(text: str) -> str:
    """One object for equal texts, for names that many connections keep: types and roles.

    Only the 1,024 names used last are remembered, as clients choose them. ``sys.intern`` would do no
    harm up to Python 3.11; from 3.12 on, what it has seen may stay to the end of the process.
    """
    return text


def new_id(prefix: str) -> str:
    """A fresh public id such as ``c_3f…`` (96 random bits). Not a secret."""
    # What secrets.token_hex calls in the end, without the way there.
    return f"{prefix}_{os.urandom(12).hex()}"


class NumberedIds:
    """Public ids such as ``s_3f…`` for numbers below 2**64, and back, without a table.

    Not a secret: they hide the numbers from a glance, while three ids of neighbours give the scheme away.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = f"{prefix}_"
        # A product with an odd number can be undone modulo a power of two.
        self._factor = secrets.randbits(64) | 1
        self._inverse = pow(self._factor, -1, _SPAN)
        self._shift = secrets.randbits(64)

    def text(self, number: int) -> str:
        """The id of a number."""
        return f"{self._prefix}{(number * self._factor + self._shift) % _SPAN:016x}"

    def number(self, text: str) -> int:
        """The number behind an id; 0 for what is none."""
        if not text.startswith(self._prefix) or _HEX.fullmatch(text, len(self._prefix)) is None:
            return 0
        return (int(text[len(self._prefix) :], 16) - self._shift) * self._inverse % _SPAN


_SPAN = 1 << 64
_HEX = re.compile(r"[0-9a-f]{16}", re.ASCII)
