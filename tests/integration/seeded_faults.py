"""Faults that are put into a running server, to prove that the laws catch them there.

Each stands where a programmer could have made it: around the hub's door, the index, the log, the
history. ``FAULTS`` names them with the law that each must break.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from live_server import LiveServer

from wsserver.protocol.control import Gap
from wsserver.protocol.message import PublishedMessage
from wsserver.protocol.topic import Topic
from wsserver_core.outgoing import Frame
from wsserver_core.recipients import Recipients
from wsserver_core.scopes import Scope

CHOSEN = 30
"""The message that a fault befalls: by then everybody is there and nobody has been cut."""


class _Around:
    """Everything of another object, save what a fault overrides."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _FaultyDoor(_Around):
    """The hub, with one message treated wrongly on its way into the queues."""

    def __init__(self, inner: Any, treat: Callable[[Any, Recipients, Frame], tuple[int, ...]]) -> None:
        super().__init__(inner)
        self._treat = treat
        self._count = 0

    def enqueue_many(self, recipients: Recipients, frame: Frame) -> tuple[int, ...]:
        self._count += 1
        if self._count >= CHOSEN and (taken := self._treat(self._inner, recipients, frame)) is not None:
            return taken
        return tuple(self._inner.enqueue_many(recipients, frame))


def _door(server: LiveServer, treat: Callable[[Any, Recipients, Frame], Any]) -> None:
    engine = server.manager.broadcasts
    engine.hub = _FaultyDoor(engine.hub, treat)


def _taken_for_queued(hub: Any, recipients: Recipients, frame: Frame) -> tuple[int, ...]:
    """What the hub would answer if it had queued the frame for all of them."""
    return (len(recipients), *hub.enqueue_many(Recipients(), frame)[1:])


def _same(frame: Frame, wire: bytes) -> Frame:
    names = ("topic", "log", "seq", "stream", "lane")
    return Frame(wire, frame.subject, frame.importance, **{name: getattr(frame, name) for name in names})


def _once(change: Callable[[Any, Recipients, Frame], Any]) -> Callable[[Any, Recipients, Frame], Any]:
    """The change for one message that has recipients, and for no other."""
    done: list[bool] = []

    def treat(hub: Any, recipients: Recipients, frame: Frame) -> Any:
        if done or len(recipients) < 2:
            return None
        done.append(True)
        return change(hub, recipients, frame)

    return treat


def drop_a_message(server: LiveServer) -> None:
    _door(server, _once(_taken_for_queued))


def deliver_twice(server: LiveServer) -> None:
    def twice(hub: Any, recipients: Recipients, frame: Frame) -> Any:
        hub.enqueue_many(recipients, frame)
        return hub.enqueue_many(recipients, frame)

    _door(server, _once(twice))


def swap_two_messages(server: LiveServer) -> None:
    held: list[tuple[Recipients, Frame]] = []
    done: list[bool] = []

    def swap(hub: Any, recipients: Recipients, frame: Frame) -> Any:
        if held and held[0][1].lane == frame.lane and set(held[0][0].handles()) & set(recipients.handles()):
            first, earlier = held.pop()
            numbers = hub.enqueue_many(recipients, frame)
            hub.enqueue_many(first, earlier)
            return numbers
        if held or done or len(recipients) < 2:
            return None
        done.append(True)
        kept = Recipients()
        for handle in recipients.handles():
            kept.add(handle)
        held.append((kept, frame))
        return _taken_for_queued(hub, recipients, frame)

    _door(server, swap)


def change_the_content(server: LiveServer) -> None:
    def change(hub: Any, recipients: Recipients, frame: Frame) -> Any:
        wire = re.sub(rb'"n":(\d)', lambda found: b'"n":%d' % (9 - int(found[1])), frame.wire, count=1)
        assert wire != frame.wire
        return hub.enqueue_many(recipients, _same(frame, wire))

    _door(server, _once(change))


def deliver_to_everybody(server: LiveServer) -> None:
    """Neither rights nor subscriptions are looked at."""

    def everybody(hub: Any, recipients: Recipients, frame: Frame) -> Any:
        for metadata in server.manager.connections.values():
            recipients.add(metadata.handle)
        return None

    _door(server, everybody)


class _FaultyIndex(_Around):
    """The index, asked about something else than the message."""

    def __init__(self, inner: Any, change: Callable[[list[Any]], None]) -> None:
        super().__init__(inner)
        self._change = change

    def select(self, *arguments: Any) -> Any:
        asked = list(arguments)
        self._change(asked)
        return self._inner.select(*asked)


def skip_authorisation(server: LiveServer) -> None:
    def nobodys(asked: list[Any]) -> None:
        asked[2] = None

    engine = server.manager.broadcasts
    engine._index = _FaultyIndex(engine._index, nobodys)


