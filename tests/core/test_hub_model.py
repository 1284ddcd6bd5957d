"""The hub against a slow twin made of lists: same outcomes, same order of bytes, same counts.

Connections through a transport are predicted to the byte. For those over a real socket the
kernel decides how much one send takes: the twin follows it and checks that all else agrees.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from ledger import Ledger
from pier import recipients
from recording_transport import FakeLoop, HubSide, RecordingTransport

from wsserver_core.hub import Hub
from wsserver_core.outgoing import ALERT, DATA, DROP_REASONS, Frame

BATCH, MAX_MESSAGES, MAX_BYTES = 3, 16, 9_000
SLOW_MESSAGES, SLOW_BYTES = MAX_MESSAGES // 2, MAX_BYTES // 2
WATCH_MESSAGES, WATCH_BYTES = SLOW_MESSAGES // 2, SLOW_BYTES // 2
FRAMES_PER_SEND, BYTES_PER_SEND, BYTES_PER_COPY = 64, 256 * 1024, 64 * 1024


@dataclass
class Twin:
    """What the hub should know of one connection."""

    handle: int
    transport: RecordingTransport
    peer: socket.socket | None = None
    binary: bool = False
    queue: list[Frame] = field(default_factory=list)
    written: list[Frame] = field(default_factory=list)
    received: bytes = b""
    leaving: int = 0
    blocked: bool = False
    stalled: bool = False
    closing: bool = False
    finish: bool = False
    overflowed: bool = False
    dead: bool = False
    slow: bool = False
    slow_since: float = 0.0
    crowded: bool = False
    lagging: bool = False
    losses: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def form(self, frame: Frame) -> bytes:
        """What this connection is sent of a frame."""
        if not self.binary:
            return frame.wire
        assert frame.binary is not None
        return frame.binary

    def joined(self, frames: list[Frame]) -> bytes:
        return b"".join(map(self.form, frames))

    @property
    def size(self) -> int:
        return sum(len(self.form(frame)) for frame in self.queue)

    def is_over(self, frame: Frame, messages: int, size: int) -> bool:
        """Whether one more frame would pass a bound."""
        return bool(self.queue) and (len(self.queue) >= messages or self.size + len(self.form(frame)) > size)

    def drop(self, reason: str, unwanted: Callable[[Frame], bool]) -> bool:
        """Drop the unwanted of what has not begun to leave; whether there were any."""
        gone = [frame for frame in self.queue[self.leaving :] if unwanted(frame)]
        self.queue[self.leaving :] = [frame for frame in self.queue[self.leaving :] if frame not in gone]
        for frame in gone:
            self.lose(frame, reason)
        return bool(gone)

    def lose(self, frame: Frame, reason: str) -> None:
        if self.lagging and frame.topic is not None and reason in ("slow", "conflated", "expired"):
            self.losses.setdefault((frame.topic, reason), []).append(frame.seq)

    def told(self) -> list[tuple[object, ...]]:
        """What ``take_losses`` should say."""
        return [
            ("log", topic, reason, min(seqs), max(seqs), len(seqs))
            for (topic, reason), seqs in self.losses.items()
        ]

    @property
    def slot(self) -> int:
        return self.handle & 0xFFFFFFFF

    def next_send(self) -> int:
        """How many frames one send carries."""
        size = count = 0
        most = BYTES_PER_COPY if self.peer is None else BYTES_PER_SEND
        for frame in self.queue[:FRAMES_PER_SEND]:
            size += len(self.form(frame))
            if count and size > most:
                break
            count += 1
        return count

    def settle(self, frames: int) -> None:
        self.written += self.queue[:frames]
        del self.queue[:frames]
        self.leaving = 0


class TwinSide(HubSide):
    def __init__(self, hub: Hub, resumed: Callable[[], None]) -> None:
        super().__init__(hub)
        self.resumed = resumed

    def resume_writing(self) -> None:
        super().resume_writing()
        self.resumed()


def weight(frame: Frame) -> int:
    """The bytes that a frame keeps alive: both forms, whoever it waits for."""
    return len(frame.wire) + (0 if frame.binary is None else len(frame.binary))


picks = st.integers(0, 1_000_000)
sizes = st.sampled_from([0, 1, 10, 300, 3_000, 20_000])
small_sizes = st.sampled_from([1, 10, 300])
kinds = st.integers(0, 6)


class HubAgainstItsTwin(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = FakeLoop()
        self.sockets_loop = FakeLoop()
        self.hub = Hub(
            self.loop, batch_size=BATCH, max_queue_messages=MAX_MESSAGES, max_queue_bytes=MAX_BYTES
        )
        self.told: list[int] = []
        self.hub.on_overflow = lambda side: self.told.append(side.handle)
        self.relieved: list[int] = []
        self.relieved_expected: list[int] = []
        self.eased: list[int] = []
        self.hub.on_relief = lambda side: self.relieved.append(side.handle)
        self.reliefs_left = BATCH
        self.slow_age = float("inf")
        self.queued_at: dict[Frame, float] = {}
        self.ledger = Ledger(self.hub)
        self.twins: list[Twin] = []
        self.stale: list[int] = [0]
        self.dirty: list[int] = []
        self.overflowed: list[int] = []
        self.told_expected: list[int] = []
        self.number = 0

    def frame(self, size: int, kind: int = 0) -> Frame:
        """A frame whose bytes are nobody else's. From kind 4 on it is data of one of three streams."""
        self.number += 1
        filling = b"%c" % (33 + self.number % 90)
        wire = (b"<%d>" % self.number).ljust(size, filling) if size else b""
        # Now shorter than the text, now longer.
        other = size * (1 + self.number % 3) // 2
        binary = (b"(%d)" % self.number).ljust(other, filling) if size else b""
        self.queued_at[frame := Frame(
            wire, None, min(kind, DATA),
            binary=binary, topic=f"t{kind % 2}" if kind else None, log="log", seq=self.number,
            stream=str(kind) if kind > DATA else None,
        )] = self.hub.now  # fmt: skip
        return frame

    def pick(self, number: int) -> Twin:
        return self.twins[number % len(self.twins)]

    def mark_dirty(self, twin: Twin) -> None:
        if twin.slot not in self.dirty:
            self.dirty.append(twin.slot)

    # -- opening and ending

    @precondition(lambda self: len(self.twins) < 8)
    @rule(room=st.sampled_from([None, 0, 5, 400]), binary=st.booleans())
    def open_indirect(self, room: int | None, binary: bool) -> None:
        self.enter(Twin(0, RecordingTransport(self.sockets_loop, room=room), binary=binary), -1)

    @precondition(lambda self: len(self.twins) < 8)
    @rule(buffer=st.sampled_from([4_096, 16_384, 200_000]), binary=st.booleans())
    def open_direct(self, buffer: int, binary: bool) -> None:
        ours, peer = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        ours.setblocking(False)
        peer.setblocking(False)
        self.enter(Twin(0, RecordingTransport(self.sockets_loop, ours), peer, binary), ours.fileno())

    def enter(self, twin: Twin, fd: int) -> None:
        side = TwinSide(self.hub, lambda: self.follow_unblock(twin))
        twin.transport.protocol = side
        twin.handle = side.handle = self.hub.open(twin.transport, fd, side, False, twin.binary)
        assert twin.handle not in self.stale
        self.twins.append(twin)

    @precondition(lambda self: self.twins)
    @rule(number=picks)
    def release(self, number: int) -> None:
        twin = self.pick(number)
        self.hub.release(twin.handle)
        self.forget(twin)

    @precondition(lambda self: self.sockets_loop.soon)
    @rule()
    def tell_the_lost(self) -> None:
        self.sockets_loop.run()
        for twin in list(self.twins):
            if twin.transport.lost:
                self.forget(twin)

    def forget(self, twin: Twin) -> None:
        self.twins.remove(twin)
        self.stale.append(twin.handle)
        twin.transport.protocol = None
        if twin.peer is not None:
            assert twin.transport.sock is not None
            twin.transport.sock.close()
            twin.peer.close()

    # -- queueing

    @precondition(lambda self: self.twins)
    @rule(number=picks, size=sizes, kind=kinds, final=st.sampled_from([False] * 7 + [True]))
    def enqueue(self, number: int, size: int, kind: int, final: bool) -> None:
        twin, frame = self.pick(number), self.frame(size, kind)
        outcome = self.ledger.enqueue(twin.handle, frame, final)
        assert outcome == self.expect(twin, frame, final)

    @precondition(lambda self: self.twins)
    @rule(number=picks, size=small_sizes, kind=kinds, times=st.integers(2, 20))
    def enqueue_often(self, number: int, size: int, kind: int, times: int) -> None:
        for _ in range(times):
            self.enqueue(number, size, kind, False)

    @rule(numbers=st.lists(picks, max_size=6), size=sizes, kind=kinds)
    def enqueue_many(self, numbers: list[int], size: int, kind: int) -> None:
        frame = self.frame(size, kind)
        chosen = list(dict.fromkeys(self.twins[n % len(self.twins)].handle for n in numbers if self.twins))
        gone = [handle for handle in self.stale[-3:] if handle and not self.slot_in(chosen, handle)]
        gone = list({handle & 0xFFFFFFFF: handle for handle in gone}.values())
        # What the hub sends in between shows only afterwards.
        outcome = self.ledger.enqueue_many(chosen + gone, frame)
        outcomes = [self.expect(self.twin_of(handle), frame, False) for handle in chosen]
        assert outcome == (outcomes.count(0), outcomes.count(1), outcomes.count(2) + len(gone), 0)

    @precondition(lambda self: self.twins)
    @rule(number=picks, numbers=st.lists(picks, max_size=6))
    def refuse_the_form_that_a_connection_does_not_speak(self, number: int, numbers: list[int]) -> None:
        """Nobody gets anything of it then, whoever comes first among the recipients."""
        twin, frame = self.pick(number), self.frame(10)
        lacking = Frame(frame.wire) if twin.binary else Frame(None, binary=frame.binary)
        handles = [self.pick(one).handle for one in numbers]
        if not twin.closing:
            with pytest.raises(ValueError, match="form"):
                self.hub.enqueue_many(recipients([*handles, twin.handle, *handles[::-1]]), lacking)
        for put in (self.hub.enqueue, self.hub.insist, self.hub.replay):
            with pytest.raises(ValueError, match="form"):
                put(twin.handle, lacking)
        assert lacking.queued == 0

    @rule(numbers=st.lists(picks, max_size=6))
    def tell_who_wants_the_binary_form(self, numbers: list[int]) -> None:
        chosen = [self.pick(one) for one in numbers] if self.twins else []
        wanted = any(twin.binary and not twin.closing for twin in chosen)
        stale = [handle for handle in self.stale if handle]
        assert self.hub.wants_binary(recipients([twin.handle for twin in chosen] or stale[:1])) == wanted

    @rule(number=picks)
    def enqueue_on_a_stale_handle(self, number: int) -> None:
        stale = self.stale[number % len(self.stale)]
        assert self.ledger.enqueue(stale, self.frame(10)) == 3
        assert self.hub.discard(stale, 0) == 0
        self.hub.finish(stale)
        self.hub.release(stale)

    def expect(self, twin: Twin, frame: Frame, final: bool) -> int:
        if twin.closing:
            return 2
        if final:
            twin.crowded = False
        elif twin.overflowed:
            twin.lose(frame, "slow")
            return 1
        elif twin.slow or twin.is_over(frame, WATCH_MESSAGES, WATCH_BYTES):
            outcome = self.expect_closely(twin, frame)
            if outcome:
                return outcome
        twin.queue.append(frame)
        twin.closing = final
        self.mark_dirty(twin)
        return 0

    def expect_closely(self, twin: Twin, frame: Frame) -> int:
        if not twin.slow and not twin.blocked and self.reliefs_left:
            self.reliefs_left -= 1
            self.follow_send(twin)
            if twin.closing:
                return 2
            if not twin.is_over(frame, WATCH_MESSAGES, WATCH_BYTES):
                return 0
        if not twin.slow and not twin.blocked:
            twin.crowded = True
        elif not twin.slow and twin.is_over(frame, SLOW_MESSAGES, SLOW_BYTES):
            self.become_slow(twin)
        self.conflate(twin, frame)
        while twin.is_over(frame, MAX_MESSAGES, MAX_BYTES) and not twin.blocked and not twin.closing:
            self.follow_send(twin)
        if twin.closing:
            return 2
        if twin.is_over(frame, MAX_MESSAGES, MAX_BYTES) and not twin.slow:
            self.become_slow(twin)
            self.conflate(twin, frame)
        for importance in (DATA, ALERT):
            if frame.importance < importance and twin.is_over(frame, MAX_MESSAGES, MAX_BYTES):
                self.thin(twin, "slow", lambda waiting, gone=importance: waiting.importance == gone)
        if twin.is_over(frame, MAX_MESSAGES, MAX_BYTES):
            twin.lagging = True
            twin.lose(frame, "slow")
            twin.overflowed = True
            self.overflowed.append(twin.handle)
            return 1
        return 0

    def conflate(self, twin: Twin, newer: Frame) -> None:
        if twin.slow and newer.importance == DATA and newer.stream is not None:
            twin.drop("conflated", lambda waiting: waiting.stream == newer.stream)

    def thin(self, twin: Twin, reason: str, unwanted: Callable[[Frame], bool]) -> None:
        if twin.drop(reason, unwanted):
            self.ease(twin)

    def become_slow(self, twin: Twin) -> None:
        twin.slow = twin.lagging = True
        twin.slow_since = self.hub.now
        waiting = [f for f in twin.queue[twin.leaving :] if f.stream is not None and f.importance == DATA]
        newest = {frame.stream: frame for frame in waiting}
        self.thin(twin, "conflated", lambda frame: frame in waiting and newest[frame.stream] is not frame)

    def ease(self, twin: Twin) -> None:
        """What it looks like from outside that a connection keeps up again."""
        if len(twin.queue) > WATCH_MESSAGES // 2 or twin.size > WATCH_BYTES // 2:
            return
        if twin.queue and self.hub.now - self.queued_at[twin.queue[0]] > self.slow_age / 2:
            return
        twin.crowded = False
        if twin.slow and not twin.blocked and not twin.closing:
            twin.slow = False
            self.eased.append(twin.handle)

    @rule(seconds=st.sampled_from([0.25, 1.0, 4.0]))
    def pass_time(self, seconds: float) -> None:
        self.hub.now += seconds

    @rule()
    def sweep_slow(self) -> None:
        self.slow_age = 5.0
        self.hub.sweep_slow(self.hub.now - 5.0, self.hub.now - 12.0)
        for twin in self.twins:
            oldest = self.queued_at[twin.queue[0]] if twin.queue else self.hub.now
            if twin.stalled and not twin.slow and not twin.closing and self.hub.now - oldest > 5.0:
                self.become_slow(twin)
        # In the order in which they became slow, which the twins do not keep.
        due = self.hub.now - 12.0
        late = [t for t in self.twins if t.slow and not t.closing and not t.overflowed and t.slow_since < due]
        for twin in sorted(late, key=lambda twin: self.hub.slow_handles().index(twin.handle)):
            twin.overflowed = True
            self.overflowed.append(twin.handle)

    @precondition(lambda self: self.twins)
    @rule(number=picks)
    def take_losses(self, number: int) -> None:
        twin = self.pick(number)
        assert self.hub.take_losses(twin.handle) == twin.told()
        twin.losses.clear()

    @precondition(lambda self: self.twins)
    @rule(number=picks, importance=st.sampled_from([ALERT, DATA]))
    def shed(self, number: int, importance: int) -> None:
        twin = self.pick(number)
        before = len(twin.queue)
        self.thin(twin, "slow", lambda frame: frame.importance == importance)
        assert self.hub.shed(twin.handle, importance) == before - len(twin.queue)

    @precondition(lambda self: self.twins)
    @rule(number=picks, size=sizes)
    def insist(self, number: int, size: int) -> None:
        twin, frame = self.pick(number), self.frame(size)
        outcome = self.hub.insist(twin.handle, frame)
        assert outcome == (2 if twin.closing else 0)
        self.ledger.taken[frame] += outcome == 0
        if outcome == 0:
            twin.queue.append(frame)
            self.mark_dirty(twin)

    def twin_of(self, handle: int) -> Twin:
        return next(twin for twin in self.twins if twin.handle == handle)

    @staticmethod
    def slot_in(handles: list[int], handle: int) -> bool:
        return any(other & 0xFFFFFFFF == handle & 0xFFFFFFFF for other in handles)

    @precondition(lambda self: self.twins)
    @rule(number=picks, reason=st.integers(0, len(DROP_REASONS) - 1))
    def discard(self, number: int, reason: int) -> None:
        twin = self.pick(number)
        dropped = twin.queue[twin.leaving :]
        assert self.hub.discard(twin.handle, reason) == len(dropped)
        self.thin(twin, DROP_REASONS[reason], lambda frame: True)
        for frame in dropped:
            assert frame.dropped[DROP_REASONS[reason]] >= 1
        if dropped and not twin.queue and twin.finish:
            assert twin.transport.closing or twin.transport.ended

    # -- flow

    @precondition(lambda self: self.twins)
    @rule(number=picks)
    def block(self, number: int) -> None:
        """The transport has bytes that are not the hub's (TLS handshakes, the end of an HTTP answer)."""
        twin = self.pick(number)
        if not twin.transport.held:
            self.hub.block(twin.handle)
            twin.blocked = twin.stalled = True
            twin.crowded = False

    @precondition(lambda self: self.twins)
    @rule(number=picks)
    def unblock(self, number: int) -> None:
        twin = self.pick(number)
        if not twin.transport.held and not twin.transport.closing:
            self.hub.unblock(twin.handle)
            self.follow_unblock(twin)

    @precondition(lambda self: self.twins)
    @rule(number=picks, room=st.sampled_from([0, 1, 9, 500, 50_000]))
    def give_room(self, number: int, room: int) -> None:
        twin = self.pick(number)
        if twin.peer is not None:
            self.read(twin, room)
        twin.transport.give_room(room)

    def follow_unblock(self, twin: Twin) -> None:
        if not twin.blocked:
            return
        twin.blocked = twin.stalled = False
        twin.settle(twin.leaving)
        if twin.slow:
            self.ease(twin)
        if twin.queue:
            self.mark_dirty(twin)

    def read(self, twin: Twin, size: int) -> None:
        assert twin.peer is not None
        try:
            twin.received += twin.peer.recv(size) if size and twin.peer.fileno() >= 0 else b""
        except BlockingIOError:
            return

    @precondition(lambda self: any(twin.peer for twin in self.twins))
    @rule(number=picks)
    def lose_the_peer(self, number: int) -> None:
        """The next send to it gets EPIPE."""
        twin = [twin for twin in self.twins if twin.peer][number % sum(bool(t.peer) for t in self.twins)]
        assert twin.peer is not None
        twin.peer.close()

    @precondition(lambda self: self.twins)
    @rule(number=picks, half=st.booleans())
    def finish(self, number: int, half: bool) -> None:
        twin = self.pick(number)
        self.hub.finish(twin.handle, half)
        twin.finish = twin.closing = True
        if not twin.queue and not twin.blocked:
            assert twin.transport.closing or twin.transport.ended

    # -- flushing

    @precondition(lambda self: self.loop.soon)
    @rule()
    def turn(self) -> None:
        assert len(self.loop.soon) == 1
        self.loop.turn()
        self.reliefs_left = BATCH
        self.follow_overflow()
        self.follow_slice(BATCH)

    @rule()
    def flush_all(self) -> None:
        self.hub.batch_size = max(len(self.dirty), BATCH)
        self.hub.flush_all()
        self.hub.batch_size = BATCH
        self.follow_overflow()
        while self.dirty:
            self.follow_slice(len(self.dirty))

    def follow_overflow(self) -> None:
        for handle in self.overflowed:
            for twin in self.twins:
                if twin.handle == handle:
                    twin.overflowed = False
                    self.told_expected.append(handle)
        self.overflowed.clear()
        eased, self.eased = self.eased, []
        for twin in (twin for handle in eased for twin in self.twins if twin.handle == handle):
            if not twin.slow:
                self.relieved_expected.append(twin.handle)
                twin.lagging = False
                twin.losses.clear()

    def follow_slice(self, batch: int) -> None:
        served, self.dirty = self.dirty[:batch], self.dirty[batch:]
        ready = [
            twin
            for slot in served
            for twin in self.twins
            if twin.slot == slot and twin.queue and not twin.blocked and not twin.dead
        ]
        # Direct sends are settled before any transport is written to.
        for twin in sorted(ready, key=lambda twin: twin.peer is None):
            self.follow_send(twin)

    def follow_send(self, twin: Twin) -> None:
        """What came of one send, as far as it can be seen."""
        count = twin.next_send()
        if twin.peer is not None:
            figures = self.hub.connection_figures(twin.handle)
            assert figures is not None
            # flush_all may have sent more than once before the twin gets to look.
            whole, count = count, min(count, figures[0] - len(twin.written))
            twin.settle(count)
            if "abort" in twin.transport.calls:
                twin.dead = twin.closing = True
                twin.crowded = False
                return
            if (
                len(twin.written) == figures[0]
                and (twin.transport.held or twin.transport.lost)
                and twin.queue
            ):
                twin.blocked = twin.stalled = True
                twin.crowded = False
                twin.leaving = 1
                return
            assert count == whole
        elif twin.transport.held:
            twin.blocked = twin.stalled = True
            twin.crowded = False
            twin.leaving = count
            return
        else:
            twin.settle(count)
        if twin.slow or twin.crowded:
            self.ease(twin)
        if twin.queue:
            self.mark_dirty(twin)
        elif twin.finish:
            assert twin.transport.closing or twin.transport.ended

    # -- what must hold

    @invariant()
    def counts_agree(self) -> None:
        self.ledger.check()
        assert self.hub.open_count == len(self.twins)
        assert self.hub.frames_queued == sum(len(twin.queue) for twin in self.twins)
        assert self.hub.dirty_connections == len(self.dirty)
        assert bool(self.loop.soon) >= bool(self.dirty or self.overflowed or self.eased)
        assert self.told == self.told_expected
        assert self.relieved == self.relieved_expected
        assert self.hub.slow_count == sum(twin.slow for twin in self.twins)
        assert self.hub.crowded_count == sum(twin.crowded for twin in self.twins)
        assert self.hub.binary_count == sum(twin.binary for twin in self.twins)
        waiting = {frame: weight(frame) for twin in self.twins for frame in twin.queue}
        copies = sum(
            len(twin.joined(twin.queue[: twin.leaving]))
            for twin in self.twins
            if twin.peer is None and twin.blocked
        )
        assert self.hub.pinned_bytes == sum(waiting.values()) + copies
        assert self.hub.recount()[2] == sum(twin.size for twin in self.twins)
        for twin in self.twins:
            assert self.hub.connection_figures(twin.handle) == (
                len(twin.written),
                len(twin.joined(twin.written)),
                len(twin.queue),
                len(twin.joined(twin.queue)),
            )
            assert self.hub.is_blocked(twin.handle) == twin.blocked
            assert self.hub.is_slow(twin.handle) == twin.slow
        for handle in self.stale:
            assert self.hub.connection_figures(handle) is None

    @invariant()
    def bytes_agree(self) -> None:
        for twin in self.twins:
            if twin.peer is None:
                passed = bytes(twin.transport.sent + twin.transport.held)
                assert (
                    passed == twin.joined(twin.written + twin.queue[: twin.leaving]) or twin.transport.closing
                )
            assert twin.joined(twin.written + twin.queue).startswith(twin.received)

    def teardown(self) -> None:
        """Whoever is still there gets all that was not dropped, whole and in order."""
        for twin in self.twins:
            if not twin.transport.closing and not twin.transport.held:
                self.hub.unblock(twin.handle)
        for _ in range(2_000):
            self.loop.run()
            for twin in self.twins:
                if twin.peer is not None:
                    self.read(twin, 1 << 20)
                if twin.transport.held:
                    twin.transport.room = None
                    twin.transport.give_room()
                else:
                    twin.transport.room = None
            if not self.hub.frames_queued:
                break
            if all(
                twin.transport.closing for twin in self.twins if self.hub.connection_figures(twin.handle)[2]
            ):
                break
        for twin in list(self.twins):
            expected = twin.joined(twin.written + twin.queue)
            if twin.peer is not None and twin.peer.fileno() >= 0:
                self.read(twin, 1 << 20)
                assert twin.received == expected or twin.dead
            elif twin.peer is None and not twin.transport.closing:
                assert twin.transport.sent == expected
            self.hub.release(twin.handle)
            self.forget(twin)
        self.ledger.check()
        assert self.hub.frames_queued == self.hub.open_count == 0
        assert self.loop.faults == []


HubAgainstItsTwin.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestHubAgainstItsTwin = HubAgainstItsTwin.TestCase


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_hub_agrees_with_its_twin_over_many_long_stories() -> None:
    run_state_machine_as_test(
        HubAgainstItsTwin, settings=settings(max_examples=3_000, stateful_step_count=150, deadline=None)
    )
