from wsserver_core.conditions cimport Condition
from wsserver_core.expressions cimport Expression
from wsserver_core.fields cimport Probe


cdef class Conjunction:
    cdef tuple fields      # read together they make the key
    cdef tuple keys        # with any of which it may hold
    cdef Condition first   # an order condition, or None
    cdef Condition second  # another, None if there is no first
    cdef tuple others      # conditions that must hold besides
    cdef tuple barred      # conditions that must not hold

    cdef bint others_hold(self, Probe probe) except -1


cdef tuple conjunctions_of(Expression expression)
