"""The table of subscriptions: a row each, found by number or by connection and topic."""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t, uintptr_t
from libc.string cimport memset

from wsserver_core.roster cimport NONE, Seat
from wsserver_core.shelves cimport Shelf

cdef enum:
    FIRST_CAPACITY = 64
    FIRST_PLACES = 128


@cython.final
cdef class SubscriptionTable:
    """Rows of subscriptions.

    A number is ``generation << 32 | row``, never 0 and never given twice. Pointers to rows hold
    good until the next row is taken.
    """

    def __cinit__(self):
        self.free = NONE

    def __dealloc__(self):
        PyMem_Free(self.rows)
        PyMem_Free(self.places)

    cdef Subscription *row(self, uint64_t number) noexcept:
        cdef Py_ssize_t row = <uint32_t>number
        if row >= self.top or not self.rows[row].handle or self.rows[row].generation != number >> 32:
            return NULL
        return &self.rows[row]

    cdef uint64_t number(self, uint32_t row) noexcept:
        return (<uint64_t>self.rows[row].generation << 32) | row

    cdef uint32_t take(self, uint64_t handle, double now) except? 0xFFFFFFFF:
        cdef Py_ssize_t capacity
        cdef void *moved
        cdef uint32_t row = self.free
        cdef Subscription *taken
        if row == NONE:
            if self.top == self.capacity:
                capacity = max(FIRST_CAPACITY, self.capacity + self.capacity // 4)
                moved = PyMem_Realloc(self.rows, capacity * sizeof(Subscription))
                if moved is NULL:
                    raise MemoryError
                self.rows = <Subscription *>moved
                self.capacity = capacity
            row = self.top
            # What is beyond `top` is not touched yet, so that the kernel gives no page for it.
            memset(&self.rows[row], 0, sizeof(Subscription))
            self.top += 1
        else:
            self.free = self.rows[row].next
        taken = &self.rows[row]
        taken.handle = handle
        taken.group = taken.scoped = NULL
        taken.renewed_at = now
        taken.generation = taken.generation + 1 if taken.generation != 0xFFFFFFFF else 1
        taken.warned = taken.hinted = False
        self.size += 1
        return row

    cdef void give_back(self, uint32_t row) noexcept:
        self.rows[row].handle = 0
        self.rows[row].next = self.free
        self.free = row
        self.size -= 1

    # -- the chain of a connection

    cdef void chain(self, Seat *seat, uint32_t row) noexcept:
        self.rows[row].next = NONE
        self.rows[row].previous = seat.last
        if seat.last == NONE:
            seat.first = row
        else:
            self.rows[seat.last].next = row
        seat.last = row
        seat.count += 1

    cdef void unchain(self, Seat *seat, uint32_t row) noexcept:
        cdef Subscription *gone = &self.rows[row]
        if gone.previous == NONE:
            seat.first = gone.next
        else:
            self.rows[gone.previous].next = gone.next
        if gone.next == NONE:
            seat.last = gone.previous
        else:
            self.rows[gone.next].previous = gone.previous
        seat.count -= 1

    # -- by connection and topic: open addressing, an entry as near behind its home as there was room

    cdef Py_ssize_t home(self, uint32_t row) noexcept:
        cdef Subscription *taken = &self.rows[row]
        return _hash(taken.handle, (<Shelf>taken.group.shelf).topic) & self.mask

    cdef uint32_t find(self, uint64_t handle, PyObject *topic) noexcept:
        cdef Py_ssize_t place
        cdef uint32_t row
        if not self.places:
            return NONE
        place = _hash(handle, topic) & self.mask
        while self.places[place]:
            row = self.places[place] - 1
            if self.rows[row].handle == handle and (<Shelf>self.rows[row].group.shelf).topic == topic:
                return row
            place = (place + 1) & self.mask
        return NONE

    cdef int reserve_place(self) except -1:
        """Make room for one more, while the rows that have entered are whole."""
        cdef Py_ssize_t count = self.mask + 1 if self.places else 0
        cdef uint32_t *former = self.places
        cdef uint32_t *fresh
        cdef Py_ssize_t place
        if 3 * (self.size + 1) <= 2 * count:
            return 0
        fresh = <uint32_t *>PyMem_Calloc(max(FIRST_PLACES, 2 * count), sizeof(uint32_t))
        if fresh is NULL:
            raise MemoryError
        self.places, self.mask = fresh, max(FIRST_PLACES, 2 * count) - 1
        for place in range(count):
            if former[place]:
                self.enter(former[place] - 1)
        PyMem_Free(former)
        return 0

    cdef void enter(self, uint32_t row) noexcept:
        cdef Py_ssize_t place = self.home(row)
        while self.places[place]:
            place = (place + 1) & self.mask
        self.places[place] = row + 1

    cdef void leave(self, uint32_t row) noexcept:
        cdef Py_ssize_t hole = self.home(row)
        cdef Py_ssize_t place, home
        while self.places[hole] != row + 1:
            hole = (hole + 1) & self.mask
        # What stands behind the hole moves up unless it would come before its home.
        place = hole
        while True:
            place = (place + 1) & self.mask
            if not self.places[place]:
                break
            home = self.home(self.places[place] - 1)
            if ((place - home) & self.mask) >= ((place - hole) & self.mask):
                self.places[hole] = self.places[place]
                hole = place
        self.places[hole] = 0


cdef inline Py_ssize_t _hash(uint64_t handle, PyObject *topic) noexcept:
    cdef uint64_t mixed = <uint64_t>(<uintptr_t>topic >> 4) * 0x9E3779B97F4A7C15ULL
    mixed ^= (<uint32_t>handle) * 0xC2B2AE3D27D4EB4FULL
    mixed ^= mixed >> 29
    mixed *= 0xBF58476D1CE4E5B9ULL
    return <Py_ssize_t>((mixed ^ (mixed >> 32)) & 0x7FFFFFFFFFFFFFFFULL)
