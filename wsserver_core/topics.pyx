"""Who subscribed to what: from a message to its recipients, without touching anyone else.

    Topic (type, target)  ->  Shelf per scope  ->  Group per program  ->  subscribers

All subscribers of a group see the same patients and wrote the same filter, so a group matches
as a whole or not at all. Each scope and each program is asked at most once per message, and a
group that does not match is counted by its size.
"""

cimport cython
from cpython.dict cimport PyDict_Next
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.set cimport PySet_Contains

from typing import NamedTuple
from weakref import WeakValueDictionary

from wsserver_core.filters cimport Program
from wsserver_core.recipients cimport Recipients, check_handle

from wsserver_core.filters import FilterLimits, compile_filter

cdef extern from "Python.h":
    PyObject *PyDict_GetItemWithError(object, object) except? NULL

cdef enum:
    FIRST_CAPACITY = 2
    KEPT_CAPACITY = 64

cdef Program EVERY_MESSAGE = compile_filter(None, FilterLimits())

# One series for all indexes: programs and scopes carry memos of a pass and may be shared between indexes.
cdef unsigned long long last_pass = 0


class Selection(NamedTuple):
    """What became of the subscriptions a message was held against, counted in subscriptions."""

    considered: int
    matching: int
    filtered: int
    denied: int


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
cdef class Topic:
    """The subscriptions of one address, on shelves by scope."""

    def __cinit__(self, str subscription_type, str target_id):
        self.subscription_type = subscription_type
        self.target_id = target_id
        self.is_wild = target_id == "*"
        self.shelves = {}


@cython.final
cdef class Shelf:
    """The subscriptions of one topic that see the same patients, in groups by filter."""

    def __cinit__(self, Topic topic, Scope scope):
        self.topic = topic
        self.scope = scope
        self.groups = {}


