"""What befell messages lately, one by one: at which connection, which message, why, and what took its place.

Counters say how many were lost. Whoever asks after one nurse and one alert needs to know which.
The ring has a fixed size, for a bad minute may bring millions of losses; it says how far back it
reaches, so that nobody takes silence for an answer.
"""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint32_t, uint64_t

from wsserver_core.outgoing cimport Frame

from wsserver_core.outgoing import DROP_REASONS

cdef enum:
    # 1.3 MB, once there is anything to note.
    KEPT_ENTRIES = 32768


@cython.final
cdef class Journal:
    """A ring of the latest entries of one kind: losses, or replays."""

    def __cinit__(self, uint32_t capacity=KEPT_ENTRIES):
        if capacity == 0:
            raise ValueError("a journal has room for one entry at least")
        self.capacity = capacity

    def __dealloc__(self):
        PyMem_Free(self.entries)

    cdef int note(self, uint64_t handle, Frame frame, int reason=0, uint64_t into=0) except -1:
        cdef Entry *entry
        if self.entries == NULL:
            self.entries = <Entry *> PyMem_Malloc(self.capacity * sizeof(Entry))
            if self.entries == NULL:
                # Counted elsewhere anyway; this is to explain it.
                return 0
        entry = &self.entries[self.noted % self.capacity]
        entry.handle = handle
        entry.log = hash(frame.log)
        entry.seq = frame.seq
        entry.into = into
        entry.reason = <unsigned char> reason
        self.noted += 1
        return 0

    def reaches(self, uint64_t noted):
        """Whether every entry since ``self.noted`` had this value is still in the ring."""
        return self.noted - noted <= self.capacity

    def has(self, uint64_t handle, str log, uint64_t seq):
        """Whether there is an entry for this message at this connection, as far back as the ring reaches."""
        cdef Py_hash_t name = hash(log)
        cdef uint64_t number
        cdef Entry *entry
        for number in range(self.first(), self.noted):
            entry = &self.entries[number % self.capacity]
            if entry.handle == handle and entry.seq == seq and entry.log == name:
                return True
        return False

    def losses(self, uint64_t handle, str log):
        """What one connection lost of a log, as far back as the ring reaches: ``{seq: (reason, into)}``.

        ``into`` is the ``seq`` of the newer message that took its place, or 0.
        """
        cdef dict found = {}
        cdef Py_hash_t name = hash(log)
        cdef uint64_t number
        cdef Entry *entry
        for number in range(self.first(), self.noted):
            entry = &self.entries[number % self.capacity]
            if entry.handle == handle and entry.log == name:
                found[entry.seq] = (DROP_REASONS[entry.reason], entry.into)
        return found

    cdef uint64_t first(self) noexcept:
        """The number of the oldest entry that is kept."""
        if self.entries == NULL:
            return self.noted
        return self.noted - self.capacity if self.noted > self.capacity else 0
