from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from wsserver_core.histogram cimport Histogram
from wsserver_core.journal cimport Journal
from wsserver_core.outgoing cimport DROPS, LANES, Frame


cdef enum SlotFlag:
    OPEN = 1          # the slot is taken
    DIRTY = 2         # it stands in the ring of slots to flush, exactly once
    BLOCKED = 4       # the transport holds bytes; direct sends would overtake them
    CLOSING = 8       # nothing more is taken: a close frame is queued or the socket is dead
    FINISH = 16       # close the transport once the queue has drained
    OVERFLOWED = 32   # a frame was refused; nothing more is taken until the owner decides
    DEAD = 64         # the kernel said that the peer is gone, or the transport is being aborted
    HALF = 128        # finish by FIN only, and leave the reading side to the peer
    SLOW = 256        # the client does not keep up: its data is thinned out
    CROWDED = 512     # much waits although the socket takes it: we ourselves do not keep up
    FOREIGN = 1024    # its transport may run anybody's code: never called in the middle of a broadcast
    CATCHING_UP = 2048  # what is published passes it over: it is in the history, and gets there
    WANTS_ROOM = 4096   # something more is there for it as soon as little waits
    BINARY = 16384    # it speaks the binary protocol, and gets that form of a frame
    HELD_UP = 8192    # we kept bytes back since its last ping: what that takes tells nothing of the line


# One connection's place in the table. Kept apart from the Python object so that a
# fan-out over 10,000 connections walks one array.
cdef struct Slot:
    PyObject **ring            # frames by reference, oldest at head; NULL: the inline ring
    PyObject *inline_ring[2]   # most connections never have more than two frames waiting
    PyObject *transport
    PyObject *owner
    uint64_t frames_written
    uint64_t bytes_written
    uint64_t queued_bytes
    uint64_t frames_dropped    # since it was opened, for whatever reason
    double last_received       # the hub's coarse clock
    int fd                     # -1: everything goes through the transport
    uint32_t generation
    uint32_t flags
    uint32_t head
    uint32_t count
    uint32_t capacity
    uint32_t leaving           # leading frames of which the kernel or the transport may hold bytes
    uint32_t copied            # bytes that the transport holds in a copy of its own
    double renewed_at          # the coarse clock when it was opened, or last got something replayed
    # For each log: where the connection began, the `seq` of the last message that its queue took,
    # and of the first that it refused (0: none).
    uint64_t base[LANES]
    uint64_t sent[LANES]
    uint64_t refused[LANES]


cdef enum:
    # Lines of slots with something to send. Whoever catches up is behind everybody else.
    LIVE = 0
    BEHIND = 1
    LINES = 2


# A ring of slots, as long as the table.
cdef struct Line:
    uint32_t *places
    uint32_t head
    uint32_t count


cdef inline PyObject **ring_of(Slot *slot) noexcept:
    return slot.ring if slot.ring != NULL else slot.inline_ring


cdef inline Frame frame_at(Slot *slot, uint32_t place):
    return <Frame> ring_of(slot)[(slot.head + place) & (slot.capacity - 1)]


cdef inline bytes form_of(Slot *slot, Frame frame):
    """The bytes of a frame that this connection is sent; None if it cannot be given this one."""
    return frame.binary if slot.flags & BINARY else frame.json


cdef inline uint64_t size_of(Slot *slot, Frame frame) noexcept:
    """Their number. The frame must have them."""
    return <uint64_t> len(frame.binary) if slot.flags & BINARY else <uint64_t> len(frame.json)


cdef inline int check_form(Slot *slot, Frame frame) except -1:
    if (frame.binary if slot.flags & BINARY else frame.json) is None:
        raise ValueError("the frame does not have the form that this connection speaks")
    return 0


cdef inline uint64_t handle_of(uint32_t index, uint32_t generation) noexcept:
    return (<uint64_t> generation << 32) | index


cdef class SlotTable:
    cdef Slot *slots
    cdef uint32_t capacity
    cdef readonly uint32_t top     # slots ever used
    cdef uint32_t *free_slots
    cdef uint32_t free_count
    cdef Line dirty[LINES]         # slots with something to send, each in one of them
    cdef uint32_t dirty_count      # in both
    cdef bint flushing             # the sends run, without the GIL
    cdef dict stalled              # the handles of those whose transport holds bytes, oldest first
    cdef public double now
    cdef readonly uint32_t open_count
    cdef readonly uint32_t binary_count
    cdef readonly uint64_t frames_queued
    cdef readonly uint64_t frames_written
    cdef readonly uint64_t bytes_written
    cdef readonly uint64_t pinned_bytes
    cdef uint64_t frames_dropped_by[DROPS]
    # The same of published messages alone, each counted where it happens, so that the sums can be checked.
    cdef uint64_t published_taken
    cdef uint64_t published_queued
    cdef uint64_t published_written
    cdef uint64_t published_dropped_by[DROPS]
    cdef public object stopwatch
    cdef readonly tuple enqueue_times   # a Histogram for each log
    cdef readonly tuple write_times
    cdef double sent_at            # by the stopwatch, while a slice is settled; else 0
    cdef readonly Journal drops
    cdef readonly Journal replays
    cdef uint64_t superseding      # the `seq` of what takes the place of the frame that is let go

    cpdef uint64_t open(self, object transport, int fd, object owner, bint foreign=*, bint binary=*) except 0
    cpdef void release(self, uint64_t handle)

    cdef Slot *slot_of(self, uint64_t handle) noexcept
    cdef int check_thread(self) except -1
    cdef int grow(self) except -1
    cdef void disarm(self, uint64_t handle) noexcept
    cdef void touch(self, uint64_t handle) noexcept
    cdef void hold_up(self, uint64_t handle) noexcept
    cdef int push(self, Slot *slot, Frame frame) except -1
    cdef void note_refusal(self, Slot *slot, Frame frame) noexcept
    cdef double waiting_since(self, Slot *slot) noexcept
    cdef void settle_front(self, Slot *slot, uint32_t frames, bint written, int reason)
    cdef void let_go(self, Slot *slot, Frame frame, int reason)
    cdef double read_stopwatch(self) noexcept
    cdef void note_time(self, tuple times, Frame frame, double now) noexcept
    cdef void note_copy(self, Slot *slot, uint32_t size) noexcept
    cdef void mark(self, uint32_t index) noexcept
    cdef uint32_t next_dirty(self, int which) noexcept
    cdef void leaves(self, Slot *slot, uint64_t handle)
