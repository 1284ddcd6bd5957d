"""Why a message would reach a subscription, or would not. Nothing is sent and nothing is counted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from wsserver.connection_manager import ConnectionManager
from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.observe.filter_explanation import FilterExplanation, explain_filter
from wsserver.protocol.message import PublishedMessage
from wsserver.protocol.topic import ANY, EVERYTHING, Topic
from wsserver.subscriptions.subscription import Subscription
from wsserver_core.filters import FilterError, Program

SCANNED: Final = 2_000
"""Subscriptions of one topic that a trace looks at, so that it never holds the loop up."""

Outcome = Literal["matches", "filtered", "denied", "other_topic"]


@dataclass(frozen=True, slots=True)
class MatchVerdict:
    """What would become of one message at one subscription."""

    subscription: Subscription
    outcome: Outcome
    explanation: FilterExplanation | None
    """Clause by clause, where the filter was asked: not for another topic, nor without the right."""
    remark: str = ""
    """What there is to say where there is no explanation."""

    def as_dict(self) -> dict[str, Any]:
        """The verdict for JSON."""
        one = self.subscription
        told: dict[str, Any] = {
            "subscription_id": one.subscription_id,
            "connection_id": one.connection_id,
            "subscription_type": one.subscription_type,
            "target_id": one.target_id,
            "filters": one.filters,
            "outcome": self.outcome,
            "text": self.text(),
        }
        if self.explanation is not None:
            told["clauses"] = self.explanation.as_dict()["clauses"]
        return told

    def text(self) -> str:
        """The verdict for people."""
        return self.remark if self.explanation is None else self.explanation.text()


@dataclass(frozen=True, slots=True)
class MatchTrace:
    """Who would get a message, and why the others would not."""

    topic: Topic
    patient_id: str | None
    considered: int
    matching: int
    filtered: int
    denied: int
    verdicts: list[MatchVerdict]
    """At most so many as were asked for of each outcome."""

    def as_dict(self) -> dict[str, Any]:
        """The trace for JSON."""
        return {
            "topic": self.topic.text,
            "patient_id": self.patient_id,
            "considered": self.considered,
            "matching": self.matching,
            "filtered": self.filtered,
            "denied": self.denied,
            "subscriptions": [verdict.as_dict() for verdict in self.verdicts],
        }


class MatchExplainer:
    """Holds messages against subscriptions and says clause by clause what came of it."""

    def __init__(self, manager: ConnectionManager) -> None:
        self._manager = manager

    def explain_match(
        self,
        connection_id: str,
        message: Mapping[str, Any],
        *,
        topic: Topic | None = None,
        type_name: str | None = None,
        target_id: str | int | None = None,
        limit: int | None = None,
    ) -> list[MatchVerdict]:
        """A verdict for each subscription of a connection, or for the ``limit`` oldest.

        The message goes to ``topic``; without one to wherever ``get_matching_subscriptions``
        would look for this type and target. Sent to all it asks for no subscription. Raises
        ConnectionNotFound, and ServerError 1003 as sending would.
        """
        metadata = self._manager.connection(connection_id)
        manager = self._manager.subscription_manager
        if topic is None:
            published, topics = manager.address(type_name, target_id, message)
        else:
            published, topics = self._manager.check_message(dict(message), topic), [topic]
        case = _Case(published, topics)
        subscriptions = manager.get_connection_subscriptions(connection_id)
        return [case.verdict(metadata, one) for one in subscriptions[:limit]]

    def explain_published(
        self, connection_id: str, published: PublishedMessage, topic: Topic, limit: int
    ) -> list[MatchVerdict]:
        """A verdict for each subscription to the topic of a checked message, at most ``limit``.

        Those that match come first. Raises ConnectionNotFound.
        """
        metadata, case = self._manager.connection(connection_id), _Case(published, [topic])
        addressed = [
            one
            for one in self._manager.subscription_manager.get_connection_subscriptions(connection_id)
            if reaches(topic, one.subscription_type, one.target_id)
        ]
        addressed.sort(key=lambda one: not one.program.matches(published.body, published.derived))
        return [case.verdict(metadata, one) for one in addressed[:limit]]

    def trace(self, topic: Topic, message: Mapping[str, Any], *, limit: int = 20) -> MatchTrace:
        """What ``publish`` would report, and up to ``limit`` verdicts of each outcome.

        Of a topic with very many subscriptions it looks at the first 2,000. Raises ServerError
        1003 as sending would.
        """
        published = self._manager.check_message(dict(message), topic)
        index, everyone = self._manager.index, topic == EVERYTHING
        target = None if topic.target_id == ANY else topic.target_id
        selection, numbers = index.preview(
            None if everyone else topic.subscription_type,
            target,
            published.patient_id,
            published.body,
            published.derived,
        )
        verdicts: dict[Outcome, list[MatchVerdict]] = {"matches": [], "filtered": [], "denied": []}
        if not everyone:
            case, matching = _Case(published, [topic]), set(numbers)
            addressed = index.addressed(topic.subscription_type, target, SCANNED)
            # Those that match first: among very many the few of interest may come late.
            for number in [*numbers[:limit], *(one for one in addressed if one not in matching)]:
                record = index.record(number)
                if record is None:
                    continue
                outcome = case.outcome(record.owner, number in matching)
                if len(verdicts[outcome]) < limit:
                    view = self._manager.subscription_manager.view(record)
                    verdicts[outcome].append(case.verdict(record.owner, view))
        return MatchTrace(
            topic,
            published.patient_id,
            selection.considered,
            selection.matching,
            selection.filtered,
            selection.denied,
            [verdict for group in verdicts.values() for verdict in group],
        )


class _Case:
    """One message on its way to some topics. What many subscriptions ask for is explained once."""

    def __init__(self, published: PublishedMessage, topics: Iterable[Topic]) -> None:
        self._published = published
        self._topics = list(topics)
        self._explained: dict[Program, FilterExplanation | None] = {}

    def outcome(self, metadata: ConnectionMetadata, matches: bool) -> Outcome:
        """What becomes of it at a subscription that it is held against."""
        return "matches" if matches else "filtered" if self._sees(metadata) else "denied"

    def verdict(self, metadata: ConnectionMetadata, subscription: Subscription) -> MatchVerdict:
        address = subscription.subscription_type, subscription.target_id
        if not any(reaches(topic, *address) for topic in self._topics):
            return MatchVerdict(
                subscription, "other_topic", None, "The message is addressed to another topic."
            )
        if not self._sees(metadata):
            return MatchVerdict(subscription, "denied", None, "This user may not see the patient.")
        if EVERYTHING in self._topics:
            remark = "A message to all asks for no subscription and no filter."
            return MatchVerdict(subscription, "matches", None, remark)
        program, published = subscription.program, self._published
        outcome = self.outcome(metadata, program.matches(published.body, published.derived))
        return MatchVerdict(
            subscription, outcome, self._explanation(program), "The filter takes too long to explain."
        )

    def _explanation(self, program: Program) -> FilterExplanation | None:
        if program not in self._explained:
            try:
                explanation = explain_filter(program.source, self._published.body, self._published.derived)
            except FilterError:
                # How long a pattern takes is measured each time, and this one stands near the bound.
                explanation = None
            self._explained[program] = explanation
        return self._explained[program]

    def _sees(self, metadata: ConnectionMetadata) -> bool:
        patient_id = self._published.patient_id
        return patient_id is None or metadata.principal.may_see(patient_id)


def reaches(topic: Topic, subscription_type: str, target_id: str) -> bool:
    """Whether a message to this topic has anything to do with a subscription to that type and target."""
    if ANY in (topic.subscription_type, subscription_type):
        return True
    if subscription_type != topic.subscription_type:
        return False
    return ANY in (topic.target_id, target_id) or topic.target_id == target_id
