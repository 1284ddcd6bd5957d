"""How many subscriptions there may be: the boundary of each limit, and who gets the last of the pool."""

import pytest

from wsserver.errors import SUBSCRIPTION_LIMIT, ServerError
from wsserver.subscriptions.subscription_limits import SubscriptionLimits


def scope_of_refusal(limits: SubscriptionLimits, held: int, total: int) -> str | None:
    """The scope of the limit that one more would break; None when there is room."""
    try:
        limits.check(held, total)
    except ServerError as error:
        refused = error
    else:
        return None
    assert refused.kind is SUBSCRIPTION_LIMIT
    assert refused.details is not None
    assert set(refused.details) == {"scope"}
    return str(refused.details["scope"])


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_the_last_of_a_connection_is_given_and_the_next_is_refused(limit: int) -> None:
    limits = SubscriptionLimits(limit, 10**6, 10)
    assert scope_of_refusal(limits, limit - 1, limit - 1) is None
    assert scope_of_refusal(limits, limit, limit) == "connection"
    assert scope_of_refusal(limits, limit + 1, limit + 1) == "connection"


@pytest.mark.parametrize("pool", [1, 3, 10, 50_000])
def test_the_last_of_the_pool_is_given_and_the_next_is_refused(pool: int) -> None:
    limits = SubscriptionLimits(10**6, pool, pool)
    assert scope_of_refusal(limits, 0, pool - 1) is None
    assert scope_of_refusal(limits, 0, pool) == "global"
    assert scope_of_refusal(limits, 0, pool + 1) == "global"


def test_the_limit_of_the_connection_is_named_before_that_of_the_pool() -> None:
    assert scope_of_refusal(SubscriptionLimits(5, 5, 1), 5, 5) == "connection"


def test_the_last_tenth_is_for_connections_with_less_than_an_even_share() -> None:
    limits = SubscriptionLimits(100, 1000, 100)
    assert limits.even_share == 10
    for held, total, scope in (
        (99, 899, None),
        (9, 900, None),
        (10, 900, "global"),
        (99, 900, "global"),
        (9, 999, None),
        (0, 999, None),
        (0, 1000, "global"),
    ):
        assert scope_of_refusal(limits, held, total) == scope, (held, total)


def test_by_default_an_even_share_is_five_and_the_last_five_thousand_are_kept() -> None:
    limits = SubscriptionLimits(100, 50_000, 10_000)
    assert scope_of_refusal(limits, 99, 44_999) is None
    assert scope_of_refusal(limits, 5, 45_000) == "global"
    assert scope_of_refusal(limits, 4, 45_000) is None


def test_a_pool_of_less_than_one_for_each_connection_is_not_shared_out() -> None:
    limits = SubscriptionLimits(100, 50, 51)
    assert limits.even_share == 0
    assert scope_of_refusal(limits, 49, 49) is None
    assert scope_of_refusal(limits, 0, 49) is None
    assert scope_of_refusal(limits, 0, 50) == "global"


def test_whoever_comes_late_finds_room_however_greedy_the_others_are() -> None:
    """Played out: one takes all it gets, then each of the others asks for its even share."""
    limits, total = SubscriptionLimits(10**6, 200, 20), 0
    while scope_of_refusal(limits, total, total) is None:
        total += 1
    assert total == 180
    for _ in range(2):
        held = 0
        while scope_of_refusal(limits, held, total) is None:
            held, total = held + 1, total + 1
        assert held == limits.even_share
    assert total == 200
