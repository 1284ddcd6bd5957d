"""One message as a trace has seen it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from wsserver.clock import utc_text
from wsserver.observe.message_trail import STAGES, Stage, Trail
from wsserver.observe.traced_copies import MAX_LISTED, Copies
from wsserver.protocol.topic import ANY, Topic

MAX_BODY: Final = 2_048
"""Bytes that are kept of what a message says, where that is asked for."""

OVERHEAD: Final = 2_500
"""Bytes that a traced message takes besides its connections and its body."""

Mask = Callable[[str], str]


class TracedMessage:
    """What is known of a message that a trace was armed for. No repr: it would name users and patients."""

    __slots__ = ("_body", "_trail", "copies", "cost", "number", "trace_id")

    def __init__(
        self, trace_id: str, number: int, trail: Trail, copies: Copies | None, body: str | None
    ) -> None:
        self.trace_id = trace_id
        self.number = number
        """Its place among those of its trace, from 1."""
        self._trail = trail
        self.copies = copies
        """What became of its copies; None for one that was refused."""
        self._body = body
        self.cost = OVERHEAD + len(body or "") + (copies.cost if copies is not None else 0)
        """Bytes that it counts as."""

    def drop_body(self) -> None:
        """Forget what it says."""
        self._body = None

    @property
    def message_id(self) -> str | None:
        """None for one that was refused before it had a place."""
        return self._trail.message_id

    @property
    def patient_id(self) -> str | None:
        """Whom it is about, as far as that is known."""
        return self._trail.patient_id

    @property
    def is_settled(self) -> bool:
        """Whether nothing more will happen to its copies."""
        return self.copies is None or self.copies.is_settled

    @property
    def stage(self) -> Stage:
        """The last stage that it came to, or for one that was refused the one that it did not get through."""
        if self.copies is not None and self._trail.counts is not None:
            return "written" if self.copies.is_settled and self.copies.fates.writes else "queued"
        return self._trail.stage

    def as_dict(
        self, mask: Mask | None = None, *, body: bool = False, limit: int = MAX_LISTED
    ) -> dict[str, Any]:
        """All of it for JSON, with ``limit`` connections; ``mask`` hides ids of users and patients.

        What it says is there only with ``body``, and if its trace asked for it.
        """
        trail = self._trail
        rows, more = ([], 0) if self.copies is None else self.copies.rows(limit)
        error = trail.error
        return {
            "trace_id": self.trace_id,
            "number": self.number,
            "message_id": trail.message_id,
            "duplicate_of": trail.duplicate_of,
            "ts": utc_text(trail.at),
            "door": trail.door,
            "publisher": _hidden(trail.publisher, mask),
            "topic": None if trail.topic is None else topic_text(trail.topic, mask),
            "type": trail.type,
            "patient_id": _hidden(trail.patient_id, mask),
            "size": trail.size,
            "direct": trail.target is not None,
            "log": trail.log,
            "seq": None if trail.counts is None else trail.counts.seq,
            "durability": trail.durability,
            "stage": self.stage,
            # Without its details: they may hold what a publisher wrote.
            "error": None
            if error is None
            else {"code": error.kind.code, "name": error.kind.name, "message": error.message},
            "settled": self.is_settled,
            "stages": self._stages(),
            "connections": [row.as_dict(mask) for row in rows],
            "more": more,
            "body": self._body if body else None,
        }

    def _stages(self) -> list[dict[str, Any]]:
        trail, counts = self._trail, self._trail.counts
        told: list[dict[str, Any]] = [{"stage": "received", "us": 0}]
        told.extend(
            {"stage": stage, "us": _us(trail.moments[stage])}
            for stage in STAGES[1:-1]
            if stage in trail.moments
        )
        for one in told:
            if one["stage"] == "encoded":
                one["encodings"] = {
                    name: {"us": _us(moment), "bytes": size}
                    for name, (moment, size) in trail.encodings.items()
                }
            if counts is None:
                continue
            if one["stage"] == "matched":
                one["considered"] = counts.considered
            elif one["stage"] == "filtered":
                matching = counts.considered - counts.filtered - counts.denied
                one |= {"matching": matching, "filtered": counts.filtered, "denied": counts.denied}
            elif one["stage"] == "queued":
                refused = dict(counts.refused)
                one |= {"matched": counts.matched, "delivered": counts.delivered, "refused": refused}
        if self.copies is not None:
            told.append({"stage": "written", **self.copies.stage()})
        return told


def way_text(stages: Sequence[Mapping[str, Any]]) -> str:
    """The stages of a message for people, with milliseconds and figures."""
    parts = []
    for stage in stages:
        if "us" not in stage:
            continue
        note = ""
        if "encodings" in stage:
            sizes = (f"{name} {one['bytes']} B" for name, one in stage["encodings"].items())
            note = f" ({', '.join(sizes)})"
        elif "considered" in stage or "matching" in stage:
            note = f" ({stage.get('considered', stage.get('matching'))})"
        parts.append(f"{stage['stage']} {stage['us'] / 1000:.3f}{note}")
    return f"{' > '.join(parts)} ms"


def topic_text(topic: Topic, mask: Mask | None) -> str:
    """A topic for people; its target may be a patient, so it is hidden with them."""
    if mask is None or topic.target_id == ANY:
        return topic.text
    return f"{topic.subscription_type}:{mask(topic.target_id)}"


def _hidden(value: str | None, mask: Mask | None) -> str | None:
    return value if mask is None or value is None else mask(value)


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)
