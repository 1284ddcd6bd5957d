"""Filters: what a subscriber wrote, made canonical and ready to be asked about many messages.

    path and operator (Condition) -> Expression -> Program, shared by all who wrote the same
"""

cimport cython

from wsserver_core.conditions cimport Condition, Vocabulary
from wsserver_core.conjunctions cimport conjunctions_of
from wsserver_core.expressions cimport ALL, LEAF, Expression
from wsserver_core.fields cimport Probe
from wsserver_core.filter_parser cimport FilterLimits as Limits
from wsserver_core.filter_parser cimport FilterParser

from wsserver_core.filter_parser import FilterError
from wsserver_core.filter_parser import FilterLimits  # no-cython-lint: users of filters need both

cdef unsigned long long last_serial = 0


@cython.final
cdef class Program:
    """A compiled filter. It never changes and may be shared; ``compile_filter`` makes it."""

    def __init__(self):
        raise TypeError("programs are made by compile_filter")

    @property
    def source(self):
        """The filter in its normal form, to be given back to the client: a fresh dict each time."""
        return self.expression.written()

    @property
    def patterns(self):
        """The regular expressions in it."""
        cdef Condition condition
        return [condition.operand for condition in self.conditions if condition.pattern is not None]

    def matches(self, dict message not None, dict derived not None):
        """Whether every member holds. ``derived`` is asked for a top-level key that ``message`` lacks."""
        return self.expression.holds(Probe(message, derived))

    cdef bint holds(self, Probe probe) except -1:
        if self.stamp != probe.stamp:
            self.verdict = self.expression.holds(probe)
            self.stamp = probe.stamp
        return self.verdict

    cdef tuple plan(self):
        """Conjunctions of which any one makes the filter hold; None if they would be too many."""
        if not self._planned:
            self._plan = conjunctions_of(self.expression)
            self._planned = True
        return self._plan


def compile_filter(source: object, Limits limits not None) -> Program:
    """The program of a filter as it came from a client; ``{}`` and None match every message.

    Raises FilterError for anything that is no filter or is beyond the limits.
    """
    return _program(source, limits, Vocabulary())


cdef Program _program(object source, Limits limits, Vocabulary vocabulary):
    global last_serial
    cdef Program program = Program.__new__(Program)
    cdef dict conditions = {}
    program.expression = FilterParser(limits, vocabulary).parse(source)
    program.canonical = program.expression.text.encode()
    if len(program.canonical) > limits.max_bytes:
        raise FilterError("", f"more than {limits.max_bytes} bytes")
    program.matches_all = program.expression.kind == ALL and not program.expression.children
    _share(program.expression, vocabulary, conditions)
    program.conditions = tuple(conditions.values())
    program.complexity = program.expression.complexity()
    last_serial += 1
    program.serial = last_serial
    return program


cdef int _share(Expression expression, Vocabulary vocabulary, dict conditions) except -1:
    """Let equal conditions be one: that of the vocabulary, or else the first in this filter."""
    cdef Expression child
    cdef str text
    if expression.kind == LEAF:
        text = expression.text
        if text not in conditions:
            conditions[text] = vocabulary.conditions.get(text, expression.condition)
        expression.condition = conditions[text]
    for child in expression.children:
        _share(child, vocabulary, conditions)
    return 0


@cython.final
cdef class FilterInterner:
    """The distinct filters in use, each compiled once and shared by all who wrote the same."""

    def __init__(self, Limits limits not None):
        self.limits = limits
        self.vocabulary = Vocabulary()
        self.entries = {}

    def __len__(self):
        return len(self.entries)

    @property
    def conditions(self):
        """How many distinct conditions the filters in use are made of."""
        return len(self.vocabulary.conditions)

    @property
    def fields(self):
        """The paths that filters in use read."""
        return list(self.vocabulary.fields)

    def intern(self, source):
        """The program of this filter, with one more user. Raises FilterError."""
        cdef Program program = _program(source, self.limits, self.vocabulary)
        cdef list entry = self.entries.get(program.canonical)
        cdef Condition condition
        if entry is None:
            entry = self.entries[program.canonical] = [program, 0]
            for condition in program.conditions:
                self.vocabulary.retain(condition)
        entry[1] += 1
        return entry[0]

    def release(self, Program program not None):
        """One user less; with the last one the program is forgotten. ValueError if it is not in use here."""
        cdef list entry = self._entry(program)
        cdef Condition condition
        entry[1] -= 1
        if entry[1] == 0:
            del self.entries[program.canonical]
            for condition in program.conditions:
                self.vocabulary.release(condition)

    cdef list _entry(self, Program program):
        cdef list entry = self.entries.get(program.canonical)
        if entry is None or entry[0] is not program:
            raise ValueError("the program is not in use here")
        return entry
