"""Who may see whom: sets of patients, and the way from a patient to the sets that hold him."""

cimport cython
from cpython.set cimport PySet_Contains

from wsserver_core.fields cimport Probe

from weakref import WeakValueDictionary


@cython.final
cdef class Scope:
    """The patients a connection may see; None means every patient. Equal scopes are best interned."""

    def __init__(self, patients):
        if patients is not None:
            if type(patients) is not frozenset:
                raise TypeError("a scope is made of a frozenset of patient ids, or None")
            for patient in patients:
                if type(patient) is not str:
                    raise TypeError("a patient id in a scope is text")
        self.patients = patients

    def sees(self, str patient_id not None):
        return self.patients is None or patient_id in self.patients

    cdef bint admits(self, Probe probe, str patient_id) except -1:
        """Whether it sees the patient whom the probed message is about; None is nobody in particular."""
        if patient_id is None or self.patients is None:
            return True
        if self.stamp != probe.stamp:
            self.verdict = PySet_Contains(self.patients, patient_id)
            self.stamp = probe.stamp
        return self.verdict


@cython.final
cdef class ScopeTable:
    """Gives the same Scope for equal sets of patients, as long as somebody holds it."""

    def __init__(self):
        self.scopes = WeakValueDictionary()

    def __len__(self):
        return len(self.scopes)

    def intern(self, patients):
        """The scope of a collection of patient ids, or of None. TypeError for anything else."""
        if isinstance(patients, str):
            raise TypeError("one text is no collection of patient ids")
        key = None if patients is None else frozenset(patients)
        scope = self.scopes.get(key)
        if scope is None:
            scope = self.scopes[key] = Scope(key)
        return scope


@cython.final
cdef class Registration:
    """A scope's entry in the index from patients to scopes, and how many shelves need it."""

    def __cinit__(self, Scope scope):
        self.patients = tuple(scope.patients or ())


@cython.final
cdef class PatientIndex:
    """From a patient to the scopes that see him, of those that are registered."""

    def __cinit__(self):
        self.limited = {}
        self.full = {}
        self.registered = {}

    cdef object seers(self, str patient_id):
        """The limited scopes that see a patient: a dict with them as keys, the only one, or None."""
        return self.limited.get(patient_id)

    cdef int link(self, str patient_id, Scope scope) except -1:
        # Most patients of a large index are seen by one scope, and a dict costs as much as all the rest.
        cdef object found = self.limited.get(patient_id)
        if found is None:
            self.limited[patient_id] = scope
        elif type(found) is dict:
            (<dict>found)[scope] = None
        elif found is not scope:
            self.limited[patient_id] = {found: None, scope: None}
        return 0

    cdef int unlink(self, str patient_id, Scope scope) except -1:
        """Undo ``link``, also one that has failed; allocates nothing."""
        cdef object found = self.limited.get(patient_id)
        if found is scope:
            del self.limited[patient_id]
        elif type(found) is dict:
            drop(<dict>found, scope)
            if not found:
                del self.limited[patient_id]
        return 0

    cdef int register(self, Scope scope) except -1:
        cdef Registration registration = self.registered.get(scope)
        if registration is None:
            registration = Registration(scope)
            try:
                for patient_id in registration.patients:
                    self.link(patient_id, scope)
                if scope.patients is None:
                    self.full[scope] = None
                self.registered[scope] = registration
            except MemoryError:
                self.forget(scope, registration)
                raise
        registration.uses += 1
        return 0

    cdef int unregister(self, Scope scope) except -1:
        cdef Registration registration = self.registered[scope]
        registration.uses -= 1
        if registration.uses == 0:
            self.forget(scope, registration)
        return 0

    cdef int forget(self, Scope scope, Registration registration) except -1:
        """Take out what is there of a scope; allocates nothing."""
        drop(self.registered, scope)
        drop(self.full, scope)
        for patient_id in registration.patients:
            self.unlink(patient_id, scope)
        return 0


cdef int drop(dict table, object key) except -1:
    if key in table:
        del table[key]
    return 0
