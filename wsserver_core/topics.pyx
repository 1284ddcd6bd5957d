"""Who subscribed to what: from a message to its recipients, without touching anyone else.

    Topic (type, target)  ->  Shelf by right  ->  Group by filter  ->  subscribers

All of a group may see the same and wrote the same filter, so it matches as a whole or not at
all, and one that does not match is counted by its size. The right to one patient's topic is
settled when somebody subscribes. All other topics keep, besides a shelf of everyone, one for
each scope: a message about a patient goes only to the shelves of scopes that see him.
"""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from wsserver_core.catalogue cimport Catalogue
from wsserver_core.filters cimport Program
from wsserver_core.recipients cimport Recipients
from wsserver_core.roster cimport NONE, Roster, Seat
from wsserver_core.scopes cimport Scope
from wsserver_core.selection cimport Pass, about
from wsserver_core.shelves cimport Group, Shelf
from wsserver_core.subscriptions cimport Subscription, SubscriptionTable
from wsserver_core.topic cimport Topic

from typing import NamedTuple

from wsserver_core.selection import Selection  # no-cython-lint: what select returns

cdef extern from "Python.h":
    bint PyGC_Disable()
    bint PyGC_Enable()


class Record(NamedTuple):
    """What is known of one subscription."""

    number: int
    handle: int
    owner: object
    subscription_type: str
    target_id: str
    program: Program
    renewed_at: float
    warned: bool
    hinted: bool


class FilterFigures(NamedTuple):
    """One distinct filter: its subscriptions, and how often it was held against a message and matched."""

    program: Program
    subscriptions: int
    tested: int
    matched: int


cdef inline void wake(bint collecting) noexcept:
    """Undo PyGC_Disable, by what it returned."""
    if collecting:
        PyGC_Enable()


cdef struct Figures:
    uint64_t tested
    uint64_t matched


cdef inline uint64_t tested(Group *group) noexcept:
    return (<Shelf>group.shelf).passes - group.entered + group.apart


cdef inline Figures figures(Subscription *subscription) noexcept:
    cdef Figures counted
    counted.tested, counted.matched = tested(subscription.group), subscription.group.matched
    if subscription.scoped is not NULL:
        counted.tested += tested(subscription.scoped)
        counted.matched += subscription.scoped.matched
    return counted


