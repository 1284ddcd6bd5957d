import asyncio
from typing import Any

import pytest

from wsserver.access.authenticator import Authenticator
from wsserver.access.keys import KeyTable
from wsserver.access.principal import Principal
from wsserver.access.provider import TokenAccessProvider
from wsserver.access.refusal import AuthenticationFailed, Reason
from wsserver.access.revocation import RevocationList
from wsserver.access.roles import RolePolicy, RoleRights
from wsserver.access.tokens import TokenVerifier, mint_token
from wsserver.settings.sections import AccessSettings, AuthSettings
from wsserver_core.scopes import Scope, ScopeTable

NOW = 1_800_000_000


class Directory:
    """A backend's provider with one answer for all; an exception is raised."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.during: Any = None

    async def patients(self, user_id: str, role: str, claims: Any) -> Any:
        await asyncio.sleep(0)
        if self.during is not None:
            self.during()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def build(make_auth: Any, make_access: Any, clock: Any) -> Any:
    def make(provider: Any = None) -> Authenticator:
        auth = make_auth()
        verifier = TokenVerifier(auth, KeyTable(auth, clock), clock)
        return Authenticator(
            verifier, RolePolicy(make_access()), provider, RevocationList(clock), ScopeTable()
        )

    return make


async def refused(attempt: Any) -> Reason:
    with pytest.raises(AuthenticationFailed) as caught:
        await attempt
    assert str(caught.value) == "1001 authentication_failed: Authentication failed."
    return caught.value.reason


def runs_without_yielding(coroutine: Any) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise AssertionError("the coroutine yielded to the loop")


async def test_a_token_becomes_a_principal(forge: Any, build: Any) -> None:
    token = forge.token(forge.claims(patients=["1"], scope="admin:read"))
    one = await build().authenticate(token)
    assert (one.user_id, one.role, one.token_id) == ("u1", "doctor", "t1")
    assert (one.issued_at, one.expires_at) == (NOW - 10, NOW + 600)
    assert one.patients == one.scope.patients == {"1"}
    assert one.rest_scopes == {"admin:read"}
    assert one.may_subscribe("ecg")


def test_with_local_keys_and_the_token_as_provider_nothing_yields_to_the_loop(forge: Any, build: Any) -> None:
    authenticator = build()
    one = runs_without_yielding(authenticator.authenticate(forge.token()))
    assert runs_without_yielding(authenticator.refresh(one)) is one


@pytest.mark.parametrize(
    ("role", "claim", "patients"),
    [
        ("doctor", ..., frozenset()),
        ("doctor", [], frozenset()),
        ("doctor", ["1"], {"1"}),
        ("doctor", "*", None),
        ("chief", ..., None),
        ("chief", "*", None),
        ("chief", ["1"], {"1"}),
        ("chief", [], frozenset()),
    ],
)
async def test_the_token_narrows_what_the_role_gives(
    forge: Any, build: Any, role: str, claim: Any, patients: Any
) -> None:
    one = await build().authenticate(forge.token(forge.claims(role=role, patients=claim)))
    assert one.patients == patients
    assert one.scope.patients == patients


@pytest.mark.parametrize(
    ("answer", "claim", "patients"),
    [
        (["1", "2"], ..., {"1", "2"}),
        (["1", "2"], "*", {"1", "2"}),
        (["1", "2"], ["2", "3"], {"2"}),
        ("*", ..., None),
        ("*", ["3"], {"3"}),
        (None, "*", frozenset()),
        (OSError(), "*", frozenset()),
        (OSError(), ["3"], frozenset()),
        ("12", "*", frozenset()),
    ],
)
async def test_a_provider_decides_the_token_narrows_and_a_failure_denies(
    forge: Any, build: Any, answer: Any, claim: Any, patients: Any
) -> None:
    one = await build(Directory(answer)).authenticate(forge.token(forge.claims(patients=claim)))
    assert one.patients == patients


async def test_equal_patients_share_one_scope(forge: Any, build: Any) -> None:
    authenticator = build()
    one = await authenticator.authenticate(forge.token(forge.claims(patients=["1", "2"])))
    two = await authenticator.authenticate(forge.token(forge.claims(sub="u2", patients=["2", "1"])))
    assert one.scope is two.scope


@pytest.mark.parametrize("role", ["porter", "Doctor", "admin", "doctor2"])
async def test_an_unknown_role_is_refused(forge: Any, build: Any, role: str) -> None:
    assert await refused(build().authenticate(forge.token(forge.claims(role=role)))) is Reason.ROLE


async def test_a_bad_token_is_refused_before_anything_is_asked(forge: Any, build: Any) -> None:
    directory = Directory(["1"])
    directory.during = lambda: pytest.fail("the provider was asked about a stranger")
    authenticator = build(directory)
    forged = forge.token(sign=lambda signed: bytes(32))
    assert await refused(authenticator.authenticate(forged)) is Reason.SIGNATURE
    authenticator.revocations.revoke_user("u1")
    assert await refused(authenticator.authenticate(forge.token())) is Reason.REVOKED
    stranger = forge.token(forge.claims(sub="u2", role="x"))
    assert await refused(authenticator.authenticate(stranger)) is Reason.ROLE


async def test_a_revoked_user_and_a_revoked_token_are_refused(forge: Any, build: Any) -> None:
    authenticator = build()
    one = await authenticator.authenticate(forge.token())
    authenticator.revocations.revoke_token("t1")
    assert await refused(authenticator.authenticate(forge.token())) is Reason.REVOKED
    assert await refused(authenticator.refresh(one)) is Reason.REVOKED
    other = forge.token(forge.claims(jti="t2"))
    two = await authenticator.authenticate(other)
    authenticator.revocations.revoke_user("u1")
    assert await refused(authenticator.authenticate(other)) is Reason.REVOKED
    assert await refused(authenticator.refresh(two)) is Reason.REVOKED
    later = forge.token(forge.claims(jti="t3", iat=NOW + 1))
    assert (await authenticator.authenticate(later)).user_id == "u1"


async def test_a_revocation_while_the_provider_thinks_is_not_missed(forge: Any, build: Any) -> None:
    directory = Directory(["1"])
    authenticator = build(directory)
    directory.during = lambda: authenticator.revocations.revoke_user("u1")
    assert await refused(authenticator.authenticate(forge.token())) is Reason.REVOKED


@pytest.fixture
def rota(make_access: Any) -> Any:
    """A backend's provider that begins with what the token says, and does something while it thinks."""

    class Rota(TokenAccessProvider):
        during: Any = None

        async def patients(self, user_id: str, role: str, claims: Any) -> Any:
            await asyncio.sleep(0)
            if self.during is not None:
                self.during()
            return await super().patients(user_id, role, claims)

    return Rota(RolePolicy(make_access()))


