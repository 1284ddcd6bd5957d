"""Seats: the boundary of each limit, and giving back exactly once."""

import pytest

from wsserver.connections.connection_limits import ConnectionLimits
from wsserver.errors import CONNECTION_LIMIT, ServerError


def scope_of_refusal(limits: ConnectionLimits, user_id: str, role: str) -> str:
    with pytest.raises(ServerError) as refused:
        limits.take(user_id, role)
    assert refused.value.kind is CONNECTION_LIMIT
    assert refused.value.retry_after_ms == 5_000
    assert refused.value.details is not None
    return str(refused.value.details["scope"])


@pytest.mark.parametrize("limit", [1, 10, 100, 10_000])
def test_the_last_seat_of_all_is_taken_and_the_next_is_refused(limit: int) -> None:
    limits = ConnectionLimits(limit, 10**6, None)
    for number in range(limit):
        limits.take(f"u{number}", "doctor")
    assert scope_of_refusal(limits, "one more", "doctor") == "global"
    assert limits.total == limit


def test_the_tenth_seat_of_a_user_is_taken_and_the_eleventh_is_refused() -> None:
    limits = ConnectionLimits(10_000, 10, None)
    for _ in range(10):
        limits.take("u1", "doctor")
    assert scope_of_refusal(limits, "u1", "nurse") == "user"
    limits.take("u2", "doctor")


def test_the_hundredth_seat_of_a_role_is_taken_and_the_next_is_refused() -> None:
    limits = ConnectionLimits(10_000, 10, 100)
    for number in range(100):
        limits.take(f"u{number}", "doctor")
    assert scope_of_refusal(limits, "u100", "doctor") == "role"
    limits.take("u100", "nurse")


def test_a_table_limits_the_roles_it_names_and_shuts_out_those_at_zero() -> None:
    limits = ConnectionLimits(100, 10, {"doctor": 1, "porter": 0})
    limits.take("u1", "doctor")
    assert scope_of_refusal(limits, "u2", "doctor") == "role"
    assert scope_of_refusal(limits, "u2", "porter") == "role"
    for number in range(50):
        limits.take(f"n{number}", "nurse")


def test_the_first_limit_that_is_reached_is_named_from_global_to_role() -> None:
    limits = ConnectionLimits(1, 1, 1)
    limits.take("u1", "doctor")
    assert scope_of_refusal(limits, "u1", "doctor") == "global"
    limits.max_connections = 2
    assert scope_of_refusal(limits, "u1", "doctor") == "user"
    limits.max_per_user = 2
    assert scope_of_refusal(limits, "u1", "doctor") == "role"


def test_a_refusal_takes_nothing_and_asking_leaves_no_trace() -> None:
    limits = ConnectionLimits(10, 1, 1)
    limits.take("u1", "doctor")
    for _ in range(3):
        scope_of_refusal(limits, "u1", "doctor")
    limits.check("stranger", "nurse")
    assert (limits.total, dict(limits.by_user), dict(limits.by_role)) == (1, {"u1": 1}, {"doctor": 1})


def test_a_seat_is_given_back_once_and_a_second_time_is_a_fault() -> None:
    limits = ConnectionLimits(10, 10, 10)
    limits.take("u1", "doctor")
    limits.give_back("u1", "doctor")
    assert (limits.total, len(limits.by_user), len(limits.by_role)) == (0, 0, 0)
    with pytest.raises(ValueError, match="no such seat"):
        limits.give_back("u1", "doctor")
    limits.take("u1", "doctor")
    for user_id, role in (("u2", "doctor"), ("u1", "nurse")):
        with pytest.raises(ValueError, match="no such seat"):
            limits.give_back(user_id, role)
    assert limits.total == 1


def test_a_changed_role_moves_the_seat_even_past_the_limit() -> None:
    limits = ConnectionLimits(10, 10, 1)
    limits.take("u1", "doctor")
    limits.take("u2", "nurse")
    limits.move_role("nurse", "doctor")
    assert dict(limits.by_role) == {"doctor": 2}
    assert limits.total == 2


def test_one_that_takes_the_place_of_another_is_counted_without_it() -> None:
    limits = ConnectionLimits(2, 1, {"nurse": 1, "doctor": 1})
    limits.take("u1", "nurse")
    limits.take("u2", "doctor")
    limits.check_instead("u1", "nurse", "nurse")
    with pytest.raises(ServerError, match="limit") as refused:
        limits.check_instead("u1", "doctor", "nurse")
    assert (refused.value.details or {})["scope"] == "role"
    assert (limits.total, dict(limits.by_user), dict(limits.by_role)) == (
        2,
        {"u1": 1, "u2": 1},
        {"nurse": 1, "doctor": 1},
    )
    with pytest.raises(ValueError, match="no such seat"):
        limits.check_instead("u3", "nurse", "nurse")
