from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from wsserver_core.roster cimport Seat
from wsserver_core.shelves cimport Group


cdef struct Subscription:
    uint64_t handle        # 0: the row is free
    Group *group           # among all subscribers of its topic
    Group *scoped          # among those who see the same patients; NULL where that was settled before
    double renewed_at
    uint32_t place         # in `group`
    uint32_t scoped_place
    uint32_t generation
    uint32_t next          # of the same connection, or of the free rows
    uint32_t previous
    uint8_t warned
    uint8_t hinted


cdef class SubscriptionTable:
    cdef Subscription *rows
    cdef Py_ssize_t capacity
    cdef Py_ssize_t top      # rows that were ever taken
    cdef Py_ssize_t size
    cdef uint32_t free       # the chain of free rows
    cdef uint32_t *places    # row + 1 by the hash of connection and topic; 0 is empty
    cdef Py_ssize_t mask     # one less than the number of places

    cdef Subscription *row(self, uint64_t number) noexcept
    cdef uint64_t number(self, uint32_t row) noexcept
    cdef uint32_t take(self, uint64_t handle, double now) except? 0xFFFFFFFF
    cdef void give_back(self, uint32_t row) noexcept
    cdef void chain(self, Seat *seat, uint32_t row) noexcept
    cdef void unchain(self, Seat *seat, uint32_t row) noexcept
    cdef uint32_t find(self, uint64_t handle, PyObject *topic) noexcept
    cdef int reserve_place(self) except -1
    cdef void enter(self, uint32_t row) noexcept
    cdef void leave(self, uint32_t row) noexcept
    cdef Py_ssize_t home(self, uint32_t row) noexcept
