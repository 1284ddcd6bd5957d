from cpython.object cimport PyObject

from wsserver_core.fields cimport Probe


cdef class Scope:
    cdef object members       # a tuple of few patients, a frozenset of many; None: every patient
    cdef ScopeTable table     # where it is to be found by its members; None: nowhere
    cdef Py_hash_t key        # of its members as a frozenset

    # A memo like that of Condition.
    cdef unsigned long long stamp
    cdef bint verdict

    cdef bint admits(self, Probe probe, str patient_id) except -1
    cdef bint holds(self, frozenset patients) except -1


cdef class ScopeTable:
    cdef PyObject **places    # borrowed: a scope takes itself out when nobody holds it any more
    cdef Py_ssize_t mask      # one less than the number of places
    cdef Py_ssize_t size

    cdef Scope find(self, frozenset patients, Py_hash_t key)
    cdef int reserve(self) except -1
    cdef void enter(self, PyObject *scope) noexcept
    cdef void leave(self, PyObject *scope) noexcept


cdef class Registration:
    cdef tuple patients
    cdef Py_ssize_t uses


cdef class PatientIndex:
    cdef dict limited     # patient id -> {Scope -> None}; one that is alone stands there by itself
    cdef dict full        # Scope -> None: those that see every patient
    cdef dict registered  # Scope -> Registration

    cdef object seers(self, str patient_id)
    cdef int register(self, Scope scope) except -1
    cdef int unregister(self, Scope scope) except -1
    cdef int link(self, str patient_id, Scope scope) except -1
    cdef int unlink(self, str patient_id, Scope scope) except -1
    cdef int forget(self, Scope scope, Registration registration) except -1
