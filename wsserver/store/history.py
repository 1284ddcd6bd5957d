"""The messages of the last minutes, topic by topic, for those who come back.

The encoded frames themselves are kept, so that nothing is encoded again and nothing is copied.
"""

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator
from operator import attrgetter
from typing import Final, NamedTuple

from wsserver.clock import Clock
from wsserver.settings import HistorySettings
from wsserver.store.log import Position
from wsserver.store.run import Kept, Run
from wsserver_core.outgoing import Frame

OVERHEAD: Final = 400
"""Bytes that a kept message costs besides its frame."""

BINARY_OVERHEAD: Final = 200
"""Bytes that its form in the binary protocol costs besides those of the form."""

TOPIC_OVERHEAD: Final = 900
"""Bytes that a remembered topic costs, whether or not anything of it is kept."""

MAX_TOPICS: Final = 100_000
"""Topics whose losses are remembered one by one; of the others only the latest loss of all.

It takes more topics than this, or than half of the budget has room for, for a client to be told of a
loss that it may not have had.
"""

SWEPT: Final = 2000
"""Topics that are looked through in one turn of the loop, some 2 ms."""

_order: Final = attrgetter("order")


class Bounds(NamedTuple):
    """What may be kept of one topic. A count of 0 keeps nothing."""

    messages: int
    bytes: int
    seconds: float


class Ring:
    """What is kept of one topic, or of one type of message in it, oldest first."""

    __slots__ = ("bounds", "bytes", "run", "topic")

    def __init__(self, topic: "TopicHistory", bounds: Bounds) -> None:
        self.topic = topic
        self.bounds = bounds
        self.run = Run()
        self.bytes = 0

    def is_over(self, now: float) -> bool:
        """Whether its oldest message has to go."""
        run, bounds = self.run, self.bounds
        kept = len(run)
        return kept > 0 and (
            kept > bounds.messages or self.bytes > bounds.bytes or now - run.oldest.at > bounds.seconds
        )


class TopicHistory:
    """One topic: its rings, and what was let go of."""

    __slots__ = ("durable_evicted", "mark", "name", "rings", "target", "volatile_evicted")

    def __init__(self, name: str, target: str) -> None:
        self.name = name
        """The type that is subscribed to, ``*`` for messages to everybody."""
        self.target = target
        self.rings: dict[str | None, Ring] = {}
        """By type of message, for types with bounds of their own; None for all others."""
        self.mark = 0
        """How many messages the history had let go of when the latest of these was among them."""
        self.durable_evicted = 0
        self.volatile_evicted = 0

    @property
    def text(self) -> str:
        """As messages name it."""
        return "*" if self.name == "*" else f"{self.name}:{self.target}"

    @property
    def evicted(self) -> Position:
        """For each log the highest ``seq`` that is gone from here; 0 for none."""
        return self.durable_evicted, self.volatile_evicted

    @property
    def is_empty(self) -> bool:
        """Whether nothing of it is kept."""
        return not any(len(ring.run) for ring in self.rings.values())


