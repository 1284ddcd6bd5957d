"""In which state the server is, why, and since when."""

from wsserver.connection_manager import DRAIN
from wsserver.service import Service
from wsserver.status.panels import State


class Standing:
    """Looks at the service once a second and remembers when its state changed.

    Where several hold at once, the one that matters most to whoever is on call: a server that is going,
    one that loses what it is given, one that defends itself, one that somebody has shut.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self.state: State = "accepting"
        self.reasons: list[str] = []
        """Why it is not ``accepting``."""
        self.since = service.clock.time()
        """Seconds since 1970 UTC."""

    def look(self) -> None:
        """See how it stands now."""
        state, self.reasons = self._now()
        if state != self.state:
            self.state, self.since = state, self._service.clock.time()

    def _now(self) -> tuple[State, list[str]]:
        service = self._service
        if service.draining:
            return "draining", [DRAIN]
        fault = service.store_keeper.fault
        if fault is not None:
            return "store_lost", [fault]
        if service.overload.active:
            return "overloaded", service.overload.causes
        if service.manager.refusals:
            return "refusing", sorted(service.manager.refusals)
        return "accepting", []
