"""What may wait for whom: bounds, and what happens to those who cannot keep up.

A connection goes through three states. It *keeps up* while little waits. It is *slow* once
its oldest byte has waited for too long, or once its socket is full and much waits: then data
is reduced to the newest of each stream, and every loss is noted until the client can be told.
It *overflows* where even that does not fit, or where it has been slow for too long: its owner
must end it. What is dropped first is decided by importance; the order of what stays never is.

A connection may also be *crowded*: much waits although its socket takes it. Then it is this
process that does not keep up, and the publishers are the ones to slow down.
"""

from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from wsserver_core.outgoing cimport (
    ALERT, DATA, DROPPED_CLOSED, DROPPED_CONFLATED, DROPPED_EXPIRED, DROPPED_SLOW,
    DROPS, Frame, weight_of,
)
from wsserver_core.recipients cimport Recipients
from wsserver_core.slots cimport (
    BINARY, BLOCKED, CATCHING_UP, CLOSING, CROWDED, FINISH, FOREIGN, HALF, OVERFLOWED, SLOW, WANTS_ROOM,
    Slot, SlotTable, check_form, frame_at, ring_of, size_of,
)

from wsserver_core.outgoing import DROP_REASONS

cdef enum:
    # Topics whose losses are noted apart for one slow connection; the others are summed up.
    # Somebody who watches ten thousand patients and reads nothing must not cost megabytes.
    MAX_LOSSES = 256
    # Owners who are told in one turn: each may empty a long queue, or write a hundred gaps.
    OWNERS_TOLD = 100


cdef bint is_any(Frame frame, object what) except -1:
    return True


cdef bint is_forbidden(Frame frame, object allowed) except -1:
    return frame.subject is not None and frame.subject not in allowed


cdef bint is_not_the_newest(Frame frame, object waiting) except -1:
    """``waiting`` counts the data frames of each stream from here to the end of the queue."""
    cdef int left
    if frame.importance != DATA or frame.stream is None:
        return False
    left = (<dict> waiting)[frame.stream] - 1
    (<dict> waiting)[frame.stream] = left
    return left > 0


cdef bint is_of(Frame frame, object importance) except -1:
    return frame.importance == <int> importance


cdef class Laggard:
    """A connection that does not keep up: since when, and what it has to be told of."""
    cdef double since
    cdef dict losses   # (log, topic, reason) -> [first seq, last seq, count]

    def __cinit__(self, double since):
        self.since = since
        self.losses = {}


