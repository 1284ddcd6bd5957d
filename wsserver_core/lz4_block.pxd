cpdef enum:
    # The most that a byte of a block can stand for: one more byte of 255 in a length.
    MAX_EXPANSION = 255

cdef Py_ssize_t measure_block(const unsigned char* block, Py_ssize_t size, Py_ssize_t limit) noexcept nogil
