"""What a path leads to in a message, read once per message however many filters ask.

A dotted path consumes one name per object and runs through lists on its way. What lies at its
end is there, whatever it is; a scalar is its value, and of a list the elements are.
"""

cimport cython
from cpython.dict cimport PyDict_Check
from cpython.float cimport PyFloat_Check, PyFloat_CheckExact
from cpython.long cimport PyLong_Check, PyLong_CheckExact
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.set cimport PySet_Contains
from cpython.unicode cimport PyUnicode_Check, PyUnicode_CheckExact, PyUnicode_FromObject
from libc.math cimport INFINITY, isnan

from sys import intern as intern_text

cdef extern from "Python.h":
    PyObject *PyDict_GetItemWithError(object, object) except? NULL
    long long PyLong_AsLongLongAndOverflow(object, int *) except? -1
    double PyLong_AsDouble(object) except? -1.0
    Py_ssize_t PySequence_Fast_GET_SIZE(object)
    PyObject *PySequence_Fast_GET_ITEM(object, Py_ssize_t)

cdef enum:
    # No message is nested deeper, so nothing below can be meant. It also keeps the recursion of
    # Field.walk off the end of the C stack.
    MAX_NESTING = 32
    # Text operators look at so many texts of one path. Equality sees every value: it is answered
    # from a set, where a text operator costs one search for each text and filter.
    MAX_TEXTS = 256
    KEPT_CAPACITY = 256

IDENTITY_FIELDS = frozenset({"patient_id", "target_id", "user_id"})

# One series for the whole process: fields and conditions carry memos of a message.
cdef unsigned long long last_probe = 0


cdef class _Mark:
    """Stands among the keys for a value that must equal nothing but itself: in Python, True == 1."""

NO_KEY = _Mark()
TRUE_KEY = _Mark()
FALSE_KEY = _Mark()
NULL_KEY = _Mark()


@cython.final
cdef class Probe:
    """One message, held against filters. ``derived`` is asked for a top-level name that it lacks."""

    def __cinit__(self, dict message not None, dict derived not None):
        global last_probe
        last_probe += 1
        self.stamp = last_probe
        self.message = message
        self.derived = derived


cdef object key_of(object value, bint identity):
    """What equality goes by: equal keys, equal values. NO_KEY for what equals nothing."""
    # Runs no code of the message's own types: subclasses of str and int are read as what they contain.
    cdef int overflow = 0
    cdef long long whole
    cdef double number
    if PyUnicode_CheckExact(value):
        return value
    if value is None:
        return NULL_KEY
    if value is True:
        return NO_KEY if identity else TRUE_KEY
    if value is False:
        return NO_KEY if identity else FALSE_KEY
    if PyLong_Check(value):
        if PyLong_CheckExact(value) and not identity:
            return value
        whole = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow or (identity and whole < 0):
            return NO_KEY
        return str(whole) if identity else whole
    if PyFloat_Check(value):
        number = value
        if identity or isnan(number):
            return NO_KEY
        return value if PyFloat_CheckExact(value) else number
    return PyUnicode_FromObject(value) if PyUnicode_Check(value) else NO_KEY


