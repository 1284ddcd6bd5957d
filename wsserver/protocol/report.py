"""What became of one broadcast, in numbers that add up."""

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol

Durability = Literal["memory", "fsync"]

MAX_TURNS: Final = 10_000
"""Turns of the loop that awaiting a report lets pass at the most."""

DROP_REASONS: Final = ("slow", "conflated", "expired", "closed", "shutdown")


class SharedFrame(Protocol):
    """One encoded variant of a message, with live counters of the connections that it was queued for."""

    @property
    def written(self) -> int:
        """Connections whose socket took all of it."""

    @property
    def queued(self) -> int:
        """Connections whose queue still holds it, or a part of it."""

    @property
    def dropped(self) -> Mapping[str, int]:
        """Connections that will never get it, by reason."""


class Counts(NamedTuple):
    """The numbers of a report: its place, subscriptions, connections."""

    seq: int
    considered: int
    filtered: int
    denied: int
    matched: int
    delivered: int
    refused: Mapping[str, int]


class DeliveryReport:
    """The outcome of a broadcast: used as a number it is ``delivered``, and it may be awaited.

    ``considered``, ``filtered`` and ``denied`` count subscriptions. ``matched`` counts
    connections, each once; ``delivered`` those whose live queue took the message:
    ``matched = delivered + sum(refused)``. What then became of the queued ones is told by
    ``outcome``, at any later moment.

    Mostly the work is done when the report exists, so ``await`` may be left out or repeated. It
    returns at once, unless the server is behind with sending: then it lets the loop send first, so
    that a publisher which awaits its reports is never faster than the server.

    Only a durable message with a store on disk is still on its way then (``is_pending``). It goes on
    by itself; awaiting the report waits for it, and raises ServerError 1005 if it could not be
    stored, in which case nobody got it. Until then the report has an id, a topic and a log but no
    numbers: to ask for one raises RuntimeError.
    """

    __slots__ = (
        "_callbacks",
        "_counts",
        "_fault",
        "_frames",
        "_is_behind",
        "duplicate",
        "durability",
        "log",
        "message_id",
        "topic",
    )

    def __init__(
        self,
        *,
        message_id: str,
        topic: str,
        log: str,
        seq: int,
        durability: Durability = "memory",
        duplicate: bool = False,
        considered: int,
        filtered: int,
        denied: int,
        matched: int,
        delivered: int,
        refused: Mapping[str, int],
        frames: Sequence[SharedFrame] = (),
        is_behind: Callable[[], bool] | None = None,
    ) -> None:
        self.message_id = message_id
        self.topic = topic
        self.log = log
        self.durability = durability
        self.duplicate = duplicate
        self._counts: Counts | None = Counts(seq, considered, filtered, denied, matched, delivered, refused)
        self._fault: Exception | None = None
        self._frames = frames
        self._is_behind = is_behind
        self._callbacks: list[Callable[[DeliveryReport], object]] | None = None

    @classmethod
    def pending(
        cls,
        *,
        message_id: str,
        topic: str,
        log: str,
        durability: Durability,
        is_behind: Callable[[], bool] | None = None,
    ) -> "DeliveryReport":
        """The report of a message that is on its way: ``complete`` or ``fail`` ends that."""
        report = cls.__new__(cls)
        report.message_id = message_id
        report.topic = topic
        report.log = log
        report.durability = durability
        report.duplicate = False
        report._counts = None
        report._fault = None
        report._frames = ()
        report._is_behind = is_behind
        report._callbacks = None
        return report

    def complete(self, counts: "Counts", frames: Sequence[SharedFrame] = ()) -> None:
        """The message has been delivered, with these numbers."""
        self._counts = counts
        self._frames = frames
        self._tell()

    def fail(self, fault: Exception) -> None:
        """The message could not be stored, or not be delivered; awaiting raises this."""
        self._fault = fault
        self._tell()

    def _tell(self) -> None:
        callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            callback(self)

    @property
    def is_pending(self) -> bool:
        """Whether the message is still on its way to the disk."""
        return self._counts is None and self._fault is None

    @property
    def fault(self) -> Exception | None:
        """Why nobody got the message; None if it was delivered or is on its way."""
        return self._fault

    def when_done(self, callback: Callable[["DeliveryReport"], object]) -> None:
        """Call back when the message is delivered or has failed; at once if that is so already."""
        if not self.is_pending:
            callback(self)
        elif self._callbacks is None:
            self._callbacks = [callback]
        else:
            self._callbacks.append(callback)

    def _known(self) -> "Counts":
        if self._counts is None:
            if self._fault is not None:
                raise self._fault
            raise RuntimeError(
                "this message is still on its way to the disk, so there are no numbers yet: await the report"
            )
        return self._counts

    @property
    def seq(self) -> int:
        """Its place in the log."""
        return self._known().seq

    @property
    def considered(self) -> int:
        """Subscriptions that the message was held against."""
        return self._known().considered

    @property
    def filtered(self) -> int:
        """Those of them whose filter did not match."""
        return self._known().filtered

    @property
    def denied(self) -> int:
        """Those of them that may not see it."""
        return self._known().denied

    @property
    def matched(self) -> int:
        """Connections that it was for."""
        return self._known().matched

    @property
    def delivered(self) -> int:
        """Those of them whose queue took it."""
        return self._known().delivered

    @property
    def refused(self) -> Mapping[str, int]:
        """Those of them whose queue did not, by reason."""
        return self._known().refused

    def as_dict(self) -> dict[str, Any]:
        """The members of the HTTP answer and of ``broadcast_ack``."""
        counts = self._known()
        return {
            "message_id": self.message_id,
            "topic": self.topic,
            "log": self.log,
            "seq": counts.seq,
            "durability": self.durability,
            "duplicate": self.duplicate,
            "considered": counts.considered,
            "filtered": counts.filtered,
            "denied": counts.denied,
            "matched": counts.matched,
            "delivered": counts.delivered,
            "refused": dict(counts.refused),
        }

    def outcome(self) -> dict[str, Any]:
        """What became of ``delivered`` up to now: ``written``, ``queued``, ``dropped`` by reason.

        At any moment ``delivered = written + queued + sum(dropped)``.
        """
        dropped = dict.fromkeys(DROP_REASONS, 0)
        written = queued = 0
        for frame in self._frames:
            written += frame.written
            queued += frame.queued
            for reason, count in frame.dropped.items():
                dropped[reason] += count
        return {"written": written, "queued": queued, "dropped": dropped}

    def __await__(self) -> Generator[Any, None, "DeliveryReport"]:
        if self.is_pending:
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

            def wake(report: DeliveryReport) -> None:
                # Whoever awaited it may have been cancelled meanwhile.
                if not done.done():
                    done.set_result(None)

            self.when_done(wake)
            yield from done
        self._known()
        if self._is_behind is not None:
            for _ in range(MAX_TURNS):
                if not self._is_behind():
                    break
                yield
        return self

    def __int__(self) -> int:
        return self.delivered

    __index__ = __int__

    def __float__(self) -> float:
        return float(self.delivered)

    def __bool__(self) -> bool:
        return self.delivered != 0

    # Of the object, although equal numbers have equal hashes: asyncio.gather keeps what it awaits in
    # a dict, and would take two broadcasts that reached as many for one. A pending one has no number.
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if isinstance(other, DeliveryReport):
            return self.delivered == other.delivered
        if isinstance(other, int | float):
            return self.delivered == other
        return NotImplemented

    def __lt__(self, other: "DeliveryReport | float") -> bool:
        return self.delivered < _number(other)

    def __le__(self, other: "DeliveryReport | float") -> bool:
        return self.delivered <= _number(other)

    def __gt__(self, other: "DeliveryReport | float") -> bool:
        return self.delivered > _number(other)

    def __ge__(self, other: "DeliveryReport | float") -> bool:
        return self.delivered >= _number(other)

    def __add__(self, other: "DeliveryReport | int") -> int:
        return self.delivered + int(other)

    __radd__ = __add__

    def __sub__(self, other: "DeliveryReport | int") -> int:
        return self.delivered - int(other)

    def __rsub__(self, other: int) -> int:
        return int(other) - self.delivered

    def __str__(self) -> str:
        return str(self.delivered)

    def __format__(self, spec: str) -> str:
        return format(self.delivered, spec)

    def __repr__(self) -> str:
        if self._counts is None:
            return f"<DeliveryReport {self.message_id}: {'on its way' if self._fault is None else 'failed'}>"
        return f"<DeliveryReport {self.message_id}: {self.delivered} of {self.matched}>"


def _number(value: "DeliveryReport | float") -> float:
    return value.delivered if isinstance(value, DeliveryReport) else value
