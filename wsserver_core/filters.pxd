from wsserver_core.conditions cimport Vocabulary
from wsserver_core.expressions cimport Expression
from wsserver_core.fields cimport Probe
from wsserver_core.filter_parser cimport FilterLimits as Limits


cdef class Program:
    cdef readonly bytes canonical
    cdef readonly bint matches_all
    cdef readonly double complexity
    cdef readonly unsigned long long serial  # rises from program to program
    cdef Expression expression
    cdef tuple conditions     # each once
    cdef tuple _plan
    cdef bint _planned

    # A memo like that of Condition.
    cdef unsigned long long stamp
    cdef bint verdict

    # What groups that are gone have counted: see TopicIndex.filters.
    cdef unsigned long long tested
    cdef unsigned long long matched

    cdef bint holds(self, Probe probe) except -1
    cdef tuple plan(self)


cdef class FilterInterner:
    cdef public Limits limits
    cdef Vocabulary vocabulary
    cdef dict entries  # canonical form -> [program, number of users]

    cdef list _entry(self, Program program)
