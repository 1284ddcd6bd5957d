from libc.stdint cimport uint32_t, uint64_t

from wsserver_core.filters cimport Program
from wsserver_core.scopes cimport PatientIndex, Scope
from wsserver_core.shelves cimport Group, Shelf
from wsserver_core.subscriptions cimport Subscription, SubscriptionTable
from wsserver_core.topic cimport Topic


cdef class Catalogue:
    cdef SubscriptionTable table
    cdef dict types         # subscription type -> {target id -> Topic}
    cdef PatientIndex patients

    cdef Topic topic(self, str subscription_type, str target_id)
    cdef Topic reach_topic(self, str subscription_type, str target_id)
    cdef Topic topic_of(self, Subscription *subscription)
    cdef int join(self, uint32_t row, Topic topic, Scope scope, Program program) except -1
    cdef int join_scoped(self, uint32_t row, Topic topic, Scope scope, Program program) except -1
    cdef Group *put(self, Shelf shelf, uint64_t handle, uint32_t row, Program program) except NULL
    cdef int leave_groups(self, Topic topic, Subscription *subscription) except -1
    cdef int leave_group(self, Group *group, uint32_t place, bint scoped) except -1
    cdef int prune_shelf(self, Topic topic, Scope scope) except -1
    cdef int prune(self, Topic topic) except -1