async def test_a_backend_may_begin_with_the_token_and_misses_no_revocation_either(
    forge: Any, build: Any, rota: Any
) -> None:
    authenticator = build(rota)
    one = await authenticator.authenticate(forge.token(forge.claims(patients=["1"])))
    assert (one.patients, one.granted_by) == ({"1"}, "provider")
    rota.during = lambda: authenticator.revocations.revoke_user("u1")
    other = forge.token(forge.claims(patients=["1"], jti="t2"))
    assert await refused(authenticator.authenticate(other)) is Reason.REVOKED


async def test_a_backend_that_begins_with_the_token_may_fail_like_any_other(
    forge: Any, build: Any, rota: Any
) -> None:
    def fail() -> None:
        raise OSError

    rota.during = fail
    one = await build(rota).authenticate(forge.token(forge.claims(patients=["1"])))
    assert one.patients == frozenset()


async def test_patients_taken_away_do_not_come_back_with_the_old_token(forge: Any, build: Any) -> None:
    authenticator = build()
    token = forge.token(forge.claims(patients=["1", "2"]))
    before = await authenticator.authenticate(token)
    authenticator.revocations.revoke_patients("u1", ["1", "9"])
    after = await authenticator.refresh(before)
    assert before.patients == {"1", "2"}
    assert after.patients == after.scope.patients == {"2"}
    assert (await authenticator.authenticate(token)).patients == {"2"}
    newer = forge.token(forge.claims(patients=["1"], iat=NOW + 1))
    assert (await authenticator.authenticate(newer)).patients == {"1"}


