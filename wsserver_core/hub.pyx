"""Fan-out: a table of sockets, a queue of shared frames for each, one system call for all that waits.

A frame is encoded once and queued by reference. Sockets with something to send are flushed
at the end of the loop's turn, in slices: a slice is built with the GIL held, sent without
it, and settled with it again. Everything here belongs to the loop's thread.

A bare descriptor is never kept: it lives in a slot with a generation, is checked right
before each send, and is forgotten before anything closes the socket. Otherwise the kernel
could give its number to the next client and one patient's data to a stranger.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset
from posix.uio cimport iovec

from wsserver_core.recipients cimport Recipients

from contextlib import suppress


cdef extern from "<sys/socket.h>" nogil:
    enum: MSG_DONTWAIT
    enum: MSG_NOSIGNAL
    struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen
    ssize_t send(int fd, const void *buffer, size_t length, int flags)
    ssize_t sendmsg(int fd, const msghdr *message, int flags)


cdef enum:
    # Slot flags.
    OPEN = 1          # the slot is taken
    DIRTY = 2         # it stands in the ring of slots to flush, exactly once
    BLOCKED = 4       # the transport holds bytes; direct sends would overtake them
    CLOSING = 8       # nothing more is taken: a close frame is queued or the socket is dead
    FINISH = 16       # close the transport once the queue has drained
    OVERFLOWED = 32   # a frame was refused; nothing more is taken until the owner decides
    DEAD = 64         # the kernel said that the peer is gone, or the transport is being aborted
    HALF = 128        # finish by FIN only, and leave the reading side to the peer

    FIRST_CAPACITY = 64
    INLINE_FRAMES = 2
    KEPT_RING = 64             # a drained ring bigger than this is given back

    # What one system call carries at the most. Eight frames in one send cost hardly more
    # than one; beyond 64 the gain is gone and a slice would hold the loop for too long.
    FRAMES_PER_SEND = 64
    BYTES_PER_SEND = 256 * 1024

DROP_REASONS = ("slow", "conflated", "expired", "closed", "shutdown")


cdef class Frame:
    """One encoded frame, shared by every queue it stands in, with the count of its outcomes.

    At any moment: times queued so far = ``queued`` + ``written`` + the sum of ``dropped``.
    ``subject`` is whom it is about, for those who may lose the right to it while it waits.
    """

    def __cinit__(self, bytes wire not None, str subject=None):
        self.wire = wire
        self.subject = subject

    @property
    def dropped(self):
        """How many connections lost it, by reason."""
        return {DROP_REASONS[i]: self.dropped_by[i] for i in range(<int> DROPS)}


cdef inline PyObject **ring_of(Slot *slot) noexcept:
    return slot.ring if slot.ring != NULL else slot.inline_ring


cdef inline uint64_t handle_of(uint32_t index, uint32_t generation) noexcept:
    return (<uint64_t> generation << 32) | index


cdef class Hub:
    """The open sockets of one loop.

    ``loop`` needs ``call_soon``, ``call_later`` and ``call_exception_handler``. A handle is
    ``generation << 32 | slot``; a handle whose connection is gone is refused, never mistaken
    for the slot's next owner.

    ``on_overflow(owner)`` is called at the start of the next flush for a connection whose
    queue was full; until then everything further for it is refused.
    """

    def __cinit__(self, object loop, *, uint32_t batch_size=100, uint32_t max_queue_messages=1000,
                  uint64_t max_queue_bytes=1 << 20, double flush_interval=0.0):
        self.loop = loop
        self.overflowed = []
        self.stalled = {}
        self.max_queue_messages = max_queue_messages
        self.max_queue_bytes = max_queue_bytes
        self.flush_interval = flush_interval
        self.on_overflow = None
        self._turn = self.flush_turn
        self.batch_size = batch_size

    def __dealloc__(self):
        cdef uint32_t i
        cdef Slot *slot
        for i in range(self.top):
            slot = &self.slots[i]
            if slot.flags & OPEN:
                self.settle_front(slot, slot.count, False, DROPPED_CLOSED)
                Py_XDECREF(slot.transport)
                Py_XDECREF(slot.owner)
            PyMem_Free(slot.ring)
        PyMem_Free(self.slots)
        PyMem_Free(self.free_slots)
        PyMem_Free(self.dirty)
        PyMem_Free(self.jobs)
        PyMem_Free(self.iovecs)
        PyMem_Free(self.indirect)

    # -- settings and figures

    @property
    def batch_size(self):
        """Connections flushed in one slice of the loop's time."""
        return self._batch_size

    @batch_size.setter
    def batch_size(self, uint32_t value):
        if not 1 <= value <= 100_000:
            raise ValueError("batch_size must be from 1 to 100000")
        self._batch_size = value

    @property
    def frames_dropped(self):
        """How many queued frames never reached the kernel, by reason, since the start."""
        return {DROP_REASONS[i]: self.frames_dropped_by[i] for i in range(<int> DROPS)}

    def stalled_since(self, double moment):
        """How many connections have had bytes waiting for their socket since ``moment`` or longer."""
        cdef uint32_t count = 0
        cdef double since
        # In order of time, for a connection enters at the end.
        for since in self.stalled.values():
            if since > moment:
                break
            count += 1
        return count

    @property
    def dirty_connections(self):
        """Connections waiting to be flushed now."""
        return self.dirty_count

    def connection_figures(self, uint64_t handle):
        """``(frames_written, bytes_written, queued_messages, queued_bytes)``, or None when gone."""
        cdef Slot *slot = self.slot_of(handle)
        if slot == NULL:
            return None
        return slot.frames_written, slot.bytes_written, slot.count, slot.queued_bytes

    def fileno(self, uint64_t handle):
        """The descriptor used for direct sends right now, or -1. For diagnostics and benchmarks only."""
        cdef Slot *slot = self.slot_of(handle)
        return -1 if slot == NULL else slot.fd

    def last_received(self, uint64_t handle):
        """The coarse clock when this connection last sent anything; 0.0 when it is gone."""
        cdef Slot *slot = self.slot_of(handle)
        return 0.0 if slot == NULL else slot.last_received

    def is_blocked(self, uint64_t handle):
        """Whether the transport still holds bytes of this connection."""
        cdef Slot *slot = self.slot_of(handle)
        return slot != NULL and slot.flags & BLOCKED != 0

    # -- the table

    cdef Slot *slot_of(self, uint64_t handle) noexcept:
        cdef uint32_t index = <uint32_t> handle
        cdef Slot *slot
        if index >= self.top:
            return NULL
        slot = &self.slots[index]
        if not slot.flags & OPEN or slot.generation != <uint32_t> (handle >> 32):
            return NULL
        return slot

    cdef int check_thread(self) except -1:
        """Refuse all others while the loop's thread sends without the GIL: it uses table and frames."""
        if self.flushing:
            raise RuntimeError("the hub belongs to the thread of its loop")
        return 0

    cdef int grow(self) except -1:
        cdef uint32_t capacity = self.capacity * 2 if self.capacity else FIRST_CAPACITY
        cdef uint32_t i
        cdef void *memory
        memory = PyMem_Realloc(self.slots, capacity * sizeof(Slot))
        if memory == NULL:
            raise MemoryError()
        self.slots = <Slot *> memory
        memory = PyMem_Realloc(self.free_slots, capacity * sizeof(uint32_t))
        if memory == NULL:
            raise MemoryError()
        self.free_slots = <uint32_t *> memory
        memory = PyMem_Malloc(capacity * sizeof(uint32_t))
        if memory == NULL:
            raise MemoryError()
        for i in range(self.dirty_count):
            (<uint32_t *> memory)[i] = self.dirty[(self.dirty_head + i) % self.capacity]
        PyMem_Free(self.dirty)
        self.dirty = <uint32_t *> memory
        self.dirty_head = 0
        memset(&self.slots[self.capacity], 0, (capacity - self.capacity) * sizeof(Slot))
        self.capacity = capacity
        return 0

    cpdef uint64_t open(self, object transport, int fd, object owner) except 0:
        """Take a slot for a socket and return its handle.

        ``fd`` -1 sends everything through ``transport`` (TLS, or no real socket). The
        transport's write buffer limit must be zero, so that its ``resume_writing`` means empty.
        """
        cdef uint32_t index
        cdef Slot *slot
        self.check_thread()
        if self.free_count:
            self.free_count -= 1
            index = self.free_slots[self.free_count]
        else:
            if self.top == self.capacity:
                self.grow()
            index = self.top
            self.top += 1
        slot = &self.slots[index]
        slot.generation += 1
        if slot.generation == 0:
            slot.generation = 1
        # A slot released while it stood in the dirty ring is still in there.
        slot.flags = OPEN | (slot.flags & DIRTY)
        slot.fd = fd
        slot.capacity = INLINE_FRAMES
        slot.head = slot.count = slot.leaving = 0
        slot.frames_written = slot.bytes_written = slot.queued_bytes = 0
        slot.last_received = self.now
        Py_INCREF(transport)
        slot.transport = <PyObject *> transport
        Py_INCREF(owner)
        slot.owner = <PyObject *> owner
        self.open_count += 1
        return handle_of(index, slot.generation)

    cpdef void release(self, uint64_t handle):
        """Give the slot back; what still waits is counted as dropped for ``closed``."""
        cdef Slot *slot = self.slot_of(handle)
        cdef PyObject *transport
        cdef PyObject *owner
        self.check_thread()
        if slot == NULL:
            return
        slot.fd = -1
        self.settle_front(slot, slot.count, False, DROPPED_CLOSED)
        PyMem_Free(slot.ring)
        slot.ring = NULL
        slot.flags &= DIRTY
        self.stalled.pop(handle, None)
        transport, owner = slot.transport, slot.owner
        slot.transport = slot.owner = NULL
        self.free_slots[self.free_count] = <uint32_t> handle
        self.free_count += 1
        self.open_count -= 1
        # Last: this may run any destructor.
        Py_XDECREF(transport)
        Py_XDECREF(owner)

    cdef void disarm(self, uint64_t handle) noexcept:
        """Forget the descriptor: the caller is about to close the socket by other means."""
        cdef Slot *slot = self.slot_of(handle)
        if slot != NULL:
            slot.fd = -1
            slot.flags |= CLOSING | DEAD

    cdef bint outlive_eof(self, uint64_t handle) except -1:
        """The peer has closed its half. True when the transport must stay for what still has to leave.

        RFC 6455 section 5.5.1: a peer that ends right behind its close frame is owed ours.
        """
        cdef Slot *slot = self.slot_of(handle)
        if slot != NULL and slot.count and slot.flags & CLOSING and not slot.flags & DEAD:
            if slot.fd >= 0:
                self.finish(handle)
                return True
            # TLS transports close whatever is returned, but send first what they were given.
            self.through_transport(<uint32_t> handle)
        self.disarm(handle)
        return False

    cdef void touch(self, uint64_t handle) noexcept:
        cdef Slot *slot = self.slot_of(handle)
        if slot != NULL:
            slot.last_received = self.now

    # -- queues

    cdef int push(self, Slot *slot, Frame frame) except -1:
        cdef PyObject **ring = ring_of(slot)
        cdef PyObject **bigger
        cdef uint32_t i, capacity
        if slot.count == slot.capacity:
            capacity = slot.capacity * 2
            bigger = <PyObject **> PyMem_Malloc(capacity * sizeof(PyObject *))
            if bigger == NULL:
                raise MemoryError()
            for i in range(slot.count):
                bigger[i] = ring[(slot.head + i) & (slot.capacity - 1)]
            PyMem_Free(slot.ring)
            slot.ring = ring = bigger
            slot.capacity = capacity
            slot.head = 0
        Py_INCREF(frame)
        ring[(slot.head + slot.count) & (slot.capacity - 1)] = <PyObject *> frame
        slot.count += 1
        slot.queued_bytes += len(frame.wire)
        return 0

    cdef void settle_front(self, Slot *slot, uint32_t frames, bint written, int reason):
        """Take the oldest frames off a queue and count what became of them."""
        cdef PyObject **ring = ring_of(slot)
        cdef uint32_t _
        cdef uint64_t size
        cdef Frame frame
        for _ in range(frames):
            frame = <Frame> ring[slot.head]
            slot.head = (slot.head + 1) & (slot.capacity - 1)
            size = len(frame.wire)
            slot.queued_bytes -= size
            frame.queued -= 1
            if written:
                frame.written += 1
                slot.frames_written += 1
                slot.bytes_written += size
                self.bytes_written += size
            else:
                frame.dropped_by[reason] += 1
            Py_DECREF(frame)
        slot.count -= frames
        self.frames_queued -= frames
        if written:
            self.frames_written += frames
        else:
            self.frames_dropped_by[reason] += frames
        slot.leaving = slot.leaving - frames if slot.leaving > frames else 0
        if slot.count == 0 and slot.capacity > KEPT_RING:
            PyMem_Free(slot.ring)
            slot.ring = NULL
            slot.capacity = INLINE_FRAMES
            slot.head = 0

    cdef int mark_dirty(self, uint32_t index) except -1:
        if not self.slots[index].flags & DIRTY:
            self.slots[index].flags |= DIRTY
            self.dirty[(self.dirty_head + self.dirty_count) % self.capacity] = index
            self.dirty_count += 1
        return self.schedule()

    cdef int schedule(self) except -1:
        if not self.scheduled:
            if self.flush_interval > 0:
                self.loop.call_later(self.flush_interval, self._turn)
            else:
                self.loop.call_soon(self._turn)
            self.scheduled = True
        return 0

    cpdef int enqueue(self, uint64_t handle, Frame frame, bint final=False) except -1:
        """Queue one frame for one connection and say what came of it (0 is success).

        ``final`` marks the close frame: it is taken past the bound and is the last.
        """
        cdef Slot *slot = self.slot_of(handle)
        self.check_thread()
        if frame is None:
            raise TypeError("frame must not be None")
        if slot == NULL:
            return REFUSED_GONE
        if slot.flags & CLOSING:
            return REFUSED_CLOSING
        if not final:
            if slot.flags & OVERFLOWED:
                return REFUSED_SLOW
            if slot.count and (slot.count >= self.max_queue_messages
                               or slot.queued_bytes + <uint64_t> len(frame.wire) > self.max_queue_bytes):
                slot.flags |= OVERFLOWED
                self.overflowed.append(handle)
                self.schedule()
                return REFUSED_SLOW
        self.push(slot, frame)
        if final:
            slot.flags |= CLOSING
        frame.queued += 1
        self.frames_queued += 1
        self.mark_dirty(<uint32_t> handle)
        return QUEUED

    cpdef tuple enqueue_many(self, Recipients recipients, Frame frame):
        """Queue one frame for many connections.

        Returns ``(delivered, refused_slow, refused_closing)``; their sum is the number of
        recipients. No socket is touched here.
        """
        cdef uint32_t slow = 0
        cdef uint32_t closing = 0
        cdef uint32_t taken = 0
        cdef uint64_t size
        cdef uint64_t handle
        cdef Py_ssize_t i
        cdef Slot *slot
        self.check_thread()
        if recipients is None or frame is None:
            raise TypeError("recipients and frame must not be None")
        size = len(frame.wire)
        try:
            for i in range(recipients.count):
                handle = recipients.items[i]
                slot = self.slot_of(handle)
                if slot == NULL or slot.flags & CLOSING:
                    closing += 1
                    continue
                if slot.flags & OVERFLOWED:
                    slow += 1
                    continue
                if slot.count and (slot.count >= self.max_queue_messages
                                   or slot.queued_bytes + size > self.max_queue_bytes):
                    slot.flags |= OVERFLOWED
                    self.overflowed.append(handle)
                    slow += 1
                    continue
                self.push(slot, frame)
                taken += 1
                if not slot.flags & DIRTY:
                    slot.flags |= DIRTY
                    self.dirty[(self.dirty_head + self.dirty_count) % self.capacity] = <uint32_t> handle
                    self.dirty_count += 1
        finally:
            frame.queued += taken
            self.frames_queued += taken
            if taken or slow:
                self.schedule()
        return taken, slow, closing

    cpdef uint32_t discard(self, uint64_t handle, int reason) except? 4294967295:
        """Drop what has not begun to leave, counted under a reason; return how many frames."""
        cdef Slot *slot = self.slot_of(handle)
        cdef PyObject **ring
        cdef Frame frame
        cdef uint32_t i, dropped
        self.check_thread()
        if not 0 <= reason < DROPS:
            raise ValueError("no such reason to drop")
        if slot == NULL or slot.count == slot.leaving:
            return 0
        ring = ring_of(slot)
        dropped = slot.count - slot.leaving
        for i in range(slot.leaving, slot.count):
            frame = <Frame> ring[(slot.head + i) & (slot.capacity - 1)]
            slot.queued_bytes -= len(frame.wire)
            frame.queued -= 1
            frame.dropped_by[reason] += 1
            Py_DECREF(frame)
        slot.count = slot.leaving
        self.frames_queued -= dropped
        self.frames_dropped_by[reason] += dropped
        if slot.count == 0:
            self.drained(<uint32_t> handle)
        return dropped

    cpdef uint32_t withdraw(self, uint64_t handle, frozenset allowed) except? 4294967295:
        """Drop what waits about anybody who is not allowed any more, counted as ``closed``.

        Frames without a subject stay, and so does what has begun to leave. Returns how many.
        """
        cdef Slot *slot = self.slot_of(handle)
        cdef PyObject **ring
        cdef Frame frame
        cdef uint32_t i, kept, mask
        cdef uint32_t dropped = 0
        self.check_thread()
        if allowed is None:
            raise TypeError("allowed must be a set")
        if slot == NULL:
            return 0
        ring = ring_of(slot)
        mask = slot.capacity - 1
        kept = slot.leaving
        for i in range(slot.leaving, slot.count):
            frame = <Frame> ring[(slot.head + i) & mask]
            if frame.subject is None or frame.subject in allowed:
                ring[(slot.head + kept) & mask] = <PyObject *> frame
                kept += 1
                continue
            slot.queued_bytes -= <uint64_t> len(frame.wire)
            frame.queued -= 1
            frame.dropped_by[<int> DROPPED_CLOSED] += 1
            dropped += 1
            Py_DECREF(frame)
        slot.count = kept
        self.frames_queued -= dropped
        self.frames_dropped_by[<int> DROPPED_CLOSED] += dropped
        if dropped and slot.count == 0:
            self.drained(<uint32_t> handle)
        return dropped

    cdef bint rewrite(self, uint64_t handle, Frame frame, bytes wire):
        """Change the bytes of a frame queued for this connection alone; False once it is leaving."""
        cdef Slot *slot = self.slot_of(handle)
        cdef PyObject **ring
        cdef uint32_t i
        if slot == NULL or frame.queued == 0:
            return False
        ring = ring_of(slot)
        for i in range(slot.leaving):
            if ring[(slot.head + i) & (slot.capacity - 1)] == <PyObject *> frame:
                return False
        slot.queued_bytes += <uint64_t> len(wire)
        slot.queued_bytes -= <uint64_t> len(frame.wire)
        frame.wire = wire
        return True

    cpdef void finish(self, uint64_t handle, bint half=False):
        """Close the transport as soon as everything queued has left.

        ``half`` sends FIN only where the transport can: closing a socket with unread input
        makes the kernel send RST, which may destroy the close frame on its way. A later
        call without it closes after all.
        """
        cdef Slot *slot = self.slot_of(handle)
        self.check_thread()
        if slot == NULL or slot.flags & FINISH and (half or not slot.flags & HALF):
            return
        slot.flags = (slot.flags & ~<uint32_t> HALF) | FINISH | CLOSING | (HALF if half else 0)
        if slot.count == 0 and not slot.flags & BLOCKED:
            self.drained(<uint32_t> handle)

    cpdef void block(self, uint64_t handle):
        """The transport holds bytes (``pause_writing``)."""
        cdef Slot *slot = self.slot_of(handle)
        self.check_thread()
        if slot != NULL:
            slot.flags |= BLOCKED
            self.stalled.setdefault(handle, self.now)

    cpdef void unblock(self, uint64_t handle):
        """The transport is empty again (``resume_writing``): it has got rid of what it held.

        That is, to the kernel; a TLS transport keeps up to 64 KiB more in a buffer of its own,
        which nobody can look into, and ``written`` means "encrypted and on its way" there.
        """
        cdef Slot *slot = self.slot_of(handle)
        self.check_thread()
        if slot == NULL or not slot.flags & BLOCKED:
            return
        slot.flags &= ~<uint32_t> BLOCKED
        self.stalled.pop(handle, None)
        self.settle_front(slot, slot.leaving, True, 0)
        if slot.count:
            self.mark_dirty(<uint32_t> handle)
        else:
            self.drained(<uint32_t> handle)

    cdef int drained(self, uint32_t index) except -1:
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

    # -- flushing

    def flush_turn(self):
        """Flush one slice and, while more waits, come back after the loop has had its turn."""
        self.check_thread()
        # What is queued meanwhile needs no turn of its own.
        self.scheduled = True
        try:
            self.announce_overflow()
            self.flush_slice()
        finally:
            self.scheduled = False
            if self.dirty_count or self.overflowed:
                # Not after flush_interval: that one is for joining messages, not for slices.
                self.loop.call_soon(self._turn)
                self.scheduled = True

    def flush_all(self):
        """Flush slice after slice until nothing is ready to be sent; return the connections served.

        Called from within a transport it does nothing: the flush under way goes on anyway.
        """
        cdef uint64_t served = 0
        cdef uint32_t before
        self.check_thread()
        if self.in_slice:
            return 0
        self.announce_overflow()
        while self.dirty_count:
            before = self.dirty_count
            self.flush_slice()
            served += before - self.dirty_count if before > self.dirty_count else 0
        return served

    cdef int announce_overflow(self) except -1:
        cdef uint64_t handle
        cdef Slot *slot
        cdef list overflowed = self.overflowed
        cdef list faults = []
        if not overflowed:
            return 0
        self.overflowed = []
        for handle in overflowed:
            slot = self.slot_of(handle)
            if slot == NULL:
                continue
            slot.flags &= ~<uint32_t> OVERFLOWED
            if self.on_overflow is not None:
                try:
                    self.on_overflow(<object> slot.owner)
                except Exception as fault:
                    faults.append(fault)
        return self.report("fault while handling a full queue", faults)

    def flush_slice(self):
        """Send what waits for up to ``batch_size`` connections, one system call each."""
        cdef uint32_t jobs, i, index, generation
        cdef list faults = []
        self.check_thread()
        if self.dirty_count == 0 or self.in_slice:
            return
        self.reserve_jobs()
        self.in_slice = True
        try:
            jobs = self.build()
            if jobs:
                self.flushing = True
                with nogil:
                    self.send_all(jobs)
                self.flushing = False
                self.send_calls += jobs
                for i in range(jobs):
                    index, generation = self.jobs[i].slot, self.jobs[i].generation
                    try:
                        self.settle(&self.jobs[i])
                    except Exception as fault:
                        faults.append(fault)
                        self.give_up(index, generation)
            for i in range(self.indirect_count):
                index = self.indirect[i]
                generation = self.slots[index].generation
                try:
                    self.through_transport(index)
                except Exception as fault:
                    faults.append(fault)
                    self.give_up(index, generation)
            self.indirect_count = 0
        finally:
            self.in_slice = False
        self.report("fault in a transport", faults)

    cdef int give_up(self, uint32_t index, uint32_t generation) except -1:
        """A transport has raised: its connection ends, the others of the slice are served."""
        cdef Slot *slot = &self.slots[index]
        if slot.flags & OPEN and slot.generation == generation:
            slot.fd = -1
            slot.flags |= CLOSING | DEAD
            with suppress(Exception):
                (<object> slot.transport).abort()
        return 0

    cdef int report(self, str message, list faults) except -1:
        for fault in faults:
            self.loop.call_exception_handler({"message": message, "exception": fault})
        return 0

    cdef int reserve_jobs(self) except -1:
        cdef void *memory
        if self.jobs_capacity < self._batch_size:
            memory = PyMem_Realloc(self.jobs, self._batch_size * sizeof(Job))
            if memory == NULL:
                raise MemoryError()
            self.jobs = <Job *> memory
            memory = PyMem_Realloc(self.indirect, self._batch_size * sizeof(uint32_t))
            if memory == NULL:
                raise MemoryError()
            self.indirect = <uint32_t *> memory
            self.jobs_capacity = self._batch_size
        if self.iovecs_capacity < self._batch_size * 2 + FRAMES_PER_SEND:
            memory = PyMem_Realloc(self.iovecs, (self._batch_size * 2 + FRAMES_PER_SEND) * sizeof(iovec))
            if memory == NULL:
                raise MemoryError()
            self.iovecs = <iovec *> memory
            self.iovecs_capacity = self._batch_size * 2 + FRAMES_PER_SEND
        return 0

    cdef uint32_t build(self) except? 4294967295:
        """Turn the next dirty slots into jobs; no Python code runs between here and the sends."""
        cdef uint32_t jobs = 0
        cdef uint32_t iovecs = 0
        cdef uint32_t seen = 0
        cdef uint32_t index, k
        cdef uint64_t size
        cdef Slot *slot
        cdef PyObject **ring
        cdef Job *job
        cdef bytes wire
        cdef void *memory
        self.indirect_count = 0
        while self.dirty_count and seen < self._batch_size:
            if iovecs + FRAMES_PER_SEND > self.iovecs_capacity:
                # A deep slice: sized by what waits, kept for the next one.
                memory = PyMem_Realloc(self.iovecs, self.iovecs_capacity * 2 * sizeof(iovec))
                if memory == NULL:
                    raise MemoryError()
                self.iovecs = <iovec *> memory
                self.iovecs_capacity *= 2
            index = self.dirty[self.dirty_head]
            self.dirty_head = (self.dirty_head + 1) % self.capacity
            self.dirty_count -= 1
            seen += 1
            slot = &self.slots[index]
            slot.flags &= ~<uint32_t> DIRTY
            if not slot.flags & OPEN or slot.flags & (BLOCKED | DEAD) or slot.count == 0:
                continue
            if slot.fd < 0:
                self.indirect[self.indirect_count] = index
                self.indirect_count += 1
                continue
            job = &self.jobs[jobs]
            jobs += 1
            job.slot = index
            job.generation = slot.generation
            job.iov_start = iovecs
            job.size = 0
            job.sent = -1
            job.error = 0
            ring = ring_of(slot)
            k = 0
            while k < slot.count and k < FRAMES_PER_SEND:
                wire = (<Frame> ring[(slot.head + k) & (slot.capacity - 1)]).wire
                size = len(wire)
                if k and job.size + size > BYTES_PER_SEND:
                    break
                self.iovecs[iovecs].iov_base = <char *> wire
                self.iovecs[iovecs].iov_len = size
                job.size += size
                iovecs += 1
                k += 1
            job.iov_count = k
            slot.leaving = k
        return jobs

    cdef void send_all(self, uint32_t jobs) noexcept nogil:
        cdef uint32_t i
        cdef Job *job
        cdef Slot *slot
        cdef iovec *iov
        cdef msghdr message
        cdef ssize_t sent
        memset(&message, 0, sizeof(message))
        for i in range(jobs):
            job = &self.jobs[i]
            slot = &self.slots[job.slot]
            if slot.generation != job.generation or slot.fd < 0:
                continue
            iov = &self.iovecs[job.iov_start]
            while True:
                if job.iov_count == 1:
                    sent = send(slot.fd, iov.iov_base, iov.iov_len, MSG_DONTWAIT | MSG_NOSIGNAL)
                else:
                    message.msg_iov = iov
                    message.msg_iovlen = job.iov_count
                    sent = sendmsg(slot.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL)
                if sent >= 0 or errno != EINTR:
                    break
            job.sent = sent
            if sent < 0:
                job.error = errno

    cdef int settle(self, Job *job) except -1:
        """Account for what one send did, and see to what it could not do."""
        cdef uint32_t index = job.slot
        cdef Slot *slot = &self.slots[index]
        cdef uint32_t whole = 0
        cdef Py_ssize_t left
        cdef Py_ssize_t size
        cdef PyObject **ring
        cdef bytes wire
        # Transports called since the sends may have closed this connection, or had it settled.
        if not slot.flags & OPEN or slot.generation != job.generation or slot.leaving != job.iov_count:
            return 0
        if job.sent == job.size:
            self.settle_front(slot, job.iov_count, True, 0)
            if slot.count:
                self.mark_dirty(index)
            elif slot.flags & FINISH:
                self.drained(index)
            return 0
        if job.sent < 0:
            if job.error != EAGAIN:
                # The transport closes itself when the loop reads the error; nothing more is sent.
                slot.fd = -1
                slot.flags |= CLOSING | DEAD
                slot.leaving = 0
                (<object> slot.transport).abort()
                return 0
            job.sent = 0
        ring = ring_of(slot)
        left = job.sent
        while True:
            wire = (<Frame> ring[(slot.head + whole) & (slot.capacity - 1)]).wire
            size = len(wire)
            if left < size:
                break
            left -= size
            whole += 1
        self.settle_front(slot, whole, True, 0)
        # A full socket: the transport waits for it with the rest of this frame; the other
        # frames stay here by reference.
        return self.hand_over(index, memoryview(wire)[left:] if left else wire, 1)

    cdef int through_transport(self, uint32_t index) except -1:
        cdef Slot *slot = &self.slots[index]
        cdef PyObject **ring
        cdef list parts = []
        cdef uint32_t k = 0
        cdef Py_ssize_t size = 0
        cdef bytes wire
        # The slot may have changed hands since the slice was built: transports called since
        # then may have closed connections.
        if not slot.flags & OPEN or slot.flags & (BLOCKED | DEAD) or slot.count == 0 or slot.fd >= 0:
            return 0
        ring = ring_of(slot)
        while k < slot.count and k < FRAMES_PER_SEND:
            wire = (<Frame> ring[(slot.head + k) & (slot.capacity - 1)]).wire
            if k and size + len(wire) > BYTES_PER_SEND:
                break
            size += len(wire)
            parts.append(wire)
            k += 1
        return self.hand_over(index, parts[0] if k == 1 else b"".join(parts), k)

    cdef int hand_over(self, uint32_t index, object data, uint32_t frames) except -1:
        cdef Slot *slot = &self.slots[index]
        cdef uint32_t generation = slot.generation
        cdef object transport = <object> slot.transport
        slot.leaving = frames
        slot.flags |= BLOCKED
        if transport.is_closing():
            return 0
        transport.write(data)
        if transport.get_write_buffer_size() or transport.is_closing():
            return 0
        # The transport got rid of all of it at once and will not call resume_writing.
        slot = &self.slots[index]
        if slot.flags & OPEN and slot.generation == generation:
            self.unblock(handle_of(index, generation))
        return 0
