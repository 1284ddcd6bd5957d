from libc.stdint cimport uint32_t


cdef enum:
    BUCKETS = 1024
    IN_HAND = BUCKETS          # the bucket of those whose turn it is
    NOWHERE = 0xFFFFFFFF


# One number's place. The links join those that stand in one bucket.
cdef struct Spoke:
    uint32_t due
    uint32_t next
    uint32_t previous
    uint32_t bucket            # NOWHERE: not on the wheel


cdef class Wheel:
    cdef Spoke *spokes
    cdef uint32_t capacity
    cdef uint32_t top          # spokes ever used
    cdef uint32_t heads[BUCKETS + 1]
    cdef readonly uint32_t tick
    cdef readonly uint32_t count

    cpdef int put(self, uint32_t index, uint32_t due) except -1
    cpdef bint remove(self, uint32_t index) noexcept
    cpdef void turn(self) noexcept
    cdef uint32_t take(self) noexcept
    cdef int reserve(self, uint32_t index) except -1
    cdef void enter(self, uint32_t index, uint32_t bucket) noexcept
    cdef void leave(self, uint32_t index) noexcept
