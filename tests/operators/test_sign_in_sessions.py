"""Sign-ins by a clock that is moved by hand."""

import pytest
from operator_accounts import ACCOUNTS, HASHES, OPERATOR_PASSWORD
from workbench import Workbench

from wsserver.errors import ServerError
from wsserver.operators.operator import SCOPES_BY_ROLE, Operator
from wsserver.operators.sign_in_sessions import Issued, SignInSessions
from wsserver.operators.sign_in_throttle import TRIES

OLGA = Operator("olga", "operator", SCOPES_BY_ROLE["operator"], "password")
DEV = Operator("dev", "operator", SCOPES_BY_ROLE["operator"], "key")


@pytest.fixture
async def bench() -> Workbench:
    return await Workbench(operators={"accounts": ACCOUNTS, "max_sessions": 3}).start()


@pytest.fixture
def sessions(bench: Workbench) -> SignInSessions:
    return bench.service.sign_in.sessions


def olga(sessions: SignInSessions) -> Issued:
    return sessions.begin(OLGA, HASHES["olga"])


async def test_a_secret_finds_its_sign_in_and_nothing_else_does(sessions: SignInSessions) -> None:
    issued = olga(sessions)
    assert sessions.find(issued.secret) is issued.session
    others = ("", issued.secret[:-1], issued.secret + "x", "x" * 10_000, "\ud800")
    for other in (*others, issued.session.csrf_token):
        assert sessions.find(other) is None
    assert issued.session.operator.session not in (None, issued.secret.encode())
    assert issued.secret not in repr(vars(sessions))
    assert issued.secret not in repr(issued.session)


async def test_two_sign_ins_share_nothing(sessions: SignInSessions) -> None:
    first, second = olga(sessions), olga(sessions)
    assert first.secret != second.secret
    assert first.session.csrf_token != second.session.csrf_token
    assert sessions.end(first.session)
    assert not sessions.end(first.session)
    assert sessions.find(second.secret) is second.session


async def test_it_ends_half_an_hour_after_the_last_use(bench: Workbench, sessions: SignInSessions) -> None:
    issued = olga(sessions)
    bench.clock.advance(1799)
    assert sessions.find(issued.secret)
    bench.clock.advance(1799)
    assert sessions.expires_in(issued.session) == pytest.approx(1)
    assert sessions.find(issued.secret)
    bench.clock.advance(1800)
    assert sessions.find(issued.secret) is None
    assert len(sessions) == 0


async def test_to_look_whether_it_stands_is_no_use_of_it(bench: Workbench, sessions: SignInSessions) -> None:
    operator = olga(sessions).session.operator
    bench.clock.advance(1799)
    assert bench.service.sign_in.stands(operator)
    bench.clock.advance(1)
    assert not bench.service.sign_in.stands(operator)


async def test_it_ends_after_twelve_hours_however_it_is_used(
    bench: Workbench, sessions: SignInSessions
) -> None:
    issued = olga(sessions)
    for _ in range(12 * 60 - 1):
        bench.clock.advance(60)
        assert sessions.find(issued.secret)
    assert sessions.expires_in(issued.session) == pytest.approx(60)
    bench.clock.advance(60)
    assert sessions.find(issued.secret) is None


async def test_one_too_many_ends_the_one_that_was_idle_for_longest(sessions: SignInSessions) -> None:
    first, second, third = olga(sessions), olga(sessions), sessions.begin(DEV)
    assert sessions.find(first.secret)
    fourth = olga(sessions)
    assert sessions.find(second.secret) is None
    assert all(sessions.find(one.secret) for one in (first, third, fourth))
    assert len(sessions) == 3


async def test_the_housekeeping_forgets_those_that_are_over(
    bench: Workbench, sessions: SignInSessions
) -> None:
    olga(sessions)
    bench.clock.advance(1801)
    assert len(sessions) == 1
    bench.pass_time(2)
    assert len(sessions) == 0


async def test_a_sign_in_by_token_ends_with_the_token(bench: Workbench) -> None:
    desk = bench.service.sign_in
    token = bench.token("ops", lifetime=100, scopes=["admin:read"])
    issued = await desk.with_token(token, "a")
    assert desk.sessions.expires_in(issued.session) == 100
    bench.clock.advance(99)
    assert desk.sessions.find(issued.secret)
    bench.clock.advance(1)
    assert desk.sessions.find(issued.secret) is None
    with pytest.raises(ServerError, match="1001"):
        await desk.with_token("rubbish", "a")


async def test_a_good_token_gets_in_whoever_else_fails_from_its_address(bench: Workbench) -> None:
    desk = bench.service.sign_in
    for _ in range(TRIES):
        with pytest.raises(ServerError, match="1001"):
            await desk.with_token("rubbish", "a")
    with pytest.raises(ServerError, match="1010"):
        await desk.with_token("rubbish", "a")
    with pytest.raises(ServerError, match="1010"):
        await desk.with_password("olga", OPERATOR_PASSWORD, "a")
    assert await desk.with_token(bench.token("ops", scopes=["admin:read"]), "a")


async def test_a_bearer_stands_until_the_token_expires_or_is_revoked(bench: Workbench) -> None:
    desk = bench.service.sign_in
    for end in (lambda: bench.clock.advance(100), lambda: bench.service.revocations.revoke_user("ops")):
        token = bench.token("ops", lifetime=100)
        operator = Operator.of_token(await bench.service.authenticator.authenticate(token))
        assert desk.stands(operator)
        end()
        assert not desk.stands(operator)


async def test_an_account_that_is_gone_ends_its_sign_in_before_anybody_looks(bench: Workbench) -> None:
    desk = bench.service.sign_in
    issued = await desk.with_password("olga", OPERATOR_PASSWORD, "a")
    desk.accounts.configure({})
    assert not desk.stands(issued.session.operator)
    assert desk.sessions.find(issued.secret) is None