@cython.final
cdef class Group:
    """Subscribers of one topic with one scope and one filter, in no order."""

    def __cinit__(self, Shelf shelf, Program program):
        self.shelf = shelf
        self.program = program
        self.members = []

    def __dealloc__(self):
        PyMem_Free(self.handles)

    cdef bint resize(self, Py_ssize_t capacity) noexcept:
        cdef void *moved = PyMem_Realloc(self.handles, capacity * sizeof(unsigned long long))
        if moved is NULL:
            return False
        self.handles = <unsigned long long *>moved
        self.capacity = capacity
        return True

    cdef int append(self, Membership membership, unsigned long long handle) except -1:
        if self.size == self.capacity and not self.resize(max(FIRST_CAPACITY, 2 * self.capacity)):
            raise MemoryError
        self.members.append(membership)
        self.handles[self.size] = handle
        self.size += 1
        return 0

    cdef int take_out(self, Py_ssize_t position) except -1:
        # pop is the only step of a removal that allocates. If it fails, nothing has changed.
        cdef Py_ssize_t last = self.size - 1
        cdef Membership moved = self.members.pop()
        if position != last:
            self.members[position] = moved
            self.handles[position] = self.handles[last]
            moved.position = position
        self.size = last
        if self.capacity > KEPT_CAPACITY and last < self.capacity // 4:
            self.resize(self.capacity // 2)
        return 0


@cython.final
cdef class Registration:
    """A scope's entry in the index from patients to scopes, and how many shelves need it."""

    def __cinit__(self, Scope scope):
        self.patients = tuple(scope.patients or ())


@cython.final
cdef class Membership:
    """One subscription's place in the index."""

    def __init__(self):
        raise TypeError("memberships are made by a TopicIndex")

    @property
    def active(self):
        return self.group is not None

    @property
    def handle(self):
        return 0 if self.group is None else self.group.handles[self.position]

    @property
    def scope(self):
        return None if self.group is None else self.group.shelf.scope

    @property
    def program(self):
        return None if self.group is None else self.group.program


@cython.final
cdef class Pass:
    """One message's way through the index.

    Its references into the index's tables are borrowed. From ``everywhere`` on nothing is allocated
    that would start the garbage collector, and the index refuses changes meanwhile.
    """

    def __cinit__(self, TopicIndex index, str patient_id, dict message, dict derived,
                  unsigned long long exclude):
        global last_pass
        last_pass += 1
        self.stamp = last_pass
        self.index = index
        self.patient_id = patient_id
        self.message = message
        self.derived = derived
        self.exclude = exclude

    cdef int run(self, str subscription_type, str target_id) except -1:
        self.index.passes += 1
        try:
            return self.everywhere(subscription_type, target_id)
        finally:
            self.index.passes -= 1

    cdef int everywhere(self, str subscription_type, str target_id) except -1:
        cdef PyObject *topic
        cdef PyObject *targets
        cdef Py_ssize_t place = 0
        if subscription_type is None:
            return self.over_topic(self.index.admissions)
        if self.patient_id is not None:
            self.seers = self.index.seers.get(self.patient_id)
        if target_id is not None:
            self.over_topic(self.index.topic(subscription_type, target_id))
            self.over_topic(self.index.topic(subscription_type, "*"))
        else:
            targets = PyDict_GetItemWithError(self.index.types, subscription_type)
            if targets is not NULL:
                while PyDict_Next(<object>targets, &place, NULL, &topic):
                    self.over_topic(<Topic>topic)
        return self.over_topic(self.index.topic("*", "*"))

    cdef int over_topic(self, Topic topic) except -1:
        cdef PyObject *shelf
        cdef Py_ssize_t place = 0
        cdef Py_ssize_t before = self.matching + self.filtered
        cdef Py_ssize_t allowed
        if topic is None:
            return 0
        allowed = len(self.index.full_scopes) + (0 if self.seers is None else len(self.seers))
        if self.patient_id is not None and topic.is_wild and allowed < len(topic.shelves):
            self.over_scopes(topic, self.index.full_scopes)
            if self.seers is not None:
                self.over_scopes(topic, self.seers)
        else:
            while PyDict_Next(topic.shelves, &place, NULL, &shelf):
                if self.sees((<Shelf>shelf).scope):
                    self.over_shelf(<Shelf>shelf)
        self.denied += topic.size - (self.matching + self.filtered - before)
        return 0

    cdef int over_scopes(self, Topic topic, dict scopes) except -1:
        cdef PyObject *scope
        cdef PyObject *shelf
        cdef Py_ssize_t place = 0
        while PyDict_Next(scopes, &place, &scope, NULL):
            shelf = PyDict_GetItemWithError(topic.shelves, <object>scope)
            if shelf is not NULL:
                self.over_shelf(<Shelf>shelf)
        return 0

    cdef int over_shelf(self, Shelf shelf) except -1:
        cdef PyObject *entry
        cdef Group group
        cdef Program program
        cdef Py_ssize_t place = 0
        while PyDict_Next(shelf.groups, &place, NULL, &entry):
            group = <Group>entry
            program = group.program
            if program.stamp != self.stamp:
                program.verdict = program.test(self.message, self.derived)
                program.stamp = self.stamp
            if program.verdict:
                self.matching += group.size
                self.collect(group)
            else:
                self.filtered += group.size
        return 0

    cdef int collect(self, Group group) except -1:
        cdef Py_ssize_t i
        if self.out is not None:
            return self.out.extend(group.handles, group.size, self.exclude)
        for i in range(group.size):
            if group.handles[i] != self.exclude:
                self.owners.append((<Membership>group.members[i]).owner)
        return 0

    cdef bint sees(self, Scope scope) except -1:
        if self.patient_id is None or scope.patients is None:
            return True
        if scope.stamp != self.stamp:
            scope.verdict = PySet_Contains(scope.patients, self.patient_id)
            scope.stamp = self.stamp
        return scope.verdict


@cython.final
cdef class TopicIndex:
    """All subscriptions of a process. Adding, moving and removing one takes constant time."""

    # New objects are made before anything is linked: making them may run the garbage collector,
    # with it a finaliser, and that may remove subscriptions.

    def __init__(self):
        self.admissions = Topic(None, None)
        self.types = {}
        self.seers = {}
        self.full_scopes = {}
        self.registered = {}

    def __len__(self):
        """How many subscriptions there are; admissions do not count."""
        return self.size - self.admissions.size

    @property
    def topics(self):
        """How many distinct (type, target) are subscribed to."""
        return sum([len(targets) for targets in self.types.values()])

    @property
    def admitted(self):
        """How many admissions there are."""
        return self.admissions.size

    def sizes(self):
        """The number of entries in each internal table: all 0 when nothing is subscribed or admitted."""
        return {
            "admissions": self.admissions.size,
            "admission_shelves": len(self.admissions.shelves),
            "memberships": self.size,
            "topics": self.topics,
            "types": len(self.types),
            "seers": len(self.seers),
            "full_scopes": len(self.full_scopes),
            "registered": len(self.registered),
        }

    def add(self, unsigned long long handle, Scope scope not None, str subscription_type not None,
            str target_id not None, Program program not None, owner):
        """Enter one subscription; ``owner`` is what ``owners`` will give back for it.

        ``*`` is any target, and as a type (with target ``*``) everything. Raises ValueError for
        a handle or an address that cannot be.
        """
        if not subscription_type or not target_id:
            raise ValueError("a subscription needs a type and a target")
        if subscription_type == "*" and target_id != "*":
            raise ValueError("any type goes with any target only")
        return self.enter(handle, scope, subscription_type, target_id, program, owner)

    def admit(self, unsigned long long handle, Scope scope not None):
        """Enter an authenticated connection: messages to all reach it whatever it subscribed to."""
        return self.enter(handle, scope, None, None, EVERY_MESSAGE, None)

    def remove(self, Membership membership not None):
        """Take a subscription or an admission out. Nothing happens if it is out already."""
        cdef Group group = self.own_group(membership)
        if group is not None:
            self.leave(group, membership.position)
            membership.group = None

    def move(self, Membership membership not None, Scope scope not None):
        """Give a subscription or an admission another scope. Raises ValueError if it has been removed."""
        cdef Group source = self.own_group(membership)
        cdef Group target
        cdef Py_ssize_t position
        if source is not None:
            if source.shelf.scope is scope:
                return
            target = self.reach_group(
                source.shelf.topic.subscription_type, source.shelf.topic.target_id, scope, source.program
            )
            source = membership.group
        if source is None:
            raise ValueError("the membership has been removed")
        position = membership.position
        self.join(target, membership, source.handles[position])
        try:
            self.leave(source, position)
        except MemoryError:
            membership.group, membership.position = source, position
            self.leave(target, target.size - 1)
            raise

    def select(self, str subscription_type, str target_id, str patient_id, dict message not None,
               dict derived not None, Recipients out not None, unsigned long long exclude=0):
        """Fill ``out`` with the connections that get this message; what was in it is forgotten.

        With a type and a target: subscribers of exactly that, of any target of the type, and of
        everything. With a type alone: of all its targets, and of everything. With neither: all
        admitted connections. ``patient_id`` says whom the message is about; then, whatever the
        address, only those who may see this patient get it. A message to a patient is about him.
        ``exclude`` is left out of ``out``, its subscriptions are counted like all others.

        Raises ValueError for ``*`` and for an address to one patient of a message about another.
        """
        cdef Pass passing
        out.clear()
        passing = Pass(self, _about(subscription_type, target_id, patient_id), message, derived, exclude)
        passing.out = out
        try:
            passing.run(subscription_type, target_id)
        except BaseException:
            out.clear()
            raise
        return Selection(
            passing.matching + passing.filtered + passing.denied,
            passing.matching, passing.filtered, passing.denied,
        )

    def owners(self, str subscription_type, str target_id, str patient_id, dict message not None,
               dict derived not None, unsigned long long exclude=0):
        """The owners of all subscriptions that ``select`` would count as matching, in no order.

        Admissions have None for an owner. Raises what ``select`` raises.
        """
        cdef Pass passing
        passing = Pass(self, _about(subscription_type, target_id, patient_id), message, derived, exclude)
        passing.owners = []
        passing.run(subscription_type, target_id)
        return passing.owners

    cdef Topic topic(self, str subscription_type, str target_id):
        cdef PyObject *targets
        cdef PyObject *topic
        if subscription_type is None:
            return self.admissions
        targets = PyDict_GetItemWithError(self.types, subscription_type)
        if targets is NULL:
            return None
        topic = PyDict_GetItemWithError(<object>targets, target_id)
        return None if topic is NULL else <Topic>topic

    cdef int check_still(self) except -1:
        if self.passes:
            raise RuntimeError("the index cannot change while a message passes through it")
        return 0

    cdef Membership enter(
        self, unsigned long long handle, Scope scope, str subscription_type, str target_id,
        Program program, object owner
    ):
        cdef Membership membership = Membership.__new__(Membership)
        cdef Group group
        self.check_still()
        check_handle(handle)
        membership.owner = owner
        group = self.reach_group(subscription_type, target_id, scope, program)
        self.join(group, membership, handle)
        return membership

    cdef int join(self, Group group, Membership membership, unsigned long long handle) except -1:
        try:
            group.append(membership, handle)
        except MemoryError:
            self.prune(group)
            raise
        group.shelf.topic.size += 1
        self.size += 1
        membership.group, membership.position = group, group.size - 1
        return 0

    cdef int leave(self, Group group, Py_ssize_t position) except -1:
        group.take_out(position)
        group.shelf.topic.size -= 1
        self.size -= 1
        return self.prune(group)

    cdef Group own_group(self, Membership membership):
        cdef Group group = membership.group
        cdef Topic topic
        self.check_still()
        if group is not None:
            topic = group.shelf.topic
            if topic is not self.topic(topic.subscription_type, topic.target_id):
                raise ValueError("the membership belongs to another index")
        return group

    cdef Group reach_group(self, str subscription_type, str target_id, Scope scope, Program program):
        cdef Topic topic = self.topic(subscription_type, target_id)
        cdef Shelf shelf
        cdef Group group
        cdef dict targets
        if topic is not None:
            shelf = topic.shelves.get(scope)
            if shelf is not None:
                group = shelf.groups.get(program)
                if group is not None:
                    return group
        targets, topic = {}, Topic(subscription_type, target_id)
        group = Group(Shelf(topic, scope), program)
        if topic.is_wild:
            self.register(scope)
        try:
            return self.link(targets, group)
        except MemoryError:
            self.prune(group)
            raise

    cdef Group link(self, dict targets, Group group):
        # Each new object is taken only where the index has none of its kind. Before a step that can
        # fail, the group's parents are those that are linked, so that prune finds what to undo.
        cdef Shelf fresh = group.shelf
        cdef Shelf shelf
        cdef Topic topic = fresh.topic
        if topic.subscription_type is None:
            topic = self.admissions
        else:
            targets = self.types.setdefault(topic.subscription_type, targets)
            topic = targets.setdefault(topic.target_id, topic)
        fresh.topic = topic
        shelf = topic.shelves.setdefault(fresh.scope, fresh)
        if shelf is not fresh and topic.is_wild:
            self.unregister(fresh.scope)
        group.shelf = shelf
        return shelf.groups.setdefault(group.program, group)

    cdef int prune(self, Group group) except -1:
        cdef Shelf shelf = group.shelf
        cdef Topic topic = shelf.topic
        cdef dict targets
        if group.size:
            return 0
        shelf.groups.pop(group.program, None)
        if shelf.groups:
            return 0
        topic.shelves.pop(shelf.scope, None)
        targets = self.types.get(topic.subscription_type)
        if targets is not None:
            if not topic.shelves:
                targets.pop(topic.target_id, None)
            if not targets:
                del self.types[topic.subscription_type]
        if topic.is_wild:
            self.unregister(shelf.scope)
        return 0

    cdef int register(self, Scope scope) except -1:
        cdef Registration registration = self.registered.get(scope)
        if registration is None:
            registration = Registration(scope)
            try:
                for patient_id in registration.patients:
                    self.seers.setdefault(patient_id, {})[scope] = None
                if scope.patients is None:
                    self.full_scopes[scope] = None
                self.registered[scope] = registration
            except MemoryError:
                self.forget(scope, registration)
                raise
        registration.shelves += 1
        return 0

    cdef int unregister(self, Scope scope) except -1:
        cdef Registration registration = self.registered[scope]
        registration.shelves -= 1
        if registration.shelves == 0:
            self.forget(scope, registration)
        return 0

    cdef int forget(self, Scope scope, Registration registration) except -1:
        cdef dict scopes
        self.registered.pop(scope, None)
        self.full_scopes.pop(scope, None)
        for patient_id in registration.patients:
            scopes = self.seers.get(patient_id)
            if scopes is not None:
                scopes.pop(scope, None)
                if not scopes:
                    del self.seers[patient_id]
        return 0


cdef str _about(str subscription_type, str target_id, str patient_id):
    if subscription_type == "*" or target_id == "*":
        raise ValueError("a message is addressed to one type or target, or to all, never to *")
    if subscription_type is None and target_id is not None:
        raise ValueError("a target without a type")
    if subscription_type != "patient" or target_id is None:
        return patient_id
    if patient_id is not None and patient_id != target_id:
        raise ValueError("a message to one patient is about another")
    return target_id
