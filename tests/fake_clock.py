"""A clock that a test moves by hand."""

WALL = 1_800_000_000.0


class FakeClock:
    """Both clocks of ``wsserver.clock.Clock``; the wall clock may be set apart from the other."""

    def __init__(self) -> None:
        self.wall = WALL
        self.seconds = 50_000.0

    def monotonic(self) -> float:
        return self.seconds

    def time(self) -> float:
        return self.wall

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.seconds += seconds
