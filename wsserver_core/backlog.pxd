from libc.stdint cimport int64_t, uint32_t, uint64_t

from wsserver_core.outgoing cimport Frame
from wsserver_core.recipients cimport Recipients
from wsserver_core.slots cimport Slot, SlotTable


cdef enum Outcome:
    QUEUED = 0
    REFUSED_SLOW = 1      # the queue is at its bound
    REFUSED_CLOSING = 2   # a close frame is queued or the socket is dead
    REFUSED_GONE = 3      # the handle's generation is past
    CAUGHT_UP_LATER = 4   # the connection is catching up and finds it in the history


cdef enum:
    # Waiting frames of which one turn of the loop sorts out the newest, some 30 ms of work. Where a
    # switch fails, thousands of connections pass the bound with the same message.
    FRAMES_SORTED = 65536


# Whether a waiting frame is to go; `what` is whatever the question needs to know.
ctypedef bint (*Unwanted)(Frame frame, object what) except -1


cdef class Backlog(SlotTable):
    cdef object loop
    cdef object turn
    cdef bint scheduled
    cdef list overflowed           # handles whose owners must decide
    cdef list relieved             # handles of those that keep up again
    cdef list roomy                # handles of those that wanted room and have it
    cdef list outsiders            # handles of crowded ones with foreign transports
    cdef dict laggards             # handle -> since when it is slow, and what it lost
    cdef public object on_overflow
    cdef public object on_relief
    cdef public object on_room
    cdef public double flush_interval
    cdef uint32_t _max_queue_messages
    cdef uint64_t _max_queue_bytes
    cdef double _slow_share
    cdef uint32_t slow_messages
    cdef uint64_t slow_bytes
    cdef uint32_t watch_messages   # from here on an enqueue looks more closely
    cdef uint64_t watch_bytes
    cdef double slow_age           # seconds after which a waiting byte makes its connection slow
    cdef readonly uint32_t slow_count
    cdef readonly uint64_t slow_entered
    cdef readonly uint32_t crowded_count
    cdef uint32_t reliefs_left     # sends outside a slice that this turn may still do
    cdef int64_t sorting_left      # of FRAMES_SORTED
    cdef dict newest               # stream -> the `seq` that stays, while a queue is sorted out

    cpdef int enqueue(self, uint64_t handle, Frame frame, bint final=*) except -1
    cpdef int insist(self, uint64_t handle, Frame frame) except -1
    cpdef bint wants_binary(self, Recipients recipients) except -1
    cpdef tuple enqueue_many(self, Recipients recipients, Frame frame)
    cpdef uint32_t discard(self, uint64_t handle, int reason) except? 4294967295
    cpdef uint32_t withdraw(self, uint64_t handle, frozenset allowed) except? 4294967295
    cpdef uint32_t shed(self, uint64_t handle, int importance) except? 4294967295
    cdef bint rewrite(self, uint64_t handle, Frame frame, bytes wire)

    cdef int check_forms(self, Recipients recipients, Frame frame) except -1
    cdef int measure(self) except -1
    cdef int schedule(self) except -1
    cdef int mark_dirty(self, uint32_t index) except -1
    cdef int drained(self, uint32_t index) except -1
    cdef int report(self, str message, list faults) except -1
    cdef bint relieve(self, uint64_t handle, bint outsiders=*) except -1
    cdef int crowd(self, Slot *slot, uint64_t handle) except -1
    cdef int admit_closely(self, uint64_t handle, Frame frame) except -1
    cdef bint is_over(self, Slot *slot, uint64_t size, uint32_t messages, uint64_t bytes_) noexcept
    cdef int overflow(self, uint64_t handle, Frame frame) except -1
    cdef bint is_full(self, uint64_t handle, uint64_t size) noexcept
    cdef int become_slow(self, uint64_t handle) except -1
    cdef int conflate(self, uint64_t handle, Frame newer) except -1
    cdef int ease(self, Slot *slot, uint64_t handle) except -1
    cdef int left(self, Slot *slot, uint64_t handle) except -1
    cdef void stand_aside(self, Slot *slot) noexcept
    cdef uint32_t thin(self, uint64_t handle, Unwanted unwanted, object what, int reason) except? 4294967295
    cdef int note_loss(self, uint64_t handle, Frame frame, int reason) except -1
    cdef int announce(self) except -1
