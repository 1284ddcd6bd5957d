"""Operators with a password, as the settings name them."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from wsserver.errors import BACKPRESSURE, ServerError
from wsserver.operators.operator import OperatorRole
from wsserver.operators.password_hash import MAX_PASSWORD, PasswordHash
from wsserver.settings.operators import AccountSettings

MAX_WAITING: Final = 16
"""Passwords that may wait to be checked; each takes a fifth of a second of one core, one at a time."""


class Accounts:
    """Checks passwords off the loop's thread, one after the other, so that no flood takes the memory.

    A name without an account costs as much as one with a wrong password.
    """

    def __init__(self, accounts: Mapping[str, AccountSettings]) -> None:
        self._accounts: Mapping[str, AccountSettings] = {}
        self._nobody = PasswordHash.of_nobody(())
        self._thread: ThreadPoolExecutor | None = None
        self._waiting = 0
        self.configure(accounts)

    def __len__(self) -> int:
        return len(self._accounts)

    def configure(self, accounts: Mapping[str, AccountSettings]) -> None:
        """Take the accounts of new settings, which are checked already."""
        self._accounts = dict(accounts)
        hashes = (PasswordHash.parse(one.password_hash) for one in self._accounts.values())
        self._nobody = PasswordHash.of_nobody(hashes)

    def role(self, name: str) -> OperatorRole | None:
        """The role of an account; None where there is none."""
        account = self._accounts.get(name)
        return None if account is None else account.role

    def hash_of(self, name: str) -> str | None:
        """The text of an account's password hash; None where there is none."""
        account = self._accounts.get(name)
        return None if account is None else account.password_hash

    async def check(self, name: str, password: str) -> bool:
        """Whether there is such an account and this is its password.

        Raises ServerError 1005 when too many wait for the same.
        """
        if self._waiting >= MAX_WAITING:
            raise ServerError(BACKPRESSURE, retry_after_ms=5_000)
        text = self.hash_of(name)
        known = self._nobody if text is None else PasswordHash.parse(text)
        self._waiting += 1
        try:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, "passwords")
            # As long as any password: whatever is beyond is no password of anybody.
            fits = await asyncio.get_running_loop().run_in_executor(
                self._thread, known.fits, password[:MAX_PASSWORD]
            )
        finally:
            self._waiting -= 1
        # The account may have gone while its password was checked.
        return fits and text is not None and len(password) <= MAX_PASSWORD and self.hash_of(name) == text

    def close(self) -> None:
        """Let go of the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.shutdown(wait=False, cancel_futures=True)
