"""The decision after each end, as a table."""

from collections.abc import Callable

import pytest
from hand_clock import HandClock

from wsserver.client.backoff import Backoff
from wsserver.client.credentials import Credentials
from wsserver.client.errors import AuthenticationFailed, ConnectionEnded, ReconnectFailed
from wsserver.client.reconnection import Ending, Reconnection, Retry
from wsserver.client.reconnection_config import ReconnectionConfig


def deciding(
    clock: HandClock | None = None, get_token: Callable[[str], str] | None = None, **options: object
) -> Reconnection:
    config = ReconnectionConfig(**options)
    credentials = Credentials("t", get_token)
    return Reconnection(config, Backoff(config, lambda: 0.5), credentials, (clock or HandClock()).monotonic)


def test_the_slot_of_a_drain_yields_to_what_a_limit_asks_for() -> None:
    decisions = deciding()
    decisions.given_slot(3.0)
    assert decisions.ended(Ending(4102, retry_after=9.0)) == Retry(1, 9.0 * 1.05, True)
    decisions.given_slot(3.0)
    assert decisions.ended(Ending(4020)) == Retry(2, 3.0, True)
    decisions.given_slot(3.0)
    assert decisions.ended(Ending(4102)) == Retry(3, 3.0, True)


def test_advice_holds_for_one_attempt() -> None:
    decisions = deciding()
    decisions.given_slot(3.0)
    assert decisions.ended(Ending(4020)) == Retry(1, 3.0, True)
    assert decisions.ended(Ending()) == Retry(2, 2.0, False)


def test_attempts_end_at_their_number_and_not_before() -> None:
    decisions = deciding(max_attempts=3)
    assert [type(decisions.ended(Ending())) for _ in range(4)] == [Retry, Retry, Retry, ReconnectFailed]


@pytest.mark.parametrize("uptime", [4.999, 5.0])
def test_they_are_counted_anew_after_min_uptime(uptime: float) -> None:
    clock = HandClock()
    decisions = deciding(clock)
    decisions.ended(Ending())
    decisions.opened()
    clock.now += uptime
    decision = decisions.ended(Ending())
    assert isinstance(decision, Retry)
    assert decision.attempt == (1 if uptime >= 5 else 2)


@pytest.mark.parametrize(
    ("ending", "outcome"),
    [
        (Ending(4511), ConnectionEnded),
        (Ending(4501), AuthenticationFailed),
        (Ending(is_final=True), ConnectionEnded),
        (Ending(4001), Retry),
        (Ending(4110), Retry),
        (Ending(1000), ConnectionEnded),
    ],
)
def test_without_get_token(ending: Ending, outcome: type) -> None:
    assert type(deciding().ended(ending)) is outcome


def test_with_get_token_a_refusal_is_worth_one_more_attempt() -> None:
    decisions = deciding(get_token=lambda reason: "other")
    assert isinstance(decisions.ended(Ending(4501)), Retry)
    assert isinstance(decisions.ended(Ending(4501)), AuthenticationFailed)
