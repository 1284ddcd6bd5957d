"""How many subscriptions there may be, and how the last of them are shared out."""

from typing import Final

from wsserver.errors import SUBSCRIPTION_LIMIT, ServerError

RESERVE: Final = 0.1
"""The last part of the pool, kept for connections that hold less than an even share of it."""


class SubscriptionLimits:
    """Limits per connection and of the whole process.

    When nine tenths of the pool are taken, a connection that holds an even share of it or more gets
    no further one: whoever comes late still finds room.
    """

    def __init__(self, max_per_connection: int, max_global: int, max_connections: int) -> None:
        self.max_per_connection = max_per_connection
        self.max_global = max_global
        self.even_share = max_global // max_connections
        """0 when the pool has less than one subscription for each connection: nothing is kept then."""

    def check(self, held: int, total: int) -> None:
        """Raise 1012 if one more is too many for a connection that holds so many of so many in all."""
        if held >= self.max_per_connection:
            raise ServerError(SUBSCRIPTION_LIMIT, details={"scope": "connection"})
        scarce = total >= self.max_global * (1 - RESERVE)
        if total >= self.max_global or (scarce and 0 < self.even_share <= held):
            raise ServerError(SUBSCRIPTION_LIMIT, details={"scope": "global"})
