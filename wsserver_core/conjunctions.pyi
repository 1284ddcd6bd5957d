from typing import final

@final
class Conjunction:
    """Conditions that must all hold, sorted by how an index can answer them."""
