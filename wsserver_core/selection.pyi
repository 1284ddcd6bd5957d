from typing import NamedTuple, final

class Selection(NamedTuple):
    """What became of the subscriptions a message was held against, counted in subscriptions."""

    considered: int
    matching: int
    filtered: int
    denied: int

@final
class Pass:
    """One message's way through the tables of a TopicIndex."""
