"""The latest messages with what became of them, for whoever asks why somebody did not get one."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Final

import msgspec

from wsserver.clock import Clock, utc_text
from wsserver.observe.gap_records import GapRecords
from wsserver.protocol.message import PublishedMessage
from wsserver.protocol.report import DeliveryReport
from wsserver.protocol.topic import Topic
from wsserver.settings import RecordsSettings
from wsserver_core.addressees import Addressees
from wsserver_core.hub import Hub
from wsserver_core.outgoing import DATA, Frame
from wsserver_core.recipients import Recipients

OVERHEAD: Final = 1_400
"""Bytes that a record costs besides its frame and its recipients, as measured."""

LATE_COST: Final = 100
"""Bytes that a recipient costs who was none at first."""


class DeliveryRecord:
    """One message that was delivered, and what is needed to say later what became of it.

    It holds the frame and not the message: who may read a record may not read what is in it.
    No repr: it would name a patient.
    """

    __slots__ = (
        "addressees",
        "at",
        "cost",
        "derived",
        "events_before",
        "excluded",
        "frame",
        "importance",
        "late",
        "losses_before",
        "patient_id",
        "published_at",
        "replays_before",
        "report",
        "size",
        "target",
        "topic",
        "type",
    )

    def __init__(
        self,
        topic: Topic,
        message: PublishedMessage,
        report: DeliveryReport,
        frame: Frame,
        addressees: Addressees,
        excluded: int,
        target: int | None,
        at: float,
        published_at: float,
        losses_before: int,
        replays_before: int,
        events_before: int,
    ) -> None:
        self.topic = topic
        self.report = report
        """The counts, with the live outcome."""
        self.frame = frame
        self.addressees = addressees
        """Whom it was for, and whom the hub refused."""
        self.type = message.type
        self.patient_id = message.patient_id
        self.size = message.size
        self.derived = message.derived
        self.importance = frame.importance
        self.excluded = excluded
        """The handle of its sender, if that one did not want it back; else 0."""
        self.target = target
        """The handle of the one connection that it was sent to, whatever that had subscribed to."""
        self.at = at
        """Monotonic seconds."""
        self.published_at = published_at
        """Seconds since 1970 UTC."""
        self.losses_before = losses_before
        """How many losses the hub's journal had counted before."""
        self.replays_before = replays_before
        """How many replays it had counted before."""
        self.events_before = events_before
        """How many events the history of subscriptions had counted before."""
        self.late: set[int] | None = None
        """Handles of connections that came back, were sent it once more, and have acknowledged it."""
        self.cost = 0
        """Bytes that it counts as."""
        self.weigh()

    def weigh(self) -> int:
        """Work its ``cost`` out anew; returns by how much it has grown."""
        before = self.cost
        frame = len(self.frame.wire) + len(self.frame.binary or b"")
        self.cost = OVERHEAD + frame + self.addressees.size + LATE_COST * len(self.late or ())
        return self.cost - before

    def has_acknowledged(self, handle: int) -> bool:
        """Whether this connection said that it has handled the message."""
        return self.addressees.has_acknowledged(handle) or (self.late is not None and handle in self.late)

    def body(self) -> dict[str, Any]:
        """The message as filters saw it, decoded from its frame."""
        body = msgspec.json.decode(self.frame.text, type=dict[str, Any])
        del body["_meta"]
        return body

    def as_dict(self) -> dict[str, Any]:
        """The figures for JSON, without anything of what the message says."""
        return {
            **self.report.as_dict(),
            "ts": utc_text(self.published_at),
            "type": self.type,
            "patient_id": self.patient_id,
            "size": self.size,
            "direct": self.target is not None,
            "outcome": self.report.outcome(),
            "acknowledged": self.addressees.acknowledged + len(self.late or ()),
        }


class EndedConnection:
    """A connection that has ended, as far as messages of its time are concerned."""

    __slots__ = ("connected_at", "connection_id", "ended_at", "handle", "user_id")

    def __init__(
        self, connection_id: str, user_id: str, handle: int, connected_at: float, ended_at: float
    ) -> None:
        self.connection_id = connection_id
        self.user_id = user_id
        self.handle = handle
        self.connected_at = connected_at
        """Monotonic seconds, like ``ended_at``."""
        self.ended_at = ended_at


class _Shelf:
    """Records in the order in which their messages were sent, and what they take."""

    __slots__ = ("bytes", "records")

    def __init__(self) -> None:
        self.records: OrderedDict[str, DeliveryRecord] = OrderedDict()
        self.bytes = 0

    def drop_oldest(self) -> None:
        _, oldest = self.records.popitem(last=False)
        self.bytes -= oldest.cost