cdef class Backlog(SlotTable):
    """The queues of a hub: who may queue what, and what a slow connection loses."""

    def __cinit__(self, object loop, *, uint32_t batch_size=100, uint32_t max_queue_messages=1000,
                  uint64_t max_queue_bytes=1 << 20, double slow_share=0.5, double flush_interval=0.0):
        self.loop = loop
        self.overflowed = []
        self.relieved = []
        self.roomy = []
        self.outsiders = []
        self.laggards = {}
        self.slow_age = float("inf")
        self.sorting_left = FRAMES_SORTED
        self._max_queue_messages = max_queue_messages
        self._max_queue_bytes = max_queue_bytes
        self.slow_share = slow_share
        self.flush_interval = flush_interval

    # -- bounds

    @property
    def max_queue_messages(self):
        """Messages that may wait for one connection."""
        return self._max_queue_messages

    @max_queue_messages.setter
    def max_queue_messages(self, uint32_t value):
        self._max_queue_messages = value
        self.measure()

    @property
    def max_queue_bytes(self):
        """Bytes that may wait for one connection; one message may always wait alone."""
        return self._max_queue_bytes

    @max_queue_bytes.setter
    def max_queue_bytes(self, uint64_t value):
        self._max_queue_bytes = value
        self.measure()

    @property
    def slow_share(self):
        """The part of either bound from which on a connection with a full socket is slow."""
        return self._slow_share

    @slow_share.setter
    def slow_share(self, double value):
        if not 0 < value <= 1:
            raise ValueError("slow_share must be over 0 and at most 1")
        self._slow_share = value
        self.measure()

    cdef int measure(self) except -1:
        self.slow_messages = max(1, <uint32_t> (self._max_queue_messages * self._slow_share))
        self.slow_bytes = <uint64_t> (self._max_queue_bytes * self._slow_share)
        self.watch_messages = max(1, self.slow_messages // 2)
        self.watch_bytes = self.slow_bytes // 2
        return 0

    cdef bint is_over(self, Slot *slot, uint64_t size, uint32_t messages, uint64_t bytes_) noexcept:
        """Whether one more frame would pass a bound; the first one never does."""
        return slot.count != 0 and (slot.count >= messages or slot.queued_bytes + size > bytes_)

    # -- the loop

    cdef int schedule(self) except -1:
        if not self.scheduled:
            if self.flush_interval > 0:
                self.loop.call_later(self.flush_interval, self.turn)
            else:
                self.loop.call_soon(self.turn)
            self.scheduled = True
        return 0

    cdef int mark_dirty(self, uint32_t index) except -1:
        self.mark(index)
        return self.schedule()

    cdef int report(self, str message, list faults) except -1:
        for fault in faults:
            self.loop.call_exception_handler({"message": message, "exception": fault})
        return 0

    cdef int drained(self, uint32_t index) except -1:
        """Nothing waits any more: close the transport of one that was to be finished."""
        cdef Slot *slot = &self.slots[index]
        cdef object transport
        if slot.flags & FINISH and slot.transport != NULL:
            slot.fd = -1
            transport = <object> slot.transport
            if slot.flags & HALF and transport.can_write_eof() and not transport.is_closing():
                transport.write_eof()
            else:
                transport.close()
        return 0

    # -- putting in

    cpdef int enqueue(self, uint64_t handle, Frame frame, bint final=False) except -1:
        """Queue one frame for one connection and say what came of it (0 is success).

        ``final`` marks the close frame: it is taken past the bounds and is the last. Raises
        ValueError for a frame without the form that the connection speaks.
        """
        cdef Slot *slot = self.slot_of(handle)
        cdef int outcome
        self.check_thread()
        if frame is None:
            raise TypeError("frame must not be None")
        if slot == NULL:
            return REFUSED_GONE
        check_form(slot, frame)
        if slot.flags & CLOSING:
            self.note_refusal(slot, frame)
            return REFUSED_CLOSING
        if final:
            self.push(slot, frame)
            self.stand_aside(slot)
            slot.flags |= CLOSING
        elif (slot.flags & (OVERFLOWED | SLOW)
                or self.is_over(slot, size_of(slot, frame), self.watch_messages, self.watch_bytes)):
            outcome = self.admit_closely(handle, frame)
            if outcome != QUEUED:
                self.schedule()
                return outcome
        else:
            self.push(slot, frame)
        self.mark_dirty(<uint32_t> handle)
        return QUEUED

    cpdef int insist(self, uint64_t handle, Frame frame) except -1:
        """Queue the server's own word past every bound: for news of losses, which are few.

        Raises ValueError for a frame without the form that the connection speaks.
        """
        cdef Slot *slot = self.slot_of(handle)
        self.check_thread()
        if frame is None:
            raise TypeError("frame must not be None")
        if slot == NULL:
            return REFUSED_GONE
        check_form(slot, frame)
        if slot.flags & CLOSING:
            return REFUSED_CLOSING
        self.push(slot, frame)
        self.mark_dirty(<uint32_t> handle)
        return QUEUED

    cpdef bint wants_binary(self, Recipients recipients) except -1:
        """Whether one of these connections needs the binary form of a message."""
        cdef Py_ssize_t i
        cdef Slot *slot
        if recipients is None:
            raise TypeError("recipients must not be None")
        if self.binary_count == 0:
            return False
        for i in range(recipients.count):
            slot = self.slot_of(recipients.items[i])
            # One that is catching up finds the message in the history, and needs it there.
            if slot != NULL and slot.flags & (BINARY | CLOSING) == BINARY:
                return True
        return False

    cdef int check_forms(self, Recipients recipients, Frame frame) except -1:
        """Refuse a frame that lacks what one of its recipients speaks, before any queue is touched."""
        cdef Py_ssize_t i
        cdef Slot *slot
        if frame.json is not None and (frame.binary is not None or self.binary_count == 0):
            return 0
        for i in range(recipients.count):
            slot = self.slot_of(recipients.items[i])
            # One that is closing stays so, and is never given it.
            if slot != NULL and not slot.flags & CLOSING:
                check_form(slot, frame)
        return 0

    cpdef tuple enqueue_many(self, Recipients recipients, Frame frame):
        """Queue one frame for many connections.

        Returns ``(delivered, refused_slow, refused_closing, catching_up)``; their sum is the number
        of recipients. Sockets are touched only where much waits already. Raises ValueError, and
        queues nothing, for a frame without the form that one of them speaks; see ``wants_binary``.
        """
        cdef uint32_t catching_up = 0
        cdef uint32_t slow = 0
        cdef uint32_t closing = 0
        cdef uint32_t taken = 0
        cdef uint64_t size, text_size, binary_size
        cdef uint64_t handle
        cdef Py_ssize_t i
        cdef int outcome
        cdef Slot *slot
        self.check_thread()
        if recipients is None or frame is None:
            raise TypeError("recipients and frame must not be None")
        self.check_forms(recipients, frame)
        text_size = 0 if frame.json is None else <uint64_t> len(frame.json)
        binary_size = 0 if frame.binary is None else <uint64_t> len(frame.binary)
        try:
            for i in range(recipients.count):
                handle = recipients.items[i]
                slot = self.slot_of(handle)
                if slot == NULL or slot.flags & CLOSING:
                    closing += 1
                    self.note_refusal(slot, frame)
                    recipients.refuse(i, REFUSED_CLOSING)
                    continue
                size = binary_size if slot.flags & BINARY else text_size
                if (slot.flags & (OVERFLOWED | SLOW | CATCHING_UP)
                        or self.is_over(slot, size, self.watch_messages, self.watch_bytes)):
                    if slot.flags & CATCHING_UP:
                        # It must not overtake what is replayed, and waits in the history meanwhile.
                        catching_up += 1
                        recipients.refuse(i, CAUGHT_UP_LATER)
                        continue
                    outcome = self.admit_closely(handle, frame)
                    if outcome != QUEUED:
                        slow += outcome == REFUSED_SLOW
                        closing += outcome == REFUSED_CLOSING
                        recipients.refuse(i, outcome)
                        continue
                else:
                    self.push(slot, frame)
                taken += 1
                self.mark(<uint32_t> handle)
        finally:
            if taken or slow:
                self.schedule()
        if frame.accepted_at > 0:
            self.note_time(self.enqueue_times, frame, self.read_stopwatch())
        return taken, slow, closing, catching_up

    cdef int admit_closely(self, uint64_t handle, Frame frame) except -1:
        """Queue a frame where much waits already, or refuse it."""
        cdef Slot *slot = self.slot_of(handle)
        cdef uint64_t size = size_of(slot, frame)
        if slot.flags & OVERFLOWED:
            self.note_refusal(slot, frame)
            self.note_loss(handle, frame, DROPPED_SLOW)
            return REFUSED_SLOW
        if not slot.flags & (SLOW | BLOCKED | FOREIGN) and self.reliefs_left:
            # Whoever publishes in a long loop of its own leaves no turn for sending.
            self.reliefs_left -= 1
            self.relieve(handle)
            slot = self.slot_of(handle)
            if slot == NULL or slot.flags & CLOSING:
                self.note_refusal(slot, frame)
                return REFUSED_CLOSING
            if not self.is_over(slot, size, self.watch_messages, self.watch_bytes):
                self.push(slot, frame)
                return QUEUED
        if not slot.flags & SLOW:
            if not slot.flags & BLOCKED:
                self.crowd(slot, handle)
            elif self.sorting_left > 0 and self.is_over(slot, size, self.slow_messages, self.slow_bytes):
                self.become_slow(handle)
        self.conflate(handle, frame)
        # Nobody loses anything, or is ended, for what its socket would take.
        while self.is_full(handle, size) and self.relieve(handle):
            pass
        if self.is_full(handle, size):
            # From here on it loses, and has to be told.
            self.become_slow(handle)
            self.conflate(handle, frame)
            # Data makes room for what matters more, and alerts for what matters most.
            if frame.importance < DATA and self.is_full(handle, size):
                self.thin(handle, is_of, DATA, DROPPED_SLOW)
            if frame.importance < ALERT and self.is_full(handle, size):
                self.thin(handle, is_of, ALERT, DROPPED_SLOW)
            if self.is_full(handle, size):
                return self.overflow(handle, frame)
        slot = self.slot_of(handle)
        if slot == NULL or slot.flags & CLOSING:
            self.note_refusal(slot, frame)
            return REFUSED_CLOSING
        self.push(slot, frame)
        return QUEUED

    def relieve_outsiders(self):
        """Write to crowded connections with foreign transports; whoever calls this has nothing half done."""
        cdef uint64_t handle
        cdef Slot *slot
        self.check_thread()
        while self.outsiders and self.reliefs_left:
            handle = self.outsiders.pop()
            slot = self.slot_of(handle)
            if slot != NULL and slot.flags & CROWDED:
                self.reliefs_left -= 1
                self.relieve(handle, True)

    cdef bint is_full(self, uint64_t handle, uint64_t size) noexcept:
        """Whether one more frame does not fit at all."""
        cdef Slot *slot = self.slot_of(handle)
        return (slot != NULL and not slot.flags & CLOSING
                and self.is_over(slot, size, self._max_queue_messages, self._max_queue_bytes))

    cdef bint relieve(self, uint64_t handle, bint outsiders=False) except -1:
        """Send now what one connection's socket takes; False where that cannot be tried."""
        return False

    cdef int crowd(self, Slot *slot, uint64_t handle) except -1:
        if slot.flags & CROWDED:
            return 0
        slot.flags |= CROWDED
        self.crowded_count += 1
        if slot.flags & FOREIGN:
            self.outsiders.append(handle)
        if self.crowded_count == 1 and self.flush_interval > 0:
            # Publishers wait for this: it is no time to wait for more to join.
            self.loop.call_soon(self.turn)
        return 0

    # -- taking out

    cdef uint32_t thin(self, uint64_t handle, Unwanted unwanted, object what,
                       int reason) except? 4294967295:
        """Drop the unwanted among what has not begun to leave; return how many. Order stays."""
        # What is allocated may start the garbage collector, and with it anybody's code: none of
        # that while the queue is half done.
        cdef list dropped = []
        cdef Slot *slot = self.slot_of(handle)
        cdef PyObject **ring
        cdef Frame frame
        cdef uint32_t i, kept, mask
        if slot == NULL:
            return 0
        ring = ring_of(slot)
        mask = slot.capacity - 1
        i = kept = slot.leaving
        try:
            while i < slot.count:
                frame = <Frame> ring[(slot.head + i) & mask]
                if unwanted(frame, what):
                    dropped.append(frame)
                    if self.newest is not None:
                        self.superseding = self.newest.get(frame.stream, 0)
                    self.let_go(slot, frame, reason)
                else:
                    ring[(slot.head + kept) & mask] = <PyObject *> frame
                    kept += 1
                i += 1
        finally:
            while i < slot.count:
                ring[(slot.head + kept) & mask] = ring[(slot.head + i) & mask]
                kept += 1
                i += 1
            slot.count = kept
            self.superseding = 0
        for frame in dropped:
            self.note_loss(handle, frame, reason)
        slot = self.slot_of(handle)
        if dropped and slot != NULL:
            self.left(slot, handle)
        return len(dropped)

    cdef int conflate(self, uint64_t handle, Frame newer) except -1:
        """Drop the older frame of the same stream, of which a slow connection has one at the most.

        This is done for every message to everybody who is slow: it only compares numbers on its
        way, and closes the gap from the shorter side. Where streams take turns it is at the front.
        """
        cdef Slot *slot = self.slot_of(handle)
        cdef PyObject **ring
        cdef PyObject *waiting
        cdef uint32_t i, place, mask
        cdef Frame older
        if slot == NULL or not slot.flags & SLOW or newer.importance != DATA or newer.stream is None:
            return 0
        ring = ring_of(slot)
        mask = slot.capacity - 1
        for i in range(slot.leaving, slot.count):
            waiting = ring[(slot.head + i) & mask]
            if (<Frame> waiting).stream_hash == newer.stream_hash:
                older = <Frame> waiting
                if newer.supersedes(older):
                    break
        else:
            return 0
        place = i
        if place < slot.count // 2:
            for i in range(place, 0, -1):
                ring[(slot.head + i) & mask] = ring[(slot.head + i - 1) & mask]
            slot.head = (slot.head + 1) & mask
        else:
            for i in range(place, slot.count - 1):
                ring[(slot.head + i) & mask] = ring[(slot.head + i + 1) & mask]
        slot.count -= 1
        self.superseding = newer.seq
        self.let_go(slot, older, DROPPED_CONFLATED)
        self.superseding = 0
        return self.note_loss(handle, older, DROPPED_CONFLATED)

    cpdef uint32_t discard(self, uint64_t handle, int reason) except? 4294967295:
        """Drop what has not begun to leave, counted under a reason; return how many frames."""
        cdef uint32_t dropped
        self.check_thread()
        if not 0 <= reason < DROPS:
            raise ValueError("no such reason to drop")
        dropped = self.thin(handle, is_any, None, reason)
        if dropped and self.slots[<uint32_t> handle].count == 0:
            self.drained(<uint32_t> handle)
        return dropped

    cpdef uint32_t withdraw(self, uint64_t handle, frozenset allowed) except? 4294967295:
        """Drop what waits about anybody who is not allowed any more, counted as ``closed``.

        Frames without a subject stay, and so does what has begun to leave. Returns how many.
        """
        cdef uint32_t dropped
        self.check_thread()
        if allowed is None:
            raise TypeError("allowed must be a set")
        dropped = self.thin(handle, is_forbidden, allowed, DROPPED_CLOSED)
        if dropped and self.slots[<uint32_t> handle].count == 0:
            self.drained(<uint32_t> handle)
        return dropped

    cpdef uint32_t shed(self, uint64_t handle, int importance) except? 4294967295:
        """Drop what waits of one importance, ALERT or DATA, for being slow; return how many."""
        cdef uint32_t dropped
        self.check_thread()
        if importance != ALERT and importance != DATA:
            raise ValueError("only alerts and data may be shed")
        dropped = self.thin(handle, is_of, importance, DROPPED_SLOW)
        if dropped and self.slots[<uint32_t> handle].count == 0:
            self.drained(<uint32_t> handle)
        return dropped

    cdef bint rewrite(self, uint64_t handle, Frame frame, bytes wire):
        """Change the bytes of a neutral frame that waits for this connection alone; False once it leaves."""
        cdef Slot *slot = self.slot_of(handle)
        cdef uint32_t i
        if slot == NULL or frame.queued == 0:
            return False
        for i in range(slot.leaving):
            if frame_at(slot, i) is frame:
                return False
        slot.queued_bytes -= size_of(slot, frame)
        self.pinned_bytes -= weight_of(frame)
        frame.json = frame.binary = wire
        slot.queued_bytes += size_of(slot, frame)
        self.pinned_bytes += weight_of(frame)
        return True

    # -- those who do not keep up

    def is_slow(self, uint64_t handle):
        """Whether this connection's data is being thinned out."""
        cdef Slot *slot = self.slot_of(handle)
        return slot != NULL and slot.flags & SLOW != 0

    def slow_handles(self):
        """The handles of all slow connections, those slow for longest first."""
        cdef uint64_t handle
        return [handle for handle in self.laggards if self.is_slow(handle)]

    def slow_figures(self, uint64_t handle):
        """``(slow since, oldest waiting since, lost, is about to end)`` of a slow connection, else None.

        Times are moments of the coarse clock ``now``; ``lost`` are the messages since it became slow.
        """
        cdef Slot *slot = self.slot_of(handle)
        cdef Laggard laggard = self.laggards.get(handle)
        cdef double oldest
        if slot == NULL or laggard is None or not slot.flags & SLOW:
            return None
        oldest = self.waiting_since(slot) if slot.count else self.now
        lost = sum([span[2] for span in laggard.losses.values()])
        return laggard.since, oldest, lost, slot.flags & (CLOSING | OVERFLOWED) != 0

    def sweep_slow(self, double queued_before, double slow_before):
        """Find those that have become slow by time, and those that have been slow for too long.

        The first are connections with a full socket whose oldest waiting byte was queued before
        ``queued_before``; the others, slow since before ``slow_before``, overflow. Both are
        moments of the coarse clock ``now``.
        """
        cdef uint64_t handle
        cdef Slot *slot
        cdef Laggard laggard
        self.check_thread()
        self.slow_age = self.now - queued_before
        self.sorting_left = FRAMES_SORTED
        for handle in list(self.stalled):
            if self.sorting_left <= 0:
                # The others have their turn at the next look.
                break
            slot = self.slot_of(handle)
            if (slot != NULL and slot.count and not slot.flags & (SLOW | CLOSING)
                    and self.waiting_since(slot) < queued_before):
                self.become_slow(handle)
        for handle, laggard in self.laggards.items():
            slot = self.slot_of(handle)
            if (slot != NULL and slot.flags & SLOW and not slot.flags & (CLOSING | OVERFLOWED)
                    and laggard.since < slow_before):
                slot.flags |= OVERFLOWED
                self.overflowed.append(handle)
        if self.overflowed:
            self.schedule()

    def excuse(self, double seconds):
        """This process was away for so long: nobody has been slow for that."""
        cdef Laggard laggard
        for laggard in self.laggards.values():
            laggard.since += seconds

    def take_losses(self, uint64_t handle):
        """What a connection lost since it was last asked: ``(log, topic, reason, from, to, count)``.

        One entry for each topic and reason, in the order in which they began. ``topic`` None sums
        up those for which there was no room.
        """
        cdef Laggard laggard = self.laggards.get(handle)
        cdef dict losses
        if laggard is None:
            return []
        losses, laggard.losses = laggard.losses, {}
        return [(log, topic, reason, *span) for (log, topic, reason), span in losses.items()]

    cdef int become_slow(self, uint64_t handle) except -1:
        # First what is allocated, see thin().
        cdef Laggard laggard = Laggard(self.now)
        cdef Laggard earlier
        cdef dict waiting = {}
        cdef dict newest = {}
        cdef Slot *slot = self.slot_of(handle)
        cdef Frame frame
        cdef uint32_t i
        if slot == NULL or slot.flags & (SLOW | CLOSING):
            return 0
        earlier = self.laggards.pop(handle, None)
        if earlier is not None:
            laggard.losses = earlier.losses
        self.laggards[handle] = laggard
        slot.flags |= SLOW
        self.slow_count += 1
        self.slow_entered += 1
        self.sorting_left -= slot.count
        for i in range(slot.leaving, slot.count):
            frame = frame_at(slot, i)
            if frame.importance == DATA and frame.stream is not None:
                waiting[frame.stream] = waiting.get(frame.stream, 0) + 1
                newest[frame.stream] = frame.seq
        if waiting:
            self.newest = newest
            try:
                self.thin(handle, is_not_the_newest, waiting, DROPPED_CONFLATED)
            finally:
                self.newest = None
        return 0

    cdef int left(self, Slot *slot, uint64_t handle) except -1:
        """Frames have left a queue."""
        if slot.flags & (SLOW | CROWDED):
            self.ease(slot, handle)
        if (slot.flags & WANTS_ROOM and not slot.flags & (SLOW | OVERFLOWED)
                and slot.count <= self.watch_messages // 2 and slot.queued_bytes <= self.watch_bytes // 2):
            slot.flags &= ~<uint32_t> WANTS_ROOM
            self.roomy.append(handle)
            self.schedule()
        return 0

    cdef int ease(self, Slot *slot, uint64_t handle) except -1:
        """Frames have left: see whether this connection keeps up again.

        It does once a quarter of what makes one slow waits at the most, and not for long: it
        must not go to and fro between the two states with every message.
        """
        if slot.count > self.watch_messages // 2 or slot.queued_bytes > self.watch_bytes // 2:
            return 0
        if slot.count and self.now - self.waiting_since(slot) > self.slow_age / 2:
            return 0
        self.stand_aside(slot)
        if slot.flags & SLOW and not slot.flags & (BLOCKED | CLOSING):
            slot.flags &= ~<uint32_t> SLOW
            self.slow_count -= 1
            self.relieved.append(handle)
            self.schedule()
        return 0

    cdef void stand_aside(self, Slot *slot) noexcept:
        """Not crowded any more: little waits, or the socket is full, which is the client's affair."""
        if slot.flags & CROWDED:
            slot.flags &= ~<uint32_t> CROWDED
            self.crowded_count -= 1

    cdef int overflow(self, uint64_t handle, Frame frame) except -1:
        cdef Slot *slot
        self.note_loss(handle, frame, DROPPED_SLOW)
        slot = self.slot_of(handle)
        if slot != NULL:
            self.note_refusal(slot, frame)
            slot.flags |= OVERFLOWED
            self.overflowed.append(handle)
        return REFUSED_SLOW

    cdef int note_loss(self, uint64_t handle, Frame frame, int reason) except -1:
        """Keep in mind what a slow connection has to be told of."""
        cdef Laggard laggard
        cdef tuple key
        cdef list span
        if frame.topic is None or reason > DROPPED_EXPIRED:
            return 0
        laggard = self.laggards.get(handle)
        if laggard is None:
            return 0
        key = (frame.log, frame.topic, DROP_REASONS[reason])
        span = laggard.losses.get(key)
        if span is None and len(laggard.losses) >= MAX_LOSSES:
            key = (frame.log, None, DROP_REASONS[reason])
            span = laggard.losses.get(key)
        if span is None:
            laggard.losses[key] = [frame.seq, frame.seq, 1]
        else:
            # A newer frame may have been refused before an older one is dropped from the queue.
            span[0] = min(span[0], frame.seq)
            span[1] = max(span[1], frame.seq)
            span[2] += 1
        return 0

    cdef void disarm(self, uint64_t handle) noexcept:
        cdef Slot *slot = self.slot_of(handle)
        SlotTable.disarm(self, handle)
        if slot != NULL:
            self.stand_aside(slot)

    cdef void leaves(self, Slot *slot, uint64_t handle):
        self.stand_aside(slot)
        if slot.flags & SLOW:
            self.slow_count -= 1
        self.laggards.pop(handle, None)

    cdef int announce(self) except -1:
        """Tell the owners of those that overflowed, of those that keep up again, and of new room."""
        cdef uint64_t handle
        cdef Slot *slot
        cdef list overflowed = self.overflowed
        cdef list relieved = self.relieved
        cdef list roomy = self.roomy
        cdef list faults = []
        if not overflowed and not relieved and not roomy:
            return 0
        self.roomy = []
        self.overflowed, self.relieved = overflowed[OWNERS_TOLD:], relieved[OWNERS_TOLD:]
        for handle in overflowed[:OWNERS_TOLD]:
            slot = self.slot_of(handle)
            if slot == NULL:
                continue
            slot.flags &= ~<uint32_t> OVERFLOWED
            if self.on_overflow is not None:
                try:
                    self.on_overflow(<object> slot.owner)
                except Exception as fault:
                    faults.append(fault)
        for handle in relieved[:OWNERS_TOLD]:
            slot = self.slot_of(handle)
            # One that is slow again by now is told when that is over.
            if slot == NULL or slot.flags & SLOW:
                continue
            if self.on_relief is not None:
                try:
                    self.on_relief(<object> slot.owner)
                except Exception as fault:
                    faults.append(fault)
            slot = self.slot_of(handle)
            if slot != NULL and not slot.flags & SLOW:
                self.laggards.pop(handle, None)
        for handle in roomy:
            slot = self.slot_of(handle)
            if slot != NULL and slot.flags & CATCHING_UP and self.on_room is not None:
                try:
                    self.on_room(<object> slot.owner)
                except Exception as fault:
                    faults.append(fault)
        return self.report("fault while handling a full queue", faults)
