"""A hashed timing wheel: which of many numbers is due at which tick.

A number stands in the bucket of its tick modulo the number of buckets, in a list that is linked
through one array; what is due a whole round later or more is passed over. To put, to move and to
remove cost the same however many there are, and a tick costs as much as its bucket holds.
G. Varghese and A. Lauck, "Hashed and hierarchical timing wheels", 1987, scheme 6.
"""

from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.stdint cimport uint32_t

cdef enum:
    FIRST_CAPACITY = 64


cdef class Wheel:
    """Small numbers, each with the tick at which its turn comes. Ticks are counted from 0."""

    def __cinit__(self):
        cdef uint32_t i
        for i in range(BUCKETS + 1):
            self.heads[i] = NOWHERE

    def __dealloc__(self):
        PyMem_Free(self.spokes)

    cdef int reserve(self, uint32_t index) except -1:
        cdef uint32_t capacity
        cdef void *memory
        if index >= self.capacity:
            capacity = max(<uint32_t> FIRST_CAPACITY, index + 1, self.capacity + self.capacity // 2)
            memory = PyMem_Realloc(self.spokes, capacity * sizeof(Spoke))
            if memory == NULL:
                raise MemoryError()
            self.spokes = <Spoke *> memory
            self.capacity = capacity
        # Memory beyond the highest number in use is not touched, and so costs nothing yet.
        while self.top <= index:
            self.spokes[self.top].bucket = NOWHERE
            self.top += 1
        return 0

    cdef void enter(self, uint32_t index, uint32_t bucket) noexcept:
        cdef Spoke *spoke = &self.spokes[index]
        cdef uint32_t first = self.heads[bucket]
        spoke.bucket = bucket
        spoke.previous = NOWHERE
        spoke.next = first
        if first != NOWHERE:
            self.spokes[first].previous = index
        self.heads[bucket] = index

    cdef void leave(self, uint32_t index) noexcept:
        cdef Spoke *spoke = &self.spokes[index]
        if spoke.previous == NOWHERE:
            self.heads[spoke.bucket] = spoke.next
        else:
            self.spokes[spoke.previous].next = spoke.next
        if spoke.next != NOWHERE:
            self.spokes[spoke.next].previous = spoke.previous
        spoke.bucket = NOWHERE

    cpdef int put(self, uint32_t index, uint32_t due) except -1:
        """Let the turn of a number come at tick ``due``, at the next one if that is past.

        A number that has a turn already gives that one up.
        """
        self.reserve(index)
        if self.spokes[index].bucket == NOWHERE:
            self.count += 1
        else:
            self.leave(index)
        due = max(due, self.tick + 1)
        self.spokes[index].due = due
        self.enter(index, due % BUCKETS)
        return 0

    cpdef bint remove(self, uint32_t index) noexcept:
        """Take a number off the wheel; False when it is not on it."""
        if index >= self.top or self.spokes[index].bucket == NOWHERE:
            return False
        self.leave(index)
        self.count -= 1
        return True

    cpdef void turn(self) noexcept:
        """Go on to the next tick. ``take`` names those whose turn has come."""
        cdef uint32_t index
        self.tick += 1
        # Out of the bucket as a whole: what is put back meanwhile belongs to a later round.
        while self.heads[self.tick % BUCKETS] != NOWHERE:
            index = self.heads[self.tick % BUCKETS]
            self.leave(index)
            self.enter(index, IN_HAND)

    cdef uint32_t take(self) noexcept:
        """One whose turn has come, or NOWHERE. It is named again until it is put or removed."""
        cdef uint32_t index
        while self.heads[<int> IN_HAND] != NOWHERE:
            index = self.heads[<int> IN_HAND]
            if self.spokes[index].due <= self.tick:
                return index
            self.leave(index)
            self.enter(index, self.spokes[index].due % BUCKETS)
        return NOWHERE

    def due(self):
        """Takes all whose turn has come off the wheel and returns them in a list."""
        cdef list found = []
        cdef uint32_t index
        while True:
            index = self.take()
            if index == NOWHERE:
                return found
            self.remove(index)
            found.append(index)
