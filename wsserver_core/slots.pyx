"""The table of open sockets, with what waits for each.

A bare descriptor is never kept: it lives in a slot with a generation, is checked right
before each send, and is forgotten before anything closes the socket. Otherwise the kernel
could give its number to the next client and one patient's data to a stranger.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from wsserver_core.fates cimport WRITTEN
from wsserver_core.histogram cimport Histogram
from wsserver_core.journal cimport Journal
from wsserver_core.outgoing cimport DROPPED_CLOSED, DROPS, LANES, Frame, weight_of

from wsserver_core.outgoing import DROP_REASONS

cdef enum:
    FIRST_CAPACITY = 64
    INLINE_FRAMES = 2
    KEPT_RING = 64             # a drained ring bigger than this is given back


cdef class SlotTable:
    """Slots, their queues, and the count of what became of every frame.

    A handle is ``generation << 32 | slot``; a handle whose connection is gone is refused, never
    mistaken for the slot's next owner.
    """

    def __cinit__(self, *args, **kwargs):
        self.stalled = {}
        self.drops = Journal()
        self.replays = Journal()
        self.enqueue_times = tuple([Histogram() for _ in range(<int> LANES)])
        self.write_times = tuple([Histogram() for _ in range(<int> LANES)])

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
        for i in range(<uint32_t> LINES):
            PyMem_Free(self.dirty[i].places)

    # -- figures

    def __sizeof__(self):
        """With the slots that were ever used. Takes as long as there are slots."""
        cdef size_t size = self.top * (sizeof(Slot) + (1 + <int> LINES) * sizeof(uint32_t))
        cdef uint32_t i
        for i in range(self.top):
            if self.slots[i].ring != NULL:
                size += self.slots[i].capacity * sizeof(PyObject *)
        return object.__sizeof__(self) + size

    @property
    def frames_dropped(self):
        """How many queued frames never reached the kernel, by reason, since the start."""
        return {DROP_REASONS[i]: self.frames_dropped_by[i] for i in range(<int> DROPS)}

    def published_figures(self):
        """``(taken, queued, written, dropped by reason)`` of published messages, of all connections.

        ``taken`` counts every time that a queue took one; it is the sum of the others.
        """
        dropped = {DROP_REASONS[i]: self.published_dropped_by[i] for i in range(<int> DROPS)}
        return self.published_taken, self.published_queued, self.published_written, dropped

    def recount(self):
        """``(frames, published ones among them, bytes)`` by walking every queue: what counters must say, too.

        Takes as long as there are slots and waiting frames.
        """
        cdef uint64_t frames = 0
        cdef uint64_t published = 0
        cdef uint64_t size = 0
        cdef uint32_t i, k
        cdef Slot *slot
        cdef Frame frame
        self.check_thread()
        for i in range(self.top):
            slot = &self.slots[i]
            if slot.flags & OPEN:
                for k in range(slot.count):
                    frame = frame_at(slot, k)
                    frames += 1
                    published += frame.topic is not None
                    size += size_of(slot, frame)
        return frames, published, size

    def find(self, uint64_t handle, str log, uint64_t seq):
        """Where a message waits for a connection: ``(frames before it, whether it has begun to leave)``.

        None when it does not wait.
        """
        cdef Slot *slot = self.slot_of(handle)
        cdef uint32_t i
        cdef Frame frame
        if slot == NULL:
            return None
        for i in range(slot.count):
            frame = frame_at(slot, i)
            if frame.seq == seq and frame.log == log and frame.topic is not None:
                return i, i < slot.leaving
        return None

    @property
    def stalled_connections(self):
        """Connections whose socket is full now."""
        return len(self.stalled)

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

    def dropped_of(self, uint64_t handle):
        """Frames of this connection that never left, since it was opened; None when it is gone."""
        cdef Slot *slot = self.slot_of(handle)
        return None if slot == NULL else slot.frames_dropped

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

    def owners(self):
        """Whoever was given with each slot that is taken, in a list."""
        cdef list found = []
        cdef uint32_t i
        for i in range(self.top):
            if self.slots[i].flags & OPEN:
                found.append(<object> self.slots[i].owner)
        return found

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
        cdef int which
        cdef Line *line
        cdef void *memory
        memory = PyMem_Realloc(self.slots, capacity * sizeof(Slot))
        if memory == NULL:
            raise MemoryError()
        self.slots = <Slot *> memory
        memory = PyMem_Realloc(self.free_slots, capacity * sizeof(uint32_t))
        if memory == NULL:
            raise MemoryError()
        self.free_slots = <uint32_t *> memory
        for which in range(<int> LINES):
            line = &self.dirty[which]
            memory = PyMem_Malloc(capacity * sizeof(uint32_t))
            if memory == NULL:
                raise MemoryError()
            for i in range(line.count):
                (<uint32_t *> memory)[i] = line.places[(line.head + i) % self.capacity]
            PyMem_Free(line.places)
            line.places = <uint32_t *> memory
            line.head = 0
        # What is beyond `top` is not touched yet, so that the kernel gives no page for it.
        self.capacity = capacity
        return 0

    cpdef uint64_t open(self, object transport, int fd, object owner, bint foreign=False,
                        bint binary=False) except 0:
        """Take a slot for a socket and return its handle.

        ``fd`` -1 sends everything through ``transport`` (TLS, or no real socket). The
        transport's write buffer limit must be zero, so that its ``resume_writing`` means empty.
        A ``foreign`` transport may call us back from its ``write``: it is only called when
        nothing of ours is half done. A ``binary`` connection gets the binary form of each frame.
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
            memset(&self.slots[index], 0, sizeof(Slot))
            self.top += 1
        slot = &self.slots[index]
        slot.generation += 1
        if slot.generation == 0:
            slot.generation = 1
        # A slot released while it stood in the dirty ring is still in there.
        slot.flags = (OPEN | (slot.flags & DIRTY) | (FOREIGN if foreign else 0)
                      | (BINARY if binary else 0))
        slot.fd = fd
        slot.capacity = INLINE_FRAMES
        slot.head = slot.count = slot.leaving = slot.copied = 0
        slot.frames_written = slot.bytes_written = slot.queued_bytes = slot.frames_dropped = 0
        slot.last_received = slot.renewed_at = self.now
        memset(slot.base, 0, sizeof(slot.base))
        memset(slot.sent, 0, sizeof(slot.sent))
        memset(slot.refused, 0, sizeof(slot.refused))
        Py_INCREF(transport)
        slot.transport = <PyObject *> transport
        Py_INCREF(owner)
        slot.owner = <PyObject *> owner
        self.open_count += 1
        self.binary_count += binary
        return handle_of(index, slot.generation)

    def is_binary(self, uint64_t handle):
        """Whether this connection gets the binary form of each frame."""
        cdef Slot *slot = self.slot_of(handle)
        return slot != NULL and slot.flags & BINARY != 0

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
        self.note_copy(slot, 0)
        PyMem_Free(slot.ring)
        slot.ring = NULL
        self.leaves(slot, handle)
        if slot.flags & BINARY:
            self.binary_count -= 1
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

    cdef void leaves(self, Slot *slot, uint64_t handle):
        """A connection is about to give its slot back."""

    cdef void disarm(self, uint64_t handle) noexcept:
        """Forget the descriptor: the caller is about to close the socket by other means."""
        cdef Slot *slot = self.slot_of(handle)
        if slot != NULL:
            slot.fd = -1
            slot.flags |= CLOSING | DEAD

    cdef void touch(self, uint64_t handle) noexcept:
        cdef Slot *slot = self.slot_of(handle)
        if slot != NULL:
            slot.last_received = self.now

    cdef void hold_up(self, uint64_t handle) noexcept:
        """Its bytes wait for us: a round trip that is under way will not be the line's."""
        cdef Slot *slot = self.slot_of(handle)
        if slot != NULL:
            slot.flags |= HELD_UP

    # -- queues

    cdef int push(self, Slot *slot, Frame frame) except -1:
        cdef PyObject **ring = ring_of(slot)
        cdef PyObject **bigger
        cdef uint32_t i, capacity
        cdef uint64_t size = size_of(slot, frame)
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
        slot.queued_bytes += size
        if frame.queued == 0:
            frame.queued_at = self.now
            self.pinned_bytes += weight_of(frame)
        frame.queued += 1
        self.frames_queued += 1
        if frame.lane:
            slot.sent[frame.lane - 1] = frame.seq
        if frame.topic is not None:
            self.published_taken += 1
            self.published_queued += 1
        return 0

    cdef void note_refusal(self, Slot *slot, Frame frame) noexcept:
        """From here on this connection lacks what was published."""
        if slot != NULL and frame.lane and not slot.refused[frame.lane - 1]:
            slot.refused[frame.lane - 1] = frame.seq

    cdef double waiting_since(self, Slot *slot) noexcept:
        """Since when the oldest frame of a queue that is not empty has waited for this client.

        A frame that is replayed to many may have been waiting for another one for long.
        """
        return max(frame_at(slot, 0).queued_at, slot.renewed_at)

    cdef void settle_front(self, Slot *slot, uint32_t frames, bint written, int reason):
        """Take the oldest frames off a queue and count what became of them."""
        cdef PyObject **ring = ring_of(slot)
        cdef uint32_t _
        cdef uint64_t size
        cdef Frame frame
        for _ in range(frames):
            frame = <Frame> ring[slot.head]
            slot.head = (slot.head + 1) & (slot.capacity - 1)
            if not written:
                self.let_go(slot, frame, reason)
                continue
            size = size_of(slot, frame)
            slot.queued_bytes -= size
            slot.frames_written += 1
            slot.bytes_written += size
            self.bytes_written += size
            frame.written += 1
            frame.queued -= 1
            if frame.fates is not None:
                frame.fates.note(
                    handle_of(<uint32_t> (slot - self.slots), slot.generation), WRITTEN, 0,
                    self.sent_at or self.read_stopwatch(),
                )
            if frame.topic is not None:
                self.published_queued -= 1
                self.published_written += 1
            if frame.queued == 0:
                self.pinned_bytes -= weight_of(frame)
                if frame.accepted_at > 0:
                    self.note_time(self.write_times, frame, self.sent_at or self.read_stopwatch())
                    # Once: whoever is given it later is given it again.
                    frame.accepted_at = 0
            Py_DECREF(frame)
        slot.count -= frames
        if written:
            self.frames_queued -= frames
            self.frames_written += frames
        slot.leaving = slot.leaving - frames if slot.leaving > frames else 0
        if slot.count == 0 and slot.capacity > KEPT_RING:
            PyMem_Free(slot.ring)
            slot.ring = NULL
            slot.capacity = INLINE_FRAMES
            slot.head = 0

    cdef void let_go(self, Slot *slot, Frame frame, int reason):
        """Count a frame, which its slot does not hold any more, as dropped."""
        slot.queued_bytes -= size_of(slot, frame)
        slot.frames_dropped += 1
        frame.dropped_by[reason] += 1
        frame.queued -= 1
        if frame.fates is not None:
            frame.fates.note(
                handle_of(<uint32_t> (slot - self.slots), slot.generation), reason, self.superseding,
                self.now,
            )
        if frame.queued == 0:
            self.pinned_bytes -= weight_of(frame)
        self.frames_queued -= 1
        self.frames_dropped_by[reason] += 1
        if frame.topic is not None:
            self.published_queued -= 1
            self.published_dropped_by[reason] += 1
            # The garbage collector may have taken it from a table that is being cleared away.
            if self.drops is not None:
                self.drops.note(
                    handle_of(<uint32_t> (slot - self.slots), slot.generation), frame, reason,
                    self.superseding,
                )
        Py_DECREF(frame)

    cdef double read_stopwatch(self) noexcept:
        """Seconds of a fine clock; 0 where nothing is timed."""
        return 0 if self.stopwatch is None else <double> self.stopwatch()

    cdef void note_time(self, tuple times, Frame frame, double now) noexcept:
        """Count how long ago a broadcast was taken in."""
        if frame.lane and now > 0:
            (<Histogram> times[frame.lane - 1]).add(now - frame.accepted_at)

    cdef void note_copy(self, Slot *slot, uint32_t size) noexcept:
        """The transport holds so many bytes, which nobody shares."""
        self.pinned_bytes += size
        self.pinned_bytes -= slot.copied
        slot.copied = size

    cdef void mark(self, uint32_t index) noexcept:
        """Have this slot flushed."""
        cdef Slot *slot = &self.slots[index]
        cdef Line *line
        if not slot.flags & DIRTY:
            slot.flags |= DIRTY
            line = &self.dirty[BEHIND if slot.flags & CATCHING_UP else LIVE]
            line.places[(line.head + line.count) % self.capacity] = index
            line.count += 1
            self.dirty_count += 1

    cdef uint32_t next_dirty(self, int which) noexcept:
        """Take the first slot off a line that is not empty."""
        cdef Line *line = &self.dirty[which]
        cdef uint32_t index = line.places[line.head]
        line.head = (line.head + 1) % self.capacity
        line.count -= 1
        self.dirty_count -= 1
        self.slots[index].flags &= ~<uint32_t> DIRTY
        return index
