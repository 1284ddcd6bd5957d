"""One subscription of one connection."""

from collections.abc import Generator
from typing import Any

from wsserver_core.filters import Program


class Subscription:
    """(connection, type, target) with its filter, as it was when it was looked up.

    The subscription itself is a row of the topic index; this names it, and equals whatever
    else names the same. A second subscribe to the same topic replaces the filter and keeps the
    id. Awaiting it gives itself, so that callers may write ``await`` or leave it.
    """

    __slots__ = (
        "connection_id",
        "number",
        "program",
        "renewed_at",
        "subscription_id",
        "subscription_type",
        "target_id",
    )

    def __init__(
        self,
        number: int,
        subscription_id: str,
        connection_id: str,
        subscription_type: str,
        target_id: str,
        program: Program,
        renewed_at: float,
    ) -> None:
        self.number = number
        """Where the topic index finds it."""
        self.subscription_id = subscription_id
        self.connection_id = connection_id
        self.subscription_type = subscription_type
        self.target_id = target_id
        self.program = program
        self.renewed_at = renewed_at
        """Monotonic seconds of the last subscribe or refresh."""

    @property
    def filters(self) -> dict[str, Any]:
        """The filter in its normal form; empty matches every message."""
        return self.program.source

    @property
    def is_wildcard(self) -> bool:
        """Whether it follows every target of its type."""
        return self.target_id == "*"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Subscription) and self.subscription_id == other.subscription_id

    def __hash__(self) -> int:
        return hash(self.subscription_id)

    def __await__(self) -> Generator[None, None, "Subscription"]:
        yield from ()
        return self


class Refused:
    """A subscription that was not made: false, and raises its error when awaited."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __bool__(self) -> bool:
        return False

    def __await__(self) -> Generator[None, None, "Subscription"]:
        yield from ()
        raise self.error
