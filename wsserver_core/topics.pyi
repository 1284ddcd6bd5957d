from typing import Any, NamedTuple, final

from wsserver_core.filters import Program
from wsserver_core.recipients import Recipients
from wsserver_core.scopes import Scope
from wsserver_core.selection import Selection as Selection

class FilterFigures(NamedTuple):
    """One distinct filter: its subscriptions, and how often it was held against a message and matched."""

    program: Program
    subscriptions: int
    tested: int
    matched: int

class Record(NamedTuple):
    """What is known of one subscription."""

    number: int
    handle: int
    owner: Any
    subscription_type: str
    target_id: str
    program: Program
    renewed_at: float
    warned: bool

@final
class TopicIndex:
    """All subscriptions of a process, by topic, filter and right to patients."""

    def __init__(self) -> None: ...
    def __len__(self) -> int:
        """How many subscriptions there are."""
    @property
    def topics(self) -> int:
        """How many distinct (type, target) are subscribed to."""
    @property
    def admitted(self) -> int:
        """How many connections there are."""
    def sizes(self) -> dict[str, int]:
        """The number of entries in each internal table: all 0 when nothing is subscribed or admitted."""

    # connections
    def admit(self, handle: int, scope: Scope, owner: object) -> None:
        """Enter an authenticated connection: messages to all reach it. ValueError for a bad or taken handle/slot."""
    def dismiss(self, handle: int) -> bool:
        """Forget a connection; ValueError while it holds subscriptions; False when it is not there."""
    def owner(self, handle: int) -> Any:
        """What was given to admit; None for an unknown handle."""
    def rescope(self, handle: int, scope: Scope) -> list[Record]:
        """Give a connection other rights, with all its subscriptions. Those to one patient outside the new
        scope end at once and are returned (the caller releases their programs)."""

    # subscriptions
    def add(
        self,
        handle: int,
        subscription_type: str,
        target_id: str,
        program: Program,
        now: float,
    ) -> int:
        """Enter one subscription and return its number. ``*`` is any target, and as a type (with target ``*``)
        everything. ValueError: unknown handle, an address that cannot be, a patient outside the scope,
        an address this connection is subscribed to already."""
    def replace(self, number: int, program: Program, now: float) -> Program:
        """Give a subscription another filter at once; returns the former program. ValueError if it has ended."""
    def remove(self, number: int) -> Program | None:
        """End a subscription; returns its program, or None when it has ended already."""
    def find(self, handle: int, subscription_type: str, target_id: str) -> int:
        """The number of this connection's subscription to a topic, or 0."""
    def numbers(self, handle: int) -> list[int]:
        """The subscriptions of one connection, oldest first."""
    def count(self, handle: int) -> int: ...
    def all_numbers(self) -> list[int]:
        """Every subscription, in no order."""
    def record(self, number: int) -> Record | None: ...
    def records(self, handle: int) -> list[Record]:
        """What is known of the subscriptions of one connection, oldest first."""

    def all_records(self) -> list[Record]:
        """What is known of every subscription, in no order."""

    def renew(self, number: int, now: float) -> bool: ...
    def warn(self, number: int, warned: bool) -> bool: ...
    def hint(self, number: int) -> bool:
        """Note that its client has had a hint about its filter; False when it has ended."""

    def barren(self, enough: int, limit: int) -> list[Record]:
        """Subscriptions whose filter was held against ``enough`` messages and matched none, without hint so far.

        ``limit`` at most, in no order.
        """

    def due(self, before: float) -> list[Record]:
        """The subscriptions that were last asked for before a moment, or at it; in no order."""

    def figures(self, number: int) -> tuple[int, int]:
        """How often its filter was held against a message here, and how often it matched
        (of all subscriptions with the same topic, filter and rights). (0, 0) when it has ended."""

    def filters(self) -> list[FilterFigures]:
        """A FilterFigures for each distinct filter in use."""
    def topic_sizes(self) -> list[tuple[str, str, int]]:
        """(type, target, subscriptions) for each topic."""

    # messages
    def select(
        self,
        subscription_type: str | None,
        target_id: str | None,
        patient_id: str | None,
        message: dict[str, Any],
        derived: dict[str, Any],
        out: Recipients,
        exclude: int = 0,
    ) -> Selection:
        """Fill ``out`` with the connections that get this message; what was in it is forgotten. (as before)
        With neither type nor target every admitted connection is considered, counted as one each."""
    def preview(
        self,
        subscription_type: str | None,
        target_id: str | None,
        patient_id: str | None,
        message: dict[str, Any],
        derived: dict[str, Any],
        exclude: int = 0,
    ) -> tuple[Selection, list[int]]:
        """What ``select`` would return, and the numbers of the subscriptions that match, in no order.

        Nothing is counted as tested. A message to all has no numbers. Raises what ``select`` raises.
        """

    def addressed(self, subscription_type: str, target_id: str | None, limit: int) -> list[int]:
        """The numbers of subscriptions that a message to this address is held against, ``limit`` at most."""
