"""The connections that messages may reach: one seat each, at the slot of its handle."""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from wsserver_core.recipients cimport check_handle

cdef enum:
    FIRST_CAPACITY = 64


@cython.final
cdef class Roster:
    """Seats by slot. Whose seat it is, the whole handle says."""

    def __dealloc__(self):
        cdef Py_ssize_t place
        for place in range(self.top):
            Py_XDECREF(self.seats[place].owner)
            Py_XDECREF(self.seats[place].scope)
        PyMem_Free(self.seats)

    cdef Seat *seat(self, uint64_t handle) noexcept:
        """The seat of a connection, or NULL. Good until the next one enters."""
        cdef Py_ssize_t slot = <uint32_t>handle
        if handle == 0 or slot >= self.top or self.seats[slot].handle != handle:
            return NULL
        return &self.seats[slot]

    cdef Seat *enter(self, uint64_t handle, object scope, object owner) except NULL:
        cdef Py_ssize_t slot = <uint32_t>handle
        cdef Py_ssize_t capacity
        cdef void *moved
        cdef Seat *seat
        check_handle(handle)
        if slot >= self.capacity:
            capacity = max(FIRST_CAPACITY, slot + 1, self.capacity + self.capacity // 2)
            moved = PyMem_Realloc(self.seats, capacity * sizeof(Seat))
            if moved is NULL:
                raise MemoryError
            self.seats = <Seat *>moved
            self.capacity = capacity
        # What is beyond `top` is not touched yet, so that the kernel gives no page for it.
        while self.top <= slot:
            memset(&self.seats[self.top], 0, sizeof(Seat))
            self.top += 1
        seat = &self.seats[slot]
        if seat.handle:
            raise ValueError("the slot of this handle is taken")
        Py_INCREF(owner)
        Py_INCREF(scope)
        seat.handle = handle
        seat.owner, seat.scope = <PyObject *>owner, <PyObject *>scope
        seat.first = seat.last = NONE
        seat.count = 0
        self.size += 1
        return seat

    cdef int rescope(self, Seat *seat, object scope) except -1:
        cdef PyObject *former = seat.scope
        Py_INCREF(scope)
        seat.scope = <PyObject *>scope
        Py_XDECREF(former)
        return 0

    cdef int leave(self, uint64_t handle) except -1:
        cdef Seat *seat = self.seat(handle)
        cdef PyObject *owner = seat.owner
        cdef PyObject *scope = seat.scope
        seat.handle = 0
        seat.owner = seat.scope = NULL
        self.size -= 1
        # Last: this may run any destructor.
        Py_XDECREF(scope)
        Py_XDECREF(owner)
        return 0
