from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from wsserver_core.filters cimport Program
from wsserver_core.matcher cimport Matcher
from wsserver_core.scopes cimport Scope


# Subscribers who stand on one shelf with one filter. A struct, because with filters of their
# own there are as many groups as subscribers.
cdef struct Group:
    PyObject *shelf      # borrowed
    PyObject *program    # owned
    Group *next
    Group *previous
    uint64_t *handles    # in no order
    uint32_t *rows       # rows[i] is the subscription of handles[i]
    uint32_t size
    uint32_t capacity
    uint64_t matched     # messages
    uint64_t apart       # messages that it was held against and its shelf as a whole was not
    uint64_t entered     # what the shelf had counted when the group came
    uint64_t stamp       # the message that was last found to match
    uint64_t one_handle  # most groups never have more
    uint32_t one_row


cdef class Shelf:
    cdef PyObject *topic       # borrowed
    cdef readonly Scope scope  # None: not asked for
    cdef Group *first
    cdef Py_ssize_t groups
    cdef Py_ssize_t size       # subscribers
    cdef uint64_t passes       # messages that were held against its filters
    cdef Matcher matcher       # None while there are few groups
    cdef dict by_program       # the same; Program -> address of its group

    cdef Group *group(self, Program program) except? NULL
    cdef Group *reach(self, Program program) except NULL
    cdef int close(self, Group *group) except -1
    cdef int index_groups(self) except -1


cdef int append(Group *group, uint64_t handle, uint32_t row) except -1
cdef uint32_t take_out(Group *group, uint32_t place) noexcept
