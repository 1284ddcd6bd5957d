from wsserver_core.filters cimport Program
from wsserver_core.recipients cimport Recipients


cdef class Scope:
    cdef readonly frozenset patients  # None: every patient
    cdef object __weakref__

    # A memo like that of Program: `verdict` is true of the pass numbered `stamp`.
    cdef unsigned long long stamp
    cdef bint verdict


cdef class ScopeTable:
    cdef object scopes


cdef class Topic:
    cdef str subscription_type
    cdef str target_id
    cdef bint is_wild
    cdef dict shelves  # Scope -> Shelf
    cdef Py_ssize_t size


cdef class Shelf:
    cdef Topic topic
    cdef Scope scope
    cdef dict groups  # Program -> Group


cdef class Group:
    cdef Shelf shelf
    cdef Program program
    cdef list members
    cdef unsigned long long *handles  # handles[i] belongs to members[i]
    cdef Py_ssize_t size
    cdef Py_ssize_t capacity

    cdef bint resize(self, Py_ssize_t capacity) noexcept
    cdef int append(self, Membership membership, unsigned long long handle) except -1
    cdef int take_out(self, Py_ssize_t position) except -1


cdef class Registration:
    cdef tuple patients
    cdef Py_ssize_t shelves


cdef class Membership:
    cdef readonly object owner
    cdef Group group  # None once removed
    cdef Py_ssize_t position


cdef class Pass:
    cdef TopicIndex index
    cdef unsigned long long stamp
    cdef dict message
    cdef dict derived
    cdef str patient_id
    cdef dict seers
    cdef Recipients out
    cdef list owners
    cdef unsigned long long exclude
    cdef Py_ssize_t matching
    cdef Py_ssize_t filtered
    cdef Py_ssize_t denied

    cdef int run(self, str subscription_type, str target_id) except -1
    cdef int everywhere(self, str subscription_type, str target_id) except -1
    cdef int over_topic(self, Topic topic) except -1
    cdef int over_shelf(self, Shelf shelf) except -1
    cdef int over_scopes(self, Topic topic, dict scopes) except -1
    cdef int collect(self, Group group) except -1
    cdef bint sees(self, Scope scope) except -1


cdef class TopicIndex:
    cdef Topic admissions
    cdef dict types  # subscription type -> {target id -> Topic}
    cdef dict seers  # patient id -> {Scope -> None}: limited scopes which hold wildcard subscriptions
    cdef dict full_scopes  # Scope -> None: the same for scopes without limits
    cdef dict registered  # Scope -> Registration: scopes with shelves in wildcard topics
    cdef Py_ssize_t size
    cdef Py_ssize_t passes  # under way

    cdef int check_still(self) except -1
    cdef Topic topic(self, str subscription_type, str target_id)
    cdef Membership enter(
        self, unsigned long long handle, Scope scope, str subscription_type, str target_id,
        Program program, object owner
    )
    cdef int join(self, Group group, Membership membership, unsigned long long handle) except -1
    cdef int leave(self, Group group, Py_ssize_t position) except -1
    cdef Group own_group(self, Membership membership)
    cdef Group reach_group(self, str subscription_type, str target_id, Scope scope, Program program)
    cdef Group link(self, dict targets, Group group)
    cdef int prune(self, Group group) except -1
    cdef int register(self, Scope scope) except -1
    cdef int unregister(self, Scope scope) except -1
    cdef int forget(self, Scope scope, Registration registration) except -1
