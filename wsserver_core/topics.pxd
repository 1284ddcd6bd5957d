from libc.stdint cimport uint32_t, uint64_t

from wsserver_core.catalogue cimport Catalogue
from wsserver_core.filters cimport Program
from wsserver_core.roster cimport Roster, Seat
from wsserver_core.scopes cimport Scope
from wsserver_core.selection cimport Pass
from wsserver_core.shelves cimport Shelf
from wsserver_core.subscriptions cimport Subscription, SubscriptionTable


cdef class TopicIndex:
    cdef Roster roster
    cdef SubscriptionTable table
    cdef Catalogue catalogue
    cdef Py_ssize_t passes  # under way

    cdef int check_still(self) except -1
    cdef Scope scope_of(self, Subscription *subscription)
    cdef object enter(
        self, uint64_t handle, str subscription_type, str target_id, Program program, double now
    )
    cdef Program exchange(self, uint64_t number, Program program, double now)
    cdef list change_scope(self, uint64_t handle, Scope scope)
    cdef int undo(self, Seat *seat, Subscription *formers, Py_ssize_t moved) except -1
    cdef Pass start(
        self, str subscription_type, str target_id, str patient_id, dict message, dict derived,
        uint64_t exclude
    )
    cdef int run(self, Pass passing, str subscription_type, str target_id) except -1
    cdef int list_rows(self, Shelf shelf, Py_ssize_t limit, list numbers) except -1
    cdef object record_of(self, uint32_t row)
    cdef object end(self, uint32_t row)
