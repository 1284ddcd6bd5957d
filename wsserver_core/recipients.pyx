"""Who gets a message: connection handles, each connection once."""

from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memset

from wsserver_core.addressees cimport Addressees, copied

cdef enum:
    # The table of positions for so many slots is 64 MiB: a broken handle cannot ask for more.
    SLOT_LIMIT = 0x1000000
    FIRST_ITEMS = 64
    FIRST_SLOTS = 1024


cdef int check_handle(uint64_t handle) except -1:
    if handle == 0:
        raise ValueError("0 is no connection handle")
    if <unsigned int>handle >= SLOT_LIMIT:
        raise ValueError("the slot of the handle is out of range")
    return 0


cdef class Recipients:
    """A reusable list of connection handles without duplicates.

    A slot stands in the list once. If handles of two generations of a slot meet, the newer
    one stays: only it can be a living connection, and a leftover must not hide it.
    """

    # A sparse set: positions[slot] says where the slot's handle would stand in items. An entry is
    # believed only if items agrees, so clear() is one assignment however many slots there are.

    def __dealloc__(self):
        PyMem_Free(self.items)
        PyMem_Free(self.positions)
        PyMem_Free(self.outcomes)

    def __len__(self):
        return self.count

    def __contains__(self, uint64_t handle):
        cdef Py_ssize_t slot = <unsigned int>handle
        cdef Py_ssize_t position
        if slot >= self.slots:
            return False
        position = self.positions[slot]
        return position < self.count and self.items[position] == handle

    def handles(self):
        """The handles in the order they were added."""
        cdef Py_ssize_t i
        return [self.items[i] for i in range(self.count)]

    cpdef bint add(self, uint64_t handle) except -1:
        """Add one handle; False if its connection is in the list already.

        Raises ValueError for 0 and for a slot beyond 2**24.
        """
        cdef Py_ssize_t before = self.count
        check_handle(handle)
        self.extend(&handle, 1, 0)
        return self.count > before

    cpdef void clear(self) noexcept:
        """Forget all handles and keep the memory."""
        self.count = 0
        self.refusals = False

    cpdef Addressees copy(self):
        """The handles, with what the hub made of each, for keeping."""
        return copied(self.items, self.outcomes if self.refusals else NULL, self.count)

    cdef int refuse(self, Py_ssize_t place, int outcome) except -1:
        """The hub did not take the message for this one."""
        cdef void *grown
        if not self.refusals:
            grown = PyMem_Realloc(self.outcomes, self.count * sizeof(uint8_t))
            if grown is NULL:
                raise MemoryError
            self.outcomes = <uint8_t *>grown
            memset(self.outcomes, 0, self.count * sizeof(uint8_t))
            self.refusals = True
        self.outcomes[place] = <uint8_t>outcome
        return 0

    cdef int extend(
        self, const uint64_t *handles, Py_ssize_t size, uint64_t exclude
    ) except -1:
        # The handles have passed check_handle when they were first taken in.
        cdef uint64_t handle
        cdef uint64_t *items
        cdef unsigned int *positions
        cdef Py_ssize_t slot, slots, count, position, i

        self.reserve_items(self.count + size)
        items, positions = self.items, self.positions
        slots, count = self.slots, self.count
        for i in range(size):
            handle = handles[i]
            if handle == exclude:
                continue
            slot = <unsigned int>handle
            if slot >= slots:
                self.count = count
                self.reserve_slots(slot + 1)
                positions, slots = self.positions, self.slots
            position = positions[slot]
            if position < count and <unsigned int>items[position] == <unsigned int>handle:
                if handle > items[position]:
                    items[position] = handle
                continue
            positions[slot] = <unsigned int>count
            items[count] = handle
            count += 1
        self.count = count
        return 0

    cdef int reserve_items(self, Py_ssize_t wanted) except -1:
        cdef Py_ssize_t capacity = self.items_capacity
        cdef void *grown
        if wanted <= capacity:
            return 0
        capacity = max(FIRST_ITEMS, 2 * capacity, wanted)
        grown = PyMem_Realloc(self.items, capacity * sizeof(uint64_t))
        if grown is NULL:
            raise MemoryError
        self.items = <uint64_t *>grown
        self.items_capacity = capacity
        return 0

    cdef int reserve_slots(self, Py_ssize_t wanted) except -1:
        cdef Py_ssize_t slots = max(FIRST_SLOTS, 2 * self.slots, wanted)
        cdef void *grown = PyMem_Realloc(self.positions, slots * sizeof(unsigned int))
        if grown is NULL:
            raise MemoryError
        self.positions = <unsigned int *>grown
        memset(self.positions + self.slots, 0, (slots - self.slots) * sizeof(unsigned int))
        self.slots = slots
        return 0
