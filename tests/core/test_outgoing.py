"""A message on its way out: its two forms, and its copies."""

import pytest

from wsserver_core.outgoing import DATA, Frame

PLACE = {"topic": "ecg:*", "log": "k1v", "seq": 7, "stream": "s", "lane": 2, "time": 1_767_225_600_000_001}


def place(frame: Frame) -> dict[str, object]:
    return {name: getattr(frame, name) for name in PLACE}


def test_a_frame_has_bytes_for_somebody() -> None:
    with pytest.raises(ValueError, match="somebody"):
        Frame(None)


def test_a_form_that_is_not_there_is_none_or_an_error_and_never_the_other_one() -> None:
    text, binary = Frame(b"t"), Frame(None, binary=b"b")
    assert (text.wire, text.binary) == (b"t", None)
    assert binary.binary == b"b"
    with pytest.raises(ValueError, match="binary protocol"):
        _ = binary.wire
    with pytest.raises(ValueError, match="binary protocol"):
        _ = binary.text


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        (b"\x81\x02{}", b"{}"),
        (b"\x81\x7d" + b"x" * 125, b"x" * 125),
        (b"\x81\x7e\x00\x7e" + b"x" * 126, b"x" * 126),
        (b"\x81\x7f" + (65536).to_bytes(8, "big") + b"x" * 65536, b"x" * 65536),
    ],
    ids=["0", "125", "126", "65536"],
)
def test_the_text_is_what_stands_behind_the_header(wire: bytes, text: bytes) -> None:
    assert Frame(wire).text == text


def test_a_copy_has_the_same_bytes_and_the_same_place() -> None:
    frame = Frame(b"t", "123", DATA, binary=b"b", **PLACE)
    again = frame.again()
    assert again.wire is frame.wire
    assert again.binary is frame.binary
    assert (again.subject, again.importance, place(again)) == ("123", DATA, PLACE)


def test_a_copy_can_have_the_binary_form_that_the_first_one_lacked() -> None:
    frame = Frame(b"t", "123", DATA, **PLACE)
    again = frame.again(b"b")
    assert (frame.binary, again.wire, again.binary, place(again)) == (None, b"t", b"b", PLACE)


def test_a_copy_can_do_without_it() -> None:
    plain = Frame(b"t", "123", DATA, binary=b"b", **PLACE).without_binary()
    assert (plain.wire, plain.binary, place(plain)) == (b"t", None, PLACE)
