"""What of the history one connection would get: by its subscriptions and its rights of now."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.protocol.message import SeverityDefaults, derived_members
from wsserver.protocol.topic import ANY, PATIENT
from wsserver.store.history import History, TopicHistory
from wsserver.store.log import Position
from wsserver.store.run import Kept
from wsserver_core.filters import Program
from wsserver_core.topics import Record

MERGED: Final = 64
"""Topics that are read one beside the other; with more of them it is quicker to read everything."""

CACHED_BYTES: Final = 4 * 1024 * 1024
"""Bytes of messages whose decoded form is at hand: those who come back mostly want the same ones."""

_decoder: Final = msgspec.json.Decoder(dict[str, Any])

Body = tuple[dict[str, Any], dict[str, str]]
"""A message as filters see it: its members, and those that are derived."""


class Bodies:
    """Kept messages, decoded when a filter asks; the latest of them stay at hand."""

    def __init__(self) -> None:
        self._at_hand: dict[int, Body] = {}
        self._sizes: dict[int, int] = {}
        self._bytes = 0

    def of(self, kept: Kept, severities: SeverityDefaults) -> Body:
        """The members that were published, without ``_meta``."""
        found = self._at_hand.get(kept.order)
        if found is not None:
            return found
        wire = kept.frame.wire
        body = _decoder.decode(kept.frame.text)
        del body["_meta"]
        message_type = body.get("type")
        decoded = body, derived_members(message_type if isinstance(message_type, str) else None, severities)
        self._at_hand[kept.order] = decoded
        self._sizes[kept.order] = len(wire)
        self._bytes += len(wire)
        while self._bytes > CACHED_BYTES:
            oldest = next(iter(self._at_hand))
            del self._at_hand[oldest]
            self._bytes -= self._sizes.pop(oldest)
        return decoded


class Interest:
    """The question whether a kept message is for one connection, asked over and over.

    It holds for the subscriptions and the rights that it was made with.
    """

    def __init__(
        self,
        history: History,
        bodies: Bodies,
        severities: SeverityDefaults,
        metadata: ConnectionMetadata,
        records: list[Record],
        since: Mapping[int, int],
    ) -> None:
        """``since`` says from which place on a subscription counts; those not in it always do."""
        self._history = history
        self._bodies = bodies
        self._severities = severities
        self._metadata = metadata
        self._principal = metadata.principal
        self._wanted: dict[tuple[str, str], list[tuple[Program, int]]] = {}
        for one in records:
            entry = one.program, since.get(one.number, 0)
            self._wanted.setdefault((one.subscription_type, one.target_id), []).append(entry)
        self._types = {name for name, _ in self._wanted}
        self._by_topic: dict[str, list[tuple[Program, int]]] = {}
        self._settled = max(since.values(), default=0)
        """The place from which on all subscriptions count."""

    def wanted(self, messages: Iterable[Kept], position: Position) -> list[Kept]:
        """Those beyond a position that are for this connection, in their order."""
        found = []
        floors = 0, *position
        settled = self._settled
        topic = subject = verdict = None
        is_first = True
        for kept in messages:
            frame = kept.frame
            if kept.seq <= floors[frame.lane]:
                continue
            if kept.sender is None and kept.order > settled:
                # Mostly the next one is of the same topic and about the same patient.
                if is_first or frame.topic != topic or frame.subject != subject:
                    is_first = False
                    topic, subject = frame.topic, frame.subject
                    verdict = self._verdict(topic or "", subject)
                if verdict is not None:
                    if verdict:
                        found.append(kept)
                    continue
            if self.wants(kept):
                found.append(kept)
        return found

    def _verdict(self, topic: str, subject: str | None) -> bool | None:
        """Whether everything of a topic about somebody is for this connection, or nothing; else None."""
        if subject is not None and not self._principal.may_see(subject):
            return False
        if topic == ANY:
            return True
        programs = self._programs_of(topic)
        if not programs:
            return False
        return True if any(program.matches_all for program, _ in programs) else None

    def _programs_of(self, topic: str) -> list[tuple[Program, int]]:
        programs = self._by_topic.get(topic)
        if programs is None:
            programs = self._by_topic[topic] = self._programs(*topic.split(":", 1))
        return programs

    def wants(self, kept: Kept) -> bool:
        """Whether the message is for this connection."""
        frame = kept.frame
        if kept.sender is not None and kept.sender is self._metadata.lineage:
            return False
        if frame.subject is not None and not self._principal.may_see(frame.subject):
            return False
        topic = frame.topic or ""
        if topic == ANY:
            return True
        body: Body | None = None
        for program, since in self._programs_of(topic):
            if kept.order <= since:
                continue
            if program.matches_all:
                return True
            if body is None:
                body = self._bodies.of(kept, self._severities)
            if program.matches(*body):
                return True
        return False

    def _programs(self, name: str, target: str) -> list[tuple[Program, int]]:
        """The filters of the subscriptions that a topic reaches, those that hold for everything in front."""
        found = list(self._wanted.get((ANY, ANY), ()))
        if target == ANY:
            for (subscribed, _), programs in self._wanted.items():
                if subscribed == name:
                    found += programs
        else:
            found += self._wanted.get((name, target), ())
            found += self._wanted.get((name, ANY), ())
        return sorted(found, key=lambda entry: (not entry[0].matches_all, entry[1]))

    # -- topics

    def begun(self, name: str, target: str) -> int:
        """The place from which on messages of a topic may be for this connection; 0 for all of them."""
        if name == ANY:
            return 0
        return min((since for _, since in self._programs(name, target)), default=0)

    def named(self) -> list[tuple[str, str]] | None:
        """The topics from which anything may come, whether or not they are remembered.

        None when they are many.
        """
        if (ANY, ANY) in self._wanted:
            return None
        topics = {(ANY, ""): None}
        for name in self._types:
            topics[name, ANY] = None
        for name, target in self._wanted:
            if target != ANY:
                topics[name, target] = None
                continue
            targets = self._targets(name)
            if targets is None:
                return None
            topics.update(dict.fromkeys((name, one) for one in targets))
        if len(topics) > MERGED:
            return None
        return [topic for topic in topics if self._is_visible(*topic)]

    @property
    def is_open(self) -> bool:
        """Whether anything may come from topics that are not remembered, and whose names nobody knows."""
        return any(target == ANY and self._patients_of(name) is None for name, target in self._wanted)

    def _patients_of(self, name: str) -> frozenset[str] | None:
        """Who may be behind ``*``, where they are few and known."""
        patients = self._principal.patients if name == PATIENT else None
        return patients if patients is not None and len(patients) <= MERGED else None

    def _targets(self, name: str) -> Iterator[str] | frozenset[str] | None:
        patients = self._patients_of(name)
        if patients is not None:
            return patients
        targets = self._history.topics_of(name)
        return (one.target for one in targets) if len(targets) <= MERGED else None

    def covers(self, topic: TopicHistory) -> bool:
        """Whether anything of this topic may be for the connection."""
        if topic.name == ANY:
            return True
        if not self._is_visible(topic.name, topic.target):
            return False
        wanted = self._wanted
        return (
            (ANY, ANY) in wanted
            or (topic.name, ANY) in wanted
            or (topic.name, topic.target) in wanted
            or (topic.target == ANY and topic.name in self._types)
        )

    def _is_visible(self, name: str, target: str) -> bool:
        return name != PATIENT or target == ANY or self._principal.may_see(target)
