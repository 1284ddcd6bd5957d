"""The depth of JSON text, against a slow count of what a decoder would see."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsserver_core.nesting import nests_deeper

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


@given(values)
def test_the_limit_is_the_depth_that_a_decoder_sees(value):
    text = json.dumps(value, ensure_ascii=False).encode()
    depth = depth_of(value)
    assert not nests_deeper(text, depth)
    if depth:
        assert nests_deeper(text, depth - 1)


@pytest.mark.parametrize(
    ("text", "deeper"),
    [
        (b"", False),
        (b"[" * 33, True),
        (b"[" * 32, False),
        (b'{"a":' * 33, True),
        (b'"' + b"[" * 100 + b'"', False),
        (b'["\\"' + b"[" * 100 + b'"]', False),
        (b'["\\\\"' + b"[" * 100, True),
        (b"[]" * 10_000, False),
        (b'"\\', False),
        (b'"never closed ' + b"[" * 100, False),
    ],
)
def test_brackets_count_outside_strings_only(text, deeper):
    assert nests_deeper(text, 32) is deeper
