"""Which fields the messages of a topic have had: names, never values.

A filter on a field that no message ever had is a slip of the pen; one that has merely not matched
yet is not. To tell them apart a look at a few messages is enough, so most are only counted.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from wsserver.observe.field_paths import survey
from wsserver.protocol.topic import ANY, EVERYTHING, Topic

MAX_MERGED: Final = 64
"""Of how many keys, the latest ones, a subscription's sightings are made."""

_PERIOD: Final = 64
_MAX_TYPES: Final = 32
"""Types of messages that are told apart for one key; with more, its fields are not all known."""
_MAX_SHARED: Final = 256


@dataclass(frozen=True, slots=True)
class Sightings:
    """What has been seen of the messages that a subscription gets."""

    messages: int
    """How many messages were looked into; many more may have passed."""
    paths: frozenset[str]
    """The fields they had, as paths with dots."""
    complete: bool = True
    """Whether ``paths`` are all of theirs; False when some had too many fields."""


class _Schedule:
    """When to look into messages of one type: a rare one may have fields that no other has."""

    __slots__ = ("count", "look_next")

    def __init__(self) -> None:
        self.count = 0
        self.look_next = 1

    def is_due(self) -> bool:
        """Count one more message; whether it is one to look into."""
        self.count += 1
        if self.count < self.look_next:
            return False
        self.look_next += min(self.count, _PERIOD)
        return True


class _Entry:
    """The messages of one topic about one patient, or about none."""

    __slots__ = ("complete", "looked_at", "paths", "patient_id", "schedules", "topic")

    def __init__(self, topic: Topic, patient_id: str | None) -> None:
        self.topic = topic
        self.patient_id = topic.patient_id if patient_id is None else patient_id
        self.schedules: dict[str | None, _Schedule] = {}
        self.looked_at = 0
        self.paths: frozenset[str] = frozenset()
        self.complete = True


class FieldCensus:
    """Looks at the 1st, 2nd, 4th, 8th… message of each type to a topic about a patient, then at every 64th.

    Memory is bounded: the topics and patients that were longest without a message are forgotten.
    """

    def __init__(self, max_entries: int = 4096, max_paths: int = 256) -> None:
        """``max_entries`` bounds pairs of topic and patient, ``max_paths`` the fields of each.

        Of many pairs an eighth may have so many fields. Raises ValueError for a bound below 1.
        """
        if min(max_entries, max_paths) < 1:
            raise ValueError("bounds of the census are at least 1")
        self._max_entries = max_entries
        self._max_paths = max_paths
        self._max_held = max(max_entries // 8, min(max_entries, 64)) * max_paths
        self._held = 0
        self._entries: OrderedDict[tuple[Topic, str | None], _Entry] = OrderedDict()
        self._of_topic: dict[Topic, dict[str | None, _Entry]] = {}
        # Messages of one kind have the same fields, whoever they are about.
        self._shared: dict[frozenset[str], frozenset[str]] = {}

    def __len__(self) -> int:
        """How many pairs of topic and patient are known."""
        return len(self._entries)

    def note(
        self, topic: Topic, patient_id: str | None, body: dict[str, Any], derived: dict[str, str]
    ) -> None:
        """Count a published message; ``patient_id``, ``body`` and ``derived`` are its own."""
        key = (topic, patient_id)
        entry = self._entries.get(key)
        if entry is None:
            # Such a message is held against no filter.
            if topic == EVERYTHING:
                return
            entry = self._enter(topic, patient_id)
        else:
            self._entries.move_to_end(key)
        kind = body.get("type")
        schedule = entry.schedules.get(kind if type(kind) is str else None)
        if schedule is None:
            if len(entry.schedules) == _MAX_TYPES:
                entry.complete = False
                return
            schedule = entry.schedules[kind if type(kind) is str else None] = _Schedule()
        if schedule.is_due():
            self._look(entry, body, derived)

    def sightings(self, topic: Topic, sees: Callable[[str], bool]) -> Sightings:
        """What a subscription to ``topic`` has got, if ``sees(patient_id)`` tells whose messages it gets.

        A patient whom it does not see has no part in it. (He does in what the census has room for.)
        """
        entries = list(islice(self._reaching(topic, sees), MAX_MERGED))
        return Sightings(
            sum(entry.looked_at for entry in entries),
            frozenset().union(*{entry.paths for entry in entries}),
            all(entry.complete for entry in entries),
        )

    def forget(self) -> None:
        """Begin anew, as if there had been no message."""
        self._entries.clear()
        self._of_topic.clear()
        self._shared.clear()
        self._held = 0

    def _reaching(self, topic: Topic, sees: Callable[[str], bool]) -> Iterator[_Entry]:
        """The entries whose messages such a subscription gets; the latest first if there are many."""
        subscription_type, target_id = topic
        entries = reversed(self._entries.values())
        if target_id != ANY:
            exact = self._of_topic.get(topic, {})
            whole = self._of_topic.get(Topic(subscription_type, ANY), {})
            if len(exact) + len(whole) <= MAX_MERGED:
                entries = iter([*exact.values(), *whole.values()])
        for entry in entries:
            of_type = topic == EVERYTHING or entry.topic.subscription_type == subscription_type
            of_target = target_id == ANY or entry.topic.target_id in (target_id, ANY)
            if of_type and of_target and (entry.patient_id is None or sees(entry.patient_id)):
                yield entry

    def _enter(self, topic: Topic, patient_id: str | None) -> _Entry:
        entry = _Entry(topic, patient_id)
        self._entries[topic, patient_id] = entry
        self._of_topic.setdefault(topic, {})[patient_id] = entry
        self._make_room()
        return entry

    def _look(self, entry: _Entry, body: dict[str, Any], derived: dict[str, str]) -> None:
        entry.looked_at += 1
        paths, complete = survey(body, self._max_paths)
        room = self._max_paths - len(entry.paths)
        fresh = [path for path in dict.fromkeys([*derived, *paths]) if path not in entry.paths]
        entry.complete &= complete and len(fresh) <= room
        if fresh and room:
            entry.paths = self._share(entry.paths.union(fresh[:room]))
            self._held += min(len(fresh), room)
            self._make_room()

    def _share(self, paths: frozenset[str]) -> frozenset[str]:
        if paths not in self._shared:
            if len(self._shared) == _MAX_SHARED:
                del self._shared[next(iter(self._shared))]
            self._shared[paths] = paths
        return self._shared[paths]

    def _make_room(self) -> None:
        # The entry in hand is the latest, and alone it is within all bounds.
        while len(self._entries) > self._max_entries or self._held > self._max_held:
            (topic, patient_id), entry = self._entries.popitem(last=False)
            self._held -= len(entry.paths)
            of_topic = self._of_topic[topic]
            del of_topic[patient_id]
            if not of_topic:
                del self._of_topic[topic]
