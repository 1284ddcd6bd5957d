from cpython cimport array

cpdef enum:
    MIN_SAMPLES = 16  # shorter lists gain nothing

cdef enum SampleType:
    NO_SAMPLES = 0
    INT16 = 1
    INT32 = 2
    FLOAT32 = 3
    FLOAT64 = 4

cdef SampleType narrowest(list values)
cdef array.array pack_samples(list values, SampleType kind)
cdef array.array unpack_samples(const unsigned char* raw, Py_ssize_t count, SampleType kind)
cdef bint all_finite(const unsigned char* raw, Py_ssize_t count, SampleType kind) noexcept nogil
cdef Py_ssize_t width_of(SampleType kind) noexcept nogil
