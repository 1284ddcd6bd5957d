cimport cython
from libc.stdint cimport uint64_t


cdef enum:
    BOUND_COUNT = 19


@cython.final
cdef class Histogram:
    cdef uint64_t counts[BOUND_COUNT + 1]   # the last is of what took longer than any bound
    cdef readonly double total

    cdef void add(self, double seconds) noexcept
