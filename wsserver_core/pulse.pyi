from typing import Any, final

from wsserver_core.histogram import Histogram
from wsserver_core.hub import Hub

@final
class Pulse:
    """Heartbeats of the connections of one hub. Durations are seconds.

    A connection is pinged every ``interval`` seconds, each time sooner or later by up to the
    share ``jitter`` of it, for the first time somewhen in the first interval; never later than
    half-way from ``interval`` to ``timeout``, so that it has time to answer. It is silent when
    nothing has come from it for ``timeout`` seconds, or ``slow_factor`` times as long if its
    round trips take longer than ``slow_rtt`` on the average. ``seed`` starts the dice.

    Times that are passed in are the hub's, ``hub.now`` being the coarse form of the same.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        interval: float,
        timeout: float,
        tick: float = 0.25,
        jitter: float = 0.2,
        slow_rtt: float = 1.0,
        slow_factor: float = 2.0,
        seed: int = 1,
    ) -> None: ...
    @property
    def hub(self) -> Hub: ...
    @property
    def interval(self) -> float: ...
    @property
    def timeout(self) -> float: ...
    @property
    def tick_length(self) -> float:
        """Seconds."""

    @property
    def jitter(self) -> float: ...
    @property
    def slow_rtt(self) -> float: ...
    @property
    def slow_factor(self) -> float: ...
    @property
    def watched(self) -> int:
        """Connections that are watched, listed or not."""

    @property
    def pings(self) -> int:
        """Pings queued since the start."""

    @property
    def answered(self) -> int:
        """Pings to listed connections that were answered before the next one was due."""

    @property
    def missed(self) -> int:
        """Pings to listed connections that were not, those of our own absences left out."""

    @property
    def absences(self) -> int:
        """How often the ticks came so late that nobody is judged for it."""

    @property
    def absent_seconds(self) -> float: ...

    @property
    def round_trips(self) -> Histogram:
        """How long listed connections took to answer, of each ping of which that can be told."""

    def begin(self, now: float) -> None:
        """Start from here: the time since the last tick was no absence, as nobody was to tick."""

    def watch(self, handle: int, mortal: bool = True, listed: bool = True) -> int:
        """Begin with a connection; does nothing for one that is watched already.

        ``mortal`` says whether it is ever handed over as silent, ``listed`` whether it counts in
        the figures. Raises ValueError for a handle whose connection is gone.
        """

    def forget(self, handle: int) -> bool:
        """Have done with a connection; False when it is not watched."""

    def is_watched(self, handle: int) -> bool:
        """Whether this connection is watched."""

    def configure(self, interval: float, timeout: float) -> None:
        """Take another interval and timeout, and plan all connections anew.

        Nobody is judged by the new timeout on what it did under the old one: all have a whole
        ``timeout`` from now on to be heard.
        """

    def advance(self, now: float, token: int) -> list[Any]:
        """Ping those whose turn has come; returns the owners of the silent.

        A silent connection stays watched and comes again after another interval, unless it is
        forgotten or heard. ``token`` must not be guessable: a pong is believed if it brings it back.
        """

    def answer(self, handle: int, payload: bytes | None, now: float) -> float | None:
        """A pong has come: the seconds since its ping, or None if it tells nothing.

        That is so for a ping that this connection was not sent, has answered already or was sent
        before we were away ourselves. Nor does it measure the line when since then the ping had to
        wait for room in the socket, or the pong for us to read on. ``payload`` None answers the
        newest ping, in good faith.
        """

    def note_round_trip(self, handle: int, rtt: float) -> bool:
        """Take a round trip that somebody else has measured into the average; False if not watched."""

    def timeout_of(self, handle: int) -> float:
        """Seconds of silence that this connection is allowed; ``timeout`` for one not watched."""

    def figures(self, handle: int) -> tuple[float, int, float | None] | None:
        """``(silent_for, missed, average rtt or None)`` of a watched connection, else None.

        ``missed`` are the pings in a row at whose turn nothing had come since the one before.
        """

    def census(self) -> tuple[int, int, int, int, float]:
        """``(listed, late, slow, measured, sum of their average rtt)`` over all connections now.

        ``late`` have missed at least one ping and not been heard since, ``slow`` have the longer
        timeout. Walks the table.
        """
