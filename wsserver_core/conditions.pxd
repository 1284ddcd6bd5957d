from wsserver_core.fields cimport Field, Probe
from wsserver_core.patterns cimport Pattern


cdef enum Operator:
    IN = 0
    NOT_IN = 1
    GREATER = 2
    AT_LEAST = 3
    LESS = 4
    AT_MOST = 5
    EXISTS = 6
    PREFIX = 7
    CONTAINS = 8
    REGEX = 9


cdef class Condition:
    cdef readonly Field field
    cdef Operator operator
    cdef readonly object operand  # in normal form: a value, a list of values, a number, true or false, a text
    cdef frozenset keys           # IN, NOT_IN: those of the values
    cdef double bound             # the order operators
    cdef Pattern pattern          # REGEX
    cdef readonly str text        # the normal form as JSON: equal texts, equal conditions
    cdef Py_ssize_t users         # filters in use that share it

    cdef unsigned long long stamp
    cdef bint verdict             # of the message numbered `stamp`

    cdef int compile(self, bint trial) except -1
    cdef dict written(self)
    cdef bint holds(self, Probe probe) except -1
    cdef bint judge(self, Probe probe) except -1
    cdef bint has_text(self) except -1


cdef inline bint is_order(Operator operator) noexcept:
    return GREATER <= operator <= AT_MOST


cdef str json_text(object value)
cdef Condition make_condition(Field field, Operator operator, object operand)


cdef class Vocabulary:
    cdef dict fields      # path -> Field
    cdef dict conditions  # normal form -> Condition

    cdef int retain(self, Condition condition) except -1
    cdef int release(self, Condition condition) except -1
