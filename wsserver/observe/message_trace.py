"""Armed traces: the next messages of a kind are followed from stage to stage.

While none is armed a publisher reads one attribute, ``is_armed``, and that is all.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal

import msgspec

from wsserver.clock import Clock, utc_text
from wsserver.errors import INVALID_MESSAGE, ServerError
from wsserver.ids import new_id
from wsserver.observe.delivery_records import DeliveryRecords
from wsserver.observe.message_trail import Door, Trail
from wsserver.observe.trace_order import TraceOrder
from wsserver.observe.traced_copies import MAX_LISTED, Copies, Owner, Row
from wsserver.observe.traced_message import MAX_BODY, Mask, TracedMessage, topic_text
from wsserver.protocol.message import PublishedMessage
from wsserver.protocol.report import Counts
from wsserver.protocol.topic import Topic
from wsserver_core.hub import Hub
from wsserver_core.outgoing import Frame
from wsserver_core.recipients import Recipients

MAX_ARMED: Final = 8
"""Traces that may be armed together."""

MAX_ENDED: Final = 50
"""Traces that are remembered after their end."""

MAX_BYTES: Final = 8 << 20
"""What all traced messages together may take; beyond it the oldest go."""

BODY_SECONDS: Final = 600.0
"""How long what messages say is kept after the end of their trace."""

State = Literal["armed", "complete", "expired", "disarmed"]

Bystanders = Callable[[Topic, PublishedMessage, Recipients], Iterable[Row]]
"""Tells of those who were subscribed and are not among the recipients."""


class ArmedTrace:
    """One order, and how far it is. No repr: it would name users and patients."""

    __slots__ = ("armed_at", "by", "ended", "ends", "messages", "order", "state", "trace_id")

    def __init__(self, order: TraceOrder, by: str, clock: Clock) -> None:
        self.trace_id = new_id("t")
        self.order = order
        self.by = by
        """Who armed it."""
        self.armed_at = clock.time()
        """Seconds since 1970 UTC."""
        self.ends = clock.monotonic() + order.seconds
        """Monotonic seconds, like ``ended``."""
        self.ended: float | None = None
        self.state: State = "armed"
        self.messages = 0
        """Messages that it has seen."""

    def wants(self, trail: Trail) -> bool:
        """Whether a message is one of those, whoever it is for."""
        order = self.order
        return (
            (order.type is None or order.type == trail.type)
            and (order.patient_id is None or order.patient_id == trail.patient_id)
            and (order.topic is None or (trail.topic is not None and order.topic == trail.topic.text))
            and (order.message_id is None or order.message_id == trail.message_id)
        )

    def as_dict(self, mask: Mask | None = None) -> dict[str, Any]:
        """The trace for JSON; ``mask`` hides ids of users and patients."""
        criteria = self.order.criteria()
        if mask is not None:
            for name in ("patient_id", "user_id"):
                if name in criteria:
                    criteria[name] = mask(criteria[name])
            if "topic" in criteria:
                criteria["topic"] = topic_text(Topic.parse(criteria["topic"]), mask)
        return {
            "trace_id": self.trace_id,
            "state": self.state,
            "armed_at": utc_text(self.armed_at),
            "by": self.by,
            "criteria": criteria,
            "messages": self.order.messages,
            "seconds": self.order.seconds,
            "body": self.order.body,
            "seen": self.messages,
        }


class MessageTraces:
    """All armed traces, and what they and those before them have seen. It belongs to the loop's thread."""

    def __init__(
        self, clock: Clock, hub: Hub, records: DeliveryRecords, owner: Callable[[int], Owner | None]
    ) -> None:
        """``owner`` finds a connection by its handle."""
        self._clock = clock
        self._hub = hub
        self._records = records
        self._owner = owner
        self.is_armed = False
        """Whether any message is looked for: what publishers ask first."""
        self.armed: list[ArmedTrace] = []
        self._ended: dict[str, ArmedTrace] = {}
        self._kept: deque[TracedMessage] = deque()
        self.bytes = 0
        """What the traced messages take."""
        self.bystanders: Bystanders | None = None

    # -- arming

    def arm(self, order: TraceOrder, by: str) -> ArmedTrace:
        """Look for messages from now on; ``by`` is who asks.

        Raises ServerError 1003 for what can be no id or topic, and (409) while as many are armed as may
        be or for a message that has been delivered.
        """
        order = order.checked()
        self._expire()
        if order.message_id is not None and self._records.get(str(order.message_id)) is not None:
            text = "This message has been delivered already; GET /ws/explain tells what became of it."
            raise ServerError(INVALID_MESSAGE, text, http_status=409)
        if len(self.armed) >= MAX_ARMED:
            text = f"{MAX_ARMED} traces are armed already; disarm one of them."
            raise ServerError(INVALID_MESSAGE, text, http_status=409)
        trace = ArmedTrace(order, by, self._clock)
        self.armed.append(trace)
        self.is_armed = True
        return trace

    def disarm(self, trace_id: str) -> ArmedTrace | None:
        """End a trace; None if there is none of that id. What it has seen stays."""
        trace = self.get(trace_id)
        if trace is not None and trace.state == "armed":
            self._end(trace, "disarmed")
        return trace

    def get(self, trace_id: str) -> ArmedTrace | None:
        """A trace that is armed, or has ended lately."""
        return next((one for one in self.armed if one.trace_id == trace_id), self._ended.get(trace_id))

    def ended(self) -> list[ArmedTrace]:
        """The traces that have ended lately, the latest first."""
        return list(reversed(self._ended.values()))

    def tick(self) -> None:
        """End traces whose time is over, and forget what is not to be kept any longer."""
        if not self.armed and not self._kept:
            return
        self._expire()
        now = self._clock.monotonic()
        for one in self._kept:
            if one.copies is not None and not one.is_settled:
                one.copies.meet()
            trace = self._ended.get(one.trace_id)
            if trace is None:
                if all(one.trace_id != armed.trace_id for armed in self.armed):
                    one.drop_body()
            elif trace.ended is not None and now - trace.ended >= BODY_SECONDS:
                one.drop_body()

    def _expire(self) -> None:
        now = self._clock.monotonic()
        for trace in [one for one in self.armed if one.ends <= now]:
            self._end(trace, "expired")

    def _end(self, trace: ArmedTrace, state: State) -> None:
        trace.state = state
        trace.ended = self._clock.monotonic()
        self.armed.remove(trace)
        self.is_armed = bool(self.armed)
        self._ended[trace.trace_id] = trace
        if len(self._ended) > MAX_ENDED:
            del self._ended[next(iter(self._ended))]

    # -- what was seen

    def latest(self, limit: int, trace_id: str | None = None) -> list[TracedMessage]:
        """The newest traced messages, newest first: of all traces, or of one."""
        found = (one for one in reversed(self._kept) if trace_id in (None, one.trace_id))
        return [one for one, _ in zip(found, range(limit), strict=False)]

    # -- on the way of a message

    def begin(
        self,
        door: Door,
        *,
        publisher: str | None = None,
        topic: Topic | None = None,
        content: object = None,
        started: float | None = None,
    ) -> Trail:
        """A message has been received, at ``started`` if not now."""
        return Trail(
            self._clock,
            self,
            door,
            publisher=publisher,
            topic=topic,
            content=content,
            started=started,
        )

    def prepare(self, trail: Trail, frame: Frame, recipients: Recipients) -> None:
        """It is encoded and will be queued now: whoever wants it has its copies watched."""
        self._expire()
        wanting = [one for one in self.armed if one.wants(trail)]
        if any(one.order.user_id is not None for one in wanting):
            users = {trail.publisher, *self._users(recipients)}
            wanting = [one for one in wanting if one.order.user_id in (None, *users)]
        if wanting:
            trail.watchers = tuple(wanting)
            frame.watch(max(1, min(len(recipients), MAX_LISTED)))

    def _users(self, recipients: Recipients) -> Iterable[str]:
        owners = map(self._owner, recipients.handles())
        return (owner.user_id for owner in owners if owner is not None)

    def finish(
        self,
        trail: Trail,
        message: PublishedMessage,
        frame: Frame,
        counts: Counts,
        recipients: Recipients,
        excluded: int,
    ) -> None:
        """It has been queued: keep what is known of it for those who want it."""
        if not trail.watchers or trail.topic is None or trail.message_id is None:
            return
        trail.counts = counts
        trail.log = frame.log
        bystanders: Iterable[Row] = ()
        if trail.target is not None:
            bystanders = self._denied(trail.target) if counts.denied else ()
        elif self.bystanders is not None and (counts.filtered or counts.denied or excluded):
            bystanders = self.bystanders(trail.topic, message, recipients)
        copies = Copies(
            self._hub,
            self._records,
            self._owner,
            recipients.copy(),
            frame.watch(),
            message_id=trail.message_id,
            log=frame.log or "",
            seq=counts.seq,
            started=trail.started,
            delivered=counts.delivered,
            bystanders=bystanders,
        )
        self._keep(trail, copies, message.body)

    def _denied(self, handle: int) -> Iterable[Row]:
        owner = self._owner(handle)
        return () if owner is None else (Row(owner.connection_id, owner.user_id, "denied"),)

    def refused(self, trail: Trail) -> None:
        """It goes no further: keep that for those who want it, by what is known of it."""
        self._expire()
        trail.watchers = tuple(
            one for one in self.armed if one.wants(trail) and one.order.user_id in (None, trail.publisher)
        )
        self._keep(trail, None, trail.content)

    def _keep(self, trail: Trail, copies: Copies | None, content: object) -> None:
        trail.content = None
        text = _beginning(content) if any(one.order.body for one in trail.watchers) else None
        for trace in trail.watchers:
            trace.messages += 1
            body = text if trace.order.body else None
            kept = TracedMessage(trace.trace_id, trace.messages, trail, copies, body)
            self._kept.append(kept)
            self.bytes += kept.cost
            if trace.messages >= trace.order.messages:
                self._end(trace, "complete")
        trail.watchers = ()
        while self.bytes > MAX_BYTES and self._kept:
            self.bytes -= self._kept.popleft().cost


def _beginning(content: object) -> str | None:
    """The first bytes of what a message says, as JSON where it is any."""
    if content is None:
        return None
    if not isinstance(content, bytes):
        try:
            content = msgspec.json.encode(content)
        except (TypeError, ValueError, RecursionError):
            return None
    return content[:MAX_BODY].decode(errors="ignore")
