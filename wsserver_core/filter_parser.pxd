from wsserver_core.conditions cimport Condition, Operator, Vocabulary
from wsserver_core.expressions cimport Expression
from wsserver_core.fields cimport Field


cdef class FilterLimits:
    cdef readonly Py_ssize_t max_bytes
    cdef readonly Py_ssize_t max_nodes
    cdef readonly Py_ssize_t max_depth
    cdef readonly Py_ssize_t max_values
    cdef readonly Py_ssize_t max_pattern_bytes
    cdef readonly Py_ssize_t max_patterns
    cdef readonly bint try_patterns


cdef class FilterParser:
    cdef FilterLimits limits
    cdef Vocabulary vocabulary
    cdef dict fields      # new ones: a filter that is refused leaves nothing in the vocabulary
    cdef dict conditions  # the same
    cdef Py_ssize_t nodes   # conditions, $or and $not
    cdef Py_ssize_t pieces  # objects
    cdef Py_ssize_t patterns

    cdef Expression parse(self, object source)
    cdef Expression filter(self, object source, str place, Py_ssize_t level)
    cdef Expression connective(self, str name, object wanted, str place, Py_ssize_t level)
    cdef Expression member(self, str path, object wanted, str place)
    cdef list operators(self, Field field, dict wanted, str place)
    cdef Expression equality(self, Field field, Operator operator, object wanted, str place, bint many)
    cdef Expression order(self, Field field, Operator operator, object wanted, str place)
    cdef Expression textual(self, Field field, Operator operator, object wanted, str place)
    cdef Expression condition(self, Field field, Operator operator, object operand)
    cdef Field field(self, str path, str place)
    cdef int count(self) except -1
    cdef object scalar(self, object value, str place)
    cdef str identity(self, object value, str place)
    cdef str text(self, object value, str place)
