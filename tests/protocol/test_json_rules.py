"""The depth scan and the rules for values, each against a slow and obvious twin."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsserver.protocol.json_rules import (
    MAX_DEPTH,
    JsonFault,
    check_object,
    decode_json,
    find_lone_surrogate,
    nested_too_deep,
    path_text,
)

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.text(alphabet='[]{}"\\', max_size=8)
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("[{\"\\'", max_size=3), inner, max_size=4)
    ),
)


def _wrap(value: object, levels: int) -> object:
    for level in range(levels):
        value = [value] if level % 2 else {"]": value}
    return value


def _depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


@settings(deadline=None)
@given(value=_VALUES, levels=st.integers(25, 36), neighbour=_VALUES)
def test_the_depth_scan_agrees_with_a_walk_over_the_decoded_value(
    value: object, levels: int, neighbour: object
) -> None:
    document = [neighbour, _wrap(value, levels), neighbour]
    assert nested_too_deep(json.dumps(document).encode()) == (_depth(document) > MAX_DEPTH)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_the_depth_limit_is_inclusive(opening: bytes) -> None:
    assert not nested_too_deep(opening * MAX_DEPTH)
    assert nested_too_deep(opening * (MAX_DEPTH + 1))


def test_brackets_inside_strings_and_behind_escaped_quotes_do_not_count() -> None:
    assert not nested_too_deep(b'["' + b"[" * 100 + b'"]')
    assert not nested_too_deep(b'["\\\\\\"' + b"[" * 100 + b'"]')
    assert nested_too_deep(b'["\\\\",' + b"[" * 100 + b'"]')


@pytest.mark.parametrize("size", [10, 1_000, 10_000, 100_000, 1_000_000])
@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":', '["]",'])
def test_any_depth_of_unclosed_text_is_a_fault_and_never_a_recursion_error(opening: str, size: int) -> None:
    with pytest.raises(JsonFault):
        decode_json((opening * (size // len(opening) + 1)).encode())


def test_malformed_text_names_the_byte_and_not_the_content() -> None:
    with pytest.raises(JsonFault) as caught:
        decode_json(b'{"patient":secret}')
    assert str(caught.value) == "is not valid JSON (byte 11)"


@settings(deadline=None)
@given(st.lists(st.integers() | st.floats() | st.integers(2**53 - 2, 2**53 + 2), max_size=20))
def test_number_arrays_are_judged_as_number_by_number(numbers: list[float]) -> None:
    safe = all(
        -(2**53) <= number <= 2**53 if isinstance(number, int) else math.isfinite(number)
        for number in numbers
    )
    if safe:
        assert check_object({"data": numbers}) is False
    else:
        with pytest.raises(JsonFault) as caught:
            check_object({"data": numbers})
        assert caught.value.path[0] == "data"
        assert len(caught.value.path) == 2


@pytest.mark.parametrize(
    "numbers",
    [
        [1e308] * 10,  # their norm is infinite although each is finite
        [-1.7976931348623157e308, 1.7976931348623157e308],
        [2**53, 1.5],
        [-(2**53)] * 300,
        [0.0, -0.0, 5e-324],
        [],
    ],
)
def test_finite_numbers_pass_however_large_they_are_together(numbers: list[float]) -> None:
    assert check_object({"data": numbers}) is False


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 2**53 + 1, -(2**53) - 1, 10**400])
@pytest.mark.parametrize("position", [0, 120, 249])
def test_one_bad_sample_among_250_is_found_with_its_index(bad: float, position: int) -> None:
    samples: list[float] = [0.5] * 250
    samples[position] = bad
    with pytest.raises(JsonFault) as caught:
        check_object({"ecg": {"lead": samples}})
    assert path_text(caught.value.path) == f"ecg.lead[{position}]"


def test_tuples_are_reported_wherever_they_stand() -> None:
    assert check_object({"a": [1, {"b": (1, 2)}]}) is True
    assert check_object({"a": ((),)}) is True
    assert check_object({"a": [[1], {"b": [2]}]}) is False


def test_a_value_that_holds_itself_is_too_deep() -> None:
    loop: dict[str, object] = {}
    loop["me"] = [loop]
    with pytest.raises(JsonFault, match="nested deeper than 32"):
        check_object(loop)


def test_a_lone_surrogate_is_found_in_values_and_in_keys() -> None:
    assert find_lone_surrogate({"a": ["é", {"b": "\ud800"}]}) == ("a", 1, "b")
    assert find_lone_surrogate({"a": {"\udfff": 1}}) == ("a",)
    assert find_lone_surrogate({"a": ("é", "\U0001f600")}) == ()


def test_a_path_is_short_and_can_be_encoded_whatever_the_keys_are() -> None:
    assert path_text(("data", 3, "v")) == "data[3].v"
    assert path_text(()) == ""
    assert path_text(("k" * 1000, "\ud800")) == "k" * 64 + ".\\ud800"
