from cpython.object cimport PyObject


cdef class Probe:
    cdef unsigned long long stamp  # memos that bear this number are true of this message
    cdef dict message
    cdef dict derived


cdef class Field:
    cdef readonly str path
    cdef readonly bint identity
    cdef tuple segments
    cdef Py_ssize_t length
    cdef Py_ssize_t users      # conditions in use that read it

    # The reading: what the path leads to in the message numbered `stamp`. The values are borrowed
    # from it and hold good while it is looked at.
    cdef unsigned long long stamp
    cdef bint busy
    cdef bint there
    cdef bint numeric
    cdef double lowest
    cdef double highest
    cdef PyObject **values
    cdef Py_ssize_t count
    cdef Py_ssize_t capacity
    cdef bint keyed
    cdef object key   # the only key there is; None when there are none or several
    cdef set keys     # several
    cdef list _texts  # None until asked for

    cdef int read(self, Probe probe) except -1
    cdef int look(self, Probe probe) except -1
    cdef int start(self) except -1
    cdef int walk(self, object value, Py_ssize_t segment, int nesting) except -1
    cdef int take(self, object value) except -1
    cdef int note_number(self, object value) except -1
    cdef int find_keys(self) except -1
    cdef bint equals_any(self, frozenset wanted) except -1
    cdef list texts(self)


cdef object key_of(object value, bint identity)
cdef object NO_KEY
cdef object TRUE_KEY
cdef object FALSE_KEY
cdef object NULL_KEY
