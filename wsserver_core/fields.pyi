from typing import Any, Final, final

IDENTITY_FIELDS: Final[frozenset[str]]

@final
class Probe:
    """One message, held against filters. ``derived`` is asked for a top-level name that it lacks."""

    def __init__(self, message: dict[str, Any], derived: dict[str, Any]) -> None: ...

@final
class Field:
    """A path, and its reading of the message that is being looked at."""

    def __init__(self, path: str) -> None: ...
    @property
    def path(self) -> str: ...
    @property
    def identity(self) -> bool: ...
