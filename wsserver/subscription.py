"""One subscription of one connection."""

from collections.abc import Generator
from typing import Any

from wsserver_core.filters import Program
from wsserver_core.topics import Membership


class Subscription:
    """(connection, type, target) with its filter; a second subscribe to the same replaces the filter.

    Awaiting it gives itself, so that callers may write ``await`` or leave it.
    """

    __slots__ = (
        "connection_id",
        "membership",
        "program",
        "renewed_at",
        "subscription_id",
        "subscription_type",
        "target_id",
        "warned",
    )

    def __init__(
        self,
        subscription_id: str,
        connection_id: str,
        subscription_type: str,
        target_id: str,
        program: Program,
        renewed_at: float,
    ) -> None:
        self.subscription_id = subscription_id
        self.connection_id = connection_id
        self.subscription_type = subscription_type
        self.target_id = target_id
        self.program = program
        self.renewed_at = renewed_at
        """Monotonic seconds of the last subscribe or refresh."""
        self.membership: Membership | None = None
        """Its place in the topic index; None once it has ended."""
        self.warned = False

    @property
    def filters(self) -> dict[str, Any]:
        """The filter in its normal form; empty matches every message."""
        return self.program.source

    @property
    def is_wildcard(self) -> bool:
        """Whether it follows every target of its type."""
        return self.target_id == "*"

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
