"""What a query may hold; nearly everything about it is seen over HTTP, in integration/."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from wsserver.errors import ServerError
from wsserver.web.query import asked_choice, asked_flag, asked_id, asked_number, check_query, page_limit


def query(text: str) -> web.Request:
    return make_mocked_request("GET", f"/x?{text}")


@pytest.mark.parametrize("text", ["", "a=1", "b=", "a=1&b=2"])
def test_each_parameter_may_be_given_once(text: str) -> None:
    check_query(query(text), "a", "b")


@pytest.mark.parametrize("text", ["c=1", "a=1&a=1", "A=1", "a%00=1", "a=1&c"])
def test_one_that_is_unknown_or_given_twice_is_refused(text: str) -> None:
    with pytest.raises(ServerError, match="1003"):
        check_query(query(text), "a", "b")


def test_a_limit_is_a_number_from_1_to_1000() -> None:
    assert [page_limit(query(text)) for text in ("", "limit=1", "limit=1000", "limit=0010")] == [
        100,
        1,
        1000,
        10,
    ]
    for text in ("0", "1001", "-1", "1.5", "+1", "", "٣", "9" * 5000, "1e3", " 1"):
        with pytest.raises(ServerError, match="1003"):
            page_limit(query(f"limit={text}"))


def test_a_number_is_a_whole_one_within_its_bound() -> None:
    assert [asked_number(query(text), "n", most=20) for text in ("", "n=0", "n=20", "n=007")] == [0, 0, 20, 7]
    for text in ("21", "-1", "1.5", "", "x", "٣", "9" * 5000):
        with pytest.raises(ServerError, match="1003"):
            asked_number(query(f"n={text}"), "n", most=20)


def test_ids_choices_and_flags_are_what_they_must_be() -> None:
    assert (asked_id(query("id=c_1"), "id"), asked_id(query(""), "id")) == ("c_1", None)
    assert (asked_choice(query("k=a"), "k", "ab"), asked_choice(query(""), "k", "ab")) == ("a", None)
    assert [asked_flag(query(text), "f") for text in ("f=true", "f=false", "")] == [True, False, False]
    for refused in (
        lambda: asked_id(query("id=a%20b"), "id"),
        lambda: asked_choice(query("k=c"), "k", ("a", "b")),
        lambda: asked_choice(query("k="), "k", ("a", "b")),
        lambda: asked_flag(query("f=True"), "f"),
        lambda: asked_flag(query("f=1"), "f"),
    ):
        with pytest.raises(ServerError, match="1003"):
            refused()


def test_a_number_may_have_a_least_and_a_default() -> None:
    assert asked_number(query(""), "n", least=1, most=30, default=5) == 5
    assert asked_number(query("n=1"), "n", least=1, most=30, default=5) == 1
    with pytest.raises(ServerError, match="from 1 to 30"):
        asked_number(query("n=0"), "n", least=1, most=30, default=5)
