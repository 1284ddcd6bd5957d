from typing import final

@final
class Expression:
    """A condition, or a connective over others."""
