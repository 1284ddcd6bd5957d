"""The desk by itself: what each way asks for; over HTTP it is in integration/test_sign_in.py."""

import pytest
from operator_accounts import ACCOUNTS, OPERATOR_PASSWORD
from workbench import Workbench

from wsserver.errors import BACKPRESSURE, ServerError
from wsserver.operators.one_time_key import OneTimeKey
from wsserver.operators.sign_in import SignIn
from wsserver.operators.sign_in_throttle import TRIES


@pytest.fixture
async def desk() -> SignIn:
    bench = await Workbench(operators={"accounts": ACCOUNTS}).start()
    return bench.service.sign_in


async def test_a_try_that_was_not_looked_at_is_no_failure(
    desk: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(name: str, password: str) -> bool:
        raise ServerError(BACKPRESSURE)

    monkeypatch.setattr(desk.accounts, "check", busy)
    for _ in range(2 * TRIES):
        with pytest.raises(ServerError, match="1005"):
            await desk.with_password("olga", "x", "a")
    assert len(desk.throttle) == 0


async def test_a_success_leaves_no_failure(desk: SignIn) -> None:
    await desk.with_password("olga", OPERATOR_PASSWORD, "a")
    assert len(desk.throttle) == 0


async def test_a_key_from_elsewhere_is_not_spent(desk: SignIn) -> None:
    desk.key = OneTimeKey(desk._clock)
    text = str(desk.key.text)
    with pytest.raises(ServerError, match="1001"):
        desk.with_key(text, "a", is_local=False)
    assert desk.with_key(text, "b", is_local=True).session.operator.by == "key"


async def test_failures_with_a_key_are_counted(desk: SignIn) -> None:
    for _ in range(TRIES):
        with pytest.raises(ServerError, match="1001"):
            desk.with_key("x", "a", is_local=True)
    with pytest.raises(ServerError, match="1010"):
        desk.with_key("x", "a", is_local=True)
