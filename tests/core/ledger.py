"""Counts on its own what is put into a hub, and holds the hub's figures against it.

The identities hold at any moment, for each frame and for the hub:
times queued so far = queued + written + dropped by any reason.
"""

from collections import Counter
from collections.abc import Iterable

from wsserver_core.hub import Hub
from wsserver_core.outgoing import DROP_REASONS, Frame
from wsserver_core.recipients import Recipients


class Ledger:
    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.taken: Counter[Frame] = Counter()

    def enqueue(self, handle: int, frame: Frame, final: bool = False) -> int:
        outcome = self.hub.enqueue(handle, frame, final)
        self.taken[frame] += outcome == 0
        self.check()
        return outcome

    def replay(self, handle: int, frame: Frame) -> int:
        outcome = self.hub.replay(handle, frame)
        self.taken[frame] += outcome == 0
        self.check()
        return outcome

    def enqueue_many(self, handles: Iterable[int], frame: Frame) -> tuple[int, int, int, int]:
        recipients = Recipients()
        for handle in handles:
            recipients.add(handle)
        outcome = self.hub.enqueue_many(recipients, frame)
        assert sum(outcome) == len(recipients)
        self.taken[frame] += outcome[0]
        self.check()
        return outcome

    def check(self) -> None:
        hub = self.hub
        for frame, taken in self.taken.items():
            assert taken == frame.queued + frame.written + sum(frame.dropped.values())
        assert hub.frames_queued == sum(frame.queued for frame in self.taken)
        assert hub.frames_written == sum(frame.written for frame in self.taken)
        self.check_bytes()
        assert hub.frames_dropped == {
            reason: sum(frame.dropped[reason] for frame in self.taken) for reason in DROP_REASONS
        }
        self.check_published()
        assert self.taken.total() == hub.frames_queued + hub.frames_written + sum(hub.frames_dropped.values())

    def check_bytes(self) -> None:
        """Who was given which form of a frame only the connections know; most frames have one."""
        least = sum([frame.written * len(frame.wire) for frame in self.taken])
        most = least
        for frame in self.taken:
            if frame.binary is not None:
                more = frame.written * (len(frame.binary) - len(frame.wire))
                least, most = least + min(0, more), most + max(0, more)
        assert least <= self.hub.bytes_written <= most

    def check_published(self) -> None:
        """The same of published messages, and the counters against a walk over the queues."""
        frames = [frame for frame in self.taken if frame.topic is not None]
        taken, queued, written, dropped = self.hub.published_figures()
        assert taken == sum(self.taken[frame] for frame in frames)
        assert queued == sum(frame.queued for frame in frames)
        assert written == sum(frame.written for frame in frames)
        assert dropped == {reason: sum(frame.dropped[reason] for frame in frames) for reason in DROP_REASONS}
        assert self.hub.recount()[:2] == (self.hub.frames_queued, queued)
        assert self.hub.drops.noted == sum(dropped.values())
