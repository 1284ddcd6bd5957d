from typing import final

@final
class Topic:
    """The subscriptions of one address."""
