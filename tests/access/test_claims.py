from typing import Any

import pytest

from wsserver.access.claims import ClaimRules
from wsserver.access.refusal import AuthenticationFailed, Reason

NOW = 1_800_000_000


def read(auth: Any, payload: dict[str, Any], now: float = NOW) -> Any:
    return ClaimRules(auth).read(payload, b"", now)


def reason(auth: Any, payload: dict[str, Any], now: float = NOW) -> Reason:
    with pytest.raises(AuthenticationFailed) as caught:
        read(auth, payload, now)
    return caught.value.reason


def test_every_claim_finds_its_place(forge: Any, make_auth: Any) -> None:
    payload = forge.claims(patients=["1", 2, "p-3"], scope="admin:read metrics:read", other={"a": 1})
    claims = read(make_auth(), payload)
    assert (claims.user_id, claims.role, claims.token_id) == ("u1", "doctor", "t1")
    assert (claims.expires_at, claims.issued_at) == (NOW + 600, NOW - 10)
    assert claims.patients == {"1", "2", "p-3"}
    assert claims.rest_scopes == {"admin:read", "metrics:read"}
    assert claims.raw["other"] == {"a": 1}


def test_the_roles_that_tokens_name_are_shared_and_do_not_pile_up(forge: Any, make_auth: Any) -> None:
    auth = make_auth()

    def of_role(number: int) -> Any:
        return read(auth, forge.claims(role=f"role{number}")).role

    first = of_role(0)
    assert of_role(0) is first
    for number in range(1, 2_000):
        of_role(number)
    assert of_role(0) is not first


def test_what_may_be_missing_may_be_missing(make_auth: Any) -> None:
    claims = read(make_auth(), {"sub": "u", "role": "r", "exp": NOW + 1})
    assert (claims.issued_at, claims.token_id, claims.patients) == (None, None, None)
    assert claims.rest_scopes == frozenset()


@pytest.mark.parametrize(
    ("spelling", "canonical"), [("7", "7"), (7, "7"), ("007", "007"), ("a.b-c_D", "a.b-c_D"), (0, "0")]
)
def test_an_id_has_one_canonical_form_in_every_claim(
    forge: Any, make_auth: Any, spelling: str | int, canonical: str
) -> None:
    claims = read(make_auth(), forge.claims(sub=spelling, role=spelling, patients=[spelling]))
    assert (claims.user_id, claims.role, claims.patients) == (canonical, canonical, {canonical})


@pytest.mark.parametrize(
    "spelling", ["", "*", "-a", ".", "a b", "a/b", "١", "a\x00", "x" * 65, -1, 1.0, False, None, [], {}]
)
def test_an_id_that_is_not_canonical_is_refused_in_every_claim(
    forge: Any, make_auth: Any, spelling: object
) -> None:
    assert reason(make_auth(), forge.claims(sub=spelling)) is Reason.SUBJECT
    assert reason(make_auth(), forge.claims(role=spelling)) is Reason.ROLE
    assert reason(make_auth(), forge.claims(patients=["1", spelling])) is Reason.PATIENTS


def test_a_star_is_every_patient_and_an_empty_list_none(forge: Any, make_auth: Any) -> None:
    assert read(make_auth(), forge.claims(patients="*")).patients == "*"
    assert read(make_auth(), forge.claims(patients=[])).patients == frozenset()


def test_the_leeway_is_the_last_moment_of_exp_nbf_and_iat(forge: Any, make_auth: Any) -> None:
    auth = make_auth(leeway=5)
    read(auth, forge.claims(exp=NOW - 4))
    read(auth, forge.claims(exp=NOW - 5), NOW - 0.001)
    assert reason(auth, forge.claims(exp=NOW - 5)) is Reason.EXPIRED
    read(auth, forge.claims(nbf=NOW + 5, iat=NOW + 5))
    assert reason(auth, forge.claims(nbf=NOW + 5), NOW - 0.001) is Reason.NOT_BEFORE
    assert reason(auth, forge.claims(iat=NOW + 5), NOW - 0.001) is Reason.ISSUED_AT


@pytest.mark.parametrize("leeway", [-1, 30.1, 3600, float("nan")])
def test_a_leeway_outside_its_bounds_stops_the_start(make_auth: Any, leeway: float) -> None:
    with pytest.raises(ValueError, match="leeway"):
        ClaimRules(make_auth(leeway=leeway))


def test_a_limited_lifetime_is_checked_to_the_second_and_demands_iat(forge: Any, make_auth: Any) -> None:
    auth = make_auth(max_token_lifetime=3600)
    read(auth, forge.claims(iat=NOW, exp=NOW + 3600))
    assert reason(auth, forge.claims(iat=NOW, exp=NOW + 3601)) is Reason.LIFETIME
    assert reason(auth, forge.claims(iat=..., exp=NOW + 10)) is Reason.LIFETIME
    ten_years = 10 * 365 * 86_400
    assert reason(auth, forge.claims(iat=NOW - ten_years, exp=NOW + 10)) is Reason.LIFETIME
    read(make_auth(), forge.claims(exp=NOW + ten_years))


def test_the_issuer_must_be_the_one_of_the_settings(forge: Any, make_auth: Any) -> None:
    auth = make_auth(issuer="https://issuer")
    read(auth, forge.claims(iss="https://issuer"))
    for wrong in (..., "https://issuer/", "", None, ["https://issuer"]):
        assert reason(auth, forge.claims(iss=wrong)) is Reason.ISSUER
    read(make_auth(), forge.claims(iss="anybody"))


def test_the_audience_must_hold_the_one_of_the_settings(forge: Any, make_auth: Any) -> None:
    auth = make_auth(audience="ws")
    read(auth, forge.claims(aud="ws"))
    read(auth, forge.claims(aud=["other", "ws"]))
    for wrong in (..., "wss", "w", "", None, [], ["other"], {"ws": 1}):
        assert reason(auth, forge.claims(aud=wrong)) is Reason.AUDIENCE


def test_a_token_for_somebody_is_refused_by_nobody(forge: Any, make_auth: Any) -> None:
    assert reason(make_auth(), forge.claims(aud="ws")) is Reason.AUDIENCE


def test_claims_do_not_show_themselves(forge: Any, make_auth: Any) -> None:
    claims = read(make_auth(), forge.claims(patients=["patient-canary"], sub="user-canary"))
    assert "canary" not in repr(claims) + str(claims)


def test_a_token_id_is_text_of_bounded_length(forge: Any, make_auth: Any) -> None:
    assert read(make_auth(), forge.claims(jti="j" * 256)).token_id == "j" * 256
    for wrong in ("", "j" * 257, None, 1, ["t1"]):
        assert reason(make_auth(), forge.claims(jti=wrong)) is Reason.TOKEN_ID
