from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t
from posix.uio cimport iovec

from wsserver_core.recipients cimport Recipients


cdef enum Outcome:
    QUEUED = 0
    REFUSED_SLOW = 1      # the queue is at its bound
    REFUSED_CLOSING = 2   # a close frame is queued or the socket is dead
    REFUSED_GONE = 3      # the handle's generation is past
    OUTCOMES = 4

cdef enum Drop:
    DROPPED_SLOW = 0
    DROPPED_CONFLATED = 1
    DROPPED_EXPIRED = 2
    DROPPED_CLOSED = 3
    DROPPED_SHUTDOWN = 4
    DROPS = 5


cdef class Frame:
    cdef readonly bytes wire
    cdef readonly str subject
    cdef readonly uint32_t queued
    cdef readonly uint32_t written
    cdef uint32_t dropped_by[DROPS]


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
    double last_received       # the hub's coarse clock
    int fd                     # -1: everything goes through the transport
    uint32_t generation
    uint32_t flags
    uint32_t head
    uint32_t count
    uint32_t capacity
    uint32_t leaving           # leading frames of which the kernel or the transport may hold bytes


# One connection's share of a slice, between building and settling.
cdef struct Job:
    uint32_t slot
    uint32_t generation
    uint32_t iov_start
    uint32_t iov_count
    Py_ssize_t size
    Py_ssize_t sent
    int error


cdef class Hub:
    cdef Slot *slots
    cdef uint32_t capacity
    cdef readonly uint32_t top     # slots ever used
    cdef uint32_t *free_slots
    cdef uint32_t free_count
    cdef uint32_t *dirty           # ring of slots with something to send
    cdef uint32_t dirty_head
    cdef uint32_t dirty_count
    cdef uint32_t *indirect        # slots of the slice which must go through their transport
    cdef uint32_t indirect_count
    cdef Job *jobs
    cdef iovec *iovecs
    cdef uint32_t jobs_capacity
    cdef uint32_t iovecs_capacity
    cdef uint32_t _batch_size
    cdef object loop
    cdef object _turn
    cdef bint scheduled
    cdef bint flushing             # the sends run, without the GIL
    cdef bint in_slice
    cdef list overflowed
    cdef dict stalled              # handle -> when its transport began to hold bytes
    cdef public object on_overflow
    cdef public double flush_interval
    cdef public uint32_t max_queue_messages
    cdef public uint64_t max_queue_bytes
    cdef public double now
    cdef readonly uint32_t open_count
    cdef readonly uint64_t frames_queued
    cdef readonly uint64_t frames_written
    cdef readonly uint64_t bytes_written
    cdef readonly uint64_t send_calls
    cdef uint64_t frames_dropped_by[DROPS]

    cpdef uint64_t open(self, object transport, int fd, object owner) except 0
    cpdef void release(self, uint64_t handle)
    cpdef int enqueue(self, uint64_t handle, Frame frame, bint final=*) except -1
    cpdef tuple enqueue_many(self, Recipients recipients, Frame frame)
    cpdef uint32_t discard(self, uint64_t handle, int reason) except? 4294967295
    cpdef uint32_t withdraw(self, uint64_t handle, frozenset allowed) except? 4294967295
    cpdef void finish(self, uint64_t handle, bint half=*)
    cpdef void block(self, uint64_t handle)
    cpdef void unblock(self, uint64_t handle)
    cdef void disarm(self, uint64_t handle) noexcept
    cdef bint outlive_eof(self, uint64_t handle) except -1
    cdef void touch(self, uint64_t handle) noexcept
    cdef bint rewrite(self, uint64_t handle, Frame frame, bytes wire)

    cdef Slot *slot_of(self, uint64_t handle) noexcept
    cdef int check_thread(self) except -1
    cdef int grow(self) except -1
    cdef int push(self, Slot *slot, Frame frame) except -1
    cdef int mark_dirty(self, uint32_t index) except -1
    cdef int schedule(self) except -1
    cdef void settle_front(self, Slot *slot, uint32_t frames, bint written, int reason)
    cdef int reserve_jobs(self) except -1
    cdef uint32_t build(self) except? 4294967295
    cdef void send_all(self, uint32_t jobs) noexcept nogil
    cdef int settle(self, Job *job) except -1
    cdef int through_transport(self, uint32_t index) except -1
    cdef int hand_over(self, uint32_t index, object data, uint32_t frames) except -1
    cdef int drained(self, uint32_t index) except -1
    cdef int announce_overflow(self) except -1
    cdef int give_up(self, uint32_t index, uint32_t generation) except -1
    cdef int report(self, str message, list faults) except -1
