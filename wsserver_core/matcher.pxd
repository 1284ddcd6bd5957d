from cpython.object cimport PyObject

from wsserver_core.conditions cimport Condition
from wsserver_core.conjunctions cimport Conjunction
from wsserver_core.fields cimport Field, Probe
from wsserver_core.filters cimport Program
from wsserver_core.patterns cimport PatternBook


# One way for a filter to hold. Which conditions `first` and `second` are the bounds of is the
# table's to say; what else must hold is with `rest`.
cdef struct Row:
    double first
    double second
    void *item
    PyObject *rest   # a Conjunction or, for a filter that has no plan, its Program; NULL: nothing


# What `second` spans in a block of rows: most blocks need no closer look.
cdef struct Extremes:
    double least
    double most


cdef class Bucket:
    cdef Row *rows          # by rising `first`
    cdef Py_ssize_t size
    cdef Py_ssize_t capacity
    cdef Extremes *blocks   # of each BLOCK rows; NULL until somebody asks
    cdef Py_ssize_t sound   # blocks that are true of the rows

    cdef int survey(self) except -1
    cdef Py_ssize_t above(self, double bound) noexcept
    cdef Py_ssize_t from_(self, double bound) noexcept
    cdef int insert(self, Row row) except -1
    cdef bint take_out(self, double first, void *item) except -1


cdef class Table:
    cdef tuple signature
    cdef tuple fields
    cdef Py_ssize_t width
    cdef Field first_field   # None: rows are in the order of their programs
    cdef int first_operator
    cdef Field second_field  # None: `second` means nothing
    cdef int second_operator
    cdef dict buckets        # key -> Bucket

    cdef bint is_of(self, Conjunction conjunction) noexcept
    cdef bint has_key(self, object key) except -1
    cdef Bucket only_bucket(self)


cdef class Matcher:
    cdef dict tables   # (fields, operators) -> Table
    cdef dict books    # Field -> PatternBook
    cdef void **found
    cdef Py_ssize_t count
    cdef Py_ssize_t capacity

    cdef int enter(self, Program program, void *item) except -1
    cdef int leave(self, Program program, void *item) except -1
    cdef int enter_rows(self, Program program, void *item) except -1
    cdef int leave_rows(self, Program program, void *item) except -1
    cdef PatternBook reach_book(self, Field field)
    cdef int leave_books(self, Program program, Py_ssize_t entered) except -1
    cdef int match(self, Probe probe) except -1
    cdef int over_table(self, Table table, Probe probe) except -1
    cdef int over_keys(self, Table table, Probe probe, tuple key) except -1
    cdef int over_buckets(self, Table table, Probe probe) except -1
    cdef int over_bucket(self, Table table, Bucket bucket, Probe probe) except -1
    cdef int over_blocks(
        self, Table table, Bucket bucket, Py_ssize_t start, Py_ssize_t end, Probe probe
    ) except -1
    cdef int over_rows(self, Bucket bucket, Py_ssize_t start, Py_ssize_t end, Probe probe) except -1
    cdef int reserve(self, Py_ssize_t more) except -1
    cdef Table reach_table(self, Conjunction conjunction)
    cdef Table find_table(self, Conjunction conjunction)
