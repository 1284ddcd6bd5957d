"""Hints about filters that may not be what was meant; see FilterLinter for what they say."""

from typing import Final

from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.observe.field_census import FieldCensus
from wsserver.observe.filter_linter import lint_filter
from wsserver.protocol.control import Hint
from wsserver.protocol.topic import Topic
from wsserver.subscription_manager import SubscriptionManager
from wsserver.subscriptions.subscription import Subscription
from wsserver_core.topics import TopicIndex

ENOUGH: Final = 1_000
"""Messages that a filter must have been held against before it is told that none matched."""

MAX_PER_ROUND: Final = 4
"""Subscriptions looked at in one round. One to everything may take 2 ms: it can wait, the loop cannot."""


class SubscriptionHints:
    """Gives each subscription one hint at the most.

    It goes by messages that the subscription was held against, hence that its user may see.
    """

    def __init__(self, manager: SubscriptionManager, index: TopicIndex, census: FieldCensus) -> None:
        self._manager = manager
        self._index = index
        self._census = census
        self.given = 0
        """Hints since the start."""

    def first(self, metadata: ConnectionMetadata, subscription: Subscription) -> str | None:
        """The hint for ``subscription_confirmed``, if there is one by now.

        Wildcards get theirs later: when thousands of clients come back at once, every look counts.
        """
        if subscription.program.matches_all or subscription.is_wildcard:
            return None
        record = self._index.record(subscription.number)
        if record is None or record.hinted:
            return None
        hint = self._hint(metadata, subscription)
        if hint is not None:
            self._note(subscription, hint)
        return hint

    def round(self) -> int:
        """Send a ``hint`` to a few subscriptions whose filter never matched; returns how many."""
        sent = 0
        for record in self._index.barren(ENOUGH, MAX_PER_ROUND):
            metadata: ConnectionMetadata = record.owner
            subscription = self._manager.view(record)
            hint = self._hint(metadata, subscription)
            if hint is None:
                self._index.hint(record.number)
                continue
            self._note(subscription, hint)
            message = Hint(
                subscription_id=subscription.subscription_id,
                subscription_type=subscription.subscription_type,
                target_id=subscription.target_id,
                message=hint,
            )
            metadata.say(message)
            sent += 1
        return sent

    def _hint(self, metadata: ConnectionMetadata, subscription: Subscription) -> str | None:
        topic = Topic(subscription.subscription_type, subscription.target_id)
        sightings = self._census.sightings(topic, metadata.principal.may_see)
        tested, matched = self._index.figures(subscription.number)
        return lint_filter(subscription.filters, sightings, tested, matched, enough=ENOUGH)

    def _note(self, subscription: Subscription, hint: str) -> None:
        self.given += 1
        self._index.hint(subscription.number)
        self._manager.note("hint", subscription, hint)
