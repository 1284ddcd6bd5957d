from wsserver_core.fields cimport Probe


cdef class Scope:
    cdef readonly frozenset patients  # None: every patient
    cdef object __weakref__

    # A memo like that of Condition.
    cdef unsigned long long stamp
    cdef bint verdict

    cdef bint admits(self, Probe probe, str patient_id) except -1


cdef class ScopeTable:
    cdef object scopes


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
