from wsserver_core.conditions cimport Condition
from wsserver_core.fields cimport Probe


cdef enum Kind:
    LEAF = 0
    ALL = 1   # of no children: true
    ANY = 2
    NOT = 3


cdef class Expression:
    cdef Kind kind
    cdef tuple children
    cdef Condition condition  # of a leaf
    cdef str text             # the normal form as JSON: equal texts, equal expressions

    cdef bint holds(self, Probe probe) except -1
    cdef dict written(self)
    cdef double complexity(self) except -1


cdef Expression leaf(Condition condition)
cdef Expression all_of(list parts)
cdef Expression any_of(list parts)
cdef Expression negation(Expression part)
