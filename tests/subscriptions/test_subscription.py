"""A subscription, and one that was refused."""

import pytest

from wsserver.errors import PERMISSION_DENIED, ServerError
from wsserver.subscriptions.subscription import Refused, Subscription
from wsserver_core.filters import FilterLimits, compile_filter


def subscription(target_id: str, source: object = None) -> Subscription:
    program = compile_filter(source, FilterLimits())
    return Subscription(1 << 32, "s_1", "c_1", "patient", target_id, program, 5.0)


async def test_a_subscription_is_true_and_awaiting_it_gives_itself() -> None:
    one = subscription("7", {"a": 1})
    assert one
    assert await one is one
    assert one.filters == {"a": 1}
    assert one.renewed_at == 5.0


def test_whatever_names_the_same_subscription_is_equal() -> None:
    assert subscription("7", {"a": 1}) == subscription("7")
    assert hash(subscription("7")) == hash(subscription("7"))
    assert subscription("7") != "s_1"


def test_only_the_star_is_a_wildcard() -> None:
    assert subscription("*").is_wildcard
    assert not subscription("7").is_wildcard


def test_its_filter_cannot_be_changed_from_outside() -> None:
    one = subscription("7", {"a": 1})
    one.filters["a"] = 2
    assert one.filters == {"a": 1}


async def test_a_refused_one_is_false_and_raises_its_error_when_awaited() -> None:
    refused = Refused(ServerError(PERMISSION_DENIED))
    assert not refused
    with pytest.raises(ServerError) as error:
        await refused
    assert error.value is refused.error
