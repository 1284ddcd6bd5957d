"""So many pass in one turn of the loop; the others follow in order."""

import asyncio
from collections import deque
from typing import Final

from wsserver.loop.loop_port import LoopPort

PER_TURN: Final = 2
"""Newcomers who go a step further in one turn of the loop.

A step (the answer to the handshake; the token, the limits and the session) takes some 0.3 ms. When a
hundred came back together, all their steps in one turn made everybody else wait for 30 ms. Accepting is
no slower for it: where there is nothing else to do, turns are short.
"""


class Turnstile:
    """Where coroutines wait for a turn of the loop that is not full yet."""

    def __init__(self, port: LoopPort, per_turn: int = PER_TURN) -> None:
        self._port = port
        self._per_turn = per_turn
        self._left = per_turn
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._scheduled = False

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    async def passed(self) -> None:
        """Return in this turn if there is room, else in a later one, first come first served."""
        # There is never room in a turn while somebody waits.
        if self._left:
            self._left -= 1
            self._schedule()
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self._schedule()
        await place

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._port.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        self._left = self._per_turn
        while self._left and self._waiting:
            place = self._waiting.popleft()
            # Whoever has been cancelled meanwhile takes no room.
            if not place.done():
                place.set_result(None)
                self._left -= 1
        if self._waiting or self._left < self._per_turn:
            self._schedule()
