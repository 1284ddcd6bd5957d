from typing import final

@final
class Bucket:
    """Rows that share a table and a key."""

@final
class Table:
    """Filters that ask the same fields in the same way, with other constants."""

@final
class Matcher:
    """Filters with something that belongs to each; a message finds those that hold."""

    def __init__(self) -> None: ...
