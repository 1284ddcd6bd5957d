from typing import final

@final
class Roster:
    """Seats by slot. Whose seat it is, the whole handle says."""