@cython.final
cdef class Field:
    """A path, and its reading of the message that is being looked at."""

    def __cinit__(self, str path not None):
        self.path = path
        self.segments = tuple([intern_text(segment) for segment in path.split(".")])
        self.length = len(self.segments)
        self.identity = self.segments[self.length - 1] in IDENTITY_FIELDS

    def __dealloc__(self):
        PyMem_Free(self.values)

    cdef int read(self, Probe probe) except -1:
        if self.stamp == probe.stamp:
            return 0
        # A dict may compare keys by code of their own, and that may ask for another message.
        if self.busy:
            raise RuntimeError("another message is being read")
        self.busy = True
        try:
            self.look(probe)
            self.stamp = probe.stamp
        finally:
            self.busy = False
        return 0

    cdef int look(self, Probe probe) except -1:
        cdef PyObject *found
        self.start()
        found = PyDict_GetItemWithError(probe.message, self.segments[0])
        if found is NULL:
            found = PyDict_GetItemWithError(probe.derived, self.segments[0])
        return 0 if found is NULL else self.walk(<object>found, 1, 1)

    cdef int start(self) except -1:
        self.stamp = 0
        self.count = 0
        self.there = self.numeric = self.keyed = False
        self.key = self.keys = self._texts = None
        if self.capacity > KEPT_CAPACITY:
            PyMem_Free(self.values)
            self.values = NULL
            self.capacity = 0
        return 0

    cdef int walk(self, object value, Py_ssize_t segment, int nesting) except -1:
        cdef PyObject *found
        cdef Py_ssize_t i
        cdef bint is_list = isinstance(value, (list, tuple))
        if segment == self.length:
            self.there = True
            if not is_list:
                self.note_number(value)
                self.take(value)
            elif nesting < MAX_NESTING:
                for i in range(PySequence_Fast_GET_SIZE(value)):
                    self.take(<object>PySequence_Fast_GET_ITEM(value, i))
            return 0
        if nesting == MAX_NESTING:
            return 0
        if is_list:
            for i in range(PySequence_Fast_GET_SIZE(value)):
                self.walk(<object>PySequence_Fast_GET_ITEM(value, i), segment, nesting + 1)
            return 0
        if not PyDict_Check(value):
            return 0
        found = PyDict_GetItemWithError(value, self.segments[segment])
        return 0 if found is NULL else self.walk(<object>found, segment + 1, nesting + 1)

    cdef int take(self, object value) except -1:
        cdef Py_ssize_t capacity
        cdef void *moved
        if isinstance(value, (dict, list, tuple)):
            return 0
        if self.count == self.capacity:
            capacity = max(4, 2 * self.capacity)
            moved = PyMem_Realloc(self.values, capacity * sizeof(PyObject *))
            if moved is NULL:
                raise MemoryError
            self.values = <PyObject **>moved
            self.capacity = capacity
        self.values[self.count] = <PyObject *>value
        self.count += 1
        return 0

    cdef int note_number(self, object value) except -1:
        # Any of several numbers may satisfy a bound, so the extremes are all that bounds need.
        cdef double number
        if PyFloat_Check(value):
            number = value
            if isnan(number):
                return 0
        elif PyLong_Check(value) and value is not True and value is not False:
            try:
                number = PyLong_AsDouble(value)
            except OverflowError:
                number = INFINITY if value > 0 else -INFINITY
        else:
            return 0
        if not self.numeric:
            self.numeric = True
            self.lowest = self.highest = number
        elif number < self.lowest:
            self.lowest = number
        elif number > self.highest:
            self.highest = number
        return 0

    cdef int find_keys(self) except -1:
        """Make ``key`` or ``keys`` true of the reading."""
        cdef Py_ssize_t i
        cdef object key
        if self.keyed:
            return 0
        if self.count == 1:
            key = key_of(<object>self.values[0], self.identity)
            if key is not NO_KEY:
                self.key = key
        elif self.count:
            self.keys = set()
            for i in range(self.count):
                key = key_of(<object>self.values[i], self.identity)
                if key is not NO_KEY:
                    self.keys.add(key)
            if len(self.keys) < 2:
                self.key = self.keys.pop() if self.keys else None
                self.keys = None
        self.keyed = True
        return 0

    cdef bint equals_any(self, frozenset wanted) except -1:
        cdef object key
        self.find_keys()
        if self.key is not None:
            return PySet_Contains(wanted, self.key)
        if self.keys is None:
            return False
        if len(wanted) <= len(self.keys):
            for key in wanted:
                if PySet_Contains(self.keys, key):
                    return True
            return False
        return not self.keys.isdisjoint(wanted)

    cdef list texts(self):
        """The texts that text operators look at; an id counts as its canonical text."""
        cdef Py_ssize_t i
        cdef object value, key
        if self._texts is None:
            self._texts = []
            for i in range(self.count):
                value = <object>self.values[i]
                if PyUnicode_Check(value) or (self.identity and PyLong_Check(value)):
                    key = key_of(value, self.identity)
                    if key is not NO_KEY:
                        self._texts.append(key)
                        if len(self._texts) == MAX_TEXTS:
                            break
        return self._texts
