cdef class FilterLimits:
    cdef readonly Py_ssize_t max_bytes
    cdef readonly Py_ssize_t max_nodes
    cdef readonly Py_ssize_t max_depth
    cdef readonly Py_ssize_t max_values


cdef class Condition:
    cdef readonly str path
    cdef tuple segments
    cdef frozenset values  # exact texts and finite numbers
    cdef bint takes_null
    cdef bint takes_true
    cdef bint takes_false
    cdef bint identity

    cdef bint holds(self, dict message, dict derived) except -1
    cdef bint reaches(self, object value, Py_ssize_t segment, int nesting) except -1
    cdef bint takes(self, object value) except -1
    cdef object written(self)


cdef class Program:
    cdef readonly bytes canonical
    cdef readonly bint matches_all
    cdef readonly double complexity
    cdef tuple conditions

    # A memo for whoever asks about one message many times: `verdict` is true of the pass numbered `stamp`.
    cdef unsigned long long stamp
    cdef bint verdict

    cdef bint test(self, dict message, dict derived) except -1


cdef class FilterInterner:
    cdef public FilterLimits limits
    cdef dict entries  # canonical form -> [program, number of users]

    cdef list _entry(self, Program program)
