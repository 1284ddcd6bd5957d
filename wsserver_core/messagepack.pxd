from libc.stdint cimport uint32_t

cpdef enum:
    MAX_DEPTH = 32  # as for JSON: objects and arrays inside one another

cdef enum Fault:
    SOUND
    TRUNCATED
    TOO_DEEP
    FOREIGN_TYPE
    KEY_NOT_TEXT
    NOT_UTF8
    INTEGER_TOO_LARGE
    NOT_FINITE
    NOT_AN_OBJECT
    TRAILING
    TOO_MANY_CONTAINERS

cdef Fault scan_object(
    const unsigned char* data, Py_ssize_t size, Py_ssize_t max_containers, uint32_t* members
) noexcept nogil
cdef str text_of(Fault fault)
