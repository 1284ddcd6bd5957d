from typing import final

class PatternError(ValueError):
    """The pattern is refused; the text says why."""

@final
class Pattern:
    """One pattern, searched in a shard or by itself."""

    @property
    def source(self) -> bytes: ...
    @property
    def size(self) -> int:
        """Instructions of its compiled form."""

@final
class Shard:
    """Patterns that are searched in one go."""

@final
class PatternBook:
    """All patterns that are asked of one field."""
