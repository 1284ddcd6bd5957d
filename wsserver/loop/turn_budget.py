"""How long commands may hold the loop in one of its turns, all connections together."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar, TypeVarTuple

from wsserver.loop.loop_port import LoopPort

SECONDS: Final = 0.004
"""What commands may take of one turn. The last one may run over; none takes much longer than this."""

Party = TypeVar("Party")
Arguments = TypeVarTuple("Arguments")


class TurnBudget(Generic[Party]):
    """Measures the work of a turn of the loop; whoever comes after it is spent waits for the next.

    Parties go on in the order in which they began to wait, so many seconds a turn, and the loop sees
    to everybody else in between.
    """

    def __init__(
        self,
        port: LoopPort,
        go_on: Callable[[Party], None],
        *,
        seconds: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """``go_on`` is called for a party whose turn has come. ``seconds`` are ``SECONDS`` unless given."""
        self._seconds = seconds
        self._port = port
        self._go_on = go_on
        self._clock = clock
        self._waiting: deque[Party] = deque()
        self._spent = 0.0
        self._scheduled = False

    @property
    def is_spent(self) -> bool:
        """Whether there is no more time in this turn."""
        return self._spent >= (SECONDS if self._seconds is None else self._seconds)

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def wait(self, party: Party) -> None:
        """Let a party go on in a later turn."""
        self._waiting.append(party)
        self._schedule()

    def charge(self, work: Callable[[*Arguments], None], *arguments: *Arguments) -> None:
        """Do something and count how long it took."""
        began = self._clock()
        try:
            work(*arguments)
        finally:
            self._spent += self._clock() - began
            self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._port.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        self._spent = 0.0
        # Those who begin to wait again meanwhile are not served twice in one turn.
        for _ in range(len(self._waiting)):
            if self.is_spent:
                break
            self._go_on(self._waiting.popleft())
        if self._waiting:
            self._schedule()
