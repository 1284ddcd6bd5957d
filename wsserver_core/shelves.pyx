"""Subscribers of one topic who may see the same, in groups by filter.

All of a group match or none does. Few groups are asked one by one; many are answered by a
Matcher.
"""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.stdint cimport uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy, memset

from wsserver_core.filters cimport Program
from wsserver_core.matcher cimport Matcher
from wsserver_core.roster cimport NONE

cdef enum:
    # So many groups are asked one by one in less time than a matcher takes to begin with.
    MANY_GROUPS = 24
    FEW_GROUPS = 12
    KEPT_CAPACITY = 64


@cython.final
cdef class Shelf:
    """The groups of a topic that one scope shares, or of all subscribers where no scope is asked for."""

    def __dealloc__(self):
        cdef Group *group = self.first
        cdef Group *gone
        while group is not NULL:
            gone, group = group, group.next
            free_group(gone)

    def __sizeof__(self):
        """With its groups. Takes as long as there are some."""
        cdef size_t size = object.__sizeof__(self)
        cdef Group *group = self.first
        while group is not NULL:
            size += sizeof(Group)
            if group.capacity > 1:
                size += group.capacity * (sizeof(uint64_t) + sizeof(uint32_t))
            group = group.next
        return size

    cdef Group *group(self, Program program) except? NULL:
        cdef Group *group
        if self.by_program is not None:
            address = self.by_program.get(program)
            return NULL if address is None else <Group *><uintptr_t>address
        group = self.first
        while group is not NULL and group.program != <PyObject *>program:
            group = group.next
        return group

    cdef Group *reach(self, Program program) except NULL:
        """The group of a filter, made if there is none."""
        cdef Group *group = self.group(program)
        if group is not NULL:
            return group
        group = <Group *>PyMem_Malloc(sizeof(Group))
        if group is NULL:
            raise MemoryError
        memset(group, 0, sizeof(Group))
        group.shelf = <PyObject *>self
        group.handles, group.rows, group.capacity = &group.one_handle, &group.one_row, 1
        group.entered = self.passes
        try:
            if self.by_program is not None:
                self.by_program[program] = <uintptr_t>group
                self.matcher.enter(program, group)
        except MemoryError:
            if program in self.by_program:
                del self.by_program[program]
            PyMem_Free(group)
            raise
        Py_INCREF(program)
        group.program = <PyObject *>program
        group.next = self.first
        if self.first is not NULL:
            self.first.previous = group
        self.first = group
        self.groups += 1
        if self.groups > MANY_GROUPS and self.by_program is None:
            try:
                self.index_groups()
            except MemoryError:
                # Asked one by one they give the same answer. The next group will try again.
                pass
        return group

    cdef int index_groups(self) except -1:
        cdef dict by_program = {}
        cdef Matcher matcher = Matcher()
        cdef Group *group = self.first
        while group is not NULL:
            by_program[<object>group.program] = <uintptr_t>group
            matcher.enter(<Program>group.program, group)
            group = group.next
        self.by_program, self.matcher = by_program, matcher
        return 0

    cdef int close(self, Group *group) except -1:
        """Let go of a group that is empty. Allocates nothing."""
        cdef Program program = <Program>group.program
        if self.by_program is not None:
            del self.by_program[program]
            self.matcher.leave(program, group)
        if group.previous is NULL:
            self.first = group.next
        else:
            group.previous.next = group.next
        if group.next is not NULL:
            group.next.previous = group.previous
        self.groups -= 1
        if self.groups < FEW_GROUPS:
            self.by_program = self.matcher = None
        program.tested += self.passes - group.entered + group.apart
        program.matched += group.matched
        free_group(group)
        return 0


cdef void free_group(Group *group) noexcept:
    Py_XDECREF(group.program)
    if group.capacity > 1:
        PyMem_Free(group.handles)
    PyMem_Free(group)


cdef bint resize(Group *group, uint32_t capacity) noexcept:
    """Handles and rows share one piece of memory; one of each has its place in the group."""
    cdef uint64_t *handles = <uint64_t *>PyMem_Malloc(capacity * (sizeof(uint64_t) + sizeof(uint32_t)))
    cdef uint32_t *rows
    if handles is NULL:
        return False
    rows = <uint32_t *>(handles + capacity)
    memcpy(handles, group.handles, group.size * sizeof(uint64_t))
    memcpy(rows, group.rows, group.size * sizeof(uint32_t))
    if group.capacity > 1:
        PyMem_Free(group.handles)
    group.handles, group.rows, group.capacity = handles, rows, capacity
    return True


cdef int append(Group *group, uint64_t handle, uint32_t row) except -1:
    if group.size == group.capacity and not resize(group, group.capacity + max(1, group.capacity // 2)):
        raise MemoryError
    group.handles[group.size] = handle
    group.rows[group.size] = row
    group.size += 1
    return 0


cdef uint32_t take_out(Group *group, uint32_t place) noexcept:
    """Take the subscriber at a place out; returns the row that stands there now, or NONE."""
    cdef uint32_t last = group.size - 1
    cdef uint32_t row = group.rows[last]
    group.handles[place] = group.handles[last]
    group.rows[place] = row
    group.size = last
    if group.capacity > KEPT_CAPACITY and last < group.capacity // 4:
        resize(group, group.capacity // 2)
    return NONE if place == last else row
