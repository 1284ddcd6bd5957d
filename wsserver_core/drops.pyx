"""The latest losses, one by one: which connection, which message, why, and what took its place.

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
    # 1.3 MB, once anything is lost at all.
    KEPT_DROPS = 32768


@cython.final
cdef class DropJournal:
    """A ring of the latest losses of published messages."""

    def __cinit__(self, uint32_t capacity=KEPT_DROPS):
        if capacity == 0:
            raise ValueError("a journal has room for one loss at least")
        self.capacity = capacity

    def __dealloc__(self):
        PyMem_Free(self.entries)

    cdef int note(self, uint64_t handle, Frame frame, int reason, uint64_t into) except -1:
        cdef Dropped *entry
        if self.entries == NULL:
            self.entries = <Dropped *> PyMem_Malloc(self.capacity * sizeof(Dropped))
            if self.entries == NULL:
                # Losses are counted elsewhere; here they only are explained.
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
        """Whether every loss since ``self.noted`` had this value is still in the ring."""
        return self.noted - noted <= self.capacity

    def of(self, uint64_t handle, str log):
        """What one connection lost of a log, as far back as the ring reaches: ``{seq: (reason, into)}``.

        ``into`` is the ``seq`` of the newer message that took its place, or 0.
        """
        cdef dict found = {}
        cdef Py_hash_t name = hash(log)
        cdef uint64_t first = self.noted - self.capacity if self.noted > self.capacity else 0
        cdef uint64_t number
        cdef Dropped *entry
        if self.entries == NULL:
            return found
        for number in range(first, self.noted):
            entry = &self.entries[number % self.capacity]
            if entry.handle == handle and entry.log == name:
                found[entry.seq] = (DROP_REASONS[entry.reason], entry.into)
        return found
