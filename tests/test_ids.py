"""One spelling per thing."""

import re

import pytest

from wsserver.ids import InvalidId, NumberedIds, canonical_id, new_id, shared


@pytest.mark.parametrize(
    ("value", "text"),
    [(123, "123"), ("123", "123"), ("0123", "0123"), (0, "0"), ("A.b_c-9", "A.b_c-9"), ("x" * 64, "x" * 64)],
)
def test_text_stays_as_it_is_and_a_whole_number_becomes_its_decimal_text(value: object, text: str) -> None:
    assert canonical_id(value) == text


@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        None,
        1.0,
        -1,
        10**64,
        "",
        "x" * 65,
        ".a",
        "-a",
        "_a",
        "a b",
        "a/b",
        "*",
        "ä",
        "１",
        "a\n",
        b"a",
        ["a"],
    ],
)
def test_anything_else_is_refused_without_being_repeated(value: object) -> None:
    with pytest.raises(InvalidId, match="patient_id must be") as refused:
        canonical_id(value, "patient_id")
    assert repr(value) not in str(refused.value)


def test_a_subclass_of_text_or_number_is_neither() -> None:
    class Text(str):
        pass

    with pytest.raises(InvalidId):
        canonical_id(Text("a"))


def test_equal_names_are_one_object_but_not_for_ever() -> None:
    def name(number: int) -> str:
        return f"kind{number}"

    first = shared(name(0))
    assert shared(name(0)) is first
    for number in range(1, 2_000):
        shared(name(number))
    assert shared(name(0)) == first
    assert shared(name(0)) is not first


def test_fresh_ids_differ_and_are_canonical() -> None:
    ids = {new_id("c") for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(r"c_[0-9a-f]{24}", one) and canonical_id(one) for one in ids)


def test_an_id_for_a_number_can_be_turned_back_and_tells_nothing_of_its_neighbours() -> None:
    ids = NumberedIds("s")
    numbers = [0, 1, 2, 1 << 32, (1 << 64) - 1]
    texts = [ids.text(number) for number in numbers]
    assert [ids.number(text) for text in texts] == numbers
    assert len(set(texts)) == len(numbers)
    assert all(re.fullmatch(r"s_[0-9a-f]{16}", text) for text in texts)
    assert NumberedIds("s").text(1) != ids.text(1)


@pytest.mark.parametrize(
    "text", ["", "s_", "s_1", "c_0123456789abcdef", "s_0123456789ABCDEF", "s_0123456789abcdef0"]
)
def test_what_is_no_id_of_a_number_is_0(text: str) -> None:
    assert NumberedIds("s").number(text) == 0
