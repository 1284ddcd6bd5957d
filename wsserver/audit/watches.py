"""Who watched a patient, and when: the intervals behind the records."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from wsserver.audit.record import AuditRecord
from wsserver.protocol.topic import Topic

_BEGINNINGS: Final = ("subscribe", "restore")


@dataclass(slots=True)
class Watch:
    """One subscription through which somebody saw a patient, or could see them. No id is masked."""

    user_id: str
    role: str | None
    connection_id: str
    topic: str
    """What was subscribed to: the patient, or something wider."""
    right: str | None
    since: str
    until: str | None = None
    """None while it goes on, as far as the records reach."""
    ended_by: str | None = None
    """``unsubscribed``, ``disconnected``, ``revoked``, …; ``cut_off`` if the server died some time after."""
    could_see: bool = False
    """A wider topic: messages about the patient reached it, if there were any."""
    is_certain: bool = True
    """False when the user saw more patients than a record lists, so that this one may not be among them."""
    reason: str | None = None
    """The user's own, for breaking the glass."""
    replayed: int = 0
    """Messages of this connection's topics that were sent again, from before the watch began."""

    def as_dict(self) -> dict[str, Any]:
        """The members that JSON shows."""
        return {
            "user_id": self.user_id,
            "role": self.role,
            "connection_id": self.connection_id,
            "topic": self.topic,
            "right": self.right,
            "from": self.since,
            "to": self.until,
            "ended_by": self.ended_by,
            "could_see": self.could_see,
            "certain": self.is_certain,
            "reason": self.reason,
            "replayed": self.replayed,
        }


@dataclass(slots=True)
class _Viewer:
    """A connection: which wider topics it follows, and through what it sees the patient now."""

    wide: dict[str, AuditRecord] = field(default_factory=dict)
    open: dict[str, Watch] = field(default_factory=dict)


class Watches:
    """Reads records in their order and finds every interval in which a patient was, or could be, watched."""

    def __init__(self, patient_id: str) -> None:
        self._patient_id = patient_id
        self._topic = Topic.of_patient(patient_id).text
        self._viewers: dict[str, _Viewer] = {}
        self._last_at = ""
        self.found: list[Watch] = []
        """In the order in which they began."""
        self.refused: list[AuditRecord] = []
        """Attempts to see the patient that were refused."""

    def read(self, records: Iterable[AuditRecord]) -> None:
        """Take the next records."""
        for record in records:
            self._take(record)
            self._last_at = record.at

    def between(self, since: str | None, until: str | None) -> list[Watch]:
        """Those that went on at some time between two times, which both count; None is open."""
        return [
            one
            for one in self.found
            if (until is None or one.since <= until)
            and (since is None or one.until is None or one.until >= since)
        ]

    def _take(self, record: AuditRecord) -> None:
        if record.action == "server_start":
            for viewer in self._viewers.values():
                self._close_all(viewer, self._last_at, "cut_off")
            self._viewers.clear()
        connection_id = record.connection_id
        if record.outcome == "refused":
            if record.patient_id == self._patient_id:
                self.refused.append(record)
        elif connection_id is not None:
            self._follow(record, connection_id)

    def _follow(self, record: AuditRecord, connection_id: str) -> None:
        viewer = self._viewers.get(connection_id)
        if record.action in _BEGINNINGS:
            if viewer is None:
                viewer = self._viewers[connection_id] = _Viewer()
            self._begin(viewer, record, connection_id)
        elif viewer is None:
            return
        elif record.action == "rights":
            for topic in viewer.wide:
                self._look_through(viewer, topic, record, connection_id)
        elif record.action == "end":
            topic = self._topic_of(record)
            viewer.wide.pop(topic, None)
            self._close(viewer, topic, record.at, _detail(record, "reason"))
        elif record.action == "replay":
            for watch in viewer.open.values():
                watch.replayed += _detail(record, "messages") or 0
        elif record.action == "disconnect":
            self._close_all(viewer, record.at, "disconnected")
            del self._viewers[connection_id]

    def _begin(self, viewer: _Viewer, record: AuditRecord, connection_id: str) -> None:
        if record.topic is not None:
            viewer.wide[record.topic] = record
            self._look_through(viewer, record.topic, record, connection_id)
        elif record.patient_id == self._patient_id:
            watch = viewer.open.get(self._topic)
            if watch is None or watch.right != record.right or _detail(record, "reason") is not None:
                self._close(viewer, self._topic, record.at, "replaced")
                self._open(viewer, self._topic, record, connection_id)

    def _look_through(self, viewer: _Viewer, topic: str, record: AuditRecord, connection_id: str) -> None:
        """Whether a wider topic shows the patient from this record on, by what it says the user sees."""
        sees = _detail(record, "sees")
        if sees != "all" and isinstance(sees, list | tuple) and self._patient_id not in sees:
            self._close(viewer, topic, record.at, "rights")
        elif topic not in viewer.open:
            watch = self._open(viewer, topic, record, connection_id)
            watch.could_see, watch.is_certain = True, not isinstance(sees, int)

    def _open(self, viewer: _Viewer, topic: str, record: AuditRecord, connection_id: str) -> Watch:
        watch = Watch(
            record.actor,
            record.role,
            connection_id,
            topic,
            record.right,
            record.at,
            reason=_detail(record, "reason"),
        )
        viewer.open[topic] = watch
        self.found.append(watch)
        return watch

    def _close(self, viewer: _Viewer, topic: str, at: str, why: str | None) -> None:
        watch = viewer.open.pop(topic, None)
        if watch is not None:
            watch.until, watch.ended_by = at, why

    def _close_all(self, viewer: _Viewer, at: str, why: str) -> None:
        for topic in list(viewer.open):
            self._close(viewer, topic, at, why)

    def _topic_of(self, record: AuditRecord) -> str:
        if record.patient_id is not None:
            return Topic.of_patient(record.patient_id).text
        return record.topic or ""


def _detail(record: AuditRecord, name: str) -> Any:
    return None if record.details is None else record.details.get(name)
