import pytest

from wsserver.web.gate import Gate, GateLimits
from wsserver.web.refusal import HandshakeRefused


class Clock:
    """Moved by hand."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def time(self):
        return self.now


def gate(**limits):
    one = Gate(GateLimits(**{"max_open": 100, **limits}), clock := Clock())
    one.clock = clock
    return one


def refusal(of, address="1.2.3.4"):
    with pytest.raises(HandshakeRefused) as refused:
        of.enter(address)
    return refused.value


def told(error):
    return error.http_status, error.kind.code, error.details, error.headers


def test_a_draining_server_says_that_it_is_shutting_down():
    closing = gate(retry_after=7)
    closing.draining = True
    assert told(refusal(closing)) == (503, 1013, None, {"Retry-After": "7"})


def test_a_server_that_does_not_accept_says_so():
    shut = gate()
    shut.accepting = False
    error = refusal(shut)
    assert told(error) == (503, 1005, None, {"Retry-After": "5"})
    assert error.retry_after_ms == 5000
    shut.accepting = True
    shut.enter("1.2.3.4")


def test_no_more_than_the_hard_cap_are_inside():
    full = gate(max_open=2)
    first = full.enter("1.1.1.1")
    full.enter("2.2.2.2")
    assert told(refusal(full)) == (503, 1002, {"scope": "global"}, {"Retry-After": "5"})
    first.leave()
    full.enter("1.2.3.4")
    assert full.open == 2


def test_one_address_cannot_take_more_than_its_share():
    shared = gate(max_open_per_address=2)
    first = shared.enter("1.2.3.4")
    shared.enter("1.2.3.4")
    assert told(refusal(shared)) == (429, 1002, {"scope": "address"}, {"Retry-After": "5"})
    shared.enter("1.2.3.5")
    first.leave()
    assert shared.open_from("1.2.3.4") == 1
    shared.enter("1.2.3.4")


def test_a_place_is_given_back_exactly_once():
    one = gate()
    place = one.enter("1.2.3.4")
    one.enter("1.2.3.4")
    place.leave()
    place.leave()
    assert (one.open, one.open_from("1.2.3.4")) == (1, 1)


def test_a_refusal_takes_no_place():
    one = gate(max_open_per_address=1)
    one.enter("1.2.3.4")
    for _ in range(5):
        refusal(one)
    assert one.open == 1


def test_one_address_may_burst_and_then_comes_at_its_rate():
    limited = gate(rate_per_address=2, burst_per_address=3)
    clock = limited.clock
    for _ in range(3):
        limited.enter("1.2.3.4")
    error = refusal(limited)
    assert told(error) == (429, 1010, None, {"Retry-After": "1"})
    assert error.retry_after_ms == 500
    limited.enter("1.2.3.5")
    clock.now += 0.5
    limited.enter("1.2.3.4")
    refusal(limited)
    clock.now += 60
    for _ in range(3):
        limited.enter("1.2.3.4")
    refusal(limited)


def test_waiting_as_long_as_told_is_enough_and_less_is_not():
    limited = gate(rate_per_address=0.3, burst_per_address=1)
    limited.enter("1.2.3.4")
    wait = refusal(limited).retry_after_ms / 1000
    assert refusal(limited).headers == {"Retry-After": "4"}
    limited.clock.now += wait - 0.01
    refusal(limited)
    limited.clock.now += 0.01
    limited.enter("1.2.3.4")


def test_refused_attempts_do_not_put_off_the_next_admission():
    limited = gate(rate_per_address=1, burst_per_address=1)
    limited.enter("1.2.3.4")
    for _ in range(100):
        refusal(limited)
    limited.clock.now += 1
    limited.enter("1.2.3.4")


def test_a_steady_client_at_exactly_the_rate_is_never_refused():
    limited = gate(max_open=1, rate_per_address=3, burst_per_address=1)
    for _ in range(10_000):
        limited.enter("1.2.3.4").leave()
        limited.clock.now += 1 / 3


def test_the_rate_holds_across_connections_that_have_left():
    limited = gate(rate_per_address=1, burst_per_address=1)
    limited.enter("1.2.3.4").leave()
    assert refusal(limited).http_status == 429


def test_a_flood_from_many_addresses_does_not_grow_the_tables():
    limited = gate(rate_per_address=1, burst_per_address=1, remembered_addresses=50)
    limited.enter("1.2.3.4").leave()
    for number in range(1000):
        limited.enter(f"10.0.{number // 250}.{number % 250}").leave()
        if number % 20 == 0:
            # Whoever keeps trying stays known.
            refusal(limited)
    assert 40 < len(limited._attempts) <= 50
    assert limited._open_by_address == {}
    assert limited.open == 0


def test_new_limits_hold_at_once():
    one = gate(max_open=10)
    one.enter("1.2.3.4")
    one.limits = GateLimits(max_open=1)
    assert refusal(one).http_status == 503