async def test_taking_one_of_all_patients_leaves_none_until_a_newer_token(forge: Any, build: Any) -> None:
    authenticator = build()
    token = forge.token(forge.claims(role="chief"))
    one = await authenticator.authenticate(token)
    authenticator.revocations.revoke_patients("u1", ["1"])
    assert (await authenticator.refresh(one)).patients == frozenset()
    assert (await authenticator.authenticate(token)).patients == frozenset()
    newer = forge.token(forge.claims(role="chief", iat=NOW + 1))
    assert (await authenticator.authenticate(newer)).patients is None


async def test_a_change_at_the_provider_takes_effect_within_a_second(
    forge: Any, build: Any, clock: Any
) -> None:
    directory = Directory(["1", "2"])
    authenticator = build(directory)
    one = await authenticator.authenticate(forge.token())
    directory.answer = ["2", "3"]
    clock.advance(0.5)
    two = await authenticator.refresh(one)
    assert two.patients == {"2", "3"}
    assert two.user_id == "u1"
    directory.answer = []
    clock.advance(0.5)
    assert (await authenticator.refresh(two)).patients == frozenset()


async def test_what_the_token_said_is_known_as_long_as_the_principal(forge: Any, build: Any) -> None:
    authenticator = build()
    one = await authenticator.authenticate(forge.token(forge.claims(patients=["1", "2"])))
    assert one.token is True
    assert (one.claims.user_id, one.claims.role, one.claims.token_id) == ("u1", "doctor", "t1")
    assert (one.claims.issued_at, one.claims.expires_at) == (NOW - 10, NOW + 600)
    less = authenticator.without(one, ["1"])
    assert (less.patients, less.claims.patients) == ({"2"}, {"1", "2"})
    assert (await authenticator.refresh(less)).patients == {"1", "2"}


@pytest.mark.parametrize("said", ["*", None])
async def test_a_token_that_names_nobody_is_kept_as_it_is(forge: Any, build: Any, said: Any) -> None:
    members = {} if said is None else {"patients": said}
    one = await build().authenticate(forge.token(forge.claims(**members)))
    assert one.claims.patients == said


async def test_a_refresh_without_a_change_gives_the_same_object(forge: Any, build: Any, clock: Any) -> None:
    authenticator = build(Directory(["1"]))
    one = await authenticator.authenticate(forge.token())
    clock.advance(1)
    assert await authenticator.refresh(one) is one


async def test_a_refresh_follows_a_reloaded_policy(
    forge: Any, build: Any, make_access: Any, make_role: Any
) -> None:
    authenticator = build()
    one = await authenticator.authenticate(forge.token())
    authenticator.policy.reload(make_access({"doctor": make_role(subscribe=("ecg",))}))
    two = await authenticator.refresh(one)
    assert not two.may_subscribe("alerts")
    authenticator.policy.reload(make_access({}))
    assert await refused(authenticator.refresh(two)) is Reason.ROLE


async def test_a_principal_without_a_token_is_left_as_it_is(build: Any) -> None:
    own = Principal("backend", "service", RoleRights(), Scope(None), NOW)
    assert await build().refresh(own) is own


async def test_closing_stops_a_question_under_way(forge: Any, build: Any) -> None:
    asked = asyncio.Event()

    class Silent:
        async def patients(self, user_id: str, role: str, claims: Any) -> Any:
            asked.set()
            await asyncio.Event().wait()

    authenticator = build(Silent())
    login = asyncio.create_task(authenticator.authenticate(forge.token()))
    await asked.wait()
    await authenticator.close()
    with pytest.raises(asyncio.CancelledError):
        await login


async def test_the_real_settings_sections_are_taken_as_they_are(forge: Any, clock: Any) -> None:
    auth = AuthSettings(secret=forge.secret)
    verifier = TokenVerifier(auth, KeyTable(auth, clock), clock)
    policy = RolePolicy(AccessSettings())
    revocations = RevocationList(clock, max_token_lifetime=auth.max_token_lifetime, leeway=auth.leeway)
    authenticator = Authenticator(verifier, policy, None, revocations, ScopeTable())
    for role in ("doctor", "nurse", "technician", "patient", "service", "admin"):
        one = await authenticator.authenticate(mint_token(auth, clock, user_id=1, role=role, patients=[5]))
        assert (one.user_id, one.role, one.patients) == ("1", role, {"5"})
