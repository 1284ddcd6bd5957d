"""The parts of tokens, held against the standard library's coder."""

import random
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from itertools import product

import pytest

from wsserver.access.base64url import decode_base64url

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def spelled(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def obvious(text: str) -> bytes | None:
    """Decode, encode again, compare."""
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except Error:
        return None
    return raw if spelled(raw) == text else None


@pytest.mark.parametrize("size", range(1, 66))
def test_what_was_encoded_is_decoded(size: int) -> None:
    raw = random.Random(size).randbytes(size)
    assert decode_base64url(spelled(raw)) == raw


@pytest.mark.parametrize("head", ["", "Az", "_-A", "-9_b", "0aB-_", "......"])
def test_every_last_pair_is_taken_or_refused_as_encoding_again_would_have_it(head: str) -> None:
    head = head.replace(".", "Q")
    for pair in map("".join, product(ALPHABET, repeat=2)):
        assert decode_base64url(head + pair) == obvious(head + pair)


@pytest.mark.parametrize("text", ["A", "AAAAA", "AB", "AAB", "AAAAAB"])
def test_a_length_or_an_ending_that_no_encoder_writes_is_refused(text: str) -> None:
    assert decode_base64url(text) is None