@cython.final
cdef class TopicIndex:
    """All subscriptions of a process.

    Adding, replacing and removing one takes constant time, but for filters with an order
    condition on a topic that has very many of them: those are kept sorted.
    """

    # The garbage collector rests while tables change or are walked: it may run any finaliser, and
    # that may end subscriptions.

    def __init__(self):
        self.roster = Roster()
        self.table = SubscriptionTable()
        self.catalogue = Catalogue(self.table)

    def __sizeof__(self):
        """With its tables of connections and subscriptions; a shelf tells of its own groups."""
        cdef size_t size = object.__sizeof__(self) + self.roster.top * sizeof(Seat)
        size += self.table.top * sizeof(Subscription)
        return size + (self.table.mask + 1 if self.table.places else 0) * sizeof(uint32_t)

    def __len__(self):
        """How many subscriptions there are."""
        return self.table.size

    @property
    def topics(self):
        """How many distinct (type, target) are subscribed to."""
        cdef bint collecting
        collecting = PyGC_Disable()
        try:
            return sum([len(targets) for targets in self.catalogue.types.values()])
        finally:
            wake(collecting)

    @property
    def admitted(self):
        """How many connections there are."""
        return self.roster.size

    def sizes(self):
        """The number of entries in each internal table: all 0 when nothing is subscribed or admitted."""
        cdef bint collecting
        cdef Topic topic
        cdef Py_ssize_t shelves
        collecting = PyGC_Disable()
        try:
            shelves = 0
            for targets in self.catalogue.types.values():
                for topic in targets.values():
                    shelves += 0 if topic.shelves is None else len(topic.shelves)
            return {
                "connections": self.roster.size,
                "subscriptions": self.table.size,
                "topics": self.topics,
                "types": len(self.catalogue.types),
                "shelves": shelves,
                "patients": len(self.catalogue.patients.limited),
                "full_scopes": len(self.catalogue.patients.full),
                "scopes": len(self.catalogue.patients.registered),
            }
        finally:
            wake(collecting)

    # -- connections

    def admit(self, uint64_t handle, Scope scope not None, owner):
        """Enter an authenticated connection: messages to all reach it whatever it subscribed to.

        Raises ValueError for a handle that cannot be or whose slot is taken.
        """
        self.check_still()
        self.roster.enter(handle, scope, owner)

    def dismiss(self, uint64_t handle):
        """Forget a connection; False when it is not there. Raises ValueError while it is subscribed."""
        cdef Seat *seat = self.roster.seat(handle)
        self.check_still()
        if seat is NULL:
            return False
        if seat.count:
            raise ValueError("the connection has subscriptions")
        self.roster.leave(handle)
        return True

    def owner(self, uint64_t handle):
        """What was given to ``admit``; None for an unknown connection."""
        cdef Seat *seat = self.roster.seat(handle)
        return None if seat is NULL else <object>seat.owner

    def rescope(self, uint64_t handle, Scope scope not None):
        """Give a connection other rights, and with it its subscriptions.

        Those to one patient outside of the new scope end at once: they are returned. Raises
        ValueError for an unknown connection.
        """
        cdef bint collecting
        self.check_still()
        collecting = PyGC_Disable()
        try:
            return self.change_scope(handle, scope)
        finally:
            wake(collecting)

    cdef list change_scope(self, uint64_t handle, Scope scope):
        cdef Seat *seat = self.roster.seat(handle)
        cdef Subscription *formers
        cdef Topic topic
        cdef uint32_t row
        cdef Py_ssize_t moved = 0
        cdef Py_ssize_t place
        cdef list ended = []
        if seat is NULL:
            raise ValueError("no such connection")
        if <Scope>seat.scope is scope:
            return ended
        # All that can fail comes first, and can be undone.
        formers = <Subscription *>PyMem_Malloc((seat.count + 1) * sizeof(Subscription))
        if formers is NULL:
            raise MemoryError
        try:
            row = seat.first
            while row != NONE:
                topic = self.catalogue.topic_of(&self.table.rows[row])
                if not topic.settled:
                    formers[moved] = self.table.rows[row]
                    self.catalogue.join_scoped(row, topic, scope, <Program>formers[moved].group.program)
                    moved += 1
                elif not scope.sees(topic.target_id):
                    ended.append(self.record_of(row))
                row = self.table.rows[row].next
        except MemoryError:
            self.undo(seat, formers, moved)
            PyMem_Free(formers)
            raise
        for place in range(moved):
            formers[place].group = NULL
            self.catalogue.leave_groups(<Topic>(<Shelf>formers[place].scoped.shelf).topic, &formers[place])
        PyMem_Free(formers)
        for record in ended:
            self.end(<uint32_t><uint64_t>record.number)
        self.roster.rescope(seat, scope)
        return ended

    cdef int undo(self, Seat *seat, Subscription *formers, Py_ssize_t moved) except -1:
        """Take the first rows of a connection off their new shelves and give them their old places back."""
        cdef uint32_t row = seat.first
        cdef Subscription fresh
        cdef Topic topic
        cdef Py_ssize_t place = 0
        while place < moved:
            topic = self.catalogue.topic_of(&self.table.rows[row])
            if not topic.settled:
                fresh = self.table.rows[row]
                fresh.group = NULL
                self.table.rows[row] = formers[place]
                self.catalogue.leave_groups(topic, &fresh)
                place += 1
            row = self.table.rows[row].next
        return 0

    # -- subscriptions

    def add(self, uint64_t handle, str subscription_type not None, str target_id not None,
            Program program not None, double now):
        """Enter one subscription and return its number.

        ``*`` is any target, and as a type (with target ``*``) everything. Raises ValueError for an
        unknown connection, an address that cannot be or that it is subscribed to, and one
        patient outside of its scope.
        """
        cdef bint collecting
        self.check_still()
        collecting = PyGC_Disable()
        try:
            return self.enter(handle, subscription_type, target_id, program, now)
        finally:
            wake(collecting)

    cdef object enter(self, uint64_t handle, str subscription_type, str target_id, Program program,
                      double now):
        cdef Seat *seat = self.roster.seat(handle)
        cdef Topic topic
        cdef Scope scope
        cdef uint32_t row
        cdef object number
        if seat is NULL:
            raise ValueError("no such connection")
        if not subscription_type or not target_id:
            raise ValueError("a subscription needs a type and a target")
        if subscription_type == "*" and target_id != "*":
            raise ValueError("any type goes with any target only")
        scope = <Scope>seat.scope
        if subscription_type == "patient" and target_id != "*" and not scope.sees(target_id):
            raise ValueError("this patient is not in the connection's scope")
        topic = self.catalogue.reach_topic(subscription_type, target_id)
        try:
            if self.table.find(seat.handle, <PyObject *>topic) != NONE:
                raise ValueError("the connection is subscribed to this already")
            self.table.reserve_place()
            row = self.table.take(seat.handle, now)
            try:
                number = self.table.number(row)
                self.catalogue.join(row, topic, scope, program)
            except MemoryError:
                self.table.give_back(row)
                raise
        except (MemoryError, ValueError):
            self.catalogue.prune(topic)
            raise
        self.table.enter(row)
        self.table.chain(seat, row)
        return number

    def replace(self, uint64_t number, Program program not None, double now):
        """Give a subscription another filter, at once; returns the former program.

        Raises ValueError if it has ended.
        """
        cdef bint collecting
        self.check_still()
        collecting = PyGC_Disable()
        try:
            return self.exchange(number, program, now)
        finally:
            wake(collecting)

    cdef Program exchange(self, uint64_t number, Program program, double now):
        cdef Subscription *subscription = self.table.row(number)
        cdef Subscription former
        cdef Program given_up
        cdef Topic topic
        if subscription is NULL:
            raise ValueError("the subscription has ended")
        given_up = <Program>subscription.group.program
        if given_up is not program:
            # In to the new groups first: that can fail, leaving the old ones cannot.
            former = subscription[0]
            topic = self.catalogue.topic_of(subscription)
            self.catalogue.join(<uint32_t>number, topic, self.scope_of(subscription), program)
            self.catalogue.leave_groups(topic, &former)
            subscription.hinted = False
        subscription.renewed_at = now
        subscription.warned = False
        return given_up

    def remove(self, uint64_t number):
        """End a subscription; returns its program, or None when it has ended already."""
        cdef bint collecting
        cdef Program program
        self.check_still()
        collecting = PyGC_Disable()
        try:
            if self.table.row(number) is NULL:
                return None
            program = <Program>self.table.row(number).group.program
            self.end(<uint32_t>number)
            return program
        finally:
            wake(collecting)

    def find(self, uint64_t handle, str subscription_type not None, str target_id not None):
        """The number of a connection's subscription to a topic, or 0."""
        cdef Topic topic = self.catalogue.topic(subscription_type, target_id)
        cdef uint32_t row
        if topic is None or handle == 0:
            return 0
        row = self.table.find(handle, <PyObject *>topic)
        return 0 if row == NONE else self.table.number(row)

    def numbers(self, uint64_t handle):
        """The subscriptions of one connection, oldest first."""
        cdef bint collecting
        cdef Seat *seat
        cdef list numbers = []
        cdef uint32_t row
        collecting = PyGC_Disable()
        try:
            seat = self.roster.seat(handle)
            row = NONE if seat is NULL else seat.first
            while row != NONE:
                numbers.append(self.table.number(row))
                row = self.table.rows[row].next
            return numbers
        finally:
            wake(collecting)

    def count(self, uint64_t handle):
        """How many subscriptions a connection has."""
        cdef Seat *seat = self.roster.seat(handle)
        return 0 if seat is NULL else seat.count

    def all_numbers(self):
        """Every subscription, in no order."""
        cdef bint collecting
        cdef Py_ssize_t row
        collecting = PyGC_Disable()
        try:
            return [self.table.number(row) for row in range(self.table.top) if self.table.rows[row].handle]
        finally:
            wake(collecting)

    def record(self, uint64_t number):
        """What is known of a subscription; None when it has ended."""
        cdef bint collecting
        collecting = PyGC_Disable()
        try:
            return None if self.table.row(number) is NULL else self.record_of(<uint32_t>number)
        finally:
            wake(collecting)

    def records(self, uint64_t handle):
        """What is known of the subscriptions of one connection, oldest first."""
        cdef bint collecting
        collecting = PyGC_Disable()
        try:
            return [self.record_of(<uint32_t><uint64_t>number) for number in self.numbers(handle)]
        finally:
            wake(collecting)

    def all_records(self):
        """What is known of every subscription, in no order."""
        cdef bint collecting
        collecting = PyGC_Disable()
        try:
            return [self.record_of(<uint32_t><uint64_t>number) for number in self.all_numbers()]
        finally:
            wake(collecting)

    def renew(self, uint64_t number, double now):
        """Note that it was asked for once more; False when it has ended."""
        cdef Subscription *subscription = self.table.row(number)
        if subscription is NULL:
            return False
        subscription.renewed_at = now
        subscription.warned = False
        return True

    def warn(self, uint64_t number, bint warned):
        """Note whether its client has been told that it is about to end; False when it has ended."""
        cdef Subscription *subscription = self.table.row(number)
        if subscription is NULL:
            return False
        subscription.warned = warned
        return True

    def hint(self, uint64_t number):
        """Note that its client has had a hint about its filter; False when it has ended."""
        cdef Subscription *subscription = self.table.row(number)
        if subscription is NULL:
            return False
        subscription.hinted = True
        return True

    def barren(self, uint64_t enough, Py_ssize_t limit):
        """Subscriptions whose filter was held against ``enough`` messages and matched none, without hint.

        ``limit`` at most, in no order.
        """
        cdef bint collecting
        cdef Subscription *subscription
        cdef list records = []
        cdef Py_ssize_t row
        collecting = PyGC_Disable()
        try:
            for row in range(self.table.top):
                subscription = &self.table.rows[row]
                if not subscription.handle or subscription.hinted or figures(subscription).matched:
                    continue
                if figures(subscription).tested >= enough:
                    if len(records) == limit:
                        break
                    records.append(self.record_of(row))
        finally:
            wake(collecting)
        return records

    def due(self, double before):
        """The subscriptions that were last asked for before a moment, or at it; in no order."""
        cdef bint collecting
        cdef Py_ssize_t row
        collecting = PyGC_Disable()
        try:
            return [
                self.record_of(<uint32_t>row) for row in range(self.table.top)
                if self.table.rows[row].handle and self.table.rows[row].renewed_at <= before
            ]
        finally:
            wake(collecting)

    # -- figures

    def figures(self, uint64_t number):
        """How often the filter of a subscription was held against a message here, and how often it matched.

        They are those of all subscriptions with the same topic, filter and rights. (0, 0) when
        it has ended.
        """
        cdef Subscription *subscription = self.table.row(number)
        cdef Figures counted
        if subscription is NULL:
            return 0, 0
        counted = figures(subscription)
        return counted.tested, counted.matched

    def filters(self):
        """A FilterFigures for each distinct filter in use."""
        cdef bint collecting
        cdef Topic topic
        cdef Shelf shelf
        cdef dict totals = {}
        collecting = PyGC_Disable()
        try:
            for targets in self.catalogue.types.values():
                for topic in targets.values():
                    for shelf in (topic.everyone, *(topic.shelves or {}).values()):
                        _total(shelf, shelf is topic.everyone, totals)
        finally:
            wake(collecting)
        return [FilterFigures(program, *entry) for program, entry in totals.items()]

    def targets(self, str subscription_type):
        """How many targets of a type are subscribed to, ``*`` not being one."""
        cdef dict targets = self.catalogue.types.get(subscription_type)
        return 0 if targets is None else len(targets) - ("*" in targets)

    def topic_sizes(self):
        """(type, target, subscriptions) for each topic."""
        cdef bint collecting
        cdef Topic topic
        collecting = PyGC_Disable()
        try:
            return [
                (topic.subscription_type, topic.target_id, topic.everyone.size)
                for targets in self.catalogue.types.values() for topic in targets.values()
            ]
        finally:
            wake(collecting)

    def largest_topics(self, Py_ssize_t most):
        """The same of ``most`` topics, those with the most subscriptions, the largest first.

        Looks at each topic and makes nothing for those that are not among them.
        """
        cdef bint collecting
        cdef dict targets
        cdef Topic topic
        cdef list found = []
        cdef Py_ssize_t least = 0   # the size of the smallest of them, once there are enough
        if most <= 0:
            return found
        collecting = PyGC_Disable()
        try:
            for targets in self.catalogue.types.values():
                for topic in targets.values():
                    if topic.everyone.size <= least:
                        continue
                    found.append((topic.subscription_type, topic.target_id, topic.everyone.size))
                    if len(found) >= most:
                        found.sort(key=_size, reverse=True)
                        del found[most:]
                        least = _size(found[most - 1])
        finally:
            wake(collecting)
        found.sort(key=_size, reverse=True)
        return found

    # -- messages

    def select(self, str subscription_type, str target_id, str patient_id, dict message not None,
               dict derived not None, Recipients out not None, uint64_t exclude=0):
        """Fill ``out`` with the connections that get this message; what was in it is forgotten.

        With a type and a target: subscribers of exactly that, of any target of the type, and of
        everything. With a type alone: of all its targets, and of everything. With neither: all
        connections. ``patient_id`` says whom the message is about; then, whatever the
        address, only those who may see this patient get it. A message to a patient is about him.
        ``exclude`` is left out of ``out``, its subscriptions are counted like all others.

        Raises ValueError for ``*`` and for an address to one patient of a message about another.
        """
        cdef Pass passing
        out.clear()
        passing = self.start(subscription_type, target_id, patient_id, message, derived, exclude)
        passing.out = out
        passing.counting = True
        try:
            self.run(passing, subscription_type, target_id)
        except BaseException:
            out.clear()
            raise
        return passing.selection()

    def preview(self, str subscription_type, str target_id, str patient_id, dict message not None,
                dict derived not None, uint64_t exclude=0):
        """What ``select`` would return, and the numbers of the subscriptions that match, in no order.

        Nothing is counted as tested. A message to all has no numbers. Raises what ``select`` raises.
        """
        cdef Pass passing = self.start(subscription_type, target_id, patient_id, message, derived, exclude)
        passing.numbers = []
        self.run(passing, subscription_type, target_id)
        return passing.selection(), passing.numbers

    def addressed(self, str subscription_type not None, str target_id, Py_ssize_t limit):
        """The numbers of subscriptions that a message to this address is held against, ``limit`` at most."""
        cdef bint collecting
        cdef list numbers = []
        cdef dict targets
        cdef Topic topic
        collecting = PyGC_Disable()
        try:
            targets = self.catalogue.types.get(subscription_type, {})
            if target_id is None:
                topics = [*targets.values(), self.catalogue.topic("*", "*")]
            else:
                topics = [targets.get(target_id), targets.get("*"), self.catalogue.topic("*", "*")]
            for topic in topics:
                if topic is not None:
                    self.list_rows(topic.everyone, limit, numbers)
        finally:
            wake(collecting)
        return numbers

    cdef Pass start(self, str subscription_type, str target_id, str patient_id, dict message, dict derived,
                    uint64_t exclude):
        cdef Pass passing = Pass(about(subscription_type, target_id, patient_id), message, derived, exclude)
        passing.catalogue, passing.roster, passing.table = self.catalogue, self.roster, self.table
        return passing

    cdef int run(self, Pass passing, str subscription_type, str target_id) except -1:
        cdef bint collecting
        if self.passes:
            raise RuntimeError("another message passes through the index")
        collecting = PyGC_Disable()
        self.passes += 1
        try:
            return passing.everywhere(subscription_type, target_id)
        finally:
            self.passes -= 1
            wake(collecting)

    cdef int list_rows(self, Shelf shelf, Py_ssize_t limit, list numbers) except -1:
        cdef Group *group = shelf.first
        cdef uint32_t place
        while group is not NULL:
            for place in range(group.size):
                if len(numbers) >= limit:
                    return 0
                numbers.append(self.table.number(group.rows[place]))
            group = group.next
        return 0

    # -- inside

    cdef int check_still(self) except -1:
        if self.passes:
            raise RuntimeError("the index cannot change while a message passes through it")
        return 0

    cdef Scope scope_of(self, Subscription *subscription):
        return <Scope>self.roster.seat(subscription.handle).scope

    cdef object end(self, uint32_t row):
        cdef Topic topic = self.catalogue.topic_of(&self.table.rows[row])
        self.table.leave(row)
        self.table.unchain(self.roster.seat(self.table.rows[row].handle), row)
        self.catalogue.leave_groups(topic, &self.table.rows[row])
        self.table.give_back(row)
        self.catalogue.prune(topic)

    cdef object record_of(self, uint32_t row):
        cdef Subscription *subscription = &self.table.rows[row]
        cdef Topic topic = self.catalogue.topic_of(subscription)
        return Record(
            self.table.number(row), subscription.handle, self.owner(subscription.handle),
            topic.subscription_type, topic.target_id, <Program>subscription.group.program,
            subscription.renewed_at, bool(subscription.warned), bool(subscription.hinted),
        )


def _size(tuple entry):
    return entry[2]


cdef int _total(Shelf shelf, bint counted, dict totals) except -1:
    cdef Group *group = shelf.first
    cdef Program program
    cdef list entry
    while group is not NULL:
        entry = totals.get(<object>group.program)
        if entry is None:
            program = <Program>group.program
            entry = totals[program] = [0, program.tested, program.matched]
        # Scoped subscribers stand among everyone, too.
        entry[0] += group.size if counted else 0
        entry[1] += tested(group)
        entry[2] += group.matched
        group = group.next
    return 0
