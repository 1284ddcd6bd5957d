from libc.stdint cimport uint32_t, uint64_t

from wsserver_core.catalogue cimport Catalogue
from wsserver_core.fields cimport Probe
from wsserver_core.recipients cimport Recipients
from wsserver_core.roster cimport Roster
from wsserver_core.shelves cimport Group, Shelf
from wsserver_core.subscriptions cimport SubscriptionTable
from wsserver_core.topic cimport Topic


cdef class Pass:
    cdef Catalogue catalogue
    cdef Roster roster
    cdef SubscriptionTable table

    cdef Probe probe
    cdef str patient_id
    cdef object seers        # limited scopes that see the patient: see PatientIndex
    cdef uint64_t exclude
    cdef Recipients out      # either of these two is filled
    cdef list numbers
    cdef bint counting       # whether filters note that they were tested
    cdef Py_ssize_t matching
    cdef Py_ssize_t filtered
    cdef Py_ssize_t denied

    cdef object selection(self)
    cdef int everywhere(self, str subscription_type, str target_id) except -1
    cdef Topic topic(self, str subscription_type, str target_id)
    cdef int over_connections(self) except -1
    cdef int over_topic(self, Topic topic) except -1
    cdef int over_scopes(self, Topic topic, dict scopes) except -1
    cdef int over_scope(self, Topic topic, object scope) except -1
    cdef int over_shelf(self, Shelf shelf) except -1
    cdef int over_foreigners(self, Shelf shelf) except -1
    cdef bint sees(self, uint64_t handle) except -1
    cdef int collect(self, Group *group) except -1
    cdef int collect_rows(self, uint32_t *rows, uint64_t *handles, uint32_t size) except -1


cdef str about(str subscription_type, str target_id, str patient_id)
