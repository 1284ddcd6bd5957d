"""Sign-ins that are in force: what a cookie stands for, kept here and never in the cookie."""

import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple

from wsserver.access.authenticator import Authenticator
from wsserver.clock import Clock
from wsserver.operators.accounts import Accounts
from wsserver.operators.operator import Operator
from wsserver.settings.operators import OperatorsSettings

_SECRET_BYTES: Final = 32
MAX_SECRET: Final = 64
"""Characters of a cookie's value that are looked at; one of ours has 43."""


@dataclass(slots=True, eq=False, repr=False)
class SignInSession:
    """One sign-in. No repr: it holds what its page proves itself with."""

    operator: Operator
    csrf_token: str
    began: float
    """Monotonic seconds."""
    used: float
    """The same: when a request came with it last."""
    password_hash: str | None = None
    """The account's hash when it began; None for a sign-in without a password."""


class Issued(NamedTuple):
    """A new sign-in and the secret for its cookie, which is not kept."""

    secret: str
    session: SignInSession


class SignInSessions:
    """The sign-ins of one server, found by the digest of their secret.

    One ends by itself when it has been idle for too long or is too old, when settings take its account
    away or change its hash or role, and with the token that it came from.
    """

    def __init__(
        self, settings: OperatorsSettings, accounts: Accounts, authenticator: Authenticator, clock: Clock
    ) -> None:
        self._settings = settings
        self._accounts = accounts
        self._authenticator = authenticator
        self._clock = clock
        # In the order of their last use, so the first is the one that has been idle for longest.
        self._sessions: dict[bytes, SignInSession] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def configure(self, settings: OperatorsSettings) -> None:
        """Take new times and bounds; those that are over by them end now."""
        self._settings = settings
        self.sweep()
        self._make_room(settings.max_sessions)

    def begin(self, operator: Operator, password_hash: str | None = None) -> Issued:
        """A new sign-in for an operator, who is named by it from then on."""
        secret, now = secrets.token_urlsafe(_SECRET_BYTES), self._clock.monotonic()
        digest = _digest(secret)
        named = Operator(
            operator.name, operator.role, operator.scopes, operator.by, digest, operator.principal
        )
        self._make_room(self._settings.max_sessions - 1)
        session = SignInSession(named, secrets.token_urlsafe(_SECRET_BYTES), now, now, password_hash)
        self._sessions[digest] = session
        return Issued(secret, session)

    def find(self, secret: str) -> SignInSession | None:
        """The sign-in of a cookie, which counts as used now; None for one that is none or is over."""
        if not secret or len(secret) > MAX_SECRET:
            return None
        digest = _digest(secret)
        session = self.standing(digest)
        if session is not None:
            session.used = self._clock.monotonic()
            self._sessions[digest] = self._sessions.pop(digest)
        return session

    def standing(self, digest: bytes) -> SignInSession | None:
        """The sign-in of this name if it is in force still; looking is no use of it."""
        session = self._sessions.get(digest)
        if session is None or not self._is_over(session):
            return session
        del self._sessions[digest]
        return None

    def expires_in(self, session: SignInSession) -> float:
        """Seconds until a sign-in ends at the latest if it is not used any more."""
        settings, now = self._settings, self._clock.monotonic()
        left = min(session.used + settings.idle_timeout, session.began + settings.session_timeout) - now
        principal = session.operator.principal
        if principal is not None:
            left = min(left, principal.expires_at - self._clock.time())
        return max(0.0, left)

    def end(self, session: SignInSession) -> bool:
        """End a sign-in; False for one that has ended."""
        digest = session.operator.session
        return digest is not None and self._sessions.pop(digest, None) is not None

    def sweep(self) -> None:
        """Forget those that are over."""
        for digest in [one for one, session in self._sessions.items() if self._is_over(session)]:
            del self._sessions[digest]

    def _is_over(self, session: SignInSession) -> bool:
        if self.expires_in(session) <= 0:
            return True
        operator = session.operator
        if operator.by == "password":
            account = self._accounts.hash_of(operator.name), self._accounts.role(operator.name)
            return account != (session.password_hash, operator.role)
        principal = operator.principal
        return (
            principal is not None
            and principal.claims is not None
            and not self._authenticator.stands(principal.claims)
        )

    def _make_room(self, room: int) -> None:
        while len(self._sessions) > room:
            del self._sessions[next(iter(self._sessions))]


def _digest(secret: str) -> bytes:
    # Whoever reads this process's memory or a dump of it finds no cookie that works.
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()
