# A handle names one connection for good: (generation << 32) | slot, and is never 0.
# The slot says where the connection sits, the generation which of its tenants is meant.

from libc.stdint cimport uint8_t, uint64_t

from wsserver_core.addressees cimport Addressees


cdef int check_handle(uint64_t handle) except -1


cdef class Recipients:
    # Read by the hub: `count` handles, each connection once. Valid until the next add, extend or clear.
    cdef uint64_t *items
    cdef Py_ssize_t count

    cdef Py_ssize_t items_capacity
    cdef unsigned int *positions
    cdef Py_ssize_t slots
    cdef uint8_t *outcomes         # written by the hub; NULL or stale while `refusals` is False
    cdef bint refusals

    cpdef bint add(self, uint64_t handle) except -1
    cdef int extend(
        self, const uint64_t *handles, Py_ssize_t size, uint64_t exclude
    ) except -1
    cpdef void clear(self) noexcept
    cpdef Addressees copy(self)
    cdef int refuse(self, Py_ssize_t place, int outcome) except -1
    cdef int reserve_items(self, Py_ssize_t wanted) except -1
    cdef int reserve_slots(self, Py_ssize_t wanted) except -1
