"""The key in the address that ``wsserver run --dev`` prints: good once, and not for long."""

import hmac
import secrets
from typing import Final

from wsserver.clock import Clock

GOOD_FOR: Final = 900.0
"""Seconds from the start of the server."""


class OneTimeKey:
    """A secret that opens once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until = clock.monotonic() + GOOD_FOR
        self.text: str | None = secrets.token_urlsafe(24)
        """What to print; None once it was used."""

    def spend(self, given: str) -> bool:
        """Whether this is the key and the time is not over; then it is good no more."""
        if self.text is None or self._clock.monotonic() >= self._until:
            return False
        if not hmac.compare_digest(self.text.encode(), given.encode("utf-8", "surrogatepass")):
            return False
        self.text = None
        return True
