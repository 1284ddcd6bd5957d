"""Samples: the narrowest type that holds every number of a list exactly, and numbers in that type."""

from cpython cimport array
from cpython.list cimport PyList_GET_SIZE
from cpython.object cimport PyObject
from libc.float cimport DBL_MAX, FLT_MAX
from libc.math cimport fabs
from libc.stdint cimport INT16_MAX, INT16_MIN, INT32_MAX, INT32_MIN
from libc.string cimport memcpy

import sys
from array import array

cdef extern from *:
    """
    /* Nearly every sample is an integer of one digit: to be had without a call, and without a borrowed
       object being counted. */
    static inline int wsserver_integer_value(PyObject *number, long long *value) {
        int overflow;
    #if PY_VERSION_HEX >= 0x030C0000
        if (PyUnstable_Long_IsCompact((PyLongObject *)number)) {
            *value = PyUnstable_Long_CompactValue((PyLongObject *)number);
            return 1;
        }
    #else
        if (Py_SIZE(number) >= -1 && Py_SIZE(number) <= 1) {
            *value = (long long)Py_SIZE(number) * ((PyLongObject *)number)->ob_digit[0];
            return 1;
        }
    #endif
        *value = PyLong_AsLongLongAndOverflow(number, &overflow);
        return !overflow;
    }
    """
    bint integer_value "wsserver_integer_value"(PyObject* number, long long* value) noexcept
    PyObject* item "PyList_GET_ITEM"(list values, Py_ssize_t at) noexcept
    bint is_float "PyFloat_CheckExact"(PyObject* value) noexcept
    bint is_integer "PyLong_CheckExact"(PyObject* value) noexcept
    double float_value "PyFloat_AS_DOUBLE"(PyObject* value) noexcept

cdef enum:
    MAX_EXACT_SINGLE = 1 << 24   # up to here every integer is a float32

# Up to here every integer is a float64, and allowed in messages.
cdef long long MAX_EXACT = 1LL << 53

cdef str CHANGED = "the samples were changed while they were encoded"

cdef bint SWAPPED = sys.byteorder == "big"
cdef array.array EMPTY_INT16 = array("h")
cdef array.array EMPTY_INT32 = array("i")
cdef array.array EMPTY_FLOAT32 = array("f")
cdef array.array EMPTY_FLOAT64 = array("d")


cdef Py_ssize_t width_of(SampleType kind) noexcept nogil:
    return 2 if kind == INT16 else 8 if kind == FLOAT64 else 4


cdef inline array.array template_of(SampleType kind):
    if kind == INT16:
        return EMPTY_INT16
    if kind == INT32:
        return EMPTY_INT32
    return EMPTY_FLOAT32 if kind == FLOAT32 else EMPTY_FLOAT64


cdef SampleType narrowest(list values):
    """The type that takes least room for these values; NO_SAMPLES when none holds all of them.

    Integers alone stay integers; with a float among them all are floats. A bool is no number.
    """
    cdef long long whole = 0
    cdef long long low = 0
    cdef long long high = 0
    cdef double real
    cdef bint floats = False
    cdef bint single = True
    cdef PyObject* value
    cdef Py_ssize_t at
    # Nothing in here can run anybody's code: the list stays as it is.
    for at in range(PyList_GET_SIZE(values)):
        value = item(values, at)
        if is_float(value):
            real = float_value(value)
            floats = True
            # False for NaN, too.
            if not fabs(real) <= DBL_MAX:
                return NO_SAMPLES
            if single:
                single = fabs(real) <= FLT_MAX and <double><float>real == real
        elif is_integer(value):
            if not integer_value(value, &whole) or not -MAX_EXACT <= whole <= MAX_EXACT:
                return NO_SAMPLES
            low = min(low, whole)
            high = max(high, whole)
            if single and not -MAX_EXACT_SINGLE <= whole <= MAX_EXACT_SINGLE:
                single = <long long><float>whole == whole
        else:
            return NO_SAMPLES
    if floats:
        return FLOAT32 if single else FLOAT64
    if INT16_MIN <= low and high <= INT16_MAX:
        return INT16
    if INT32_MIN <= low and high <= INT32_MAX:
        return INT32
    return NO_SAMPLES


cdef array.array pack_samples(list values, SampleType kind):
    """The values as the wire has them. ``kind`` is what ``narrowest`` has just said of them."""
    cdef Py_ssize_t count = PyList_GET_SIZE(values)
    cdef array.array packed = array.clone(template_of(kind), count, False)
    cdef Py_ssize_t at = 0
    cdef long long whole = 0
    cdef double real = 0.0
    cdef PyObject* value
    # Making the array may have run a finalizer, and that may do anything: the list is looked at once more.
    if PyList_GET_SIZE(values) != count:
        raise RuntimeError(CHANGED)
    for at in range(count):
        value = item(values, at)
        if is_float(value):
            real = float_value(value)
        elif is_integer(value) and integer_value(value, &whole):
            real = <double>whole
        else:
            raise RuntimeError(CHANGED)
        if kind == INT16:
            packed.data.as_shorts[at] = <short>whole
        elif kind == INT32:
            packed.data.as_ints[at] = <int>whole
        elif kind == FLOAT32:
            packed.data.as_floats[at] = <float>real
        else:
            packed.data.as_doubles[at] = real
    if SWAPPED:
        packed.byteswap()
    return packed


cdef bint all_finite(const unsigned char* raw, Py_ssize_t count, SampleType kind) noexcept nogil:
    """Whether every sample is a number that JSON has; ``raw`` is aligned for no type."""
    cdef Py_ssize_t width = width_of(kind)
    cdef const unsigned char* top = raw + width - 1
    cdef Py_ssize_t i
    cdef unsigned char exponent = 0x80 if kind == FLOAT32 else 0xF0
    if kind != FLOAT32 and kind != FLOAT64:
        return True
    # Infinite or no number at all where all bits of the exponent are set.
    for i in range(count):
        if top[i * width] & 0x7F == 0x7F and top[i * width - 1] & exponent == exponent:
            return False
    return True


cdef array.array unpack_samples(const unsigned char* raw, Py_ssize_t count, SampleType kind):
    cdef array.array values = array.clone(template_of(kind), count, False)
    # An empty array has no memory, and memcpy may be given none even for nothing.
    if count:
        memcpy(values.data.as_chars, raw, count * width_of(kind))
    if SWAPPED:
        values.byteswap()
    return values
