"""Who was subscribed to the topic of a message and did not get it, for a trace of that message."""

from typing import Final

from wsserver.connection_manager import ConnectionManager
from wsserver.observe.filter_explanation import explain_filter
from wsserver.observe.traced_copies import Row
from wsserver.protocol.message import PublishedMessage
from wsserver.protocol.topic import ANY, EVERYTHING, Topic
from wsserver_core.filters import FilterError, Program
from wsserver_core.recipients import Recipients

MAX_BYSTANDERS: Final = 20
"""Connections that are told of for one message."""

SCANNED: Final = 500
"""Subscriptions that are looked at for them."""

SECONDS: Final = 0.002
"""How long that may take: the message's publisher waits for it. A filter with many patterns takes 4 ms."""


_NONE: Final[tuple[str, ...]] = ()


class Bystanders:
    """Finds them while what decided it is still as it was."""

    def __init__(self, manager: ConnectionManager) -> None:
        self._manager = manager

    def of(self, topic: Topic, message: PublishedMessage, recipients: Recipients) -> list[Row]:
        """A row for each of the first connections that were considered and are not ``recipients``.

        Whoever matches and is none of them is its sender, who did not want it back. A message to all
        asks for no subscription: of whom it was denied to there is only the count.
        """
        if topic == EVERYTHING:
            return []
        clock, index = self._manager.clock, self._manager.index
        target = None if topic.target_id == ANY else topic.target_id
        deadline = clock.monotonic() + SECONDS
        rows: dict[int, Row] = {}
        for number in index.addressed(topic.subscription_type, target, SCANNED):
            record = index.record(number)
            if record is None or record.handle in recipients or record.handle in rows:
                continue
            metadata, clauses = record.owner, _NONE
            if message.patient_id is not None and not metadata.principal.may_see(message.patient_id):
                outcome = "denied"
            elif record.program.matches(message.body, message.derived):
                outcome = "own_message"
            else:
                outcome, clauses = "filtered", _false_clauses(record.program, message)
            rows[record.handle] = Row(metadata.connection_id, metadata.user_id, outcome, clauses=clauses)
            if len(rows) >= MAX_BYSTANDERS or clock.monotonic() > deadline:
                break
        return list(rows.values())


def _false_clauses(program: Program, message: PublishedMessage) -> tuple[str, ...]:
    """Where a filter is false, without what was wanted or found there."""
    try:
        explanation = explain_filter(program.source, message.body, message.derived)
    except FilterError:
        # How long a pattern takes is measured each time, and this one stands near the bound.
        return ()
    return tuple(clause.place for clause in explanation.failed)
