"""One operator on one field, with its constants parsed: the smallest part of a filter.

Whoever wrote the same condition shares it, so each is judged once per message.
"""

cimport cython

from wsserver_core.fields cimport Field, Probe, key_of
from wsserver_core.patterns cimport make_pattern, subjects_of

import json


cdef tuple NAMES = (
    "$in", "$nin", "$gt", "$gte", "$lt", "$lte", "$exists", "$prefix", "$contains", "$regex",
)


# Made once: json.dumps makes an encoder for each call that wants anything special of it.
cdef object _encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


cdef str json_text(object value):
    return _encode(value)


cdef Condition make_condition(Field field, Operator operator, object operand):
    """A condition that can be compared with others; ``compile`` makes it ready to be asked."""
    cdef Condition condition = Condition.__new__(Condition)
    condition.field = field
    condition.operator = operator
    condition.operand = operand
    condition.text = json_text(condition.written())
    return condition


@cython.final
cdef class Condition:
    """``field operator operand``."""

    cdef int compile(self, bint trial) except -1:
        """Parse the operand; ``trial`` is that of ``make_pattern``. Raises PatternError."""
        if self.operator == IN or self.operator == NOT_IN:
            values = self.operand if isinstance(self.operand, list) else (self.operand,)
            self.keys = frozenset([key_of(value, False) for value in values])
        elif is_order(self.operator):
            self.bound = self.operand
        elif self.operator == REGEX:
            self.pattern = make_pattern(self.operand, trial)
        return 0

    cdef dict written(self):
        """The filter that consists of this condition, each time a fresh one."""
        operand = self.operand
        if isinstance(operand, list):
            operand = operand[:]
        if self.operator == IN:
            return {self.field.path: operand}
        if self.operator == NOT_IN and not isinstance(operand, list):
            return {self.field.path: {"$ne": operand}}
        return {self.field.path: {NAMES[<int>self.operator]: operand}}

    cdef bint holds(self, Probe probe) except -1:
        if self.stamp != probe.stamp:
            self.verdict = self.judge(probe)
            self.stamp = probe.stamp
        return self.verdict

    cdef bint judge(self, Probe probe) except -1:
        # First, for there may be a thousand of them that one search has answered.
        if self.pattern is not None and self.pattern.stamp == probe.stamp:
            return self.pattern.found
        self.field.read(probe)
        if self.operator == IN:
            return self.field.equals_any(self.keys)
        if self.operator == NOT_IN:
            return not self.field.equals_any(self.keys)
        if self.operator == EXISTS:
            return self.field.there == (self.operand is True)
        if is_order(self.operator):
            if not self.field.numeric:
                return False
            if self.operator == GREATER:
                return self.field.highest > self.bound
            if self.operator == AT_LEAST:
                return self.field.highest >= self.bound
            if self.operator == LESS:
                return self.field.lowest < self.bound
            return self.field.lowest <= self.bound
        return self.has_text()

    cdef bint has_text(self) except -1:
        cdef str text
        cdef str wanted = self.operand
        if self.operator == PREFIX:
            for text in self.field.texts():
                if text.startswith(wanted):
                    return True
            return False
        if self.operator == CONTAINS:
            for text in self.field.texts():
                if wanted in text:
                    return True
            return False
        for subject in subjects_of(self.field.texts()):
            if self.pattern.search(subject):
                return True
        return False


@cython.final
cdef class Vocabulary:
    """The fields and conditions of filters in use, each once however many filters have it."""

    def __cinit__(self):
        self.fields = {}
        self.conditions = {}

    cdef int retain(self, Condition condition) except -1:
        cdef Field field = condition.field
        if condition.users == 0:
            self.conditions[condition.text] = condition
            if field.users == 0:
                self.fields[field.path] = field
            field.users += 1
        condition.users += 1
        return 0

    cdef int release(self, Condition condition) except -1:
        cdef Field field = condition.field
        condition.users -= 1
        if condition.users:
            return 0
        del self.conditions[condition.text]
        field.users -= 1
        if field.users == 0:
            del self.fields[field.path]
        return 0
