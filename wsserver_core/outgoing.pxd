cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from wsserver_core.fates cimport Fates


cpdef enum:
    # How much depends on a message: what is dropped first, never who overtakes whom.
    CONTROL = 0    # the server's own word: never dropped
    CRITICAL = 1   # never dropped
    ALERT = 2      # after all data
    DATA = 3       # first


cdef enum Drop:
    DROPPED_SLOW = 0
    DROPPED_CONFLATED = 1
    DROPPED_EXPIRED = 2
    DROPPED_CLOSED = 3
    DROPPED_SHUTDOWN = 4
    DROPS = 5


cdef enum:
    # Logs of which every connection has a position.
    LANES = 2


@cython.final
cdef class Frame:
    cdef bytes json                # the frame that says it in JSON; None: there is none
    cdef readonly bytes binary     # the one of the binary protocol; None: there is none
    cdef readonly str subject
    cdef readonly str topic
    cdef readonly str log
    cdef readonly str stream
    cdef Py_hash_t stream_hash     # 0 for what no other frame replaces
    cdef readonly uint64_t seq
    cdef readonly int64_t time     # microseconds since 1970 of its publication
    cdef double queued_at          # the hub's coarse clock when the first queue took it
    cdef double accepted_at        # the hub's stopwatch when its publisher brought it; 0: not measured
    cdef readonly uint32_t queued
    cdef readonly uint32_t written
    cdef uint32_t dropped_by[DROPS]
    cdef readonly int importance
    cdef readonly uint8_t lane     # which of a connection's positions `seq` moves, from 1; 0: none
    cdef Fates fates               # where to note what becomes of its copies; None: nobody watches it

    cpdef Frame again(self, bytes binary=*)
    cpdef Frame without_binary(self)
    cdef Frame copy(self, bytes binary)
    cdef bint supersedes(self, Frame other) except -1


cdef inline uint64_t weight_of(Frame frame) noexcept:
    """The bytes that a frame keeps alive."""
    cdef uint64_t weight = 0 if frame.json is None else <uint64_t> len(frame.json)
    if frame.binary is not None and frame.binary is not frame.json:
        weight += <uint64_t> len(frame.binary)
    return weight


cdef Frame neutral(bytes wire)
