"""Who wants what: subscriptions, their limits, their filters and their end."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from wsserver.access.principal import Principal
from wsserver.audit.access_audit import AccessAudit
from wsserver.audit.access_notes import AccessNotes
from wsserver.clock import Clock, SystemClock
from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.errors import PERMISSION_DENIED, ConnectionNotFound, ServerError
from wsserver.filter_engine import FilterEngine
from wsserver.ids import NumberedIds
from wsserver.loop.awaitable import AwaitableInt
from wsserver.observe.event_history import EventHistory, EventKind
from wsserver.protocol.control import SubscriptionExpired, SubscriptionExpiring
from wsserver.protocol.message import PublishedMessage
from wsserver.protocol.topic import ANY, EVERY_PATIENT, PATIENT, Topic
from wsserver.sessions.catch_up import CatchUps
from wsserver.settings import AuditSettings, FilterSettings, SubscriptionSettings
from wsserver.subscriptions.subscription import Subscription
from wsserver.subscriptions.subscription_expiry import SubscriptionExpiry
from wsserver.subscriptions.subscription_limits import SubscriptionLimits
from wsserver_core.filters import Program
from wsserver_core.hub import Hub
from wsserver_core.topics import Record, TopicIndex


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
        max_connections: int = 10_000,
        clock: Clock | None = None,
        audit: AccessAudit | None = None,
    ) -> None:
        """``max_connections`` says what an even share of the pool is: see SubscriptionLimits."""
        clock = clock or SystemClock()
        self._audit = audit or AccessAudit(AuditSettings(), clock)
        self._notes = AccessNotes(self._audit)
        self.settings = settings or SubscriptionSettings()
        self.filters = FilterEngine(filter_settings or FilterSettings())
        self.history = EventHistory(self.settings.event_history_size, clock)
        """What happened to subscriptions lately."""
        self._connections = connections
        self._index = index
        self._clock = clock
        self._ids = NumberedIds("s")
        self._limits = _limits(self.settings, max_connections)
        self._expiry = SubscriptionExpiry(index, hub, connections, self.settings, clock)
        self._by_type: Counter[str] = Counter()
        self._wildcards = 0
        self.operations = 0
        """Subscribes, unsubscribes and refreshes since the start."""
        self.catch_ups: CatchUps | None = None
        """Told of what changes for a connection that is catching up."""
        self.on_change: Callable[[ConnectionMetadata], object] | None = None
        """Called with a connection whose subscriptions are not what they were."""
        self.expired = 0
        """Subscriptions that ended by their timeout since the start."""

    def __len__(self) -> int:
        return len(self._index)

    def configure(
        self, settings: SubscriptionSettings, filter_settings: FilterSettings, max_connections: int
    ) -> None:
        """Take new limits; subscriptions that are there stay."""
        self.settings = self._expiry.settings = settings
        self.filters.configure(filter_settings)
        self.history.resize(settings.event_history_size)
        self._limits = _limits(settings, max_connections)

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
        self,
        metadata: ConnectionMetadata,
        topic: Topic,
        filters: object,
        *,
        restored: bool = False,
        reason: str | None = None,
    ) -> tuple[Subscription, bool]:
        """The same as ``add_subscription``; also says whether an older one was replaced.

        ``restored`` (from a session) and ``reason`` (for breaking the glass) are for the audit. Raises 1015
        besides while access cannot be accounted for and has to be.
        """
        self.operations += 1
        self._check_access(metadata, topic)
        handle = metadata.handle
        number = self._index.find(handle, *topic)
        existed = number != 0
        if not existed:
            self._limits.check(self._index.count(handle), len(self._index))
        now = self._clock.monotonic()
        program = self.filters.take(filters)
        unused: Program | None = program
        try:
            self._check_patterns(handle, number, program)
            if existed:
                unused = self._index.replace(number, program, now)
            else:
                number = self.store_subscription(metadata, topic, program, now)
                unused = None
        finally:
            if unused is not None:
                self.filters.give_back(unused)
        subscription = Subscription(
            number, self._ids.text(number), metadata.connection_id, *topic, program, now
        )
        if metadata.catch_up is not None and self.catch_ups is not None:
            self.catch_ups.subscribed(metadata, number, is_new=not existed)
        if self.on_change is not None:
            self.on_change(metadata)
        self.note("replaced" if existed else "subscribed", subscription)
        self._notes.subscribed(
            metadata.connection_id,
            metadata.principal,
            topic,
            replaced=existed,
            restored=restored,
            reason=reason,
        )
        return subscription, existed

    def _check_access(self, metadata: ConnectionMetadata, topic: Topic) -> None:
        """Raise 1011 or 1015 for what this connection may not follow now, and note that it tried."""
        lacking = lacking_right(metadata.principal, topic)
        try:
            if lacking is not None:
                raise ServerError(PERMISSION_DENIED)
            self._audit.check()
        except ServerError as error:
            self._notes.subscription_refused(
                metadata.connection_id, metadata.principal, topic, lacking or "audit", error.kind
            )
            raise

    def _check_patterns(self, handle: int, replaced: int, program: Program) -> None:
        if program.patterns:
            held = [one.program for one in self._index.records(handle) if one.number != replaced]
            self.filters.check_patterns([*held, program])

    def store_subscription(
        self, metadata: ConnectionMetadata, topic: Topic, program: Program, now: float
    ) -> int:
        """Enter a checked subscription into every index; returns its number.

        ``subscribe`` is the way to check one.
        """
        number = self._index.add(metadata.handle, *topic, program, now)
        self._by_type[topic.subscription_type] += 1
        self._wildcards += topic.target_id == ANY
        return number

    def validate_subscription_filters(self, filters: object) -> dict[str, Any]:
        """The filter in its normal form; raises ServerError 1008 with the path and the reason."""
        return self.filters.validate(filters)

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
        return self.remove(self._connection(connection_id), Topic.of(subscription_type, target_id))

    def remove(self, metadata: ConnectionMetadata, topic: Topic) -> bool:
        """The same for a topic in normal form."""
        self.operations += 1
        record = self._index.record(self._index.find(metadata.handle, *topic))
        if record is None:
            return False
        self._end(record, "unsubscribed")
        return True

    def remove_by_id(self, metadata: ConnectionMetadata, subscription_id: str) -> Subscription | None:
        """End a subscription of this connection by its id; None when it has no such subscription."""
        self.operations += 1
        record = self._index.record(self._ids.number(subscription_id))
        if record is None or record.handle != metadata.handle:
            return None
        return self._end(record, "unsubscribed")

    def remove_all_subscriptions(self, connection_id: str) -> int:
        """End every subscription of a connection; returns how many there were."""
        metadata = self._connections.get(connection_id)
        return 0 if metadata is None else self.clear(metadata, "unsubscribed")

    def clear(self, metadata: ConnectionMetadata, why: EventKind = "disconnected") -> int:
        """End every subscription of a connection that may have left the registry already."""
        records = self._index.records(metadata.handle)
        for record in records:
            # Of a connection that ends one record of the audit speaks for all its subscriptions.
            self._end(record, why, is_noted=why != "disconnected")
        return len(records)

    def _end(self, record: Record, why: EventKind, *, is_noted: bool = True) -> Subscription:
        if self._index.remove(record.number) is not None:
            self._ended(record)
        subscription = self.view(record)
        self.note(why, subscription)
        if is_noted:
            self._note_end(record, why)
        return subscription

    def _note_end(self, record: Record, why: EventKind) -> None:
        owner = record.owner
        topic = Topic(record.subscription_type, record.target_id)
        self._notes.ended(owner.connection_id, owner.principal, topic, why)

    def _ended(self, record: Record) -> None:
        self.filters.give_back(record.program)
        self._by_type[record.subscription_type] -= 1
        if not self._by_type[record.subscription_type]:
            del self._by_type[record.subscription_type]
        self._wildcards -= record.target_id == ANY
        if record.owner.catch_up is not None and self.catch_ups is not None:
            self.catch_ups.changed(record.owner)
        if self.on_change is not None:
            self.on_change(record.owner)

    # -- rights that change

    def reauthorise(self, metadata: ConnectionMetadata) -> list[Subscription]:
        """Fit the subscriptions to the connection's new principal; returns those that had to end."""
        ended = []
        for record in self._index.rescope(metadata.handle, metadata.principal.scope):
            self._ended(record)
            ended.append(self.view(record))
            self.note("revoked", ended[-1])
            self._note_end(record, "revoked")
        for record in self._index.records(metadata.handle):
            topic = Topic(record.subscription_type, record.target_id)
            if lacking_right(metadata.principal, topic) is not None:
                ended.append(self._end(record, "revoked"))
        return ended

    # -- looking

    def view(self, record: Record) -> Subscription:
        """A subscription as the index knows it, with its public ids."""
        return Subscription(
            record.number,
            self._ids.text(record.number),
            record.owner.connection_id,
            record.subscription_type,
            record.target_id,
            record.program,
            record.renewed_at,
        )

    def note(self, kind: EventKind, subscription: Subscription, detail: str | None = None) -> None:
        """Enter what happened to a subscription into the history."""
        self.history.note(
            kind,
            connection_id=subscription.connection_id,
            subscription_id=subscription.subscription_id,
            subscription_type=subscription.subscription_type,
            target_id=subscription.target_id,
            detail=detail,
        )

    def count(self, metadata: ConnectionMetadata) -> int:
        """How many subscriptions a connection has."""
        return self._index.count(metadata.handle)

    def get_connection_subscriptions(self, connection_id: str) -> list[Subscription]:
        """The subscriptions of one connection, oldest first; empty for an unknown one."""
        metadata = self._connections.get(connection_id)
        return [] if metadata is None else [self.view(one) for one in self._index.records(metadata.handle)]

    def get_all_subscriptions(self) -> list[Subscription]:
        """All subscriptions, in no order."""
        return [self.view(record) for record in self._index.all_records()]

    def get_matching_subscriptions(
        self, type_name: str | None, target_id: str | int | None, message: Mapping[str, Any]
    ) -> list[Subscription]:
        """Which subscriptions would get this message.

        ``type_name`` is a subscription type (``patient``, ``ecg``) or a message type
        (``ecg_data``); without a ``target_id`` the message's ``patient_id`` is the target, and
        without that any target. Nothing is sent. Raises ServerError 1003 as sending would.
        """
        published, topics = self.address(type_name, target_id, message)
        numbers: dict[int, None] = {}
        for topic in topics:
            target = None if topic.target_id == ANY else topic.target_id
            _, found = self._index.preview(
                topic.subscription_type, target, published.patient_id, published.body, published.derived
            )
            numbers.update(dict.fromkeys(found))
        records = map(self._index.record, numbers)
        return [self.view(record) for record in records if record is not None]

    def address(
        self, type_name: str | None, target_id: str | int | None, message: Mapping[str, Any]
    ) -> tuple[PublishedMessage, list[Topic]]:
        """The message as it would be published, and every topic that such a type and target may mean.

        Raises ServerError 1003 as sending would.
        """
        published = self.filters.published(dict(message))
        if target_id is not None and type_name in (None, PATIENT, published.type):
            published = self.filters.published(published.body, Topic.of_patient(target_id))
        topics = []
        if published.patient_id is not None:
            topics.append(Topic.of_patient(published.patient_id))
        elif type_name == PATIENT:
            topics.append(EVERY_PATIENT)
        for name in dict.fromkeys((type_name, (type_name or "").removesuffix("_data"), published.data_type)):
            if name and name not in (ANY, PATIENT):
                target = str(target_id) if target_id is not None and type_name == name else ANY
                topics.append(Topic(name, target))
        return published, topics

    def matches_filter(self, message: Mapping[str, Any], filters: object) -> bool:
        """Whether a filter holds for a message, derived fields included. Raises ServerError 1008, 1003."""
        published = self.filters.published(dict(message))
        return self.filters.matches(published.body, filters, published.derived)

    def get_metrics(self) -> dict[str, Any]:
        """Counts for people and for the metrics page; by type, never by patient.

        ``expired`` are those whose time is up and whose end is yet to be announced: they are still
        served.
        """
        expired = sum(1 for _ in self._expiry.idle(self.settings.timeout))
        return {
            "total": len(self),
            "active": len(self) - expired,
            "expired": expired,
            "expired_total": self.expired,
            "operations": self.operations,
            "by_type": dict(self._by_type),
            "wildcard_count": self._wildcards,
            "distinct_filters": len(self.filters),
            "filter_complexity": self.filters.average_complexity,
            "topics": self._index.topics,
        }

    def get_analytics(self, limit: int = 100) -> dict[str, Any]:
        """What subscriptions are made of: their largest topics, and their filters by use.

        Names patients: for operators. Walks every topic and filter once.
        """
        topics = sorted(self._index.topic_sizes(), key=lambda topic: -topic[2])
        filters = sorted(self._index.filters(), key=lambda one: (-one.subscriptions, -one.tested))
        return {
            "top_targets": [
                {"subscription_type": kind, "target_id": target, "subscriptions": size}
                for kind, target, size in topics[:limit]
            ],
            "filters": [
                {
                    "filters": one.program.source,
                    "subscriptions": one.subscriptions,
                    "tested": one.tested,
                    "matched": one.matched,
                    "complexity": one.program.complexity,
                }
                for one in filters[:limit]
            ],
        }

    # -- time

    def refresh(self, metadata: ConnectionMetadata, subscription_id: str | None = None) -> tuple[int, float]:
        """Renew one subscription or all of a connection.

        Returns how many, and the seconds until the first of them expires.
        """
        self.operations += 1
        chosen = self._index.numbers(metadata.handle)
        if subscription_id is not None:
            number = self._ids.number(subscription_id)
            chosen = [number] if number in chosen else []
        for number in chosen:
            self._expiry.renew(number)
        return len(chosen), self.settings.timeout if chosen else 0.0

    def cleanup(self) -> int:
        """End what has expired and warn of what is about to; its clients are told. Returns how many ended."""
        ended = 0
        for record, remaining in list(self._expiry.idle(self.settings.timeout - self._expiry.warn_from)):
            if remaining <= 0:
                self._expire(record)
                ended += 1
            elif self._expiry.due_for_warning(record):
                self._warn(record, remaining)
        self.expired += ended
        return ended

    def _expire(self, record: Record) -> None:
        subscription = self._end(record, "expired")
        notice = SubscriptionExpired.of(
            subscription.subscription_id, subscription.subscription_type, subscription.target_id
        )
        record.owner.say(notice)

    def _warn(self, record: Record, remaining: float) -> None:
        subscription = self.view(record)
        notice = SubscriptionExpiring(
            subscription_id=subscription.subscription_id,
            subscription_type=subscription.subscription_type,
            target_id=subscription.target_id,
            expires_in=round(remaining, 3),
        )
        record.owner.say(notice)
        self.note("expiring", subscription)

    def aggressive_cleanup(self) -> AwaitableInt:
        """Clean up now rather than at the next interval: what has expired, and orphans; never live ones.

        Returns how many ended. The work is done when it returns; it may be awaited or not.
        """
        return AwaitableInt(self.cleanup() + self.cleanup_orphaned_subscriptions())

    def cleanup_orphaned_subscriptions(self) -> int:
        """A self-test: disconnecting removes subscriptions, so there are none whose connection is gone."""
        orphans = self._orphans()
        for record in orphans:
            self._end(record, "disconnected")
        return len(orphans)

    def count_orphaned_subscriptions(self) -> int:
        """How many ``cleanup_orphaned_subscriptions`` would end; walks all subscriptions."""
        return len(self._orphans())

    def _orphans(self) -> list[Record]:
        return [
            record
            for record in self._index.all_records()
            if self._connections.get(record.owner.connection_id) is not record.owner
        ]

    async def shutdown(self) -> None:
        """End every subscription."""
        for record in self._index.all_records():
            self._end(record, "disconnected")


def lacking_right(principal: Principal, topic: Topic) -> str | None:
    """What keeps somebody from following a topic: ``subscribe``, ``wildcard`` or ``patients``; None: nothing.

    Everything is every type: asking for ``*`` takes the right to subscribe to ``*``.
    """
    if not principal.may_subscribe(topic.subscription_type):
        return "subscribe"
    if topic.is_wildcard:
        return None if principal.may_wildcard() else "wildcard"
    if topic.patient_id is not None and not principal.may_see(topic.patient_id):
        return "patients"
    return None


def _limits(settings: SubscriptionSettings, max_connections: int) -> SubscriptionLimits:
    return SubscriptionLimits(settings.max_per_connection, settings.max_global, max_connections)


def __getattr__(name: str) -> Any:
    # The default instance belongs to the default connection manager, which imports this module.
    if name == "subscription_manager":
        from wsserver.connection_manager import connection_manager

        return connection_manager.subscription_manager
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
