"""What a client missed while it was away, in order, before anything new.

A connection that comes back is passed over by what is published until it has been given what
was published before. The history is read from its position on, a little in each turn of the loop
for all who catch up together, and only as fast as each of them reads.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.errors import CloseCode
from wsserver.incidents import report_incident
from wsserver.loop.loop_port import LoopPort
from wsserver.loop.turn_budget import TurnBudget
from wsserver.protocol.control import Gap
from wsserver.protocol.message import SeverityDefaults
from wsserver.sessions.interest import Bodies, Interest
from wsserver.store.history import History, TopicHistory
from wsserver.store.log import Logs, Position
from wsserver.store.run import Kept
from wsserver_core.hub import Hub
from wsserver_core.topics import TopicIndex

EXAMINED: Final = 250
"""Messages that are looked at for one connection before others have their turn, some 0.1 ms."""

ENCODED: Final = 50
"""As many where each may have to be encoded for the binary protocol first."""

SECONDS: Final = 0.0005
"""What all who catch up may take of one turn of the loop.

To send what they get takes longer than that, so more time brings nobody more messages (those who came
back were complete as soon with 0.5, 1, 2 and 4 ms), but everybody else longer turns: a live message
waits for two of them.
"""

MAX_GAPS: Final = 100
"""Topics of which losses are told one by one at a time; beyond it they are summed up."""

Welcome = Callable[[int, list[Gap]], None]


class CatchUp:
    """How far one connection has caught up."""

    __slots__ = (
        "counted", "counted_to", "floors", "heads", "interest", "known_losses", "metadata", "order",
        "position", "replayed", "scheduled", "since", "welcome",
    )  # fmt: skip

    def __init__(self, metadata: ConnectionMetadata, start: Position, order: int, welcome: Welcome) -> None:
        self.metadata = metadata
        self.position = start
        """For each log the ``seq`` up to which it lacks nothing any more."""
        self.order = order
        """The place in the history up to which it has been given everything."""
        self.welcome: Welcome | None = welcome
        """Called with the number of messages that will follow, and the gaps; None once it has been."""
        self.counted = 0
        self.counted_to = 0
        """The place in the history up to which messages have been counted."""
        self.replayed = 0
        self.floors: dict[tuple[str, int], int] = {}
        """For topics with losses that were told, by log: the ``seq`` up to which they were."""
        self.known_losses = -1
        """How many messages the history had let go of when this one was last told of losses."""
        self.since: dict[int, int] = {}
        """Subscriptions made meanwhile, and the place from which on they count."""
        self.heads: dict[int, Position] = {}
        """By such a place, how far the logs had got there."""
        self.interest: Interest | None = None
        """None when subscriptions or rights have changed."""
        self.scheduled = False

    def forget_interest(self) -> None:
        """Subscriptions or rights have changed: what was counted by the old ones does not count."""
        self.interest = None
        self.counted = self.counted_to = 0


class CatchUps:
    """All connections that are catching up."""

    def __init__(
        self,
        hub: Hub,
        index: TopicIndex,
        history: History,
        logs: Logs,
        port: LoopPort,
        severities: Callable[[], SeverityDefaults],
        tell: Callable[[ConnectionMetadata, Gap, Position], None],
    ) -> None:
        """``tell`` is called with each gap that is sent, and the position at which it is."""
        self._hub = hub
        self._index = index
        self._history = history
        self._logs = logs
        self._severities = severities
        self._tell = tell
        self._bodies = Bodies()
        self._budget = TurnBudget[CatchUp](port, self._go_on, seconds=SECONDS)
        self._active: set[CatchUp] = set()
        self.completed = 0
        """Connections that have caught up since the start."""
        hub.on_room = self._has_room

    def __len__(self) -> int:
        """Connections that are catching up now."""
        return len(self._active)

    def prepare(self, metadata: ConnectionMetadata, start: Position, welcome: Welcome) -> CatchUp:
        """Take a connection in whose slot is set to catch up; ``begin`` must follow.

        Its subscriptions of now are those that it had; what is subscribed from here on counts from
        here on.
        """
        catch_up = CatchUp(metadata, start, self._history.before(start), welcome)
        metadata.catch_up = catch_up
        self._active.add(catch_up)
        return catch_up

    def begin(self, catch_up: CatchUp) -> None:
        """Count what will follow, say ``welcome``, and send it: at once, as far as this turn has time."""
        if self._budget.is_spent:
            self._wait(catch_up)
        else:
            self._go_on(catch_up)

    def leave(self, metadata: ConnectionMetadata) -> None:
        """The connection has ended."""
        catch_up = metadata.catch_up
        if isinstance(catch_up, CatchUp):
            self._active.discard(catch_up)
            metadata.catch_up = None

    def subscribed(self, metadata: ConnectionMetadata, number: int, *, is_new: bool) -> None:
        """A subscription was made, or has got another filter, while its connection catches up."""
        catch_up = metadata.catch_up
        if isinstance(catch_up, CatchUp):
            catch_up.forget_interest()
            if is_new:
                order = catch_up.since[number] = self._history.order
                catch_up.heads[order] = self._logs.heads()

    def changed(self, metadata: ConnectionMetadata) -> None:
        """Subscriptions have ended, or rights have changed, while the connection catches up."""
        catch_up = metadata.catch_up
        if isinstance(catch_up, CatchUp):
            catch_up.forget_interest()

    # -- turns

    def _wait(self, catch_up: CatchUp) -> None:
        if not catch_up.scheduled:
            catch_up.scheduled = True
            self._budget.wait(catch_up)

    def _has_room(self, owner: Any) -> None:
        metadata = owner.owner
        if isinstance(metadata, ConnectionMetadata) and isinstance(metadata.catch_up, CatchUp):
            self._wait(metadata.catch_up)

    def _go_on(self, catch_up: CatchUp) -> None:
        catch_up.scheduled = False
        if catch_up.metadata.catch_up is not catch_up:
            return
        self._budget.charge(self._step, catch_up)

    def _step(self, catch_up: CatchUp) -> None:
        try:
            if catch_up.welcome is not None and not self._count(catch_up):
                self._wait(catch_up)
            elif catch_up.metadata.catch_up is catch_up:
                self._send(catch_up)
        except Exception:
            report_incident("replaying what a client missed")
            # It comes back and tries again from where it is: see ReconnectService.
            catch_up.metadata.link.close(CloseCode.INTERNAL, "internal error")

    def _count(self, catch_up: CatchUp) -> bool:
        """Count on; True when the client has been told."""
        interest = self._interest(catch_up)
        place = max(catch_up.order, catch_up.counted_to)
        messages, end = self._history.next_after(place, self._topics(interest), EXAMINED)
        catch_up.counted += len(interest.wanted(messages, catch_up.position))
        catch_up.counted_to = end
        if end < self._history.order:
            return False
        welcome, catch_up.welcome = catch_up.welcome, None
        if welcome is not None:
            gaps = self._losses(catch_up, interest)
            welcome(catch_up.counted, gaps)
        return True

    def _send(self, catch_up: CatchUp) -> None:
        interest = self._interest(catch_up)
        handle, encoding = catch_up.metadata.handle, catch_up.metadata.encoding
        for gap in self._losses(catch_up, interest):
            patient = gap.topic.removeprefix("patient:") if gap.topic else None
            self._hub.insist(handle, encoding.control(gap, patient))
            self._tell(catch_up.metadata, gap, catch_up.position)
        examined = min(EXAMINED, ENCODED) if encoding.is_binary else EXAMINED
        messages, end = self._history.next_after(catch_up.order, self._topics(interest), examined)
        wanted = interest.wanted(messages, catch_up.position)
        if encoding.is_binary:
            # One by one, as far as there is room: each may have to be encoded first.
            taken = self._hub.replay_many(handle, map(self._history.binary_of, wanted))
        else:
            taken = self._hub.replay_many(handle, [kept.again for kept in wanted])
        catch_up.replayed += taken
        if taken < len(wanted):
            # Either there is no room, which it will be told of, or there is no connection.
            end = wanted[taken].order - 1
            messages = [kept for kept in messages if kept.order <= end]
        catch_up.position = _beyond(catch_up.position, messages)
        catch_up.order = end
        if taken < len(wanted):
            return
        if end < self._history.order:
            self._wait(catch_up)
            return
        # In the same turn, so that nothing is published between the last of these and the first live one.
        self._hub.go_live(handle)
        self.leave(catch_up.metadata)
        self.completed += 1

    def _interest(self, catch_up: CatchUp) -> Interest:
        interest = catch_up.interest
        if interest is None:
            metadata = catch_up.metadata
            interest = catch_up.interest = Interest(
                self._history,
                self._bodies,
                self._severities(),
                metadata,
                self._index.records(metadata.handle),
                catch_up.since,
            )
        return interest

    def _topics(self, interest: Interest) -> list[TopicHistory] | None:
        named = interest.named()
        if named is None:
            return None
        found = (self._history.topic(*topic) for topic in named)
        return [topic for topic in found if topic is not None]

    def _losses(self, catch_up: CatchUp, interest: Interest) -> list[Gap]:
        """What the history has let go of that this connection may have had, told once each."""
        history = self._history
        known, catch_up.known_losses = catch_up.known_losses, history.evicted
        position = catch_up.position
        if history.evicted == known or all(map(int.__le__, history.last_evicted, position)):
            return []
        gaps = []
        for text, begun, evicted in self._lost_topics(interest, known):
            # What was published before it subscribed is no loss.
            heads = catch_up.heads.get(begun, position)
            for lane, log in enumerate(self._logs):
                first = max(position[lane], heads[lane], catch_up.floors.get((text or "", lane), 0)) + 1
                if evicted[lane] >= first:
                    catch_up.floors[text or "", lane] = evicted[lane]
                    gaps.append(
                        Gap(log=log.name, topic=text, from_=first, to=evicted[lane], reason="trimmed")
                    )
        return gaps if len(gaps) <= MAX_GAPS else _summed_up(gaps)

    def _lost_topics(self, interest: Interest, known: int) -> Iterator[tuple[str | None, int, Position]]:
        """Topics that lost something, the place from which on that matters, and up to where it is gone."""
        history = self._history
        named = interest.named()
        if named is not None:
            for name, target in named:
                text = name if not target else f"{name}:{target}"
                yield text, interest.begun(name, target), history.evicted_of(history.topic(name, target))
        else:
            for topic in history.lost_since(known):
                if interest.covers(topic):
                    yield topic.text, interest.begun(topic.name, topic.target), topic.evicted
        if named is None or interest.is_open:
            yield None, 0, history.forgotten


def _beyond(position: Position, messages: Iterable[Kept]) -> Position:
    """The position behind some messages: those of each log come in rising ``seq``."""
    last = [0, *position]
    for kept in messages:
        last[kept.frame.lane] = kept.seq
    _, durable, volatile = last
    return max(durable, position[0]), max(volatile, position[1])


def _summed_up(gaps: Iterable[Gap]) -> list[Gap]:
    """One gap for each log, whatever the topic."""
    by_log: dict[str, list[Gap]] = {}
    for gap in gaps:
        by_log.setdefault(gap.log, []).append(gap)
    return [
        Gap(
            log=log,
            from_=min(gap.from_ or 0 for gap in some),
            to=max(gap.to or 0 for gap in some),
            reason="trimmed",
        )
        for log, some in by_log.items()
    ]
