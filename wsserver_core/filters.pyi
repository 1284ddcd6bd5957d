from typing import Any, Final, final

IDENTITY_FIELDS: Final[frozenset[str]]

class FilterError(ValueError):
    """The filter is refused: ``path`` says where, ``reason`` why. Neither holds a value of the filter."""

    path: str
    reason: str
    def __init__(self, path: str, reason: str) -> None: ...

@final
class FilterLimits:
    """Bounds of one filter: bytes of its canonical form, members, segments of a path, values of a list."""

    def __init__(
        self, *, max_bytes: int = 4096, max_nodes: int = 64, max_depth: int = 8, max_values: int = 256
    ) -> None:
        """Raises ValueError for a limit below 1."""

    @property
    def max_bytes(self) -> int: ...
    @property
    def max_nodes(self) -> int: ...
    @property
    def max_depth(self) -> int: ...
    @property
    def max_values(self) -> int: ...

@final
class Condition:
    """One member of a filter: the path, and the values that satisfy it."""

    @property
    def path(self) -> str: ...

@final
class Program:
    """A compiled filter. It never changes and may be shared; ``compile_filter`` makes it."""

    @property
    def source(self) -> dict[str, Any]:
        """The filter in its normal form, to be given back to the client: a fresh dict each time."""

    @property
    def canonical(self) -> bytes:
        """Equal for equal filters, however they were written."""

    @property
    def matches_all(self) -> bool: ...
    @property
    def complexity(self) -> float:
        """Members, and a sixteenth for each value of a list."""

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

    def intern(self, source: object) -> Program:
        """The program of this filter, with one more user. Raises FilterError."""

    def retain(self, program: Program) -> None:
        """One more user of a program that is in use here; ValueError if it is not."""

    def release(self, program: Program) -> None:
        """One user less; with the last one the program is forgotten. ValueError if it is not in use here."""
