"""Which of many filters hold for a message, without asking each of them.

    fields with equality -> values -> rows sorted by the bound of an order condition

A filter stands in the table of its fields, in the bucket of its values, at the place of its
bound. One look-up for each table and a search by halves leave those whose equality and first order
condition hold; what else they ask for is asked of these alone. A filter with no such
conditions stands in a table of its kind and is asked for every message.
"""

cimport cython
from cpython.dict cimport PyDict_Next
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject
from libc.string cimport memmove

from wsserver_core.conditions cimport AT_LEAST, GREATER, LESS, Condition
from wsserver_core.conjunctions cimport Conjunction
from wsserver_core.fields cimport Field, Probe
from wsserver_core.filters cimport Program
from wsserver_core.patterns cimport PatternBook

cdef extern from "Python.h":
    PyObject *PyDict_GetItemWithError(object, object) except? NULL


cdef enum:
    BLOCK = 64


@cython.final
cdef class Bucket:
    """Rows that share a table and a key."""

    def __dealloc__(self):
        PyMem_Free(self.rows)
        PyMem_Free(self.blocks)

    cdef int survey(self) except -1:
        """Make the blocks true of the rows."""
        cdef Py_ssize_t count = (self.size + BLOCK - 1) // BLOCK
        cdef Py_ssize_t block, place
        cdef Extremes *extremes
        cdef double second
        cdef void *moved
        if self.sound == count:
            return 0
        moved = PyMem_Realloc(self.blocks, max(1, count) * sizeof(Extremes))
        if moved is NULL:
            raise MemoryError
        self.blocks = <Extremes *>moved
        for block in range(self.sound, count):
            extremes = &self.blocks[block]
            extremes.least = extremes.most = self.rows[block * BLOCK].second
            for place in range(block * BLOCK, min(self.size, (block + 1) * BLOCK)):
                second = self.rows[place].second
                extremes.least = min(extremes.least, second)
                extremes.most = max(extremes.most, second)
        self.sound = count
        return 0

    cdef Py_ssize_t from_(self, double bound) noexcept:
        """The place of the first row whose bound is not below this one."""
        cdef Py_ssize_t low = 0
        cdef Py_ssize_t high = self.size
        cdef Py_ssize_t middle
        while low < high:
            middle = (low + high) >> 1
            if self.rows[middle].first < bound:
                low = middle + 1
            else:
                high = middle
        return low

    cdef Py_ssize_t above(self, double bound) noexcept:
        """The place of the first row whose bound is above this one."""
        cdef Py_ssize_t low = 0
        cdef Py_ssize_t high = self.size
        cdef Py_ssize_t middle
        while low < high:
            middle = (low + high) >> 1
            if self.rows[middle].first <= bound:
                low = middle + 1
            else:
                high = middle
        return low

    cdef int insert(self, Row row) except -1:
        # Moving half of 50,000 rows takes as long as reading the command that asks for it.
        cdef Py_ssize_t place = self.above(row.first)
        cdef Py_ssize_t capacity
        cdef void *moved
        if self.size == self.capacity:
            capacity = max(1, self.capacity + (self.capacity + 1) // 2)
            moved = PyMem_Realloc(self.rows, capacity * sizeof(Row))
            if moved is NULL:
                raise MemoryError
            self.rows = <Row *>moved
            self.capacity = capacity
        memmove(&self.rows[place + 1], &self.rows[place], (self.size - place) * sizeof(Row))
        self.rows[place] = row
        self.size += 1
        self.sound = min(self.sound, place // BLOCK)
        return 0

    cdef bint take_out(self, double first, void *item) except -1:
        cdef Py_ssize_t place = self.from_(first)
        while place < self.size and self.rows[place].first == first:
            if self.rows[place].item == item:
                self.size -= 1
                memmove(&self.rows[place], &self.rows[place + 1], (self.size - place) * sizeof(Row))
                self.sound = min(self.sound, place // BLOCK)
                return True
            place += 1
        return False


@cython.final
cdef class Table:
    """Filters that ask the same fields in the same way, with other constants."""

    def __cinit__(self, tuple signature, Conjunction conjunction):
        self.signature = signature
        self.buckets = {}
        self.fields = conjunction.fields
        self.width = len(conjunction.fields)
        if conjunction.first is not None:
            self.first_field = conjunction.first.field
            self.first_operator = conjunction.first.operator
        if conjunction.second is not None:
            self.second_field = conjunction.second.field
            self.second_operator = conjunction.second.operator

    cdef bint is_of(self, Conjunction conjunction) noexcept:
        """Whether this is the table of such a conjunction."""
        cdef Py_ssize_t place
        if len(conjunction.fields) != self.width:
            return False
        for place in range(self.width):
            if self.fields[place] is not conjunction.fields[place]:
                return False
        return (
            _asks(conjunction.first, self.first_field, self.first_operator)
            and _asks(conjunction.second, self.second_field, self.second_operator)
        )

    cdef bint has_key(self, object key) except -1:
        cdef Field field
        cdef Py_ssize_t place
        for place in range(self.width):
            field = self.fields[place]
            part = key if self.width == 1 else (<tuple>key)[place]
            if not (part == field.key if field.keys is None else part in field.keys):
                return False
        return True

    cdef Bucket only_bucket(self):
        """The one bucket that can match when no field has several values; None if there is none."""
        cdef Field field
        cdef PyObject *bucket
        cdef list parts
        if self.width == 1:
            field = self.fields[0]
            key = field.key
        else:
            parts = []
            for field in self.fields:
                parts.append(field.key)
            key = tuple(parts)
        bucket = PyDict_GetItemWithError(self.buckets, key)
        return None if bucket is NULL else <Bucket>bucket


@cython.final
cdef class Matcher:
    """Filters, each with something that belongs to it.

    ``match`` leaves in ``found`` what belongs to those that hold: as many times as there are ways in
    which a filter holds.
    """

    def __cinit__(self):
        self.tables = {}
        self.books = {}

    def __dealloc__(self):
        PyMem_Free(self.found)

    cdef int enter(self, Program program, void *item) except -1:
        """Take a filter in. It must outlive its stay. If that fails nothing has changed."""
        cdef Condition condition
        cdef Py_ssize_t entered = 0
        try:
            for condition in program.conditions:
                if condition.pattern is not None:
                    self.reach_book(condition.field).enter(condition.pattern)
                entered += 1
            self.enter_rows(program, item)
        except MemoryError:
            self.leave_rows(program, item)
            self.leave_books(program, entered)
            raise
        return 0

    cdef int leave(self, Program program, void *item) except -1:
        """Let a filter go, by what belongs to it. Allocates nothing."""
        self.leave_rows(program, item)
        return self.leave_books(program, len(program.conditions))

    cdef PatternBook reach_book(self, Field field):
        cdef PatternBook book = self.books.get(field)
        if book is None:
            book = self.books[field] = PatternBook()
        return book

    cdef int leave_books(self, Program program, Py_ssize_t entered) except -1:
        cdef Condition condition
        cdef PatternBook book
        cdef Py_ssize_t place
        for place in range(entered):
            condition = program.conditions[place]
            if condition.pattern is not None:
                book = self.books[condition.field]
                book.leave(condition.pattern)
                if not book.seats:
                    del self.books[condition.field]
        return 0

    cdef Table reach_table(self, Conjunction conjunction):
        cdef tuple signature = (
            conjunction.fields,
            None if conjunction.first is None else (conjunction.first.field, conjunction.first.operator),
            None if conjunction.second is None else (conjunction.second.field, conjunction.second.operator),
        )
        cdef Table table = self.tables.get(signature)
        if table is None:
            table = self.tables[signature] = Table(signature, conjunction)
        return table

    cdef int enter_rows(self, Program program, void *item) except -1:
        cdef Conjunction conjunction
        cdef Table table
        cdef Bucket bucket
        cdef Row row
        row.item = item
        for conjunction in _plan(program):
            table = self.reach_table(conjunction)
            row.first = program.serial if conjunction.first is None else conjunction.first.bound
            row.second = 0.0 if conjunction.second is None else conjunction.second.bound
            row.rest = NULL
            if conjunction is WHOLE:
                row.rest = <PyObject *>program
            elif conjunction.others or conjunction.barred:
                row.rest = <PyObject *>conjunction
            for key in conjunction.keys:
                bucket = table.buckets.get(key)
                if bucket is None:
                    bucket = table.buckets[key] = Bucket()
                bucket.insert(row)
        return 0

    cdef int leave_rows(self, Program program, void *item) except -1:
        """Take out the rows of a filter that are there, be it not all."""
        cdef Conjunction conjunction
        cdef Table table
        cdef Bucket bucket
        cdef double first
        for conjunction in _plan(program):
            table = self.find_table(conjunction)
            if table is None:
                continue
            first = program.serial if conjunction.first is None else conjunction.first.bound
            for key in conjunction.keys:
                bucket = table.buckets.get(key)
                if bucket is not None:
                    bucket.take_out(first, item)
                    if not bucket.size:
                        del table.buckets[key]
            if not table.buckets:
                del self.tables[table.signature]
        return 0

    cdef Table find_table(self, Conjunction conjunction):
        cdef PyObject *table
        cdef Py_ssize_t place = 0
        while PyDict_Next(self.tables, &place, NULL, &table):
            if (<Table>table).is_of(conjunction):
                return <Table>table
        return None

    cdef int match(self, Probe probe) except -1:
        cdef PyObject *table
        cdef PyObject *field
        cdef PyObject *book
        cdef Py_ssize_t place = 0
        self.count = 0
        while PyDict_Next(self.books, &place, &field, &book):
            (<Field>field).read(probe)
            (<PatternBook>book).search((<Field>field).texts(), probe.stamp)
        place = 0
        while PyDict_Next(self.tables, &place, NULL, &table):
            self.over_table(<Table>table, probe)
        return 0

    cdef int over_table(self, Table table, Probe probe) except -1:
        cdef Field field
        cdef Bucket bucket
        cdef Py_ssize_t buckets = len(table.buckets)
        cdef Py_ssize_t combinations = 1
        for field in table.fields:
            field.read(probe)
            field.find_keys()
            if field.keys is not None:
                # Beyond the number of buckets it does not matter how many there are.
                combinations = min(combinations * <Py_ssize_t>len(field.keys), buckets + 1)
            elif field.key is None:
                return 0
        if combinations == 1:
            bucket = table.only_bucket()
            return 0 if bucket is None else self.over_bucket(table, bucket, probe)
        if combinations <= buckets:
            return self.over_keys(table, probe, ())
        return self.over_buckets(table, probe)

    cdef int over_keys(self, Table table, Probe probe, tuple key) except -1:
        """Look for the bucket of each combination of the values that the fields have."""
        cdef PyObject *bucket
        cdef Field field
        if len(key) == table.width:
            bucket = PyDict_GetItemWithError(table.buckets, key[0] if table.width == 1 else key)
            return 0 if bucket is NULL else self.over_bucket(table, <Bucket>bucket, probe)
        field = table.fields[len(key)]
        for value in (field.key,) if field.keys is None else field.keys:
            self.over_keys(table, probe, key + (value,))
        return 0

    cdef int over_buckets(self, Table table, Probe probe) except -1:
        """Look at each bucket whether the fields have its values."""
        cdef PyObject *key
        cdef PyObject *bucket
        cdef Py_ssize_t place = 0
        while PyDict_Next(table.buckets, &place, &key, &bucket):
            if table.has_key(<object>key):
                self.over_bucket(table, <Bucket>bucket, probe)
        return 0

    cdef int over_bucket(self, Table table, Bucket bucket, Probe probe) except -1:
        cdef Py_ssize_t start = 0
        cdef Py_ssize_t end = bucket.size
        if table.first_field is not None:
            table.first_field.read(probe)
            if not table.first_field.numeric:
                return 0
            if table.first_operator == GREATER:
                end = bucket.from_(table.first_field.highest)
            elif table.first_operator == AT_LEAST:
                end = bucket.above(table.first_field.highest)
            elif table.first_operator == LESS:
                start = bucket.above(table.first_field.lowest)
            else:
                start = bucket.from_(table.first_field.lowest)
        if table.second_field is None:
            return self.over_rows(bucket, start, end, probe)
        return self.over_blocks(table, bucket, start, end, probe)

    cdef int over_blocks(self, Table table, Bucket bucket, Py_ssize_t start, Py_ssize_t end,
                         Probe probe) except -1:
        """Rows of a span whose second bound holds as well."""
        cdef int order = table.second_operator
        cdef double value
        cdef Py_ssize_t place, last
        cdef Extremes *extremes
        table.second_field.read(probe)
        if not table.second_field.numeric:
            return 0
        value = table.second_field.highest if order <= AT_LEAST else table.second_field.lowest
        bucket.survey()
        while start < end:
            last = min(end, (start // BLOCK + 1) * BLOCK)
            extremes = &bucket.blocks[start // BLOCK]
            if holds(value, order, extremes.least) and holds(value, order, extremes.most):
                self.over_rows(bucket, start, last, probe)
            elif holds(value, order, extremes.least) or holds(value, order, extremes.most):
                for place in range(start, last):
                    if holds(value, order, bucket.rows[place].second):
                        self.over_rows(bucket, place, place + 1, probe)
            start = last
        return 0

    cdef int over_rows(self, Bucket bucket, Py_ssize_t start, Py_ssize_t end, Probe probe) except -1:
        """Rows of a span of which nothing but the rest is left to ask."""
        cdef Py_ssize_t place
        cdef object rest
        self.reserve(end - start)
        for place in range(start, end):
            if bucket.rows[place].rest != NULL:
                rest = <object>bucket.rows[place].rest
                if not ((<Program>rest).holds(probe) if type(rest) is Program
                        else (<Conjunction>rest).others_hold(probe)):
                    continue
            self.found[self.count] = bucket.rows[place].item
            self.count += 1
        return 0

    cdef int reserve(self, Py_ssize_t more) except -1:
        cdef Py_ssize_t capacity
        cdef void *moved
        if self.count + more > self.capacity:
            capacity = max(self.count + more, 2 * self.capacity)
            moved = PyMem_Realloc(self.found, capacity * sizeof(void *))
            if moved is NULL:
                raise MemoryError
            self.found = <void **>moved
            self.capacity = capacity
        return 0


cdef inline bint holds(double value, int order, double bound) noexcept:
    if order == GREATER:
        return value > bound
    if order == AT_LEAST:
        return value >= bound
    return value < bound if order == LESS else value <= bound


cdef bint _asks(Condition condition, Field field, int order) noexcept:
    if condition is None or field is None:
        return condition is None and field is None
    return condition.field is field and <int>condition.operator == order


cdef tuple _plan(Program program):
    cdef tuple plan = program.plan()
    return UNPLANNED if plan is None else plan


cdef Conjunction WHOLE = Conjunction.__new__(Conjunction)
WHOLE.fields = WHOLE.others = WHOLE.barred = ()
WHOLE.keys = ((),)
cdef tuple UNPLANNED = (WHOLE,)
