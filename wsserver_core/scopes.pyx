"""Who may see whom: sets of patients, and the way from a patient to the sets that hold him."""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from wsserver_core.fields cimport Probe

cdef enum:
    # A tuple of so many is searched as fast as a set, and takes 80 bytes where that takes 216.
    FEW = 4
    FIRST_PLACES = 64


@cython.final
@cython.no_gc
cdef class Scope:
    """The patients a connection may see; None means every patient. Equal scopes are best interned."""

    # Not looked at by the garbage collector: texts and a table that does not own it make no ring.

    def __init__(self, patients):
        if patients is None:
            self.members = None
            return
        if type(patients) is not frozenset:
            raise TypeError("a scope is made of a frozenset of patient ids, or None")
        for patient in patients:
            if type(patient) is not str:
                raise TypeError("a patient id in a scope is text")
        self.members = tuple(patients) if len(patients) <= FEW else patients

    def __dealloc__(self):
        if self.table is not None:
            self.table.leave(<PyObject *>self)

    @property
    def patients(self):
        return frozenset(self.members) if type(self.members) is tuple else self.members

    def __len__(self):
        """How many patients it names."""
        return 0 if self.members is None else len(self.members)

    def __bool__(self):
        return True

    def sees(self, str patient_id not None):
        return self.members is None or patient_id in self.members

    cdef bint admits(self, Probe probe, str patient_id) except -1:
        """Whether it sees the patient whom the probed message is about; None is nobody in particular."""
        if patient_id is None or self.members is None:
            return True
        if self.stamp != probe.stamp:
            self.verdict = patient_id in self.members
            self.stamp = probe.stamp
        return self.verdict

    cdef bint holds(self, frozenset patients) except -1:
        """Whether these are its patients."""
        if patients is None or self.members is None:
            return patients is None and self.members is None
        if len(self.members) != len(patients):
            return False
        for patient_id in self.members:
            if patient_id not in patients:
                return False
        return True


@cython.final
cdef class ScopeTable:
    """Gives the same Scope for equal sets of patients, as long as somebody holds it.

    By the hash of the set, an entry as near behind its home as there was room.
    """

    def __dealloc__(self):
        # Scopes hold their table: there are none left.
        PyMem_Free(self.places)

    def __sizeof__(self):
        return object.__sizeof__(self) + (self.mask + 1 if self.places else 0) * sizeof(PyObject *)

    def __len__(self):
        return self.size

    def intern(self, patients):
        """The scope of a collection of patient ids, or of None. TypeError for anything else."""
        cdef frozenset wanted
        cdef Py_hash_t key
        cdef Scope fresh, found
        if isinstance(patients, str):
            raise TypeError("one text is no collection of patient ids")
        wanted = None if patients is None else frozenset(patients)
        key = hash(wanted)
        found = self.find(wanted, key)
        if found is not None:
            return found
        fresh = Scope(wanted)
        self.reserve()
        # Once more: what was let go of meanwhile may have run anything.
        found = self.find(wanted, key)
        if found is not None:
            return found
        fresh.key, fresh.table = key, self
        self.enter(<PyObject *>fresh)
        self.size += 1
        return fresh

    cdef Scope find(self, frozenset patients, Py_hash_t key):
        cdef Py_ssize_t place
        cdef Scope scope
        if not self.places:
            return None
        place = home(key) & self.mask
        while self.places[place]:
            if (<Scope>self.places[place]).key == key:
                scope = <Scope>self.places[place]
                if scope.holds(patients):
                    return scope
            place = (place + 1) & self.mask
        return None

    cdef int reserve(self) except -1:
        """Make room for one more."""
        cdef Py_ssize_t count = self.mask + 1 if self.places else 0
        cdef PyObject **former = self.places
        cdef PyObject **roomy
        cdef Py_ssize_t place
        if 3 * (self.size + 1) <= 2 * count:
            return 0
        roomy = <PyObject **>PyMem_Calloc(max(FIRST_PLACES, 2 * count), sizeof(PyObject *))
        if roomy is NULL:
            raise MemoryError
        self.places, self.mask = roomy, max(FIRST_PLACES, 2 * count) - 1
        for place in range(count):
            if former[place]:
                self.enter(former[place])
        PyMem_Free(former)
        return 0

    cdef void enter(self, PyObject *scope) noexcept:
        cdef Py_ssize_t place = home((<Scope>scope).key) & self.mask
        while self.places[place]:
            place = (place + 1) & self.mask
        self.places[place] = scope

    cdef void leave(self, PyObject *scope) noexcept:
        # No reference is taken: the scope that leaves has none left, and must not be given one again.
        cdef Py_ssize_t hole = home((<Scope>scope).key) & self.mask
        cdef Py_ssize_t place, at
        while self.places[hole] != scope:
            hole = (hole + 1) & self.mask
        # What stands behind the hole moves up unless it would come before its home.
        place = hole
        while True:
            place = (place + 1) & self.mask
            if not self.places[place]:
                break
            at = home((<Scope>self.places[place]).key) & self.mask
            if ((place - at) & self.mask) >= ((place - hole) & self.mask):
                self.places[hole] = self.places[place]
                hole = place
        self.places[hole] = NULL
        self.size -= 1


cdef inline Py_ssize_t home(Py_hash_t key) noexcept:
    cdef uint64_t mixed = <uint64_t>key * 0x9E3779B97F4A7C15ULL
    return <Py_ssize_t>((mixed ^ (mixed >> 32)) & 0x7FFFFFFFFFFFFFFFULL)


@cython.final
cdef class Registration:
    """A scope's entry in the index from patients to scopes, and how many shelves need it."""

    def __cinit__(self, Scope scope):
        self.patients = scope.members if type(scope.members) is tuple else tuple(scope.members or ())


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
                if scope.members is None:
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
