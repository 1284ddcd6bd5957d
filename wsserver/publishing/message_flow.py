"""The way of one message, rehearsed or really gone, as the specification's tracer tells it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from wsserver.connection_manager import ConnectionManager
from wsserver.observe.message_trace import MessageTraces
from wsserver.observe.trace_order import TraceOrder
from wsserver.observe.traced_message import TracedMessage, way_text
from wsserver.protocol.report import DeliveryReport
from wsserver.publishing.bystanders import Bystanders
from wsserver.subscriptions.match_explainer import MatchExplainer, MatchTrace, MatchVerdict

MAX_VERDICTS: Final = 20
"""Subscriptions of each outcome that are told of one by one."""


@dataclass(frozen=True, slots=True, repr=False)
class MessageFlow:
    """Who gets a message, and, if it was sent, how it went. No repr: it would show what it says."""

    message_id: str
    """As its caller calls it."""
    type: str | None
    size: int
    """Bytes of JSON text."""
    match: MatchTrace
    """Whom it is for, and why the others are not among them."""
    report: DeliveryReport | None
    """None for a dry run; pending while a durable message is on its way to the disk."""
    traced: TracedMessage | None
    """Its stages and connections; None for a dry run, and while it is on its way to the disk."""

    def as_dict(self) -> dict[str, Any]:
        """All of it for JSON."""
        report = self.report
        return {
            "message_id": self.message_id,
            "type": self.type,
            "size": self.size,
            **self.match.as_dict(),
            "delivered": None if report is None or report.is_pending else report.as_dict(),
            "traced": None if self.traced is None else self.traced.as_dict(),
        }

    def lines(self) -> list[str]:
        """As the specification's tool prints it, and more."""
        match = self.match
        lines = [
            f"=== Message Flow Trace [{self.message_id}] ===",
            f"Message type: {self.type}",
            f"Message size: {self.size} bytes",
            f"Topic: {match.topic.text}",
            f"Matching subscriptions: {match.matching}",
            f"Considered: {match.considered}, filtered: {match.filtered}, denied: {match.denied}",
            *(f"  {_verdict(one)}" for one in match.verdicts),
        ]
        if self.report is None:
            return [*lines, "Dry run: nothing was sent"]
        if self.report.is_pending:
            return [*lines, "On its way to the disk: await the report"]
        failed = sum(self.report.refused.values())
        lines.append(f"Delivered: {self.report.delivered}, Failed: {failed}")
        if self.traced is not None:
            told = self.traced.as_dict()
            lines.append(f"Stages: {way_text(told['stages'])}")
            lines += [f"  {one['connection_id']}: {one['outcome']}" for one in told["connections"]]
        return lines


def message_flow(
    manager: ConnectionManager, message_id: str, message: Mapping[str, Any], *, deliver: bool = False
) -> MessageFlow:
    """Where a message goes that says itself whose it is, by ``patient_id``, ``target_id`` or ``type``.

    With ``deliver`` it is broadcast there, and sent as far as sockets take it. Raises what
    broadcasting raises: ServerError 1003, 1004 and 1005.
    """
    given = message.get("type")
    type_name = given if isinstance(given, str) else None
    _, topics = manager.subscription_manager.address(type_name, message.get("target_id"), message)
    patients = [topic for topic in topics if topic.patient_id is not None]
    topic = patients[0] if patients else manager.natural_topic(dict(message))
    published = manager.check_message(dict(message), topic)
    match = MatchExplainer(manager).trace(topic, message, limit=MAX_VERDICTS)
    report = traced = None
    if deliver:
        traces = MessageTraces(manager.clock, manager.hub, manager.records, manager.index.owner)
        traces.bystanders = Bystanders(manager).of
        traces.arm(TraceOrder(messages=1), "trace_message_flow")
        with traces.begin("python", topic=topic) as trail:
            trail.validate(topic, published)
            report = manager.broadcasts.publish(topic, published, trail=trail)
        manager.send_message_batch()
        traced = next(iter(traces.latest(1)), None)
    return MessageFlow(message_id, published.type, published.size, match, report, traced)


def _verdict(one: MatchVerdict) -> str:
    subscription = one.subscription
    address = f"{subscription.subscription_type}:{subscription.target_id}"
    text = f"{subscription.connection_id} {subscription.subscription_id} {address}: {one.outcome}"
    if one.outcome == "filtered" and one.explanation is not None:
        text += f" at {', '.join(clause.place for clause in one.explanation.failed)}"
    return text
