from collections.abc import Collection
from typing import Any, NamedTuple, final

from wsserver_core.filters import Program
from wsserver_core.recipients import Recipients

class Selection(NamedTuple):
    """What became of the subscriptions a message was held against, counted in subscriptions."""

    considered: int
    matching: int
    filtered: int
    denied: int

@final
class Scope:
    """The patients a connection may see; None means every patient. Equal scopes are best interned."""

    def __init__(self, patients: frozenset[str] | None) -> None: ...
    @property
    def patients(self) -> frozenset[str] | None: ...
    def sees(self, patient_id: str) -> bool: ...

@final
class ScopeTable:
    """Gives the same Scope for equal sets of patients, as long as somebody holds it."""

    def __init__(self) -> None: ...
    def __len__(self) -> int: ...
    def intern(self, patients: Collection[str] | None) -> Scope:
        """The scope of a collection of patient ids, or of None. TypeError for anything else."""

@final
class Membership:
    """One subscription's place in the index. Made by TopicIndex only."""

    @property
    def owner(self) -> Any: ...
    @property
    def active(self) -> bool:
        """False once it has been removed."""

    @property
    def handle(self) -> int:
        """The connection's handle, 0 once removed."""

    @property
    def scope(self) -> Scope | None: ...
    @property
    def program(self) -> Program | None: ...

@final
class TopicIndex:
    """All subscriptions of a process. Adding, moving and removing one takes constant time."""

    def __init__(self) -> None: ...
    def __len__(self) -> int:
        """How many subscriptions there are; admissions do not count."""

    @property
    def topics(self) -> int:
        """How many distinct (type, target) are subscribed to."""

    @property
    def admitted(self) -> int:
        """How many admissions there are."""

    def sizes(self) -> dict[str, int]:
        """The number of entries in each internal table: all 0 when nothing is subscribed or admitted."""

    def add(
        self,
        handle: int,
        scope: Scope,
        subscription_type: str,
        target_id: str,
        program: Program,
        owner: object,
    ) -> Membership:
        """Enter one subscription; ``owner`` is what ``owners`` will give back for it.

        ``*`` is any target, and as a type (with target ``*``) everything. Raises ValueError for
        a handle or an address that cannot be.
        """

    def admit(self, handle: int, scope: Scope) -> Membership:
        """Enter an authenticated connection: messages to all reach it whatever it subscribed to."""

    def remove(self, membership: Membership) -> None:
        """Take a subscription or an admission out. Nothing happens if it is out already."""

    def move(self, membership: Membership, scope: Scope) -> None:
        """Give a subscription or an admission another scope. Raises ValueError if it has been removed."""

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
        admitted connections. ``patient_id`` says whom the message is about; then, whatever the
        address, only those who may see this patient get it. A message to a patient is about him.
        ``exclude`` is left out of ``out``, its subscriptions are counted like all others.

        Raises ValueError for ``*`` and for an address to one patient of a message about another.
        """

    def owners(
        self,
        subscription_type: str | None,
        target_id: str | None,
        patient_id: str | None,
        message: dict[str, Any],
        derived: dict[str, Any],
        exclude: int = 0,
    ) -> list[Any]:
        """The owners of all subscriptions that ``select`` would count as matching, in no order.

        Admissions have None for an owner. Raises what ``select`` raises.
        """
