"""The token in use, and where new ones come from."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Literal

from wsserver.client.errors import ClientError, InvalidOption

TokenReason = Literal["first", "expiring", "expired", "refused"]
GetToken = Callable[[TokenReason], str | Awaitable[str]]
"""Gives a token; for ``expired`` and ``refused`` one that is not the one before."""


class TokenUnavailable(ClientError):
    """``get_token`` failed; what it raised is the cause."""


class Credentials:
    """Asks for a token when there is none, and knows which one was refused. Shows none in its repr."""

    def __init__(self, token: str | None, get_token: GetToken | None) -> None:
        if token is None and get_token is None:
            raise InvalidOption("token", "or get_token must be given")
        if token is not None and (not isinstance(token, str) or not token):
            raise InvalidOption("token", "must be a text")
        if get_token is not None and not callable(get_token):
            raise InvalidOption("get_token", "must be a function")
        self._token = token
        self._source = get_token
        self._reason: TokenReason = "first"
        self._refused: str | None = None
        self._expiries = 0

    @property
    def can_renew(self) -> bool:
        """Whether there is somebody to ask."""
        return self._source is not None

    async def current(self) -> str:
        """The token to show. Raises TokenUnavailable."""
        return self._token if self._token is not None else await self.renew(self._reason)

    async def renew(self, reason: TokenReason) -> str:
        """Ask for another token. Raises TokenUnavailable."""
        if self._source is None:
            raise TokenUnavailable("there is no get_token")
        try:
            given = self._source(reason)
            token = await given if inspect.isawaitable(given) else given
        except Exception as fault:
            raise TokenUnavailable("get_token failed") from fault
        if not isinstance(token, str) or not token:
            raise TokenUnavailable("get_token gave no token")
        self._token = token
        return token

    def replace(self, token: str) -> None:
        """Use this one from now on."""
        self._token = token

    def accepted(self) -> None:
        """The server has let the bearer of the token in."""
        self._reason = "expired"
        self._refused = None
        self._expiries = 0

    def expired(self) -> bool:
        """The token has ended. Returns whether there may be another one.

        With a fixed token it may have been about something else: credentials that came too late end
        with the same code. So it is tried once more.
        """
        self._expiries += 1
        self._reason = "expired"
        if self._source is None:
            return self._expiries < 2
        self._token = None
        return True

    def refused(self) -> bool:
        """The token does not count. Returns whether it is worth to ask for another one: only once."""
        if self._source is None or self._refused is not None:
            return False
        self._refused, self._token = self._token, None
        self._reason = "refused"
        return True

    def is_refused(self, token: str) -> bool:
        """Whether this is the very token that was refused."""
        return token == self._refused