class DeliveryRecords:
    """Keeps the newest messages, bounded by count and bytes, and the connections that ended last.

    Alerts have as many places of their own: who asks why somebody did not get one asks minutes later,
    when waveforms would have pushed it out long ago.
    """

    def __init__(self, settings: RecordsSettings, clock: Clock, hub: Hub, events: Callable[[], int]) -> None:
        """``events()`` is how many events of subscriptions there have been so far."""
        self._clock = clock
        self._hub = hub
        self._events = events
        self._data, self._alerts = _Shelf(), _Shelf()
        self._ended: OrderedDict[str, EndedConnection] = OrderedDict()
        self.gaps = GapRecords(clock)
        """What clients have been told that they lack."""
        self.configure(settings)

    def configure(self, settings: RecordsSettings) -> None:
        """Take new bounds; what is over them goes at once."""
        self.size = settings.messages
        self._max_bytes = settings.max_total_bytes
        self._max_ended = settings.connections
        self._trim()
        while len(self._ended) > self._max_ended:
            self._ended.popitem(last=False)

    @property
    def bytes(self) -> int:
        """What the records take, frames included, which queues and histories may share."""
        return self._data.bytes + self._alerts.bytes

    def __len__(self) -> int:
        """Messages kept."""
        return len(self._data.records) + len(self._alerts.records)

    def __iter__(self) -> Iterator[DeliveryRecord]:
        """Alerts and then the others, each oldest first."""
        return chain(self._alerts.records.values(), self._data.records.values())

    # -- keeping

    def keep(
        self,
        topic: Topic,
        message: PublishedMessage,
        report: DeliveryReport,
        frame: Frame,
        recipients: Recipients,
        losses_before: int,
        excluded: int = 0,
        target: int | None = None,
    ) -> None:
        """Keep a message that has just been queued for its recipients.

        ``losses_before`` is what the hub's journal of losses had counted before that.
        """
        if not self.size:
            return
        record = DeliveryRecord(
            topic,
            message,
            report,
            frame,
            recipients.copy(),
            excluded,
            target,
            self._clock.monotonic(),
            self._clock.time(),
            losses_before,
            self._hub.replays.noted,
            self._events(),
        )
        shelf = self._shelf_of(record)
        shelf.records[report.message_id] = record
        shelf.bytes += record.cost
        if len(shelf.records) > self.size or self.bytes > self._max_bytes:
            self._trim()

    def _shelf_of(self, record: DeliveryRecord) -> _Shelf:
        return self._data if record.importance >= DATA else self._alerts

    def _trim(self) -> None:
        for shelf in (self._data, self._alerts):
            while len(shelf.records) > self.size:
                shelf.drop_oldest()
        while self.bytes > self._max_bytes:
            (self._data if self._data.bytes >= self._alerts.bytes else self._alerts).drop_oldest()

    def acknowledge(self, message_id: str, handle: int) -> bool:
        """A client says that it has handled a message; False if that was not for it, or not kept any more."""
        record = self.get(message_id)
        if record is None or record.has_acknowledged(handle):
            return False
        if not record.addressees.acknowledge(handle):
            # Perhaps it came back, and had it from the history.
            if not self._hub.replays.has(handle, record.report.log, record.report.seq):
                return False
            if record.late is None:
                record.late = set()
            record.late.add(handle)
        self._shelf_of(record).bytes += record.weigh()
        self._trim()
        return True

    def note_end(self, connection_id: str, user_id: str, handle: int, connected_at: float) -> None:
        """A connection has ended; what is kept may have been for it."""
        if not self._max_ended:
            return
        now = self._clock.monotonic()
        self._ended[connection_id] = EndedConnection(connection_id, user_id, handle, connected_at, now)
        if len(self._ended) > self._max_ended:
            self._ended.popitem(last=False)

    # -- looking

    def get(self, message_id: str) -> DeliveryRecord | None:
        """The record of a message, None if it is not kept any more, or never was one."""
        return self._data.records.get(message_id) or self._alerts.records.get(message_id)

    def at(self, log: str, seq: int) -> DeliveryRecord | None:
        """The record of the message in this place, if it is kept."""
        for shelf in (self._data, self._alerts):
            for record in reversed(shelf.records.values()):
                if record.report.seq == seq and record.report.log == log:
                    return record
        return None

    def ended(self, connection_id: str) -> EndedConnection | None:
        """A connection that has ended lately."""
        return self._ended.get(connection_id)

    def ended_of(self, user_id: str) -> list[EndedConnection]:
        """All connections of a user that have ended lately, oldest first."""
        return [one for one in self._ended.values() if one.user_id == user_id]
