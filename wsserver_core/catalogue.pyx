"""Where subscriptions stand: topics, shelves and groups, and the places of rows in them."""

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from wsserver_core.filters cimport Program
from wsserver_core.roster cimport NONE
from wsserver_core.scopes cimport PatientIndex, Scope
from wsserver_core.shelves cimport Group, Shelf, append, take_out
from wsserver_core.subscriptions cimport Subscription, SubscriptionTable
from wsserver_core.topic cimport Topic, find_topic


@cython.final
cdef class Catalogue:
    """Puts the rows of a table into the groups of their topics, and takes them out.

    Putting in may fail for want of memory, and changes nothing then. Taking out cannot.
    """

    def __cinit__(self, SubscriptionTable table):
        self.table = table
        self.types = {}
        self.patients = PatientIndex()

    cdef Topic topic(self, str subscription_type, str target_id):
        return find_topic(self.types, subscription_type, target_id)

    cdef Topic reach_topic(self, str subscription_type, str target_id):
        cdef Topic topic = self.topic(subscription_type, target_id)
        cdef dict targets
        if topic is None:
            topic = Topic(subscription_type, target_id)
            targets = self.types.get(subscription_type)
            if targets is None:
                self.types[subscription_type] = {target_id: topic}
            else:
                targets[target_id] = topic
        return topic

    cdef Topic topic_of(self, Subscription *subscription):
        return <Topic>(<Shelf>subscription.group.shelf).topic

    cdef int join(self, uint32_t row, Topic topic, Scope scope, Program program) except -1:
        """Put a row into the groups of a filter. If that fails nothing has changed."""
        cdef Subscription *subscription = &self.table.rows[row]
        cdef Group *group = self.put(topic.everyone, subscription.handle, row, program)
        if not topic.settled:
            try:
                self.join_scoped(row, topic, scope, program)
            except MemoryError:
                self.leave_group(group, group.size - 1, False)
                raise
        subscription.group, subscription.place = group, group.size - 1
        return 0

    cdef int join_scoped(self, uint32_t row, Topic topic, Scope scope, Program program) except -1:
        cdef Subscription *subscription = &self.table.rows[row]
        cdef Shelf shelf = topic.shelves.get(scope)
        cdef Group *group
        if shelf is None:
            shelf = Shelf()
            shelf.topic = <PyObject *>topic
            shelf.scope = scope
            self.patients.register(scope)
            try:
                topic.shelves[scope] = shelf
            except MemoryError:
                self.patients.unregister(scope)
                raise
        try:
            group = self.put(shelf, subscription.handle, row, program)
        except MemoryError:
            self.prune_shelf(topic, scope)
            raise
        subscription.scoped, subscription.scoped_place = group, group.size - 1
        return 0

    cdef Group *put(self, Shelf shelf, uint64_t handle, uint32_t row, Program program) except NULL:
        """Append a row to a group of a shelf. If that fails nothing has changed."""
        cdef Group *group = shelf.reach(program)
        # A new group has room for one: if this fails, others are in it.
        append(group, handle, row)
        shelf.size += 1
        return group

    cdef int leave_groups(self, Topic topic, Subscription *subscription) except -1:
        """Take a row out of the places that this copy of it has; a NULL is passed over. Allocates nothing."""
        cdef Scope scope
        if subscription.scoped is not NULL:
            scope = (<Shelf>subscription.scoped.shelf).scope
            self.leave_group(subscription.scoped, subscription.scoped_place, True)
            self.prune_shelf(topic, scope)
        if subscription.group is not NULL:
            self.leave_group(subscription.group, subscription.place, False)
        return 0

    cdef int leave_group(self, Group *group, uint32_t place, bint scoped) except -1:
        cdef Shelf shelf = <Shelf>group.shelf
        cdef uint32_t moved = take_out(group, place)
        if moved != NONE:
            if scoped:
                self.table.rows[moved].scoped_place = place
            else:
                self.table.rows[moved].place = place
        shelf.size -= 1
        if not group.size:
            shelf.close(group)
        return 0

    cdef int prune_shelf(self, Topic topic, Scope scope) except -1:
        cdef Shelf shelf = topic.shelves[scope]
        if not shelf.size:
            del topic.shelves[scope]
            self.patients.unregister(scope)
        return 0

    cdef int prune(self, Topic topic) except -1:
        cdef dict targets
        if not topic.everyone.size:
            targets = self.types[topic.subscription_type]
            del targets[topic.target_id]
            if not targets:
                del self.types[topic.subscription_type]
        return 0
