import json

import pytest

from wsserver.access.strict_json import MAX_OPENINGS, parse_object


def test_an_object_is_read() -> None:
    assert parse_object(b'{"a": [1, "\xc3\xa4", {"b": null}]}') == {"a": [1, "ä", {"b": None}]}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b'{"a": 1} x',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1, "a": 1}',
        b'{"a": {"b": 1, "b": 2}}',
        b'\xef\xbb\xbf{"a": 1}',
        '{"a": 1}'.encode("utf-16"),
        '{"a": 1}'.encode("utf-32-le"),
        b'{"a": "\xff"}',
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)
def test_whatever_readers_could_disagree_on_is_refused(raw: bytes) -> None:
    assert parse_object(raw) is None


def test_nesting_up_to_the_bound_is_read_and_beyond_it_refused() -> None:
    def nested(depth: int) -> bytes:
        return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"

    assert parse_object(nested(MAX_OPENINGS)) is not None
    assert parse_object(nested(MAX_OPENINGS + 1)) is None


@pytest.mark.parametrize("depth", [1_000, 100_000, 1_000_000])
def test_deep_nesting_is_refused_where_the_standard_parser_raises(depth: int) -> None:
    raw = b'{"a":' * depth + b"1" + b"}" * depth
    with pytest.raises(RecursionError):
        json.loads(raw)
    assert parse_object(raw) is None
