"""How long to wait before the next attempt."""

from collections.abc import Callable
from typing import Final

from wsserver.client.reconnection_config import ReconnectionConfig

LEAST_FULL_DELAY: Final = 0.5
"""Seconds that full jitter waits at the least: else the first attempts of many are spent on a server
that is only just starting."""

LONGEST_ADVICE: Final = 3600.0
"""Seconds. A server that asks for more is wrong, and nobody who watches would wait for it."""

LEAST_ADVICE: Final = 0.1
"""Seconds. One that says "at once" again and again must not be dialled as fast as the network allows."""

ADVICE_JITTER: Final = 0.1
"""The share by which an advised wait may be longer, as the server says the same to many."""


class Backoff:
    """Waits that grow up to a bound, each with a random part.

    The random part comes after the bound. Before it, clients that have tried for long would all
    wait exactly ``max_delay`` and come back together.
    """

    def __init__(self, config: ReconnectionConfig, random: Callable[[], float]) -> None:
        """``random`` gives numbers from 0 up to and without 1."""
        self._config = config
        self._random = random

    def delay(self, attempt: int) -> float:
        """Seconds before an attempt, to the millisecond; attempts are counted from 1."""
        config = self._config
        try:
            base = min(config.max_delay, config.initial_delay * config.backoff_multiplier ** (attempt - 1))
        except OverflowError:
            # A client that never gives up gets there, in its 1025th attempt.
            base = config.max_delay
        if config.jitter_mode == "full":
            least = min(LEAST_FULL_DELAY, base)
            return round(least + self._random() * min(base, config.max_delay - least), 3)
        return round(base * (1 + config.jitter_factor * (2 * self._random() - 1)), 3)

    def advised(self, seconds: float, *, is_own: bool) -> float:
        """Seconds to wait where the server has said how long: never less, or it would be in vain. It is
        a tenth of a second at the least, and an hour at the most.

        ``is_own``: nobody else was told the same, so that nothing is added.
        """
        seconds = min(LONGEST_ADVICE, max(LEAST_ADVICE, seconds))
        return seconds if is_own else seconds * (1 + ADVICE_JITTER * self._random())
