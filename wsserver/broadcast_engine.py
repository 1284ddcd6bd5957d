"""From one published message to the queues of all who should have it."""

from wsserver.backpressure import BackpressureHandler
from wsserver.clock import Clock, utc_text
from wsserver.observe.accounts import Accounts
from wsserver.observe.delivery_records import DeliveryRecords
from wsserver.observe.field_census import FieldCensus
from wsserver.protocol.durability import DurabilityRules
from wsserver.protocol.message import PublishedMessage
from wsserver.protocol.meta import MessageIds, Meta
from wsserver.protocol.report import DeliveryReport
from wsserver.protocol.topic import ANY, EVERYTHING, Topic
from wsserver.store.history import History
from wsserver.store.log import DURABLE, VOLATILE, Logs, MessageLog
from wsserver_core.frames import TEXT, encode_frame
from wsserver_core.hub import Hub
from wsserver_core.outgoing import Frame
from wsserver_core.recipients import Recipients
from wsserver_core.topics import TopicIndex


class BroadcastEngine:
    """Finds the recipients, encodes once, queues by reference and counts every outcome."""

    def __init__(
        self,
        hub: Hub,
        index: TopicIndex,
        logs: Logs,
        history: History,
        backpressure: BackpressureHandler,
        records: DeliveryRecords,
        clock: Clock,
    ) -> None:
        self.hub = hub
        self.logs = logs
        self.history = history
        self.durability = DurabilityRules()
        """Which log a message belongs to; may be replaced at any time."""
        self._index = index
        self._backpressure = backpressure
        self.records = records
        """The latest messages, with what became of them."""
        self.accounts = Accounts(hub)
        self._clock = clock
        self._ids = MessageIds(clock)
        self._recipients: Recipients | None = Recipients()
        self.census = FieldCensus()
        """Which fields messages have had."""
        self.operations = 0
        """Broadcasts since the start."""
        self.filter_operations = 0
        """Subscriptions that a filter decided on since the start."""

    def publish(self, topic: Topic, message: PublishedMessage, *, exclude: int = 0) -> DeliveryReport:
        """Queue a checked message for everybody the topic reaches; ``*`` is every connection.

        ``exclude`` is the handle of one connection that does not get it. Raises ServerError 1005
        when its publisher has to wait.
        """
        importance = self._admit(message)
        recipients = self._take_recipients()
        everyone = topic == EVERYTHING
        selection = self._index.select(
            None if everyone else topic.subscription_type,
            None if topic.target_id == ANY else topic.target_id,
            message.patient_id,
            message.body,
            message.derived,
            recipients,
            exclude,
        )
        self.census.note(topic, message.patient_id, message.body, message.derived)
        self.operations += 1
        self.filter_operations += selection.matching + selection.filtered
        return self._deliver(
            topic,
            message,
            importance,
            recipients,
            selection.considered,
            selection.filtered,
            selection.denied,
            excluded=exclude,
        )

    def send_to(self, handle: int, allowed: bool, topic: Topic, message: PublishedMessage) -> DeliveryReport:
        """Queue a checked message for one connection; ``allowed`` is whether it may see it.

        Raises ServerError 1005 when its publisher has to wait.
        """
        importance = self._admit(message)
        recipients = self._take_recipients()
        if allowed and handle:
            recipients.add(handle)
        return self._deliver(topic, message, importance, recipients, 1, 0, 0 if allowed else 1, target=handle)

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

    def _admit(self, message: PublishedMessage) -> int:
        importance = self._backpressure.importance.of(message)
        self._backpressure.admit(importance, message.size)
        return importance

    def _deliver(
        self,
        topic: Topic,
        message: PublishedMessage,
        importance: int,
        recipients: Recipients,
        considered: int,
        filtered: int,
        denied: int,
        *,
        excluded: int = 0,
        target: int | None = None,
    ) -> DeliveryReport:
        """Give a message its place and queue it; it is kept unless it is for one connection, ``target``."""
        lane = DURABLE if self.durability.is_durable(message, importance) else VOLATILE
        log: MessageLog = self.logs.durable if lane == DURABLE else self.logs.volatile
        meta = Meta(self._ids.next(), topic.text, log.name, log.next_seq(), utc_text(self._clock.time()))
        frame = Frame(
            encode_frame(TEXT, message.encode(meta)),
            message.patient_id,
            importance,
            topic=meta.topic,
            log=meta.log,
            seq=meta.seq,
            stream=self._backpressure.importance.stream(meta.topic, message),
            lane=lane + 1,
        )
        matched = len(recipients)
        losses_before = self.hub.drops.noted
        delivered, slow, closing, catching_up = self.hub.enqueue_many(recipients, frame)
        if target is None:
            self.history.keep(frame, message.type, self._lineage(excluded))
        refused: dict[str, int] = {}
        if slow:
            refused["slow"] = slow
        if closing:
            refused["closing"] = closing
        if catching_up:
            refused["catching_up"] = catching_up
        report = DeliveryReport(
            message_id=meta.id,
            topic=meta.topic,
            log=meta.log,
            seq=meta.seq,
            considered=considered,
            filtered=filtered,
            denied=denied,
            matched=matched,
            delivered=delivered,
            refused=refused,
            frames=(frame,),
            is_behind=self._is_behind,
        )
        self.accounts.note(report)
        self.records.keep(topic, message, report, frame, recipients, losses_before, excluded, target)
        self._recipients = recipients
        return report

    def _lineage(self, exclude: int) -> object:
        """What a sender that wants no echo has in common with itself when it comes back."""
        owner = self._index.owner(exclude) if exclude else None
        return owner.take_lineage() if owner is not None else None

    def _is_behind(self) -> bool:
        return self._backpressure.is_behind
