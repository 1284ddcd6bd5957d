from typing import Any, NamedTuple, final

from wsserver_core.filters import Program
from wsserver_core.recipients import Recipients
from wsserver_core.scopes import Scope
from wsserver_core.selection import Selection as Selection

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
    hinted: bool

class FilterFigures(NamedTuple):
    """One distinct filter: its subscriptions, and how often it was held against a message and matched."""

    program: Program
    subscriptions: int
    tested: int
    matched: int

@final
class TopicIndex:
    """All subscriptions of a process.

    Adding, replacing and removing one takes constant time, but for filters with an order
    condition on a topic that has very many of them: those are kept sorted.
    """

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

    def admit(self, handle: int, scope: Scope, owner: object) -> None:
        """Enter an authenticated connection: messages to all reach it whatever it subscribed to.

        Raises ValueError for a handle that cannot be or whose slot is taken.
        """

    def dismiss(self, handle: int) -> bool:
        """Forget a connection; False when it is not there. Raises ValueError while it is subscribed."""

    def owner(self, handle: int) -> Any:
        """What was given to ``admit``; None for an unknown connection."""

    def rescope(self, handle: int, scope: Scope) -> list[Record]:
        """Give a connection other rights, and with it its subscriptions.

        Those to one patient outside of the new scope end at once: they are returned. Raises
        ValueError for an unknown connection.
        """

    def add(
        self, handle: int, subscription_type: str, target_id: str, program: Program, now: float
    ) -> int:
        """Enter one subscription and return its number.

        ``*`` is any target, and as a type (with target ``*``) everything. Raises ValueError for an
        unknown connection, an address that cannot be or that it is subscribed to, and one
        patient outside of its scope.
        """

    def replace(self, number: int, program: Program, now: float) -> Program:
        """Give a subscription another filter, at once; returns the former program.

        Raises ValueError if it has ended.
        """

    def remove(self, number: int) -> Program | None:
        """End a subscription; returns its program, or None when it has ended already."""

    def find(self, handle: int, subscription_type: str, target_id: str) -> int:
        """The number of a connection's subscription to a topic, or 0."""

    def numbers(self, handle: int) -> list[int]:
        """The subscriptions of one connection, oldest first."""

    def count(self, handle: int) -> int:
        """How many subscriptions a connection has."""

    def all_numbers(self) -> list[int]:
        """Every subscription, in no order."""

    def record(self, number: int) -> Record | None:
        """What is known of a subscription; None when it has ended."""

    def records(self, handle: int) -> list[Record]:
        """What is known of the subscriptions of one connection, oldest first."""

    def all_records(self) -> list[Record]:
        """What is known of every subscription, in no order."""

    def renew(self, number: int, now: float) -> bool:
        """Note that it was asked for once more; False when it has ended."""

    def warn(self, number: int, warned: bool) -> bool:
        """Note whether its client has been told that it is about to end; False when it has ended."""

    def hint(self, number: int) -> bool:
        """Note that its client has had a hint about its filter; False when it has ended."""

    def barren(self, enough: int, limit: int) -> list[Record]:
        """Subscriptions whose filter was held against ``enough`` messages and matched none, without hint.

        ``limit`` at most, in no order.
        """

    def due(self, before: float) -> list[Record]:
        """The subscriptions that were last asked for before a moment, or at it; in no order."""

    def figures(self, number: int) -> tuple[int, int]:
        """How often the filter of a subscription was held against a message here, and how often it matched.

        They are those of all subscriptions with the same topic, filter and rights. (0, 0) when
        it has ended.
        """

    def filters(self) -> list[FilterFigures]:
        """A FilterFigures for each distinct filter in use."""

    def targets(self, subscription_type: str) -> int:
        """How many targets of a type are subscribed to, ``*`` not being one."""

    def topic_sizes(self) -> list[tuple[str, str, int]]:
        """(type, target, subscriptions) for each topic."""

    def largest_topics(self, most: int) -> list[tuple[str, str, int]]:
        """The same of ``most`` topics, those with the most subscriptions, the largest first.

        Looks at each topic and makes nothing for those that are not among them.
        """

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
        """Fill ``out`` with the connections that get this message; what was in it is forgotten.

        With a type and a target: subscribers of exactly that, of any target of the type, and of
        everything. With a type alone: of all its targets, and of everything. With neither: all
        connections. ``patient_id`` says whom the message is about; then, whatever the
        address, only those who may see this patient get it. A message to a patient is about him.
        ``exclude`` is left out of ``out``, its subscriptions are counted like all others.

        Raises ValueError for ``*`` and for an address to one patient of a message about another.
        """

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
