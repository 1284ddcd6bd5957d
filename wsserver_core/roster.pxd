from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t


cdef enum:
    NONE = 0xFFFFFFFF  # the end of a chain


cdef struct Seat:
    uint64_t handle    # 0: nobody sits here
    PyObject *owner
    PyObject *scope
    uint32_t first     # the chain of its subscriptions, oldest first
    uint32_t last
    uint32_t count


cdef class Roster:
    cdef Seat *seats
    cdef Py_ssize_t capacity
    cdef Py_ssize_t top    # seats that were ever taken
    cdef Py_ssize_t size

    cdef Seat *seat(self, uint64_t handle) noexcept
    cdef Seat *enter(self, uint64_t handle, object scope, object owner) except NULL
    cdef int leave(self, uint64_t handle) except -1
    cdef int rescope(self, Seat *seat, object scope) except -1
