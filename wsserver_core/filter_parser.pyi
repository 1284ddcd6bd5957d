from typing import final

from wsserver_core.conditions import Vocabulary

class FilterError(ValueError):
    """The filter is refused: ``path`` says where, ``reason`` why. Neither holds a value of the filter."""

    path: str
    reason: str
    def __init__(self, path: str, reason: str) -> None: ...

@final
class FilterLimits:
    """Bounds of one filter.

    Bytes of its canonical form; conditions and connectives; names in a path and levels of
    connectives; values of a list; bytes of a pattern; patterns. ``try_patterns`` refuses patterns
    that take too long: False is for filters that have been accepted before.
    """

    def __init__(
        self,
        *,
        max_bytes: int = 4096,
        max_nodes: int = 64,
        max_depth: int = 8,
        max_values: int = 256,
        max_pattern_bytes: int = 256,
        max_patterns: int = 16,
        try_patterns: bool = True,
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
    @property
    def max_pattern_bytes(self) -> int: ...
    @property
    def max_patterns(self) -> int: ...
    @property
    def try_patterns(self) -> bool: ...

@final
class FilterParser:
    """Reads one filter. ``place`` is where it has got to, in the words of the client's own filter."""

    def __init__(self, limits: FilterLimits, vocabulary: Vocabulary) -> None: ...
