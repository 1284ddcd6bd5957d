"""The desk at which operators sign in: with a password, a token, or the key of a development server."""

from wsserver.access.authenticator import Authenticator
from wsserver.clock import Clock
from wsserver.errors import AUTHENTICATION_FAILED, PERMISSION_DENIED, ServerError
from wsserver.operators.accounts import Accounts
from wsserver.operators.one_time_key import OneTimeKey
from wsserver.operators.operator import ADMIN_READ, SCOPES_BY_ROLE, Operator, role_of
from wsserver.operators.sign_in_sessions import Issued, SignInSessions
from wsserver.operators.sign_in_throttle import SignInThrottle
from wsserver.settings.operators import OperatorsSettings

DEV_OPERATOR = "dev"
"""The name of whoever came with the one-time key."""


class SignIn:
    """Accounts, sign-ins in force and the throttle of one server.

    ``address`` is in all methods what failures are counted by. Each raises ServerError 1001 for what
    does not count, always with the same text, and 1010 after too many failures.
    """

    def __init__(self, settings: OperatorsSettings, authenticator: Authenticator, clock: Clock) -> None:
        self._authenticator = authenticator
        self._clock = clock
        self.accounts = Accounts(settings.accounts)
        self.sessions = SignInSessions(settings, self.accounts, authenticator, clock)
        self.throttle = SignInThrottle(clock)
        self.key: OneTimeKey | None = None
        """The key that a development server has printed; None for any other."""

    def configure(self, settings: OperatorsSettings) -> None:
        """Take new settings; sign-ins of accounts that have gone or changed end now."""
        self.accounts.configure(settings.accounts)
        self.sessions.configure(settings)

    async def with_password(self, name: str, password: str, address: str) -> Issued:
        """Sign in to an account of the settings. Also raises 1005 when too many do so at once."""
        self.throttle.enter(address, name)
        try:
            fits = await self.accounts.check(name, password)
        except ServerError:
            # It was not looked at.
            self.throttle.succeeded(address, name)
            raise
        if not fits:
            raise ServerError(AUTHENTICATION_FAILED)
        role = self.accounts.role(name)
        if role is None:
            raise ServerError(AUTHENTICATION_FAILED)
        self.throttle.succeeded(address, name)
        operator = Operator(name, role, SCOPES_BY_ROLE[role], "password")
        return self.sessions.begin(operator, self.accounts.hash_of(name))

    async def with_token(self, token: str, address: str) -> Issued:
        """Sign in with a token that has the scope ``admin:read``, for as long as it counts.

        The sign-in may do what its role may and the token does too. Raises 1011 without that scope.
        """
        try:
            principal = await self._authenticator.authenticate(token)
        except ServerError:
            # Only now: nobody guesses a token, so a good one gets in whoever else fails from that address.
            self.throttle.enter(address, None)
            raise
        if ADMIN_READ not in principal.rest_scopes:
            raise ServerError(PERMISSION_DENIED, details={"scope": ADMIN_READ})
        role = role_of(principal.rest_scopes)
        scopes = SCOPES_BY_ROLE[role] & principal.rest_scopes
        return self.sessions.begin(Operator(principal.user_id, role, scopes, "token", None, principal))

    def with_key(self, key: str, address: str, *, is_local: bool) -> Issued:
        """Sign in with the one-time key; ``is_local`` says whether the client is on this machine."""
        self.throttle.enter(address, None)
        if self.key is None or not is_local or not self.key.spend(key):
            raise ServerError(AUTHENTICATION_FAILED)
        self.throttle.succeeded(address, None)
        return self.sessions.begin(Operator(DEV_OPERATOR, "operator", SCOPES_BY_ROLE["operator"], "key"))

    def stands(self, operator: Operator) -> bool:
        """Whether what an operator came in with still counts: the sign-in, or the token until it expires."""
        if operator.session is not None:
            return self.sessions.standing(operator.session) is not None
        principal = operator.principal
        if principal is None or principal.claims is None or principal.expires_at <= self._clock.time():
            return False
        return self._authenticator.stands(principal.claims)

    def sweep(self) -> None:
        """Forget sign-ins that are over and failures that are forgiven."""
        self.sessions.sweep()
        self.throttle.sweep()

    def close(self) -> None:
        """Let go of the thread that checks passwords."""
        self.accounts.close()
