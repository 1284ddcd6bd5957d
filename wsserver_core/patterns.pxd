cdef class Pattern:
    cdef readonly bytes source
    cdef readonly Py_ssize_t size
    cdef unsigned long long found  # the last message in which it was found
    cdef Shard shard               # None: it is searched by itself
    cdef Py_ssize_t seat           # its place among the shard's patterns
    cdef object compiled

    cdef bint search(self, bytes text) except -1


cdef class Shard:
    cdef list patterns
    cdef Py_ssize_t size
    cdef object compiled  # None while it has to be made anew

    cdef int make(self) except -1
    cdef int search(self, bytes text, unsigned long long stamp) except -1


cdef class PatternBook:
    cdef list shards
    cdef unsigned long long stamp

    cdef int enter(self, Pattern pattern) except -1
    cdef int leave(self, Pattern pattern) except -1
    cdef int search(self, list texts, unsigned long long stamp) except -1


cdef Pattern make_pattern(str source)
cdef list subjects_of(list texts)
