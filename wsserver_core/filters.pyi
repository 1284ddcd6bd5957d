from typing import Any, final

from wsserver_core.filter_parser import FilterError as FilterError
from wsserver_core.filter_parser import FilterLimits as FilterLimits

@final
class Program:
    """A compiled filter. It never changes and may be shared; ``compile_filter`` makes it."""

    @property
    def source(self) -> dict[str, Any]:
        """The filter in its normal form, to be given back to the client: a fresh dict each time."""

    @property
    def canonical(self) -> bytes:
        """The normal form as compact JSON: equal for filters that say the same, whatever the order."""

    @property
    def matches_all(self) -> bool: ...
    @property
    def complexity(self) -> float:
        """Conditions and connectives, a sixteenth for each value of a list, 5 for each pattern."""

    @property
    def serial(self) -> int:
        """Rises from program to program."""

    @property
    def patterns(self) -> list[str]:
        """The regular expressions in it."""

    def matches(self, message: dict[str, Any], derived: dict[str, Any]) -> bool:
        """Whether every member holds. ``derived`` is asked for a top-level key that ``message`` lacks."""

def compile_filter(source: object, limits: FilterLimits) -> Program:
    """The program of a filter as it came from a client; ``{}`` and None match every message.

    Raises FilterError for anything that is no filter or is beyond the limits.
    """

@final
class FilterInterner:
    """The distinct filters in use, each compiled once and shared by all who wrote the same."""

    def __init__(self, limits: FilterLimits) -> None: ...
    limits: FilterLimits
    """They hold for filters to come; those in use stay."""
    def __len__(self) -> int:
        """How many distinct filters are in use."""

    @property
    def conditions(self) -> int:
        """How many distinct conditions the filters in use are made of."""

    @property
    def fields(self) -> list[str]:
        """The paths that filters in use read."""

    def intern(self, source: object) -> Program:
        """The program of this filter, with one more user. Raises FilterError."""

    def release(self, program: Program) -> None:
        """One user less; with the last one the program is forgotten. ValueError if it is not in use here."""
