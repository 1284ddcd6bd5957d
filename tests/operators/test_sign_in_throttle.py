import pytest
from fake_clock import FakeClock

from wsserver.errors import ServerError
from wsserver.operators.sign_in_throttle import FORGIVEN_AFTER, REMEMBERED, TRIES, SignInThrottle


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def throttle(clock: FakeClock) -> SignInThrottle:
    return SignInThrottle(clock)


def wait(throttle: SignInThrottle, address: str, name: str | None) -> float:
    """Seconds that a try has to wait; a try that has not fails."""
    try:
        throttle.enter(address, name)
    except ServerError as error:
        refusal = error
    else:
        return 0.0
    assert refusal.kind.code == 1010
    return round((refusal.retry_after_ms or 0) / 1000, 1)


def test_ten_may_fail_at_once_and_then_one_a_minute(throttle: SignInThrottle, clock: FakeClock) -> None:
    for place in range(TRIES):
        assert wait(throttle, f"a{place}", "olga") == 0
    assert wait(throttle, "b", "olga") == FORGIVEN_AFTER
    clock.advance(FORGIVEN_AFTER - 1)
    assert wait(throttle, "b", "olga") == 1
    clock.advance(1)
    assert wait(throttle, "b", "olga") == 0
    assert wait(throttle, "b", "olga") == FORGIVEN_AFTER


def test_an_address_is_counted_over_all_names_and_without_any(throttle: SignInThrottle) -> None:
    for place in range(TRIES):
        assert wait(throttle, "a", f"n{place}" if place % 2 else None) == 0
    assert wait(throttle, "a", None) > 0
    assert wait(throttle, "a", "new") > 0
    assert wait(throttle, "b", "n1") == 0


def test_a_try_that_is_refused_costs_nothing(throttle: SignInThrottle, clock: FakeClock) -> None:
    for _ in range(100):
        wait(throttle, "a", "olga")
    clock.advance(FORGIVEN_AFTER)
    assert wait(throttle, "a", "olga") == 0


def test_a_success_is_no_failure_and_forgives_none(throttle: SignInThrottle) -> None:
    for _ in range(3 * TRIES):
        assert wait(throttle, "a", "olga") == 0
        throttle.succeeded("a", "olga")
    for _ in range(TRIES):
        assert wait(throttle, "a", "olga") == 0
    assert wait(throttle, "a", "olga") > 0


def test_what_is_remembered_is_bounded_and_forgotten_in_time(
    throttle: SignInThrottle, clock: FakeClock
) -> None:
    for place in range(3 * REMEMBERED):
        throttle.enter(f"a{place}", f"n{place}")
        assert len(throttle) <= 2 * REMEMBERED
    clock.advance(FORGIVEN_AFTER)
    throttle.sweep()
    assert len(throttle) == 0
