"""Which subscriptions a message matches: first who may see it, then whose filter holds."""

cimport cython
from cpython.dict cimport PyDict_Next
from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from wsserver_core.fields cimport Probe
from wsserver_core.filters cimport Program
from wsserver_core.roster cimport Seat
from wsserver_core.scopes cimport Scope
from wsserver_core.shelves cimport Group, Shelf
from wsserver_core.topic cimport Topic, find_topic

from typing import NamedTuple

cdef extern from "Python.h":
    PyObject *PyDict_GetItemWithError(object, object) except? NULL

cdef extern from *:
    """
    #define wsserver_prefetch(address) __builtin_prefetch(address)
    """
    void prefetch "wsserver_prefetch"(const void *) noexcept

cdef enum:
    # Groups lie scattered in memory. Fetched ahead of their turn, a thousand take half the time.
    AHEAD = 8


class Selection(NamedTuple):
    """What became of the subscriptions a message was held against, counted in subscriptions."""

    considered: int
    matching: int
    filtered: int
    denied: int


cdef str about(str subscription_type, str target_id, str patient_id):
    """Whom a message is about, by its address or its own word. Raises ValueError if these disagree."""
    if subscription_type == "*" or target_id == "*":
        raise ValueError("a message is addressed to one type or target, or to all, never to *")
    if subscription_type is None and target_id is not None:
        raise ValueError("a target without a type")
    if subscription_type != "patient" or target_id is None:
        return patient_id
    if patient_id is not None and patient_id != target_id:
        raise ValueError("a message to one patient is about another")
    return target_id


