cdef class Pattern:
    cdef readonly bytes source
    cdef readonly Py_ssize_t size
    cdef object compiled

    # A memo like that of Condition: `found` is true of the message numbered `stamp`.
    cdef unsigned long long stamp
    cdef bint found

    cdef bint search(self, bytes text) except -1


cdef class Seat:
    cdef Pattern pattern
    cdef Shard shard
    cdef Py_ssize_t place  # among the shard's seats
    cdef Py_ssize_t users


cdef class Shard:
    cdef list seats
    cdef Py_ssize_t size
    cdef object compiled  # None while it has to be made anew

    cdef int make(self) except -1
    cdef int search(self, bytes text) except -1


cdef class PatternBook:
    cdef dict seats   # Pattern -> Seat
    cdef list shards

    cdef int enter(self, Pattern pattern) except -1
    cdef int leave(self, Pattern pattern) except -1
    cdef int search(self, list texts, unsigned long long stamp) except -1


cdef Pattern make_pattern(str source, bint trial)
cdef list subjects_of(list texts)
