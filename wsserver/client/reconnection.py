"""Whether to come back after an end, and when."""

from collections.abc import Callable
from dataclasses import dataclass

from wsserver.client.backoff import Backoff
from wsserver.client.close_codes import ABNORMAL, Verdict, verdict
from wsserver.client.credentials import Credentials
from wsserver.client.errors import AuthenticationFailed, ConnectionEnded, ReconnectFailed
from wsserver.client.reconnection_config import ReconnectionConfig


@dataclass(frozen=True, slots=True)
class Ending:
    """How a connection, or an attempt at one, has ended. Without a close frame the code is 1006."""

    code: int = ABNORMAL
    reason: str = ""
    was_clean: bool = False
    is_final: bool = False
    """Whether HTTP or TLS has said that there is no use in coming back."""
    retry_after: float | None = None
    """Seconds that the server has asked for right before this end."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Come back after ``delay`` seconds."""

    attempt: int
    delay: float
    advised: bool


class Reconnection:
    """Counts attempts, keeps the server's advice, obeys close codes. Knows no sockets."""

    def __init__(
        self,
        config: ReconnectionConfig,
        backoff: Backoff,
        credentials: Credentials,
        monotonic: Callable[[], float],
    ) -> None:
        self._config = config
        self._backoff = backoff
        self._credentials = credentials
        self._monotonic = monotonic
        self._slot: float | None = None
        self._opened: float | None = None
        self.attempts = 0
        """Attempts since the last connection that lasted."""

    def opened(self) -> None:
        """The client is in."""
        self._opened = self._monotonic()

    def given_slot(self, seconds: float | None) -> None:
        """The server will go, and wants this client back so long after the close: a moment of its own."""
        self._slot = seconds

    def lasted(self) -> bool:
        """Whether the connection that ends now was up for ``min_uptime``."""
        return self._opened is not None and self._monotonic() - self._opened >= self._config.min_uptime

    def ended(self, ending: Ending) -> Retry | ConnectionEnded:
        """What to do after this end: come back, or the error with which it is over."""
        if self.lasted():
            # Only a connection that lasted proves that the way is free again.
            self.attempts = 0
        self._opened = None
        # Advice holds for one attempt.
        slot, self._slot = self._slot, None
        code, reason = ending.code, ending.reason
        match verdict(code):
            case Verdict.FINAL:
                return ConnectionEnded(code, reason)
            case Verdict.OTHER_TOKEN if not self._credentials.refused():
                return AuthenticationFailed(code, reason)
            case Verdict.NEW_TOKEN if not self._credentials.expired():
                return AuthenticationFailed(code, reason)
            case _:
                pass
        if ending.is_final or not self._config.auto_reconnect:
            return ConnectionEnded(code, reason)
        if 0 < self._config.max_attempts <= self.attempts:
            return ReconnectFailed(code, reason, self.attempts)
        self.attempts += 1
        is_own = ending.retry_after is None
        advice = slot if is_own else ending.retry_after
        if advice is None:
            return Retry(self.attempts, self._backoff.delay(self.attempts), False)
        return Retry(self.attempts, self._backoff.advised(advice, is_own=is_own), True)
