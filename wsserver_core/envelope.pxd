from libc.stdint cimport int64_t, uint64_t

cpdef enum:
    MESSAGE = 1
    SAMPLES = 2
    CONTROL = 3


cdef class Envelope:
    cdef readonly int kind
    cdef readonly str topic
    cdef readonly uint64_t seq
    cdef readonly int64_t time
    cdef readonly dict body
    cdef readonly Py_ssize_t body_size
