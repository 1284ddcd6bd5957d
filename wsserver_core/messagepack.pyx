"""A look over MessagePack before any decoder sees it: an object of JSON's values, and all of it there.

A decoder makes room for what a length announces. After this look every announced length is
covered by bytes, no nesting is deeper than allowed and every text is UTF-8; the look itself
allocates nothing and does not recurse.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from wsserver_core.utf8 cimport is_utf8

# As for JSON: beyond it a browser rounds.
cdef uint64_t MAX_INTEGER = 1ULL << 53

cdef tuple TEXTS = (
    "",
    "MessagePack ends too early",
    "MessagePack is nested deeper than 32",
    "MessagePack has a type that JSON does not have",
    "MessagePack has a key that is not text",
    "MessagePack has text that is not UTF-8",
    "MessagePack has an integer beyond 2^53",
    "MessagePack has a number that is not finite",
    "MessagePack is not an object",
    "MessagePack has bytes behind the object",
    "MessagePack has too many objects and arrays",
)


cdef str text_of(Fault fault):
    return TEXTS[<int>fault]


cdef inline uint64_t big_endian(const unsigned char* data, int size) noexcept nogil:
    cdef uint64_t number = 0
    cdef int i
    for i in range(size):
        number = number << 8 | data[i]
    return number


cdef inline bint is_text(unsigned char lead) noexcept nogil:
    return 0xA0 <= lead <= 0xBF or 0xD9 <= lead <= 0xDB


cdef Fault scan_object(
    const unsigned char* data, Py_ssize_t size, Py_ssize_t max_containers, uint32_t* members
) noexcept nogil:
    """What is wrong with the object that ``data`` is; ``members`` is how many the object announces.

    The first fault from the front is told, whatever follows.
    """
    cdef uint64_t left[MAX_DEPTH]   # of each open container: how many items are still to come
    cdef bint keyed[MAX_DEPTH]      # of each open container: whether every other item is a key
    cdef uint64_t items, number
    cdef Py_ssize_t at = 0
    cdef Py_ssize_t containers = 0
    cdef int depth = 0
    cdef int width
    cdef bint maps, container
    cdef unsigned char lead
    if size == 0:
        return TRUNCATED
    if not (0x80 <= data[0] <= 0x8F or 0xDE <= data[0] <= 0xDF):
        return NOT_AN_OBJECT
    while True:
        if at == size:
            return TRUNCATED
        lead = data[at]
        at += 1
        if depth:
            if keyed[depth - 1] and left[depth - 1] & 1 == 0 and not is_text(lead):
                return KEY_NOT_TEXT
            left[depth - 1] -= 1
        # What follows is only a payload of `items` bytes, unless it is a container of `items` items.
        container = maps = False
        items = 0
        if lead < 0x80 or lead >= 0xE0 or lead == 0xC0 or lead == 0xC2 or lead == 0xC3:
            pass
        elif lead < 0xA0:
            container = True
            maps = lead < 0x90
            items = lead & 0x0F
        elif lead < 0xC0:
            items = lead & 0x1F
        elif 0xCA <= lead <= 0xD3:
            width = 4 if lead == 0xCA else 8 if lead == 0xCB else 1 << (lead & 3)
            if width > size - at:
                return TRUNCATED
            number = big_endian(data + at, width)
            at += width
            if lead == 0xCA:
                if number & 0x7F800000 == 0x7F800000:
                    return NOT_FINITE
            elif lead == 0xCB:
                if number & 0x7FF0000000000000ULL == 0x7FF0000000000000ULL:
                    return NOT_FINITE
            elif lead == 0xCF:
                if number > MAX_INTEGER:
                    return INTEGER_TOO_LARGE
            elif lead == 0xD3:
                # Its magnitude, also of the smallest one.
                if (0 - number if <int64_t>number < 0 else number) > MAX_INTEGER:
                    return INTEGER_TOO_LARGE
        elif 0xD9 <= lead <= 0xDF:
            if lead <= 0xDB:
                width = 1 << (lead - 0xD9)
            else:
                container = True
                maps = lead >= 0xDE
                width = 2 << (lead & 1)
            if width > size - at:
                return TRUNCATED
            items = big_endian(data + at, width)
            at += width
        else:
            return FOREIGN_TYPE
        if container:
            if depth == MAX_DEPTH:
                return TOO_DEEP
            containers += 1
            if containers > max_containers:
                return TOO_MANY_CONTAINERS
            if depth == 0:
                members[0] = <uint32_t>items
            if maps:
                items *= 2
            # Each item takes a byte or more.
            if items > <uint64_t>(size - at):
                return TRUNCATED
            left[depth] = items
            keyed[depth] = maps
            depth += 1
        elif items:
            if items > <uint64_t>(size - at):
                return TRUNCATED
            if not is_utf8(data + at, <Py_ssize_t>items):
                return NOT_UTF8
            at += <Py_ssize_t>items
        while depth and left[depth - 1] == 0:
            depth -= 1
        if depth == 0:
            return SOUND if at == size else TRAILING
