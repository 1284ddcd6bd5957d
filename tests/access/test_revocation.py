from typing import Any

import pytest

from wsserver.access.revocation import RevocationList

NOW = 1_800_000_000


@pytest.fixture
def revoked(clock: Any) -> RevocationList:
    return RevocationList(clock)


def test_a_revoked_user_loses_the_tokens_issued_until_now_and_keeps_later_ones(
    revoked: RevocationList, make_claims: Any
) -> None:
    revoked.revoke_user("u1")
    assert revoked.is_revoked(make_claims(issued_at=NOW - 1))
    assert revoked.is_revoked(make_claims(issued_at=NOW))
    assert not revoked.is_revoked(make_claims(issued_at=NOW + 1))
    assert not revoked.is_revoked(make_claims(user_id="u2", issued_at=NOW - 1))


def test_a_token_that_does_not_say_when_it_was_issued_counts_as_revoked(
    revoked: RevocationList, make_claims: Any
) -> None:
    assert not revoked.is_revoked(make_claims(issued_at=None))
    revoked.revoke_user("u1")
    assert revoked.is_revoked(make_claims(issued_at=None))


def test_a_second_revocation_never_weakens_the_first(revoked: RevocationList, make_claims: Any) -> None:
    revoked.revoke_user("u1", NOW + 100)
    revoked.revoke_user("u1", NOW - 100)
    assert revoked.is_revoked(make_claims(issued_at=NOW + 100))
    revoked.revoke_user("u1", NOW + 200)
    assert revoked.is_revoked(make_claims(issued_at=NOW + 200))


def test_a_revoked_token_is_refused_whoever_bears_it(revoked: RevocationList, make_claims: Any) -> None:
    revoked.revoke_token("t1")
    assert revoked.is_revoked(make_claims(token_id="t1", issued_at=NOW + 50))
    assert revoked.is_revoked(make_claims(token_id="t1", user_id="u2"))
    assert not revoked.is_revoked(make_claims(token_id="t2"))
    assert not revoked.is_revoked(make_claims(token_id=None))


def test_patients_are_withheld_from_old_tokens_and_not_from_new_ones(
    revoked: RevocationList, make_claims: Any
) -> None:
    revoked.revoke_patients("u1", ["1", "2"])
    old, new = make_claims(issued_at=NOW), make_claims(issued_at=NOW + 1)
    assert revoked.withheld(old) == {"1", "2"}
    assert revoked.withheld(make_claims(issued_at=None)) == {"1", "2"}
    assert revoked.withheld(new) == frozenset()
    assert revoked.withheld(make_claims(user_id="u2")) == frozenset()
    assert not revoked.is_revoked(old)


def test_each_patient_is_withheld_as_of_its_own_time(
    revoked: RevocationList, make_claims: Any, clock: Any
) -> None:
    revoked.revoke_patients("u1", ["1"])
    clock.advance(10)
    revoked.revoke_patients("u1", ["2"])
    assert revoked.withheld(make_claims(issued_at=NOW + 5)) == {"2"}


def test_entries_go_when_no_token_they_concern_can_be_valid(clock: Any, make_claims: Any) -> None:
    revoked = RevocationList(clock, max_token_lifetime=3600, leeway=5)
    revoked.revoke_user("u1")
    revoked.revoke_token("t1")
    revoked.revoke_patients("u1", ["1"])
    clock.advance(3609.9)
    revoked.prune()
    assert len(revoked) == 3
    clock.advance(0.1)
    revoked.prune()
    assert len(revoked) == 0
    assert not revoked.is_revoked(make_claims())
    assert revoked.withheld(make_claims()) == frozenset()
    assert not revoked._patients._patients_of


def test_without_a_limit_of_lifetime_entries_stay(revoked: RevocationList, clock: Any) -> None:
    revoked.revoke_user("u1")
    revoked.revoke_token("t1", until=NOW + 10)
    clock.advance(10 * 365 * 86_400)
    revoked.prune()
    assert len(revoked) == 1


def test_a_renewed_entry_stays_as_long_as_the_longer_of_both(clock: Any) -> None:
    revoked = RevocationList(clock)
    revoked.revoke_token("t1", until=NOW + 100)
    revoked.revoke_token("t1", until=NOW + 10)
    clock.advance(50)
    revoked.prune()
    assert len(revoked) == 1


@pytest.mark.parametrize("kind", ["user", "token", "patients"])
def test_what_no_longer_fits_becomes_a_floor_so_that_nobody_comes_back(
    clock: Any, make_claims: Any, kind: str
) -> None:
    revoked = RevocationList(clock, max_entries=3)

    def revoke(number: int) -> None:
        if kind == "user":
            revoked.revoke_user(f"u{number}")
        elif kind == "token":
            revoked.revoke_token(f"t{number}")
        else:
            revoked.revoke_patients(f"u{number}", ["1"])

    for number in range(3):
        revoke(number)
        clock.advance(1)
    stranger = {"user_id": "stranger", "token_id": "strange"}
    assert not revoked.is_revoked(make_claims(**stranger, issued_at=NOW))
    revoke(3)
    assert len(revoked) == 3
    assert revoked.is_revoked(make_claims(user_id="u0", token_id="t0", issued_at=NOW))
    assert revoked.is_revoked(make_claims(**stranger, issued_at=NOW))
    assert revoked.is_revoked(make_claims(**stranger, issued_at=None))
    assert not revoked.is_revoked(make_claims(**stranger, issued_at=NOW + 1))


def test_a_full_table_makes_room_by_what_has_expired_before_it_raises_the_floor(
    clock: Any, make_claims: Any
) -> None:
    revoked = RevocationList(clock, max_token_lifetime=10, max_entries=3)
    for number in range(3):
        revoked.revoke_user(f"u{number}")
    clock.advance(10)
    revoked.revoke_user("u3")
    assert len(revoked) == 1
    assert not revoked.is_revoked(make_claims(user_id="stranger", issued_at=None))


def test_memory_is_bounded_under_a_flood(clock: Any) -> None:
    revoked = RevocationList(clock, max_entries=50)
    for number in range(2000):
        revoked.revoke_user(f"u{number}")
        revoked.revoke_token(f"t{number}")
        revoked.revoke_patients(f"u{number % 7}", [str(number)])
    assert len(revoked) == 150
    assert sum(len(patients) for patients in revoked._patients._patients_of.values()) == 50


@pytest.mark.parametrize("longer", [86_400.0, None])
def test_tokens_that_may_live_longer_from_now_on_stay_revoked_for_longer(
    clock: Any, make_claims: Any, longer: float | None
) -> None:
    revoked = RevocationList(clock, max_token_lifetime=60.0)
    revoked.revoke_user("u1")
    revoked.configure(max_token_lifetime=longer, leeway=0.0)
    clock.advance(80)
    revoked.prune()
    assert revoked.is_revoked(make_claims(issued_at=NOW - 1))


def test_shorter_lives_do_not_shorten_what_is_revoked(clock: Any, make_claims: Any) -> None:
    revoked = RevocationList(clock, max_token_lifetime=1000.0)
    revoked.revoke_token("t1")
    revoked.configure(max_token_lifetime=10.0, leeway=0.0)
    clock.advance(500)
    revoked.prune()
    assert revoked.is_revoked(make_claims(token_id="t1"))
