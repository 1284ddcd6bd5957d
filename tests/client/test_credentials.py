"""Which token is shown, and when another one is asked for."""

import pytest

from wsserver.client.credentials import Credentials, TokenUnavailable
from wsserver.client.errors import InvalidOption


@pytest.mark.parametrize(("token", "source"), [(None, None), ("", None), (3, None), (None, "text"), ("t", 3)])
def test_what_is_no_token_and_no_source_is_refused(token, source) -> None:
    with pytest.raises(InvalidOption) as refused:
        Credentials(token, source)
    assert refused.value.name in ("token", "get_token")


async def test_a_token_is_asked_for_once_and_kept() -> None:
    reasons: list[str] = []

    def source(reason: str) -> str:
        reasons.append(reason)
        return f"t{len(reasons)}"

    credentials = Credentials(None, source)
    assert [await credentials.current() for _ in range(3)] == ["t1"] * 3
    credentials.accepted()
    assert credentials.expired()
    assert await credentials.current() == "t2"
    assert await credentials.renew("expiring") == await credentials.current() == "t3"
    assert reasons == ["first", "expired", "expiring"]


async def test_a_refused_one_is_replaced_once_until_one_is_accepted() -> None:
    credentials = Credentials("bad", lambda reason: "good")
    assert credentials.refused()
    assert credentials.is_refused("bad")
    assert not credentials.is_refused(await credentials.current())
    assert not credentials.refused()
    credentials.accepted()
    assert credentials.refused()


def test_a_fixed_one_that_ended_is_tried_once_more() -> None:
    credentials = Credentials("t", None)
    assert not credentials.refused()
    assert credentials.expired()
    assert not credentials.expired()
    credentials.accepted()
    assert credentials.expired()


@pytest.mark.parametrize("given", [None, "", 3, b"t"])
async def test_a_source_that_gives_no_token_is_told(given) -> None:
    with pytest.raises(TokenUnavailable):
        await Credentials(None, lambda reason: given).current()


async def test_what_a_source_raises_is_the_cause_and_not_the_text() -> None:
    def source(reason: str) -> str:
        raise RuntimeError("canary")

    with pytest.raises(TokenUnavailable) as failed:
        await Credentials(None, source).current()
    assert str(failed.value.__cause__) == "canary"
    assert "canary" not in str(failed.value)
