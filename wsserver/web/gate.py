"""The first check of a handshake: is there room, and is this address asking too often?

It looks at counters only, so that a flood is turned away before anything is parsed. A
place is taken before the first await and given back exactly once.
"""

from dataclasses import dataclass

from wsserver.clock import Clock
from wsserver.errors import BACKPRESSURE, CONNECTION_LIMIT, RATE_LIMIT, SHUTTING_DOWN
from wsserver.load.bucket_table import REMEMBERED, BucketTable
from wsserver.web.refusal import HandshakeRefused
from wsserver_core.buckets import MESSAGES


@dataclass(frozen=True, slots=True)
class GateLimits:
    """How many may be inside, and how fast one address may come."""

    max_open: int
    """Sockets in this process, those not yet authenticated included."""
    max_open_per_address: int | None = None
    rate_per_address: float | None = None
    """Handshakes a second that one address may start for long; None is no limit."""
    burst_per_address: int = 50
    """Handshakes that it may start at once, 1 or more."""
    remembered_addresses: int = REMEMBERED
    """Addresses whose rate is known. Beyond it those that came first start afresh, the insistent last."""
    retry_after: float = 5.0
    """Seconds that a client is told to wait when nobody can know."""


class Gate:
    """Admits handshakes. ``accepting`` and ``draining`` may be set, ``limits`` replaced, at any time."""

    def __init__(self, limits: GateLimits, clock: Clock) -> None:
        self._attempts = BucketTable(clock)
        self.limits = limits
        self.accepting = True
        self.draining = False
        self._open = 0
        # Only addresses with somebody inside, so never more than max_open entries.
        self._open_by_address: dict[str, int] = {}

    @property
    def limits(self) -> GateLimits:
        """What holds for whoever comes next."""
        return self._limits

    @limits.setter
    def limits(self, limits: GateLimits) -> None:
        self._limits = limits
        self._attempts.limits.set(MESSAGES, limits.rate_per_address or 0.0, limits.burst_per_address)
        self._attempts.remembered = limits.remembered_addresses

    @property
    def open(self) -> int:
        """Places taken."""
        return self._open

    def open_from(self, address: str) -> int:
        """Places taken by one address (a key of ``limit_key``)."""
        return self._open_by_address.get(address, 0)

    def enter(self, address: str) -> "Pass":
        """Take a place for an address (a key of ``limit_key``); raises HandshakeRefused (503 or 429).

        The caller owes a ``leave`` for the pass, however the connection ends.
        """
        limits = self.limits
        if self.draining:
            raise HandshakeRefused(SHUTTING_DOWN, retry_after=limits.retry_after)
        if not self.accepting:
            raise HandshakeRefused(BACKPRESSURE, retry_after=limits.retry_after)
        if self._open >= limits.max_open:
            raise HandshakeRefused(
                CONNECTION_LIMIT, details={"scope": "global"}, retry_after=limits.retry_after
            )
        open_here = self._open_by_address.get(address, 0)
        if limits.max_open_per_address is not None and open_here >= limits.max_open_per_address:
            raise HandshakeRefused(
                CONNECTION_LIMIT,
                "Too many connections from this address.",
                http_status=429,
                details={"scope": "address"},
                retry_after=limits.retry_after,
            )
        if limits.rate_per_address is not None:
            self._count_attempt(address)
        self._open += 1
        self._open_by_address[address] = open_here + 1
        return Pass(self, address)

    def _count_attempt(self, address: str) -> None:
        wait = self._attempts.spend(address, MESSAGES)
        if wait:
            raise HandshakeRefused(
                RATE_LIMIT, "Too many connection attempts from this address.", retry_after=wait
            )

    def _leave(self, address: str) -> None:
        self._open -= 1
        left = self._open_by_address[address] - 1
        if left:
            self._open_by_address[address] = left
        else:
            del self._open_by_address[address]


class Pass:
    """A place inside the gate."""

    __slots__ = ("_address", "_gate")

    def __init__(self, gate: Gate, address: str) -> None:
        self._gate: Gate | None = gate
        self._address = address

    @property
    def address(self) -> str:
        """Whose place it is: a key of ``limit_key``."""
        return self._address

    def leave(self) -> None:
        """Give the place back. Every call but the first does nothing."""
        gate, self._gate = self._gate, None
        if gate is not None:
            gate._leave(self._address)

    # So that who keeps it needs no bound method besides, for each of ten thousand connections.
    __call__ = leave
