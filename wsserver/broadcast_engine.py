"""From one published message to the queues of all who should have it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from wsserver.backpressure import BackpressureHandler
from wsserver.clock import Clock, microseconds, utc_text
from wsserver.connections.connection_metadata import ConnectionMetadata, Lineage
from wsserver.incidents import internal_error
from wsserver.observe.accounts import Accounts
from wsserver.observe.delivery_records import DeliveryRecords
from wsserver.observe.field_census import FieldCensus
from wsserver.observe.message_trail import Trail
from wsserver.protocol.binary_encoding import BinaryEncoding
from wsserver.protocol.durability import DurabilityRules
from wsserver.protocol.message import PublishedMessage
from wsserver.protocol.meta import MessageIds, Meta
from wsserver.protocol.report import Counts, DeliveryReport, Durability
from wsserver.protocol.topic import ANY, EVERYTHING, Topic
from wsserver.store.history import History
from wsserver.store.log import DURABLE, VOLATILE, Logs, MessageLog
from wsserver.store.store import KeyRecord, MessageRecord, Store
from wsserver_core.frames import TEXT, encode_frame
from wsserver_core.hub import Hub
from wsserver_core.outgoing import DATA, Frame
from wsserver_core.recipients import Recipients
from wsserver_core.topics import TopicIndex

_NOBODY: Final[Mapping[str, int]] = MappingProxyType({})


# Not frozen, which would take three times as long to make; nobody changes one.
@dataclass(slots=True)
class _Publication:
    """What a publisher wants delivered, from the moment it was taken in."""

    topic: Topic
    address: str
    """The topic as text."""
    message: PublishedMessage
    importance: int
    stream: str | None
    exclude: int
    """The handle of its sender, if that one does not want it back; else 0."""
    lineage: Lineage | None
    """What that sender has in common with itself when it comes back."""
    at: float
    """Seconds since 1970 UTC: what ``_meta.ts`` says, whenever it is delivered."""
    accepted_at: float
    """The same moment on the hub's stopwatch."""
    trail: Trail | None
    """Where to note how it goes, while somebody may want to know."""

    @property
    def sender(self) -> int:
        """The handle of the connection that does not get it: its sender may have come back meanwhile."""
        return self.exclude if self.lineage is None else self.lineage.handle