def ignore_the_filter(server: LiveServer) -> None:
    def of_interest(asked: list[Any]) -> None:
        asked[3] = {"hr": 99, "lead": "I", "kind": "alert"}

    engine = server.manager.broadcasts
    engine._index = _FaultyIndex(engine._index, of_interest)


def reuse_a_place(server: LiveServer) -> None:
    def rewind(hub: Any, recipients: Recipients, frame: Frame) -> None:
        for log in _logs(server):
            log.head -= log.name == frame.log

    _door(server, _once(rewind))


def invent_a_message(server: LiveServer) -> None:
    def invent(hub: Any, recipients: Recipients, frame: Frame) -> None:
        body = {"key": "nobodys", "n": 0, "kind": "data"}
        server.manager.loop_port.call_soon(
            lambda: server.manager.broadcasts.publish(Topic.of_patient("1"), PublishedMessage(body))
        )

    _door(server, _once(invent))


def publish_twice(server: LiveServer) -> None:
    """One message takes two places."""
    engine = server.manager.broadcasts
    publish, count = engine.publish, iter(range(1 << 30))

    def twice(topic: Topic, message: PublishedMessage, **how: Any) -> Any:
        if next(count) == CHOSEN:
            publish(topic, message, **how)
        return publish(topic, message, **how)

    engine.publish = twice


def miscount_the_report(server: LiveServer) -> None:
    def more(hub: Any, recipients: Recipients, frame: Frame) -> Any:
        delivered, *others = hub.enqueue_many(recipients, frame)
        return (delivered - 1, *others)

    _door(server, _once(more))


def _logs(server: LiveServer) -> list[Any]:
    broadcasts = server.manager.broadcasts
    logs = getattr(broadcasts, "logs", None)
    return [broadcasts.log] if logs is None else [logs.durable, logs.volatile]


# -- of those who come back


class _FaultyReplay(_Around):
    """The hub, with the messages that are replayed treated wrongly."""

    def __init__(self, inner: Any, treat: Callable[[Any, int, Frame, int], int]) -> None:
        super().__init__(inner)
        self._treat = treat
        self._counts: dict[int, int] = {}

    def replay(self, handle: int, frame: Frame) -> int:
        """The third message of each replay and those behind it are told by their number."""
        number = self._counts[handle] = self._counts.get(handle, 0) + 1
        return self._treat(self._inner, handle, frame, number)

    def replay_many(self, handle: int, frames: Iterable[Frame]) -> int:
        taken = 0
        for frame in frames:
            if self.replay(handle, frame) != 0:
                break
            taken += 1
        return taken


def _replay(server: LiveServer, treat: Callable[[Any, int, Frame, int], int]) -> None:
    catch_ups = server.manager.catch_ups
    catch_ups._hub = _FaultyReplay(catch_ups._hub, treat)


def drop_a_replayed_message(server: LiveServer) -> None:
    def drop(hub: Any, handle: int, frame: Frame, number: int) -> int:
        return 0 if number == 3 else hub.replay(handle, frame)

    _replay(server, drop)


def replay_twice(server: LiveServer) -> None:
    def twice(hub: Any, handle: int, frame: Frame, number: int) -> int:
        if number == 3:
            hub.replay(handle, _same(frame, frame.wire))
        return hub.replay(handle, frame)

    _replay(server, twice)


def replay_out_of_order(server: LiveServer) -> None:
    held: dict[int, Frame] = {}

    def swap(hub: Any, handle: int, frame: Frame, number: int) -> int:
        earlier = held.pop(handle, None)
        if earlier is None and number >= 3:
            held[handle] = frame
            return 0
        outcome = hub.replay(handle, frame)
        if earlier is not None:
            hub.replay(handle, earlier)
        return outcome

    _replay(server, swap)


def replay_to_whoever_lost_the_right(server: LiveServer) -> None:
    catch_ups = server.manager.catch_ups
    interest_of = catch_ups._interest

    def of_one_who_sees_all(catch_up: Any) -> Any:
        interest = interest_of(catch_up)
        interest._principal = msgspec.structs.replace(interest._principal, scope=Scope(None))
        return interest

    catch_ups._interest = of_one_who_sees_all


def go_live_before_the_replay(server: LiveServer) -> None:
    catch_ups, hub = server.manager.catch_ups, server.manager.hub
    send = catch_ups._send

    def later(catch_up: Any) -> None:
        hub.go_live(catch_up.metadata.handle)
        server.manager.loop_port.call_later(0.03, lambda: send(catch_up))

    catch_ups._send = later


