"""Who wants what: subscriptions, their limits, their filters and their end."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from wsserver.clock import Clock, SystemClock
from wsserver.connection_metadata import ConnectionMetadata
from wsserver.errors import PERMISSION_DENIED, SUBSCRIPTION_LIMIT, ConnectionNotFound, ServerError
from wsserver.filter_engine import FilterEngine
from wsserver.ids import new_id
from wsserver.protocol.control import SubscriptionExpired, SubscriptionExpiring
from wsserver.protocol.message import PublishedMessage
from wsserver.protocol.topic import ANY, PATIENT, Topic
from wsserver.settings import FilterSettings, SubscriptionSettings
from wsserver.subscription import Subscription
from wsserver_core.hub import Hub
from wsserver_core.topics import TopicIndex

EXPIRY_WARNING: Final = 0.1
"""The last part of its time, in which a subscription's client is warned of the end."""


class SubscriptionManager:
    """The subscriptions of all open connections.

    A subscription is known by (connection, type, target); subscribing again replaces its
    filter. Everything here is done at once on the loop's thread and either happens whole or,
    with a ServerError, not at all.
    """

    def __init__(
        self,
        connections: Mapping[str, ConnectionMetadata],
        index: TopicIndex,
        hub: Hub,
        *,
        settings: SubscriptionSettings | None = None,
        filter_settings: FilterSettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.settings = settings or SubscriptionSettings()
        self.filters = FilterEngine(filter_settings or FilterSettings())
        self._connections = connections
        self._index = index
        self._hub = hub
        self._clock = clock or SystemClock()
        self._by_id: dict[str, Subscription] = {}
        self.operations = 0
        """Subscribes, unsubscribes and refreshes since the start."""
        self.expired = 0
        """Subscriptions that ended by their timeout since the start."""

    def __len__(self) -> int:
        return len(self._by_id)

    def configure(self, settings: SubscriptionSettings, filter_settings: FilterSettings) -> None:
        """Take new limits; subscriptions that are there stay."""
        self.settings = settings
        self.filters.configure(filter_settings)

    # -- adding

    def add_subscription(
        self,
        connection_id: str,
        subscription_type: str,
        target_id: str | int | None = None,
        filters: Mapping[str, Any] | None = None,
    ) -> Subscription:
        """Subscribe a connection, or replace the filter of its subscription to the same topic.

        Raises ServerError: ConnectionNotFound, 1003 (topic), 1008 (filter), 1011 (not
        allowed), 1012 (limit; ``details.scope`` is ``connection`` or ``global``).
        """
        return self.subscribe(
            self._connection(connection_id), Topic.of(subscription_type, target_id), filters
        )[0]

    def initialize_subscriptions(
        self, connection_id: str, topics: Iterable[str]
    ) -> tuple[list[Subscription], list[dict[str, Any]]]:
        """Make the subscriptions that a client names when it connects.

        Returns those made and, for the others, the members of their ``error`` messages: one
        that fails does not fail the connection.
        """
        metadata = self._connection(connection_id)
        made: list[Subscription] = []
        errors: list[dict[str, Any]] = []
        for text in topics:
            try:
                made.append(self.subscribe(metadata, Topic.parse(text), None)[0])
            except ServerError as error:
                errors.append({**error.as_dict(), "topic": text[:130]})
        return made, errors

    def subscribe(
        self, metadata: ConnectionMetadata, topic: Topic, filters: object
    ) -> tuple[Subscription, bool]:
        """The same as ``add_subscription``; also says whether an older one was replaced."""
        self.operations += 1
        self.authorise(metadata, topic)
        existing = metadata.subscriptions.get(topic)
        if existing is None:
            self._check_limits(metadata)
        program = self.filters.take(filters)
        now = self._clock.monotonic()
        if existing is None:
            subscription = Subscription(
                new_id("s"), metadata.connection_id, topic.subscription_type, topic.target_id, program, now
            )
        else:
            subscription = existing
            self._unlink(existing)
            existing.program = program
            existing.renewed_at = now
            existing.warned = False
        self.store_subscription(metadata, subscription)
        return subscription, existing is not None

    def store_subscription(self, metadata: ConnectionMetadata, subscription: Subscription) -> None:
        """Enter a checked subscription into every index. ``subscribe`` is the way to check one."""
        subscription.membership = self._index.add(
            metadata.handle,
            metadata.principal.scope,
            subscription.subscription_type,
            subscription.target_id,
            subscription.program,
            subscription,
        )
        metadata.subscriptions[subscription.subscription_type, subscription.target_id] = subscription
        self._by_id[subscription.subscription_id] = subscription

    def authorise(self, metadata: ConnectionMetadata, topic: Topic) -> None:
        """Raise 1011 unless this connection may follow the topic with today's rights."""
        principal = metadata.principal
        # Everything is every type: asking for ``*`` takes the right to subscribe to ``*``.
        allowed = principal.may_subscribe(topic.subscription_type)
        if topic.is_wildcard:
            allowed = allowed and principal.may_wildcard()
        elif topic.patient_id is not None:
            allowed = allowed and principal.may_see(topic.patient_id)
        if not allowed:
            raise ServerError(PERMISSION_DENIED)

    def validate_subscription_filters(self, filters: object) -> dict[str, Any]:
        """The filter in its normal form; raises ServerError 1008 with the path and the reason."""
        return self.filters.validate(filters)

    def _check_limits(self, metadata: ConnectionMetadata) -> None:
        if len(metadata.subscriptions) >= self.settings.max_per_connection:
            raise ServerError(SUBSCRIPTION_LIMIT, details={"scope": "connection"})
        if len(self._by_id) >= self.settings.max_global:
            raise ServerError(SUBSCRIPTION_LIMIT, details={"scope": "global"})

    def _connection(self, connection_id: str) -> ConnectionMetadata:
        metadata = self._connections.get(connection_id)
        if metadata is None:
            raise ConnectionNotFound
        return metadata

    # -- ending

    def remove_subscription(
        self, connection_id: str, subscription_type: str, target_id: str | int | None = None
    ) -> bool:
        """End one subscription; False when there was none. Raises ConnectionNotFound, 1003."""
        metadata = self._connection(connection_id)
        self.operations += 1
        subscription = metadata.subscriptions.get(Topic.of(subscription_type, target_id))
        return subscription is not None and self._end(metadata, subscription)

    def remove_by_id(self, metadata: ConnectionMetadata, subscription_id: str) -> Subscription | None:
        """End a subscription of this connection by its id; None when it has no such subscription."""
        self.operations += 1
        subscription = self._by_id.get(subscription_id)
        if subscription is None or subscription.connection_id != metadata.connection_id:
            return None
        self._end(metadata, subscription)
        return subscription

    def remove_all_subscriptions(self, connection_id: str) -> int:
        """End every subscription of a connection; returns how many there were."""
        metadata = self._connections.get(connection_id)
        return 0 if metadata is None else self.clear(metadata)

    def clear(self, metadata: ConnectionMetadata) -> int:
        """End every subscription of a connection that may have left the registry already."""
        ended = list(metadata.subscriptions.values())
        for subscription in ended:
            self._end(metadata, subscription)
        return len(ended)

    def _end(self, metadata: ConnectionMetadata, subscription: Subscription) -> bool:
        self._unlink(subscription)
        del metadata.subscriptions[subscription.subscription_type, subscription.target_id]
        del self._by_id[subscription.subscription_id]
        return True

    def _unlink(self, subscription: Subscription) -> None:
        membership, subscription.membership = subscription.membership, None
        if membership is not None:
            self._index.remove(membership)
            self.filters.give_back(subscription.program)

    # -- rights that change

    def reauthorise(self, metadata: ConnectionMetadata) -> list[Subscription]:
        """Fit the subscriptions to the connection's new principal; returns those that had to end."""
        ended = []
        for subscription in list(metadata.subscriptions.values()):
            try:
                self.authorise(metadata, Topic(subscription.subscription_type, subscription.target_id))
            except ServerError:
                self._end(metadata, subscription)
                ended.append(subscription)
            else:
                if subscription.membership is not None:
                    self._index.move(subscription.membership, metadata.principal.scope)
        return ended

    # -- looking

    def get_connection_subscriptions(self, connection_id: str) -> list[Subscription]:
        """The subscriptions of one connection; empty for an unknown one."""
        metadata = self._connections.get(connection_id)
        return [] if metadata is None else list(metadata.subscriptions.values())

    def get_all_subscriptions(self) -> list[Subscription]:
        """All subscriptions, oldest first."""
        return list(self._by_id.values())

    def get_matching_subscriptions(
        self, type_name: str | None, target_id: str | int | None, message: Mapping[str, Any]
    ) -> list[Subscription]:
        """Which subscriptions would get this message.

        ``type_name`` is a subscription type (``patient``, ``ecg``) or a message type
        (``ecg_data``); without a ``target_id`` the message's ``patient_id`` is the target, and
        without that any target. Nothing is sent. Raises ServerError 1003 as sending would.
        """
        published = PublishedMessage(dict(message))
        if target_id is not None and type_name in (None, PATIENT, published.type):
            published = PublishedMessage(published.body, topic=Topic.of_patient(target_id))
        patient_id = published.patient_id
        found: dict[int, Subscription] = {}
        if type_name == PATIENT or patient_id is not None:
            self._gather(found, PATIENT, patient_id, patient_id, published)
        for name in {type_name, (type_name or "").removesuffix("_data"), published.data_type}:
            if name and name not in (ANY, PATIENT):
                target = str(target_id) if target_id is not None and type_name == name else None
                self._gather(found, name, target, patient_id, published)
        return list(found.values())

    def _gather(
        self,
        found: dict[int, Subscription],
        subscription_type: str,
        target_id: str | None,
        patient_id: str | None,
        published: PublishedMessage,
    ) -> None:
        owners = self._index.owners(
            subscription_type, target_id, patient_id, published.body, published.derived
        )
        for subscription in owners:
            found.setdefault(id(subscription), subscription)

    def matches_filter(self, message: Mapping[str, Any], filters: object) -> bool:
        """Whether a filter holds for a message, derived fields included. Raises ServerError 1008, 1003."""
        published = PublishedMessage(dict(message))
        return self.filters.matches(published.body, filters, published.derived)

    def get_metrics(self) -> dict[str, Any]:
        """Counts for people and for the metrics page; by type, never by patient."""
        by_type: dict[str, int] = {}
        wildcards = 0
        for subscription in self._by_id.values():
            by_type[subscription.subscription_type] = by_type.get(subscription.subscription_type, 0) + 1
            wildcards += subscription.is_wildcard
        held_expired = sum(1 for subscription in self._by_id.values() if self._remaining(subscription) <= 0)
        return {
            "total": len(self._by_id),
            "active": len(self._by_id) - held_expired,
            "expired": held_expired,
            "expired_total": self.expired,
            "operations": self.operations,
            "by_type": by_type,
            "wildcard_count": wildcards,
            "distinct_filters": len(self.filters),
            "topics": self._index.topics,
        }

    # -- time

    def refresh(self, metadata: ConnectionMetadata, subscription_id: str | None = None) -> tuple[int, float]:
        """Renew one subscription or all of a connection.

        Returns how many, and the seconds until the first of them expires.
        """
        self.operations += 1
        chosen = [
            subscription
            for subscription in metadata.subscriptions.values()
            if subscription_id is None or subscription.subscription_id == subscription_id
        ]
        now = self._clock.monotonic()
        for subscription in chosen:
            subscription.renewed_at = now
            subscription.warned = False
        return len(chosen), self.settings.timeout if chosen else 0.0

    def _remaining(self, subscription: Subscription) -> float:
        """Seconds left, counted from the later of its own renewal and its connection's last sign of life."""
        metadata = self._connections.get(subscription.connection_id)
        renewed_at = subscription.renewed_at
        if metadata is not None:
            renewed_at = max(renewed_at, self._hub.last_received(metadata.handle))
        return renewed_at + self.settings.timeout - self._clock.monotonic()

    def cleanup(self) -> int:
        """End what has expired and warn of what is about to; its clients are told. Returns how many ended."""
        ended = 0
        warn_from = self.settings.timeout * EXPIRY_WARNING
        for subscription in list(self._by_id.values()):
            metadata = self._connections.get(subscription.connection_id)
            if metadata is None:
                continue
            remaining = self._remaining(subscription)
            if remaining > 0:
                if remaining <= warn_from and not subscription.warned:
                    self._warn(metadata, subscription, remaining)
                subscription.warned = remaining <= warn_from
                continue
            self._end(metadata, subscription)
            ended += 1
            notice = SubscriptionExpired.of(
                subscription.subscription_id, subscription.subscription_type, subscription.target_id
            )
            metadata.link.send_text(notice.encode())
        self.expired += ended
        return ended

    def _warn(self, metadata: ConnectionMetadata, subscription: Subscription, remaining: float) -> None:
        notice = SubscriptionExpiring(
            subscription_id=subscription.subscription_id,
            subscription_type=subscription.subscription_type,
            target_id=subscription.target_id,
            expires_in=round(remaining, 3),
        )
        metadata.link.send_text(notice.encode())

    async def aggressive_cleanup(self) -> int:
        """Clean up now rather than at the next interval: expired ones only, never live ones."""
        return self.cleanup()

    def cleanup_orphaned_subscriptions(self) -> int:
        """A self-test: disconnecting removes subscriptions, so there are none whose connection is gone."""
        orphans = [one for one in self._by_id.values() if one.connection_id not in self._connections]
        for subscription in orphans:
            self._unlink(subscription)
            del self._by_id[subscription.subscription_id]
        return len(orphans)

    async def shutdown(self) -> None:
        """End every subscription."""
        for metadata in list(self._connections.values()):
            self.clear(metadata)
        self.cleanup_orphaned_subscriptions()


def __getattr__(name: str) -> Any:
    # The default instance belongs to the default connection manager, which imports this module.
    if name == "subscription_manager":
        from wsserver.connection_manager import connection_manager

        return connection_manager.subscription_manager
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
