from libc.stdint cimport uint8_t, uint64_t


cdef enum:
    # What `Hub.enqueue_many` made of one recipient: an Outcome of the backlog, and this mark.
    ACKNOWLEDGED = 0x80


cdef class Addressees:
    cdef uint64_t *handles
    cdef uint8_t *outcomes         # one for each handle; NULL while all of them are QUEUED
    cdef Py_ssize_t count
    cdef readonly Py_ssize_t acknowledged

    cdef Py_ssize_t place(self, uint64_t handle) noexcept
    cdef int reserve_outcomes(self) except -1


cdef Addressees copied(const uint64_t *handles, const uint8_t *outcomes, Py_ssize_t count)
