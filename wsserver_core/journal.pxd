from libc.stdint cimport uint8_t, uint32_t, uint64_t

from wsserver_core.outgoing cimport Frame


# What befell one published message at one connection.
cdef struct Entry:
    uint64_t handle
    Py_hash_t log                  # of its name
    uint64_t seq
    uint64_t into                  # the `seq` of the newer one that took its place; 0: none did
    uint8_t reason


cdef class Journal:
    cdef Entry *entries            # a ring, there from the first entry on
    cdef readonly uint32_t capacity
    cdef readonly uint64_t noted

    cdef int note(self, uint64_t handle, Frame frame, int reason=*, uint64_t into=*) except -1
    cdef uint64_t first(self) noexcept