@cython.final
cdef class Pass:
    """One message's way through the tables of a TopicIndex.

    Its references into them are borrowed: the index refuses changes meanwhile.
    """

    def __cinit__(self, str patient_id, dict message, dict derived, uint64_t exclude):
        self.probe = Probe(message, derived)
        self.patient_id = patient_id
        self.exclude = exclude

    cdef object selection(self):
        return Selection(
            self.matching + self.filtered + self.denied, self.matching, self.filtered, self.denied
        )

    cdef int everywhere(self, str subscription_type, str target_id) except -1:
        cdef PyObject *topic
        cdef PyObject *targets
        cdef Py_ssize_t place = 0
        if subscription_type is None:
            return self.over_connections()
        if self.patient_id is not None:
            self.seers = self.catalogue.patients.seers(self.patient_id)
        if target_id is not None:
            self.over_topic(self.topic(subscription_type, target_id))
            self.over_topic(self.topic(subscription_type, "*"))
        else:
            targets = PyDict_GetItemWithError(self.catalogue.types, subscription_type)
            if targets is not NULL:
                while PyDict_Next(<object>targets, &place, NULL, &topic):
                    self.over_topic(<Topic>topic)
        return self.over_topic(self.topic("*", "*"))

    cdef Topic topic(self, str subscription_type, str target_id):
        return find_topic(self.catalogue.types, subscription_type, target_id)

    cdef int over_connections(self) except -1:
        cdef uint64_t chunk[256]
        cdef Py_ssize_t count = 0
        cdef Py_ssize_t place
        cdef Seat *seat
        for place in range(self.roster.top):
            seat = &self.roster.seats[place]
            if not seat.handle:
                continue
            if not (<Scope>seat.scope).admits(self.probe, self.patient_id):
                self.denied += 1
                continue
            self.matching += 1
            chunk[count] = seat.handle
            count += 1
            if count == 256 and self.out is not None:
                self.out.extend(chunk, count, self.exclude)
            count = count & 255
        return 0 if self.out is None else self.out.extend(chunk, count, self.exclude)

    cdef int over_topic(self, Topic topic) except -1:
        cdef PyObject *shelf
        cdef Py_ssize_t place = 0
        cdef Py_ssize_t before = self.matching + self.filtered
        cdef Py_ssize_t allowed
        if topic is None:
            return 0
        if self.patient_id is None or (topic.settled and topic.target_id == self.patient_id):
            return self.over_shelf(topic.everyone)
        if topic.settled:
            return self.over_foreigners(topic.everyone)
        allowed = len(self.catalogue.patients.full) + (
            0 if self.seers is None else len(<dict>self.seers) if type(self.seers) is dict else 1
        )
        if allowed < len(topic.shelves):
            self.over_scopes(topic, self.catalogue.patients.full)
            if type(self.seers) is dict:
                self.over_scopes(topic, self.seers)
            elif self.seers is not None:
                self.over_scope(topic, self.seers)
        else:
            while PyDict_Next(topic.shelves, &place, NULL, &shelf):
                if (<Shelf>shelf).scope.admits(self.probe, self.patient_id):
                    self.over_shelf(<Shelf>shelf)
        self.denied += topic.everyone.size - (self.matching + self.filtered - before)
        return 0

    cdef int over_scopes(self, Topic topic, dict scopes) except -1:
        cdef PyObject *scope
        cdef Py_ssize_t place = 0
        while PyDict_Next(scopes, &place, &scope, NULL):
            self.over_scope(topic, <object>scope)
        return 0

    cdef int over_scope(self, Topic topic, object scope) except -1:
        cdef PyObject *shelf = PyDict_GetItemWithError(topic.shelves, scope)
        return 0 if shelf is NULL else self.over_shelf(<Shelf>shelf)

    cdef int over_shelf(self, Shelf shelf) except -1:
        cdef Group *group
        cdef Py_ssize_t before = self.matching
        cdef Py_ssize_t i
        if shelf.matcher is None:
            group = shelf.first
            while group is not NULL:
                if (<Program>group.program).holds(self.probe):
                    self.collect(group)
                group = group.next
        else:
            shelf.matcher.match(self.probe)
            for i in range(shelf.matcher.count):
                if i + 2 * AHEAD < shelf.matcher.count:
                    prefetch(shelf.matcher.found[i + 2 * AHEAD])
                    prefetch((<Group *>shelf.matcher.found[i + AHEAD]).handles)
                group = <Group *>shelf.matcher.found[i]
                # A filter may hold in several ways.
                if group.stamp != self.probe.stamp:
                    group.stamp = self.probe.stamp
                    self.collect(group)
        self.filtered += shelf.size - (self.matching - before)
        if self.counting:
            shelf.passes += 1
        return 0

    cdef int over_foreigners(self, Shelf shelf) except -1:
        """Subscribers of one patient, and a message to the whole type about another."""
        cdef Group *group = shelf.first
        cdef uint32_t i, allowed
        while group is not NULL:
            allowed = 0
            for i in range(group.size):
                allowed += self.sees(group.handles[i])
            self.denied += group.size - allowed
            if allowed and not (<Program>group.program).holds(self.probe):
                self.filtered += allowed
                if self.counting and allowed == group.size:
                    group.apart += 1
            elif allowed:
                self.matching += allowed
                # That it never matched must not be said of it any more. Who of the group may not see the
                # patient must not learn of the message, so it counts only where all may.
                if self.counting and allowed == group.size:
                    group.matched += 1
                    group.apart += 1
                for i in range(group.size):
                    if self.sees(group.handles[i]):
                        self.collect_rows(&group.rows[i], &group.handles[i], 1)
            group = group.next
        return 0

    cdef bint sees(self, uint64_t handle) except -1:
        return (<Scope>self.roster.seat(handle).scope).admits(self.probe, self.patient_id)

    cdef int collect(self, Group *group) except -1:
        self.matching += group.size
        if self.counting:
            group.matched += 1
        return self.collect_rows(group.rows, group.handles, group.size)

    cdef int collect_rows(self, uint32_t *rows, uint64_t *handles, uint32_t size) except -1:
        cdef uint32_t i
        if self.out is not None:
            return self.out.extend(handles, size, self.exclude)
        for i in range(size):
            if handles[i] != self.exclude:
                self.numbers.append(self.table.number(rows[i]))
        return 0