def begin_too_far_on(server: LiveServer) -> None:
    catch_ups = server.manager.catch_ups
    prepare = catch_ups.prepare

    def further(metadata: Any, start: Any, welcome: Any) -> Any:
        return prepare(metadata, (start[0] + 2, start[1]), welcome)

    catch_ups.prepare = further


def begin_anew_without_a_word(server: LiveServer) -> None:
    """Live messages follow at once; what was missed is forgotten."""
    catch_ups = server.manager.catch_ups
    prepare = catch_ups.prepare

    def at_the_head(metadata: Any, start: Any, welcome: Any) -> Any:
        return prepare(metadata, server.manager.broadcasts.logs.heads(), welcome)

    catch_ups.prepare = at_the_head


def tell_a_position_too_far_on(server: LiveServer) -> None:
    manager = server.manager
    position_of = manager.position_of

    def further(metadata: Any) -> Any:
        durable, volatile = position_of(metadata)
        return durable + 1, volatile

    manager.position_of = further


def _losses(server: LiveServer, change: Callable[[list[Gap]], list[Gap]]) -> None:
    catch_ups = server.manager.catch_ups
    losses = catch_ups._losses
    catch_ups._losses = lambda *about: change(losses(*about))


def trim_silently(server: LiveServer) -> None:
    _losses(server, lambda gaps: [])


def lose_one_gap(server: LiveServer) -> None:
    _losses(server, lambda gaps: gaps[1:])


def tell_too_short_a_gap(server: LiveServer) -> None:
    def shorter(gaps: list[Gap]) -> list[Gap]:
        return [msgspec.structs.replace(gap, to=(gap.from_ or 0) + 1) for gap in gaps]

    _losses(server, shorter)


def alarm_without_need(server: LiveServer) -> None:
    log = server.manager.broadcasts.logs.durable

    def more(gaps: list[Gap]) -> list[Gap]:
        return [*gaps, Gap(log=log.name, from_=1, to=max(1, log.head), reason="limit")]

    _losses(server, more)


# -- on the disk


class _FaultyFile(_Around):
    """The store's file, of which the writer's thread asks something else than it was asked."""

    def __init__(self, inner: Any, commit: Callable[[Any, Any, float], int]) -> None:
        super().__init__(inner)
        self._commit = commit

    def commit(self, batch: Any, now: float) -> int:
        return self._commit(self._inner, batch, now)


def _file(server: LiveServer, commit: Callable[[Any, Any, float], int]) -> None:
    writer = server.service.store_keeper.store._writer
    writer._file = _FaultyFile(writer._file, commit)


def acknowledge_before_the_commit(server: LiveServer) -> None:
    """From some message on nothing is written, and everything is answered as if it were."""
    heads: list[int] = []

    def pretend(file: Any, batch: Any, now: float) -> int:
        if not heads:
            before = int(file.commit(batch, now))
            if before + len(batch.messages) >= CHOSEN:
                heads.append(before + len(batch.messages))
            return before
        heads.append(heads[-1] + len(batch.messages))
        return heads[-2]

    _file(server, pretend)


def store_other_content(server: LiveServer) -> None:
    def altered(one: Any) -> Any:
        members = one.message.members.replace(b'"kind":"data"', b'"kind":"none"')
        return dataclasses.replace(one, message=msgspec.structs.replace(one.message, members=members))

    def alter(file: Any, batch: Any, now: float) -> int:
        return int(
            file.commit(dataclasses.replace(batch, messages=[altered(one) for one in batch.messages]), now)
        )

    _file(server, alter)


FAULTS: dict[Callable[[LiveServer], None], str] = {
    drop_a_message: "L2",
    deliver_twice: "L3",
    swap_two_messages: "L3",
    change_the_content: "L7",
    deliver_to_everybody: "L5",
    skip_authorisation: "L5",
    ignore_the_filter: "L5",
    reuse_a_place: "L3",
    invent_a_message: "L7",
    publish_twice: "L4",
    miscount_the_report: "L6",
    drop_a_replayed_message: "L2",
    replay_twice: "L3",
    replay_out_of_order: "L3",
    replay_to_whoever_lost_the_right: "L5",
    go_live_before_the_replay: "L3",
    begin_too_far_on: "L2",
    begin_anew_without_a_word: "L2",
    tell_a_position_too_far_on: "L2",
    alarm_without_need: "L2",
}

TRIMMING_FAULTS: dict[Callable[[LiveServer], None], str] = {
    trim_silently: "L2",
    lose_one_gap: "L2",
    tell_too_short_a_gap: "L2",
}
"""Where the history is so short that something must be told."""

STORE_FAULTS: dict[Callable[[LiveServer], None], str] = {
    acknowledge_before_the_commit: "L1",
    store_other_content: "L1",
}
"""Where there is a store on disk."""
