"""What became of one broadcast, in numbers that add up."""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Final, Literal, Protocol

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


class DeliveryReport:
    """The outcome of a broadcast: used as a number it is ``delivered``, and it may be awaited.

    ``considered``, ``filtered`` and ``denied`` count subscriptions. ``matched`` counts
    connections, each once; ``delivered`` those whose live queue took the message:
    ``matched = delivered + sum(refused)``. What then became of the queued ones is told by
    ``outcome``, at any later moment.

    The work is done when the report exists, so ``await`` may be left out or repeated. It returns
    at once, unless the server is behind with sending: then it lets the loop send first, so that a
    publisher which awaits its reports is never faster than the server.
    """

    __slots__ = (
        "_frames",
        "_is_behind",
        "considered",
        "delivered",
        "denied",
        "duplicate",
        "durability",
        "filtered",
        "log",
        "matched",
        "message_id",
        "refused",
        "seq",
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
        self.seq = seq
        self.durability = durability
        self.duplicate = duplicate
        self.considered = considered
        self.filtered = filtered
        self.denied = denied
        self.matched = matched
        self.delivered = delivered
        self.refused = refused
        self._frames = frames
        self._is_behind = is_behind

    def as_dict(self) -> dict[str, Any]:
        """The members of the HTTP answer and of ``broadcast_ack``."""
        return {
            "message_id": self.message_id,
            "topic": self.topic,
            "log": self.log,
            "seq": self.seq,
            "durability": self.durability,
            "duplicate": self.duplicate,
            "considered": self.considered,
            "filtered": self.filtered,
            "denied": self.denied,
            "matched": self.matched,
            "delivered": self.delivered,
            "refused": dict(self.refused),
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

    def __await__(self) -> Generator[None, None, "DeliveryReport"]:
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

    def __hash__(self) -> int:
        return hash(self.delivered)

    def __eq__(self, other: object) -> bool:
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
        return f"<DeliveryReport {self.message_id}: {self.delivered} of {self.matched}>"


def _number(value: "DeliveryReport | float") -> float:
    return value.delivered if isinstance(value, DeliveryReport) else value
