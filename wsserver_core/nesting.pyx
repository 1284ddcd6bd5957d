"""How deep JSON text nests, told before any decoder recurses into it."""


def nests_deeper(const unsigned char[::1] text, Py_ssize_t limit):
    """Whether objects and arrays stand inside one another more than ``limit`` deep.

    Looks at brackets outside strings only, in one pass over at most all of the text. For
    text that is not JSON the answer means nothing: the decoder will refuse it anyway.
    """
    cdef Py_ssize_t depth = 0
    cdef Py_ssize_t size = text.shape[0]
    cdef Py_ssize_t i = 0
    cdef unsigned char c
    while i < size:
        c = text[i]
        i += 1
        if c == b'"':
            while i < size and text[i] != b'"':
                # An escape takes the next byte with it, whatever that is.
                i += 2 if text[i] == b"\\" else 1
            i += 1
        elif c == b"{" or c == b"[":
            depth += 1
            if depth > limit:
                return True
        elif c == b"}" or c == b"]":
            depth -= 1
    return False
