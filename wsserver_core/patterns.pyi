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
class Seat:
    """A pattern's place in a book."""

@final
class Shard:
    """Patterns that are searched in one go."""

@final
class PatternBook:
    """Patterns that are asked of one field by filters that are tested together.

    Never those of others: how long a search takes tells about the text, and whoever may not see a
    message must not be able to have it searched.
    """
