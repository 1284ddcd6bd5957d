from collections.abc import Collection
from typing import final

@final
class Scope:
    """The patients a connection may see; None means every patient. Equal scopes are best interned."""

    def __init__(self, patients: frozenset[str] | None) -> None: ...
    @property
    def patients(self) -> frozenset[str] | None: ...
    def __len__(self) -> int:
        """How many patients it names."""

    def __bool__(self) -> bool: ...
    def sees(self, patient_id: str) -> bool: ...

@final
class ScopeTable:
    """Gives the same Scope for equal sets of patients, as long as somebody holds it."""

    def __init__(self) -> None: ...
    def __len__(self) -> int: ...
    def intern(self, patients: Collection[str] | None) -> Scope:
        """The scope of a collection of patient ids, or of None. TypeError for anything else."""
