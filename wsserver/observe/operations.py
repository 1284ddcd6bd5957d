"""Requests over HTTP, and how many of them failed."""


class Operations:
    """Two totals since the start. Probes of health and readiness are no operations."""

    __slots__ = ("failures", "requests")

    def __init__(self) -> None:
        self.requests = 0
        self.failures = 0

    def note(self, status: int) -> None:
        """Count an answer by its HTTP status."""
        self.requests += 1
        if status >= 400:
            self.failures += 1
