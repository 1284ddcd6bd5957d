"""Filters: what a subscriber wrote, made canonical and ready to be asked about many messages.

A filter is an object whose members must all hold. A key is a dotted path into the message,
a scalar means equality, a list means any of its values. PROTOCOL.md section 5 has the rules.
"""

cimport cython
from cpython.dict cimport PyDict_Check
from cpython.float cimport PyFloat_Check
from cpython.long cimport PyLong_Check, PyLong_CheckExact
from cpython.object cimport PyObject
from cpython.set cimport PySet_Contains
from cpython.unicode cimport PyUnicode_Check, PyUnicode_CheckExact, PyUnicode_FromObject

from math import isfinite
from sys import intern as intern_text

cdef extern from "Python.h":
    PyObject *PyDict_GetItemWithError(object, object) except? NULL
    long long PyLong_AsLongLongAndOverflow(object, int *) except? -1
    Py_ssize_t PySequence_Fast_GET_SIZE(object)
    PyObject *PySequence_Fast_GET_ITEM(object, Py_ssize_t)

cdef enum:
    # No message is nested deeper (PROTOCOL.md section 3), so nothing below can be meant. It also
    # keeps the recursion of Condition.reaches off the end of the C stack.
    MAX_NESTING = 32
    MAX_PATH_TOLD = 128

# 2**53: from here on a browser cannot tell a whole number from its neighbours.
cdef long long MAX_WHOLE = 9007199254740992

IDENTITY_FIELDS = frozenset({"patient_id", "target_id", "user_id"})


