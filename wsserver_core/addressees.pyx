"""Whom one message was for, kept for whoever asks later: eight bytes for each connection."""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy


@cython.final
cdef class Addressees:
    """The recipients of one broadcast, with what ``Hub.enqueue_many`` made of each.

    Made by ``Recipients.copy``. It does not change but for acknowledgements.
    """

    def __dealloc__(self):
        PyMem_Free(self.handles)
        PyMem_Free(self.outcomes)

    def __len__(self):
        return self.count

    def __contains__(self, uint64_t handle):
        return self.place(handle) >= 0

    @property
    def size(self):
        """Bytes that it holds."""
        return self.count * (sizeof(uint64_t) + (sizeof(uint8_t) if self.outcomes != NULL else 0))

    def first(self, Py_ssize_t limit):
        """The first of the connections, ``limit`` at most."""
        cdef Py_ssize_t i
        return [self.handles[i] for i in range(min(limit, self.count))]

    def refused(self, Py_ssize_t limit):
        """``(handle, outcome)`` of the first whose queue did not take it, ``limit`` at most."""
        cdef Py_ssize_t i
        cdef list found = []
        if self.outcomes == NULL:
            return found
        for i in range(self.count):
            if len(found) >= limit:
                break
            if self.outcomes[i] & ~ACKNOWLEDGED:
                found.append((self.handles[i], self.outcomes[i] & ~ACKNOWLEDGED))
        return found

    def outcome(self, uint64_t handle):
        """What the hub answered for one connection, 0 being queued; None if it was not for it."""
        cdef Py_ssize_t place = self.place(handle)
        if place < 0:
            return None
        return 0 if self.outcomes == NULL else self.outcomes[place] & ~ACKNOWLEDGED

    def acknowledge(self, uint64_t handle):
        """Note that a connection has got the message; False if it was not for it, or was noted before."""
        cdef Py_ssize_t place = self.place(handle)
        if place < 0:
            return False
        self.reserve_outcomes()
        if self.outcomes[place] & ACKNOWLEDGED:
            return False
        self.outcomes[place] |= ACKNOWLEDGED
        self.acknowledged += 1
        return True

    def has_acknowledged(self, uint64_t handle):
        """Whether ``acknowledge`` has been called for this connection."""
        cdef Py_ssize_t place = self.place(handle)
        return place >= 0 and self.outcomes != NULL and self.outcomes[place] & ACKNOWLEDGED != 0

    cdef Py_ssize_t place(self, uint64_t handle) noexcept:
        cdef Py_ssize_t i
        for i in range(self.count):
            if self.handles[i] == handle:
                return i
        return -1

    cdef int reserve_outcomes(self) except -1:
        if self.outcomes == NULL and self.count:
            self.outcomes = <uint8_t *> PyMem_Calloc(self.count, sizeof(uint8_t))
            if self.outcomes == NULL:
                raise MemoryError()
        return 0


cdef Addressees copied(const uint64_t *handles, const uint8_t *outcomes, Py_ssize_t count):
    """``outcomes`` may be NULL: then all of them are QUEUED."""
    cdef Addressees made = Addressees.__new__(Addressees)
    if count == 0:
        return made
    made.handles = <uint64_t *> PyMem_Malloc(count * sizeof(uint64_t))
    if made.handles == NULL:
        raise MemoryError()
    memcpy(made.handles, handles, count * sizeof(uint64_t))
    made.count = count
    if outcomes != NULL:
        made.reserve_outcomes()
        memcpy(made.outcomes, outcomes, count * sizeof(uint8_t))
    return made
