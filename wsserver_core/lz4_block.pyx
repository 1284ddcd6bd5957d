"""A look over an LZ4 block before it is decompressed: how much comes out of it, and out of what.

LZ4's own decoder needs room for what somebody says will come out. It also takes a match at offset 0,
which copies bytes from where nothing has been written yet: parts of this process's memory would
become text.
"""

cdef enum:
    MIN_MATCH = 4


cdef inline Py_ssize_t read_length(
    const unsigned char* block, Py_ssize_t size, Py_ssize_t* at, Py_ssize_t length
) noexcept nogil:
    """The length that begins with these four bits of a token; -1 if the block ends before it does."""
    cdef unsigned char byte
    if length < 15:
        return length
    while at[0] < size:
        byte = block[at[0]]
        at[0] += 1
        length += byte
        if byte != 255:
            return length
    return -1


cdef Py_ssize_t measure_block(const unsigned char* block, Py_ssize_t size, Py_ssize_t limit) noexcept nogil:
    """Bytes of text in the block; -1 if it breaks off, refers to what is not there or has over ``limit``.

    The rules about the last bytes of a block, which only help fast decoders, are left to LZ4's own.
    """
    cdef Py_ssize_t at = 0
    cdef Py_ssize_t written = 0
    cdef Py_ssize_t literals, match, offset
    cdef unsigned char token
    while at < size:
        token = block[at]
        at += 1
        literals = read_length(block, size, &at, token >> 4)
        if literals < 0 or literals > size - at:
            return -1
        at += literals
        written += literals
        if written > limit:
            return -1
        if at == size:
            return written
        if size - at < 2:
            return -1
        offset = block[at] | <Py_ssize_t>block[at + 1] << 8
        at += 2
        if offset == 0 or offset > written:
            return -1
        match = read_length(block, size, &at, token & 15)
        if match < 0:
            return -1
        written += match + MIN_MATCH
        if written > limit:
            return -1
    # No bytes at all, or the end of a match where literals have to follow.
    return -1