class BroadcastEngine:
    """Finds the recipients, encodes once for each protocol, queues references, counts every outcome."""

    def __init__(
        self,
        hub: Hub,
        index: TopicIndex,
        store: Store,
        logs: Logs,
        history: History,
        binary: BinaryEncoding,
        backpressure: BackpressureHandler,
        records: DeliveryRecords,
        clock: Clock,
    ) -> None:
        self.hub = hub
        self.store = store
        """Gives durable messages their place; `logs.durable` is its log."""
        self.logs = logs
        self.history = history
        self.durability = DurabilityRules()
        """Which log a message belongs to; may be replaced at any time."""
        self.binary = binary
        """How a message is encoded for those who speak the binary protocol."""
        self._index = index
        self._backpressure = backpressure
        self.records = records
        """The latest messages, with what became of them."""
        self.accounts = Accounts(hub)
        self._clock = clock
        self._ids = MessageIds(clock)
        self._recipients: Recipients | None = Recipients()
        # Once, as each report has it.
        self._asks_whether_behind = self._is_behind
        self.census = FieldCensus()
        """Which fields messages have had."""
        self.operations = 0
        """Broadcasts since the start."""
        self.filter_operations = 0
        """Subscriptions that a filter decided on since the start."""
        self.by_importance = [0] * (DATA + 1)
        """Broadcasts since the start, by their importance."""

    def publish(
        self,
        topic: Topic,
        message: PublishedMessage,
        *,
        exclude: int = 0,
        key: KeyRecord | None = None,
        trail: Trail | None = None,
    ) -> DeliveryReport:
        """Queue a checked message for everybody the topic reaches; ``*`` is every connection.

        ``exclude`` is the handle of one connection that does not get it. ``key`` is stored together
        with a durable message: both or neither. With a store on disk the report of a durable message is
        pending, and whoever is subscribed when it has been stored gets it then. ``trail`` is where a
        message that is traced has been so far.

        Raises ServerError 1005 when its publisher has to wait, or when it cannot be stored.
        """
        publication = self._take_in(topic, message, exclude, trail)
        if self.durability.is_durable(message, publication.importance):
            return self._store(publication, key)
        meta = self._place(publication)
        report = self._pending(meta.id, meta.topic, self.logs.volatile, "memory")
        self._broadcast(publication, meta, VOLATILE, report)
        return report

    def is_durable(self, message: PublishedMessage) -> bool:
        """Whether a message belongs to the durable log."""
        return self.durability.is_durable(message, self._backpressure.importance.of(message))

    def send_to(
        self,
        handle: int,
        allowed: bool,
        topic: Topic,
        message: PublishedMessage,
        *,
        trail: Trail | None = None,
    ) -> DeliveryReport:
        """Queue a checked message for one connection; ``allowed`` is whether it may see it.

        It is volatile whatever it says: never stored and never replayed. Raises ServerError 1005
        when its publisher has to wait.
        """
        publication = self._take_in(topic, message, 0, trail)
        recipients = self._take_recipients()
        if allowed and handle:
            recipients.add(handle)
        meta = self._place(publication)
        if trail is not None:
            trail.match(handle)
        report = self._pending(meta.id, meta.topic, self.logs.volatile, "memory")
        self._deliver(
            publication, meta, VOLATILE, report, recipients, (1, 0, 0 if allowed else 1), target=handle
        )
        return report

    def _take_in(
        self, topic: Topic, message: PublishedMessage, exclude: int, trail: Trail | None
    ) -> _Publication:
        importance = self._backpressure.importance.of(message)
        self._backpressure.admit(importance, message.size)
        address = topic.text
        stream = self._backpressure.importance.stream(address, message)
        # Now, as its sender may be gone when it is delivered, and back later.
        lineage = self._lineage(exclude)
        clock = self._clock
        return _Publication(
            topic,
            address,
            message,
            importance,
            stream,
            exclude,
            lineage,
            clock.time(),
            clock.monotonic(),
            trail,
        )

    def _place(self, publication: _Publication) -> Meta:
        """The next place in the volatile log."""
        log = self.logs.volatile
        meta = Meta(self._ids.next(), publication.address, log.name, log.next_seq(), utc_text(publication.at))
        if publication.trail is not None:
            publication.trail.place(meta.id, "memory")
            publication.trail.mark("stored")
        return meta

    def _pending(
        self, message_id: str, address: str, log: MessageLog, durability: Durability
    ) -> DeliveryReport:
        return DeliveryReport.pending(
            message_id=message_id,
            topic=address,
            log=log.name,
            durability=durability,
            is_behind=self._asks_whether_behind,
        )

    def _store(self, publication: _Publication, key: KeyRecord | None) -> DeliveryReport:
        """Have a durable message stored; it is delivered when it has been."""
        store, log = self.store, self.logs.durable
        message = publication.message
        record = MessageRecord(
            id=self._ids.next(),
            topic=publication.address,
            type=message.type,
            patient_id=message.patient_id,
            importance=publication.importance,
            stream=publication.stream,
            at=publication.at,
            members=message.members,
        )
        report = self._pending(record.id, record.topic, log, store.durability)
        trail = publication.trail
        if trail is not None:
            trail.place(record.id, store.durability)

        def stored(seq: int) -> None:
            log.head = seq
            if trail is not None:
                trail.mark("stored")
            try:
                meta = Meta(record.id, record.topic, log.name, seq, utc_text(publication.at))
                self._broadcast(publication, meta, DURABLE, report)
            except Exception:
                # With a store in memory the publisher is told right here.
                if store.durability == "memory":
                    raise
                report.fail(internal_error("delivering a stored message"))

        store.append(record, stored, report.fail if trail is None else trail.refusing(report.fail), key=key)
        if report.is_pending:
            # Its publisher may change its own from now on.
            message.detach()
        return report

    def _broadcast(self, publication: _Publication, meta: Meta, lane: int, report: DeliveryReport) -> None:
        """Find the recipients of a message that has its place, and queue it."""
        topic, message = publication.topic, publication.message
        recipients = self._take_recipients()
        everyone = topic == EVERYTHING
        selection = self._index.select(
            None if everyone else topic.subscription_type,
            None if topic.target_id == ANY else topic.target_id,
            message.patient_id,
            message.body,
            message.derived,
            recipients,
            publication.sender,
        )
        if publication.trail is not None:
            publication.trail.match()
        self.census.note(topic, message.patient_id, message.body, message.derived)
        self.operations += 1
        self.by_importance[publication.importance] += 1
        self.filter_operations += selection.matching + selection.filtered
        subscriptions = selection.considered, selection.filtered, selection.denied
        self._deliver(publication, meta, lane, report, recipients, subscriptions)

    def _take_recipients(self) -> Recipients:
        """The list that is used again and again; another one for whoever publishes while it is in use.

        Sockets are written to in the middle of a broadcast. Were anybody called back from there, one
        message must still never reach the recipients of another.
        """
        recipients, self._recipients = self._recipients, None
        if recipients is None:
            return Recipients()
        recipients.clear()
        return recipients

    def _deliver(
        self,
        publication: _Publication,
        meta: Meta,
        lane: int,
        report: DeliveryReport,
        recipients: Recipients,
        subscriptions: tuple[int, int, int],
        *,
        target: int | None = None,
    ) -> None:
        """Queue a message, keep it unless it is for one connection (``target``), complete its report."""
        topic, message, trail = publication.topic, publication.message, publication.trail
        time = microseconds(publication.at)
        wire = encode_frame(TEXT, message.encode(meta))
        if trail is not None:
            trail.encode("json", len(wire))
        binary = self.binary.message(message.body, meta, time) if self.hub.wants_binary(recipients) else None
        if trail is not None and binary is not None:
            trail.encode("binary", len(binary))
        frame = Frame(
            wire,
            message.patient_id,
            publication.importance,
            binary=binary,
            topic=meta.topic,
            log=meta.log,
            seq=meta.seq,
            stream=publication.stream,
            lane=lane + 1,
            time=time,
            accepted_at=publication.accepted_at if target is None else 0.0,
        )
        matched = len(recipients)
        losses_before = self.hub.drops.noted
        if trail is not None:
            trail.prepare(frame, recipients)
        delivered, slow, closing, catching_up = self.hub.enqueue_many(recipients, frame)
        if trail is not None:
            trail.mark("queued")
        if target is None:
            self.history.keep(frame, message.type, publication.lineage)
        refused = _NOBODY
        if delivered != matched:
            outcomes = {"slow": slow, "closing": closing, "catching_up": catching_up}
            refused = {reason: count for reason, count in outcomes.items() if count}
        counts = Counts(meta.seq, *subscriptions, matched, delivered, refused)
        self.accounts.note(counts)
        self.records.keep(
            topic, message, report, frame, recipients, losses_before, publication.sender, target
        )
        if trail is not None:
            trail.finish(message, frame, counts, recipients, publication.sender)
        self._recipients = recipients
        # Last, as it calls whoever waits for it.
        report.complete(counts, (frame,))

    def _lineage(self, exclude: int) -> Lineage | None:
        """What a sender that wants no echo has in common with itself when it comes back."""
        owner = self._index.owner(exclude) if exclude else None
        return owner.take_lineage() if isinstance(owner, ConnectionMetadata) else None

    def _is_behind(self) -> bool:
        return self._backpressure.is_behind
