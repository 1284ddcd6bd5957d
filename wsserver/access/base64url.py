"""base64url without padding, as the parts of tokens are written (RFC 7515 section 2)."""

from binascii import a2b_base64
from typing import Final

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_TO_BASE64: Final = bytes.maketrans(b"-_", b"+/")
# By the length modulo 4: what may stand last, and what base64 wants behind it. The last of two characters
# carries 2 bits, the last of three 4; one alone carries no byte.
_LAST: Final = (frozenset(_ALPHABET), frozenset[str](), frozenset(_ALPHABET[::16]), frozenset(_ALPHABET[::4]))
_PADDING: Final = (b"", b"", b"==", b"=")


def decode_base64url(text: str) -> bytes | None:
    """The bytes of ``text``, or None unless it is their only spelling.

    Decoders ignore the unused low bits of the last character; a token with several spellings
    would slip through a block list of tokens. ``text`` must be of the alphabet and not empty.
    """
    rest = len(text) & 3
    if text[-1] not in _LAST[rest]:
        return None
    return a2b_base64(text.encode().translate(_TO_BASE64) + _PADDING[rest])
