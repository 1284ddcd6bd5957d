import asyncio
import threading
from typing import Any

import pytest
from operator_accounts import ACCOUNTS, HASHES, OPERATOR_PASSWORD, VIEWER_PASSWORD

from wsserver.errors import ServerError
from wsserver.operators import accounts as module
from wsserver.operators.accounts import MAX_WAITING, Accounts
from wsserver.operators.password_hash import MAX_PASSWORD, PasswordHash


@pytest.fixture
def accounts() -> Any:
    made = Accounts(ACCOUNTS)
    yield made
    made.close()


async def test_a_name_goes_with_its_password(accounts: Accounts) -> None:
    assert await accounts.check("olga", OPERATOR_PASSWORD)
    assert not await accounts.check("olga", VIEWER_PASSWORD)
    assert not await accounts.check("vera", OPERATOR_PASSWORD)
    assert not await accounts.check("nobody", OPERATOR_PASSWORD)
    assert not await accounts.check("olga", OPERATOR_PASSWORD + "x" * MAX_PASSWORD)


async def test_a_name_without_an_account_costs_as_much(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[tuple[int, int, int]] = []

    def derive(password: str, salt: bytes, log2_n: int, r: int, p: int) -> bytes:
        hashed.append((log2_n, r, p))
        return bytes(32)

    monkeypatch.setattr("wsserver.operators.password_hash._derive", derive)
    for name in ("olga", "nobody", ""):
        assert not await accounts.check(name, "wrong")
    assert hashed == [(14, 8, 1)] * 3


async def test_it_is_done_in_a_thread_one_at_a_time_and_only_so_many_may_wait(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, threads = threading.Event(), set()

    def fits(self: PasswordHash, password: str) -> bool:
        threads.add(threading.get_ident())
        gate.wait(10)
        return True

    monkeypatch.setattr(PasswordHash, "fits", fits)
    waiting = [asyncio.ensure_future(accounts.check("olga", "x")) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(ServerError, match="1005"):
        await accounts.check("olga", "x")
    gate.set()
    assert await asyncio.gather(*waiting) == [True] * MAX_WAITING
    assert len(threads) == 1
    assert threading.get_ident() not in threads
    assert await accounts.check("olga", "x")


async def test_an_account_that_goes_meanwhile_does_not_count(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    monkeypatch.setattr(PasswordHash, "fits", lambda self, password: gate.wait(10))
    checking = asyncio.ensure_future(accounts.check("olga", OPERATOR_PASSWORD))
    await asyncio.sleep(0)
    accounts.configure({})
    gate.set()
    assert not await checking
    assert (accounts.role("olga"), accounts.hash_of("olga"), len(accounts)) == (None, None, 0)


def test_roles_and_hashes_are_those_of_the_settings(accounts: Accounts) -> None:
    assert (accounts.role("olga"), accounts.role("vera"), accounts.role("x")) == ("operator", "viewer", None)
    assert accounts.hash_of("olga") == HASHES["olga"]
    assert module.MAX_WAITING * 32 * 2**20 <= 512 * 2**20