class FilterError(ValueError):
    """The filter is refused: ``path`` says where, ``reason`` why. Neither holds a value of the filter."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path[:MAX_PATH_TOLD]
        self.reason = reason
        super().__init__(f"{self.path}: {reason}" if path else reason)


@cython.final
cdef class FilterLimits:
    """Bounds of one filter: bytes of its canonical form, members, segments of a path, values of a list."""

    def __init__(self, *, Py_ssize_t max_bytes=4096, Py_ssize_t max_nodes=64,
                 Py_ssize_t max_depth=8, Py_ssize_t max_values=256):
        if min(max_bytes, max_nodes, max_depth, max_values) < 1:
            raise ValueError("limits of filters are at least 1")
        self.max_bytes = max_bytes
        self.max_nodes = max_nodes
        self.max_depth = max_depth
        self.max_values = max_values


@cython.final
cdef class Condition:
    """One member of a filter: the path, and the values that satisfy it."""

    # No method below runs code of the message's own types (subclasses of str or int are read as
    # what they contain): the topic index walks its tables while it asks.

    cdef bint holds(self, dict message, dict derived) except -1:
        cdef PyObject *found = PyDict_GetItemWithError(message, self.segments[0])
        if found is NULL:
            found = PyDict_GetItemWithError(derived, self.segments[0])
            if found is NULL:
                return False
        return self.reaches(<object>found, 1, 1)

    cdef bint reaches(self, object value, Py_ssize_t segment, int nesting) except -1:
        cdef PyObject *found
        cdef Py_ssize_t i
        cdef bint holds
        cdef bint is_last = segment == len(self.segments)
        if isinstance(value, (list, tuple)):
            if nesting == MAX_NESTING:
                return False
            for i in range(PySequence_Fast_GET_SIZE(value)):
                found = PySequence_Fast_GET_ITEM(value, i)
                if is_last:
                    holds = self.takes(<object>found)
                else:
                    holds = self.reaches(<object>found, segment, nesting + 1)
                if holds:
                    return True
            return False
        if is_last:
            return self.takes(value)
        if nesting == MAX_NESTING or not PyDict_Check(value):
            return False
        found = PyDict_GetItemWithError(value, self.segments[segment])
        return found is not NULL and self.reaches(<object>found, segment + 1, nesting + 1)

    cdef bint takes(self, object value) except -1:
        cdef int overflow = 0
        cdef long long whole
        if value is None:
            return self.takes_null
        if value is True:
            return self.takes_true
        if value is False:
            return self.takes_false
        if PyUnicode_CheckExact(value):
            return PySet_Contains(self.values, value)
        if PyLong_Check(value):
            if not PyLong_CheckExact(value) or self.identity:
                whole = PyLong_AsLongLongAndOverflow(value, &overflow)
                if overflow:
                    return False
                value = whole
                if self.identity:
                    if whole < 0:
                        return False
                    value = str(whole)
            return PySet_Contains(self.values, value)
        if PyFloat_Check(value):
            return PySet_Contains(self.values, <double>value)
        return PyUnicode_Check(value) and PySet_Contains(self.values, PyUnicode_FromObject(value))

    cdef object written(self):
        cdef list values = sorted(self.values, key=_rank)
        if self.takes_true:
            values.insert(0, True)
        if self.takes_false:
            values.insert(0, False)
        if self.takes_null:
            values.insert(0, None)
        return values[0] if len(values) == 1 else values


@cython.final
cdef class Program:
    """A compiled filter. It never changes and may be shared; ``compile_filter`` makes it."""

    def __init__(self):
        raise TypeError("programs are made by compile_filter")

    @property
    def source(self):
        """The filter in its normal form, to be given back to the client: a fresh dict each time."""
        cdef Condition condition
        return {condition.path: condition.written() for condition in self.conditions}

    def matches(self, dict message not None, dict derived not None):
        """Whether every member holds. ``derived`` is asked for a top-level key that ``message`` lacks."""
        return self.test(message, derived)

    cdef bint test(self, dict message, dict derived) except -1:
        cdef Condition condition
        for condition in self.conditions:
            if not condition.holds(message, derived):
                return False
        return True


def compile_filter(source: object, FilterLimits limits not None) -> Program:
    """The program of a filter as it came from a client; ``{}`` and None match every message.

    Raises FilterError for anything that is no filter or is beyond the limits.
    """
    cdef list conditions
    if source is None:
        source = {}
    if not isinstance(source, dict):
        raise FilterError("", "a filter is an object")
    if len(source) > limits.max_nodes:
        raise FilterError("", f"more than {limits.max_nodes} members")
    conditions = [_condition(path, wanted, limits) for path, wanted in source.items()]
    conditions.sort(key=_path)
    return _program(tuple(conditions), limits)


cdef Program _program(tuple conditions, FilterLimits limits):
    cdef Condition condition
    cdef Program program = Program.__new__(Program)
    cdef list members = []
    program.conditions = conditions
    program.matches_all = not conditions
    for condition in conditions:
        written = condition.written()
        program.complexity += 1
        if isinstance(written, list):
            program.complexity += len(written) / 16.0
            members.append(f"{condition.path!r}:[{','.join([repr(value) for value in written])}]")
        else:
            members.append(f"{condition.path!r}:{written!r}")
    # As many bytes as compact JSON takes, escapes aside, so that a client can tell what fits.
    program.canonical = f"{{{','.join(members)}}}".encode()
    if len(program.canonical) > limits.max_bytes:
        raise FilterError("", f"more than {limits.max_bytes} bytes")
    return program


cdef Condition _condition(object path, object wanted, FilterLimits limits):
    cdef Condition condition = Condition.__new__(Condition)
    cdef set values = set()
    if not isinstance(path, str):
        raise FilterError("", "a key is text")
    condition.path = path = _text(path, "")
    condition.segments = tuple([intern_text(segment) for segment in path.split(".")])
    if len(condition.segments) > limits.max_depth:
        raise FilterError(path, f"a path of more than {limits.max_depth} fields")
    for segment in condition.segments:
        if not segment:
            raise FilterError(path, "an empty name in the path")
        if segment.startswith("$"):
            raise FilterError(path, "unknown operator")
    condition.identity = condition.segments[len(condition.segments) - 1] in IDENTITY_FIELDS

    if isinstance(wanted, dict):
        for key in wanted:
            if isinstance(key, str) and key.startswith("$"):
                raise FilterError(f"{path}.{_text(key, path)}", "unknown operator")
        raise FilterError(path, "an object; a field inside is named with dots, such as vitals.hr")
    if not isinstance(wanted, (list, tuple)):
        wanted = (wanted,)
    elif not wanted:
        raise FilterError(path, "an empty list, which no message can match")
    if len(wanted) > limits.max_values:
        raise FilterError(path, f"more than {limits.max_values} values")
    for value in wanted:
        if value is None:
            condition.takes_null = True
        elif condition.identity:
            values.add(_identity(value, path))
        elif value is True:
            condition.takes_true = True
        elif value is False:
            condition.takes_false = True
        else:
            values.add(_scalar(value, path))
    condition.values = frozenset(values)
    return condition


cdef object _scalar(object value, str path):
    if isinstance(value, str):
        return _text(value, path)
    if isinstance(value, int):
        return _whole(value, path)
    if isinstance(value, float):
        if not isfinite(value):
            raise FilterError(path, "a number that is not finite")
        # 1.0 and 1 are one number and must be spelled alike in the canonical form.
        return int(value) if abs(value) <= MAX_WHOLE and value == int(value) else <double>value
    raise FilterError(path, "a value is text, a number, true, false or null")


cdef str _identity(object value, str path):
    if isinstance(value, str):
        return _text(value, path)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return str(_whole(value, path))
    raise FilterError(path, "an id is text or a whole number from 0")


cdef object _whole(object value, str path):
    if not -MAX_WHOLE <= value <= MAX_WHOLE:
        raise FilterError(path, "a whole number beyond 2**53")
    return <long long>value


cdef str _text(object value, str path):
    cdef str text = PyUnicode_FromObject(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise FilterError(path, "text with half of a surrogate pair") from None
    return text


def _path(Condition condition):
    return condition.path


def _rank(value):
    return isinstance(value, str), value


@cython.final
cdef class FilterInterner:
    """The distinct filters in use, each compiled once and shared by all who wrote the same."""

    def __init__(self, FilterLimits limits not None):
        self.limits = limits
        self.entries = {}

    def __len__(self):
        return len(self.entries)

    def intern(self, source):
        """The program of this filter, with one more user. Raises FilterError."""
        cdef Program program = compile_filter(source, self.limits)
        cdef list entry = self.entries.get(program.canonical)
        if entry is None:
            entry = self.entries[program.canonical] = [program, 0]
        entry[1] += 1
        return entry[0]

    def retain(self, Program program not None):
        """One more user of a program that is in use here; ValueError if it is not."""
        self._entry(program)[1] += 1

    def release(self, Program program not None):
        """One user less; with the last one the program is forgotten. ValueError if it is not in use here."""
        cdef list entry = self._entry(program)
        entry[1] -= 1
        if entry[1] == 0:
            del self.entries[program.canonical]

    cdef list _entry(self, Program program):
        cdef list entry = self.entries.get(program.canonical)
        if entry is None or entry[0] is not program:
            raise ValueError("the program is not in use here")
        return entry
