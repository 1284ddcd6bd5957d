"""One connection after the other, until it is over."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from wsserver.client import events
from wsserver.client.backoff import Backoff
from wsserver.client.clock import Clock, within
from wsserver.client.close_codes import COMING_BACK, NORMAL
from wsserver.client.connection import Connection
from wsserver.client.errors import ClientError, ConnectionEnded, ReconnectFailed
from wsserver.client.identity import Identity
from wsserver.client.link import Link
from wsserver.client.memory import Memory
from wsserver.client.reconnection import Ending, Reconnection, Retry
from wsserver.client.reconnection_config import ReconnectionConfig
from wsserver.client.state import State
from wsserver.client.transport import Connector


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The world as a client sees it: tests put another one in its place."""

    connector: Connector
    clock: Clock
    random: Callable[[], float]


class Supervisor:
    """Connects, and comes back as close codes, advice and attempts allow."""

    def __init__(
        self, memory: Memory, identity: Identity, config: ReconnectionConfig, surroundings: Surroundings
    ) -> None:
        self._memory = memory
        self._identity = identity
        self._config = config
        self._connector = surroundings.connector
        self._clock = surroundings.clock
        backoff = Backoff(config, surroundings.random)
        self._reconnection = Reconnection(config, backoff, memory.credentials, self._clock.monotonic)
        self.state = State.IDLE
        self.link: Link | None = None
        """The connection that is open and known to the server."""
        self.opened_at: float | None = None
        self.outcome: Exception | None = None
        """Why it is over; None while it is not, or where that was wanted."""
        self.outgoing = asyncio.Event()
        """To be set when the outbox has got something."""
        self._hurry = asyncio.Event()
        self._changed = asyncio.Event()
        self._was_in = False

    @property
    def attempts(self) -> int:
        """Attempts since the last connection that lasted."""
        return self._reconnection.attempts

    async def run(self) -> None:
        """Connect and stay connected. Returns when it is over, ``outcome`` says why; cancel it to end it."""
        self.outcome = None
        self._reconnection.attempts = 0
        self._hurry.clear()
        self._memory.inbox.reopen()
        self._turn(State.CONNECTING)
        try:
            while True:
                ending = await self._connection()
                decision = self._reconnection.ended(ending)
                self._tell(ending, decision)
                if not isinstance(decision, Retry):
                    self.outcome = decision
                    return
                await self._wait(decision)
        except asyncio.CancelledError:
            if self._was_in:
                self._memory.emit("disconnected", events.Disconnected(NORMAL, "", True, False, False))
            raise
        except Exception as fault:
            # A fault of this client itself: whoever waits must hear of it.
            self.outcome = fault
            raise
        finally:
            self._over()

    async def entered(self) -> None:
        """Return when the client is in. Raises ConnectionEnded if that will not be."""
        while self.link is None:
            if self.outcome is not None:
                raise self.outcome
            if self.state is State.CLOSED:
                raise ConnectionEnded(NORMAL, "", "the client was disconnected")
            self._changed.clear()
            await self._changed.wait()

    def hurry(self) -> None:
        """Connect now: cut the wait short, or give up the connection for a new one."""
        self._hurry.set()
        self._reconnection.attempts = 0
        if self.link is not None:
            self.link.spawn(self.link.transport.close(COMING_BACK, "reconnecting"))

    async def _connection(self) -> Ending:
        self._was_in = False
        self._memory.emit("connecting", events.Connecting(self._reconnection.attempts))
        connection = Connection(
            self._memory,
            self._identity,
            self._config,
            self._connector,
            self._clock,
            on_entered=self._entered,
            on_slot=self._reconnection.given_slot,
            outgoing=self.outgoing,
        )
        try:
            return await connection.live()
        finally:
            self.link = None
            self._memory.subscriber.connection_ended()
            if self._was_in:
                self._memory.lost_at, self.opened_at = self._clock.monotonic(), None

    def _entered(self, link: Link, resumed: bool, replayed: int, has_gaps: bool) -> None:
        memory, now = self._memory, self._clock.monotonic()
        attempts = self._reconnection.attempts
        self._was_in = True
        self.link = link
        self.opened_at = now
        self._hurry.clear()
        self._reconnection.opened()
        self._turn(State.CONNECTED)
        self._changed.set()
        if memory.lost_at is not None:
            downtime = now - memory.lost_at
            memory.metrics.downtime += downtime
            memory.metrics.reconnects += 1
            memory.emit("reconnected", events.Reconnected(attempts, downtime, resumed, replayed, has_gaps))

    def _tell(self, ending: Ending, decision: Retry | ConnectionEnded) -> None:
        self._memory.metrics.last_close_code = ending.code
        will_reconnect = isinstance(decision, Retry)
        if self._was_in or not will_reconnect:
            terminal = not will_reconnect and not isinstance(decision, ReconnectFailed)
            self._memory.emit(
                "disconnected",
                events.Disconnected(ending.code, ending.reason, ending.was_clean, will_reconnect, terminal),
            )

    async def _wait(self, decision: Retry) -> None:
        if self._was_in or self._memory.lost_at is not None:
            self._turn(State.RECONNECTING)
        delay = 0.0 if self._hurry.is_set() else decision.delay
        self._memory.emit(
            "reconnecting",
            events.Reconnecting(decision.attempt, delay, self._config.max_attempts, decision.advised),
        )
        with contextlib.suppress(TimeoutError):
            await within(self._clock, delay, self._hurried())
        self._hurry.clear()

    async def _hurried(self) -> None:
        await self._hurry.wait()

    def _turn(self, state: State) -> None:
        previous, self.state = self.state, state
        if previous is not state:
            self._memory.emit("state", events.StateChanged(state, previous))

    def _over(self) -> None:
        outcome = self.outcome
        error = outcome if isinstance(outcome, ClientError) else ClientError("the client was disconnected")
        self._memory.subscriber.wanted.end(error)
        self._memory.inbox.end(outcome)
        self._turn(State.FAILED if isinstance(outcome, ReconnectFailed) else State.CLOSED)
        self._changed.set()
        if isinstance(outcome, ReconnectFailed):
            self._memory.emit("reconnect_failed", events.ReconnectsExhausted(outcome.attempts, outcome))