class History:
    """Rings of messages, each bounded by count, bytes and age, and one budget for all of them.

    A type with bounds of its own has a ring of its own in each topic, so that a waveform does not
    push the alerts of its patient out. ``keep`` belongs to the moment of delivery: a log's
    messages come in rising ``seq``.

    Of what those who speak the binary protocol were sent, that form is kept, too. It counts in the
    budget and is the first to go there: what is kept for whom never depends on who else listens.
    """

    def __init__(
        self, settings: HistorySettings, clock: Clock, encode: Callable[[Frame], bytes] | None = None
    ) -> None:
        """``encode`` makes the binary form of a message that lacks it."""
        self._clock = clock
        self._encode = encode
        # Those with a binary form, the latest made last, and the bytes of that.
        self._binary: dict[Kept, int] = {}
        self._types: dict[str, dict[str, TopicHistory]] = {}
        self._logs = (Run(), Run())
        # Topics of which nothing is kept, those that were emptied first in front.
        self._empty: dict[TopicHistory, None] = {}
        # Those that lost something, the latest last.
        self._losers: dict[TopicHistory, None] = {}
        self._forgotten: Position = (0, 0)
        self._unswept: list[TopicHistory] = []
        self.topics = 0
        """Topics of which anything is remembered."""
        self.order = 0
        """The place of the latest message."""
        self.messages = 0
        """Messages kept."""
        self.bytes = 0
        """What all of it takes."""
        self.evicted = 0
        """Messages that were let go of since the start."""
        self.last_evicted: Position = (0, 0)
        """For each log the highest ``seq`` that is gone from any topic."""
        self.configure(settings)

    def configure(self, settings: HistorySettings) -> None:
        """Take new bounds; what is over them goes when its ring is used next, or at a ``sweep``."""
        usual = Bounds(settings.size, settings.bytes, settings.ttl)
        tables = settings.size_by_type, settings.bytes_by_type, settings.ttl_by_type
        self._usual = usual
        self._by_type = {
            name: Bounds(
                settings.size_by_type.get(name, usual.messages),
                settings.bytes_by_type.get(name, usual.bytes),
                settings.ttl_by_type.get(name, usual.seconds),
            )
            for name in dict.fromkeys(name for table in tables for name in table)
        }
        self._budget = settings.max_total_bytes
        # Else topics that were used once, such as those of patients who have left, would push messages out.
        self._max_topics = min(MAX_TOPICS, self._budget // (2 * TOPIC_OVERHEAD))
        for topic in self._all_topics():
            for name, ring in topic.rings.items():
                ring.bounds = usual if name is None else self._by_type.get(name, usual)

    # -- keeping

    def keep(
        self, frame: Frame, message_type: str | None, sender: object = None, *, at: float | None = None
    ) -> None:
        """Keep a published message. It must carry its topic, its ``seq`` and its lane.

        ``sender`` is what the connections of one client have in common, if they are not to get it.
        ``at`` is the monotonic time of its publication, if that is not now.
        """
        if frame.topic is None or not frame.lane:
            raise ValueError("a message that is kept has a topic and a log")
        now = self._clock.monotonic()
        self.order += 1
        kept = Kept(frame, frame.seq, self.order, now if at is None else at, sender)
        topic = self._topic(frame.topic)
        name = message_type if message_type in self._by_type else None
        ring = topic.rings.get(name)
        if ring is None:
            bounds = self._usual if name is None else self._by_type[name]
            ring = topic.rings[name] = Ring(topic, bounds)
        self._empty.pop(topic, None)
        ring.run.append(kept)
        cost = len(frame.wire) + OVERHEAD
        ring.bytes += cost
        self.bytes += cost
        self.messages += 1
        log = self._logs[frame.lane - 1]
        log.append(kept)
        if frame.binary is not None:
            self._note_binary(kept)
        self._trim(ring, now)
        self._forget_some()
        if self.bytes > self._budget:
            self._keep_to_budget()
        log.drop_evicted_front()
        if len(log) > 2 * self.messages + 1024:
            # Else one message of a quiet topic would keep the places of a million others.
            log.drop_evicted()

    def _keep_to_budget(self) -> None:
        self._shed_binary()
        while self.bytes > self._budget and self.messages:
            self._evict_oldest()
            self._forget_some()

    def binary_of(self, kept: Kept) -> Frame:
        """The frame to send a message once more with to those who speak the binary protocol.

        It is encoded if nobody of them was sent it before.
        """
        if kept.binary is None and self._encode is not None:
            kept.add_binary(self._encode(kept.frame))
            frame = kept.again
            self._note_binary(kept)
            self._shed_binary()
            return frame
        return kept.again

    def _note_binary(self, kept: Kept) -> None:
        if kept.binary is not None:
            self._binary[kept] = cost = len(kept.binary) + BINARY_OVERHEAD
            self.bytes += cost

    def _shed_binary(self) -> None:
        """Let go of binary forms, which can be made again, before any message has to go."""
        while self.bytes > self._budget and self._binary:
            oldest = next(iter(self._binary))
            self.bytes -= self._binary.pop(oldest)
            oldest.drop_binary()

    def begin(self, lost: Position = (0, 0)) -> None:
        """Forget everything: the logs are others now, of which nothing is kept up to ``lost``."""
        self._types = {}
        self._logs = (Run(), Run())
        self._empty = {}
        self._losers = {}
        self._unswept = []
        self._binary = {}
        self._forgotten = self.last_evicted = lost
        self.topics = self.messages = self.bytes = 0

    def sweep(self, topics: int = SWEPT) -> None:
        """Let go of what has become too old or is over its bounds, in the next so many topics."""
        now = self._clock.monotonic()
        if not self._unswept:
            self._unswept = list(self._all_topics())
        for topic in self._unswept[-topics:]:
            for ring in topic.rings.values():
                self._trim(ring, now)
        del self._unswept[-topics:]
        for log in self._logs:
            log.drop_evicted_front()

    def _topic(self, text: str) -> TopicHistory:
        name, _, target = text.partition(":")
        targets = self._types.get(name)
        if targets is None:
            targets = self._types[name] = {}
        topic = targets.get(target)
        if topic is None:
            topic = targets[target] = TopicHistory(name, target)
            topic.durable_evicted, topic.volatile_evicted = self._forgotten
            self.topics += 1
            self.bytes += TOPIC_OVERHEAD
        return topic

    def _all_topics(self) -> Iterator[TopicHistory]:
        for targets in self._types.values():
            yield from targets.values()

    def _trim(self, ring: Ring, now: float) -> None:
        while ring.is_over(now):
            self._evict(ring)

    def _evict_oldest(self) -> None:
        fronts = []
        for log in self._logs:
            log.drop_evicted_front()
            if len(log):
                fronts.append(log.oldest)
        frame = min(fronts, key=_order).frame
        rings = [ring for ring in self._topic(frame.topic or "").rings.values() if len(ring.run)]
        self._evict(min(rings, key=lambda ring: ring.run.oldest.order))

    def _evict(self, ring: Ring) -> None:
        kept = ring.run.let_go()
        topic, frame = ring.topic, kept.frame
        if self._binary:
            self.bytes -= self._binary.pop(kept, 0)
        kept.evict()
        cost = len(frame.wire) + OVERHEAD
        ring.bytes -= cost
        self.bytes -= cost
        self.messages -= 1
        self.evicted += 1
        topic.mark = self.evicted
        self._losers.pop(topic, None)
        self._losers[topic] = None
        # A ring of its own may let go of a later message before the others do of an earlier one.
        durable, volatile = self.last_evicted
        if frame.lane == 1:
            topic.durable_evicted = max(topic.durable_evicted, kept.seq)
            self.last_evicted = max(durable, kept.seq), volatile
        else:
            topic.volatile_evicted = max(topic.volatile_evicted, kept.seq)
            self.last_evicted = durable, max(volatile, kept.seq)
        if not ring.run and topic.is_empty:
            self._empty[topic] = None

    def _forget_some(self) -> None:
        while self.topics > self._max_topics and self._empty:
            self._forget(next(iter(self._empty)))

    def _forget(self, topic: TopicHistory) -> None:
        """Remember of a topic only that something was lost somewhere."""
        durable, volatile = self._forgotten
        self._forgotten = max(durable, topic.durable_evicted), max(volatile, topic.volatile_evicted)
        del self._empty[topic]
        self._losers.pop(topic, None)
        targets = self._types[topic.name]
        del targets[topic.target]
        if not targets:
            del self._types[topic.name]
        self.topics -= 1
        self.bytes -= TOPIC_OVERHEAD

    def get_metrics(self) -> dict[str, int]:
        """Figures of now, and messages let go of since the start."""
        return {
            "messages": self.messages,
            "topics": self.topics,
            "bytes": self.bytes,
            "evicted": self.evicted,
        }

    # -- looking back

    def topic(self, name: str, target: str) -> TopicHistory | None:
        """What is remembered of one topic; None if nothing is."""
        targets = self._types.get(name)
        return None if targets is None else targets.get(target)

    def topics_of(self, name: str) -> Collection[TopicHistory]:
        """Every remembered topic of one type."""
        return self._types.get(name, {}).values()

    def lost_since(self, evicted: int) -> Iterator[TopicHistory]:
        """The topics that lost something after ``self.evicted`` had that value, the latest first."""
        for topic in reversed(self._losers):
            if topic.mark <= evicted:
                return
            yield topic

    @property
    def forgotten(self) -> Position:
        """What is gone of topics that are not remembered."""
        return self._forgotten

    def evicted_of(self, topic: TopicHistory | None) -> Position:
        """What is gone of a topic, as far as that is known of one that is not remembered."""
        return self._forgotten if topic is None else topic.evicted

    def before(self, position: Position) -> int:
        """The place up to which nothing is kept that is beyond a position."""
        firsts = (log.first_after(seq) for log, seq in zip(self._logs, position, strict=True))
        return min((kept.order - 1 for kept in firsts if kept is not None), default=self.order)

    def after(self, order: int, topics: Iterable[TopicHistory] | None = None) -> Iterator[Kept]:
        """What came after a place, in the order of delivery: of some topics, or of all.

        Nothing may be kept or swept while this is read.
        """
        if topics is None:
            runs = [log.after(order) for log in self._logs]
        else:
            runs = [ring.run.after(order) for topic in topics for ring in topic.rings.values()]
        merged = runs[0] if len(runs) == 1 else heapq.merge(*runs, key=_order)
        return (kept for kept in merged if not kept.evicted)

    def next_after(
        self, order: int, topics: Iterable[TopicHistory] | None, limit: int
    ) -> tuple[list[Kept], int]:
        """The next of what came after a place, at most ``limit``, and the place up to which that is all.

        The same as ``after``, a piece at a time: a fifth of the time for each message. At the end
        that place is ``order``, or beyond it.
        """
        if topics is None:
            runs: list[Run] = list(self._logs)
        else:
            runs = [ring.run for topic in topics for ring in topic.rings.values()]
        share = limit if len(runs) == 1 else limit * 2 // max(len(runs), 1) + 8
        pieces = [run.next_after(order, share) for run in runs]
        # Behind the end of a piece that was cut off, others may have something later than the next in it.
        end = min((piece[-1].order for piece in pieces if len(piece) == share), default=self.order)
        if len(pieces) == 1:
            found = pieces[0]
        else:
            found = sorted((kept for piece in pieces for kept in piece if kept.order <= end), key=_order)
            if len(found) > limit:
                del found[limit:]
                end = found[-1].order
        if topics is None:
            found = [kept for kept in found if not kept.evicted]
        return found, end
