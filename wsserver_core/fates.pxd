cimport cython
from libc.stdint cimport int8_t, uint32_t, uint64_t


cdef enum:
    # Where others have their reason to be dropped.
    WRITTEN = -1


# What became of one copy of a message.
cdef struct Fate:
    uint64_t handle
    uint64_t into                  # the `seq` of the newer one that took its place; 0: none did
    double at
    int8_t reason                  # a Drop, or WRITTEN


@cython.no_gc
@cython.final
cdef class Fates:
    cdef Fate *places              # the writes, and behind them as many losses
    cdef readonly uint32_t room
    cdef readonly uint64_t writes
    cdef readonly uint64_t losses
    cdef readonly double first_write
    cdef readonly double last_write
    cdef readonly Fates replays    # of copies for those who came back; None while there are none
    cdef bint is_of_replays

    cdef Fates for_replays(self)
    cdef void note(self, uint64_t handle, int reason, uint64_t into, double at) noexcept
