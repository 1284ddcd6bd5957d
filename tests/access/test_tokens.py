from typing import Any

import jwt
import pytest

from wsserver.access.keys import KeyTable
from wsserver.access.refusal import AuthenticationFailed, Reason
from wsserver.access.tokens import MAX_TOKEN, TokenVerifier, mint_token
from wsserver.access.verification_key import KeyFault
from wsserver.ids import InvalidId

NOW = 1_800_000_000


def verifier(auth: Any, clock: Any) -> TokenVerifier:
    return TokenVerifier(auth, KeyTable(auth, clock), clock)


def runs_without_yielding(coroutine: Any) -> Any:
    """The result of a coroutine that must not suspend even once."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise AssertionError("the coroutine yielded to the loop")


def test_verification_with_local_keys_does_not_yield_to_the_loop(
    forge: Any, make_auth: Any, clock: Any
) -> None:
    checker = verifier(make_auth(), clock)
    assert runs_without_yielding(checker.verify(forge.token())).user_id == "u1"


def test_a_token_of_the_largest_size_is_read_and_one_character_more_refused(
    forge: Any, make_auth: Any, clock: Any
) -> None:
    checker = verifier(make_auth(), clock)
    pad = (MAX_TOKEN - len(forge.token(forge.claims(x="")))) * 3 // 4
    sizes = {}
    for extra in range(-4, 5):
        token = forge.token(forge.claims(x="x" * (pad + extra)))
        sizes[len(token)] = token
    assert checker.verify_now(sizes[MAX_TOKEN]).user_id == "u1"
    with pytest.raises(AuthenticationFailed) as caught:
        checker.verify_now(sizes[MAX_TOKEN + 1])
    assert caught.value.reason is Reason.TOO_LONG


def test_a_token_of_another_implementation_is_read(make_auth: Any, forge: Any, clock: Any) -> None:
    token = jwt.encode(forge.claims(patients=["1"]), forge.secret, algorithm="HS256")
    assert verifier(make_auth(), clock).verify_now(token).patients == {"1"}


def test_equal_tokens_have_equal_fingerprints_and_others_do_not(
    forge: Any, make_auth: Any, clock: Any
) -> None:
    checker = verifier(make_auth(), clock)
    one, again, other = (checker.verify_now(forge.token(forge.claims(x=x))) for x in (1, 1, 2))
    assert one.fingerprint == again.fingerprint != other.fingerprint


def test_time_comes_from_the_clock_that_was_given(forge: Any, make_auth: Any, clock: Any) -> None:
    checker = verifier(make_auth(), clock)
    token = forge.token()
    checker.verify_now(token)
    clock.advance(605)
    with pytest.raises(AuthenticationFailed) as caught:
        checker.verify_now(token)
    assert caught.value.reason is Reason.EXPIRED


@pytest.mark.parametrize("patients", [None, "*", [], ["1", 2, "p-3"]], ids=str)
def test_a_minted_token_is_taken_with_everything_that_was_asked_for(
    make_auth: Any, clock: Any, patients: Any
) -> None:
    auth = make_auth(issuer="me", audience="you", max_token_lifetime=600)
    token = mint_token(
        auth,
        clock,
        user_id=7,
        role="nurse",
        lifetime=600,
        patients=patients,
        scopes=["admin:read"],
        token_id="j",
    )
    claims = verifier(auth, clock).verify_now(token)
    assert (claims.user_id, claims.role, claims.token_id) == ("7", "nurse", "j")
    assert (claims.issued_at, claims.expires_at) == (NOW, NOW + 600)
    assert claims.rest_scopes == {"admin:read"}
    expected = {"1", "2", "p-3"} if patients == ["1", 2, "p-3"] else patients
    assert claims.patients == (frozenset(expected) if isinstance(patients, list) else expected)


def test_minted_tokens_have_ids_of_their_own(make_auth: Any, clock: Any) -> None:
    checker = verifier(make_auth(), clock)
    ids = {
        checker.verify_now(mint_token(make_auth(), clock, user_id="u", role="r")).token_id for _ in range(3)
    }
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("settings", "wishes", "fault"),
    [
        ({"secret": None}, {}, KeyFault),
        ({"secret": "short"}, {}, KeyFault),
        ({}, {"user_id": "a b"}, InvalidId),
        ({}, {"role": ""}, InvalidId),
        ({}, {"patients": ["*"]}, InvalidId),
        ({}, {"lifetime": 0}, ValueError),
        ({"max_token_lifetime": 60}, {"lifetime": 61}, ValueError),
        ({}, {"scopes": ["two words"]}, ValueError),
        ({}, {"scopes": [""]}, ValueError),
        ({}, {"patients": range(10_000)}, ValueError),
    ],
)
def test_a_token_that_would_be_refused_is_not_minted(
    make_auth: Any, clock: Any, settings: dict[str, Any], wishes: dict[str, Any], fault: type[Exception]
) -> None:
    with pytest.raises(fault):
        mint_token(make_auth(**settings), clock, **({"user_id": "u", "role": "r"} | wishes))
