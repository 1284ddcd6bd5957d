"""The check of text by RFC 3629, whole or in pieces; eight bytes at a time while they are ASCII."""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset


cdef inline uint64_t beyond_ascii(uint64_t word) noexcept nogil:
    """Not 0 if one of eight bytes is no character of ASCII."""
    return word & 0x8080808080808080ULL


# Where an incremental UTF-8 check stands: `need` continuation bytes are missing and the
# next one must lie within low..high. All zero at a character boundary.
cdef struct Utf8:
    unsigned char need
    unsigned char low
    unsigned char high


cdef inline bint accept_utf8(Utf8* state, const unsigned char* data, Py_ssize_t size) noexcept nogil:
    """Check the next bytes of a text; false at the first byte that no valid text could have there."""
    cdef Utf8 at = state[0]
    cdef uint64_t word
    cdef unsigned char byte
    cdef Py_ssize_t i = 0
    while i < size:
        if at.need == 0 and size - i >= 8:
            memcpy(&word, data + i, 8)
            if not beyond_ascii(word):
                i += 8
                continue
        byte = data[i]
        i += 1
        if at.need:
            if byte < at.low or byte > at.high:
                return False
            at.need -= 1
            at.low = 0x80
            at.high = 0xBF
        elif byte >= 0x80:
            # RFC 3629 section 4: the second byte's range rules out overlong forms (E0, F0),
            # surrogates (ED) and what lies beyond U+10FFFF (F4).
            if 0xC2 <= byte <= 0xDF:
                at.need = 1
            elif 0xE0 <= byte <= 0xEF:
                at.need = 2
            elif 0xF0 <= byte <= 0xF4:
                at.need = 3
            else:
                return False
            at.low = 0xA0 if byte == 0xE0 else 0x90 if byte == 0xF0 else 0x80
            at.high = 0x9F if byte == 0xED else 0x8F if byte == 0xF4 else 0xBF
    state[0] = at
    return True


cdef inline bint is_utf8(const unsigned char* data, Py_ssize_t size) noexcept nogil:
    cdef Utf8 state
    memset(&state, 0, sizeof(state))
    return accept_utf8(&state, data, size) and state.need == 0
