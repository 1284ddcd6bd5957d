"""What became of each copy of one message, for as long as somebody watches it.

Queues note it in the middle of their work: the room is there beforehand, so that noting allocates
nothing and runs nobody's code.
"""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int8_t, uint32_t, uint64_t

# As in outgoing, which has Fates in its frames and cannot be asked for them.
cdef tuple REASONS = ("slow", "conflated", "expired", "closed", "shutdown")

cdef enum:
    ROOM_LIMIT = 100_000


@cython.no_gc
@cython.final
cdef class Fates:
    """What became of the copies of one message: of the first ``room`` that were written, and as many lost.

    Made by ``Frame.watch``. Of all others there are the counts.
    """

    def __cinit__(self, uint32_t room=100):
        if not 1 <= room <= ROOM_LIMIT:
            raise ValueError("room must be from 1 to 100000")
        self.places = <Fate *> PyMem_Calloc(2 * <size_t> room, sizeof(Fate))
        if self.places == NULL:
            raise MemoryError()
        self.room = room

    def __dealloc__(self):
        PyMem_Free(self.places)

    cdef Fates for_replays(self):
        """Where to note what becomes of the message when it is sent once more."""
        if self.is_of_replays:
            return self
        if self.replays is None:
            self.replays = Fates(self.room)
            self.replays.is_of_replays = True
        return self.replays

    cdef void note(self, uint64_t handle, int reason, uint64_t into, double at) noexcept:
        """One more: WRITTEN, or dropped for a reason."""
        cdef uint64_t place
        if reason == WRITTEN:
            place = self.writes
            self.writes += 1
            if place == 0:
                self.first_write = at
            self.last_write = at
        else:
            place = self.losses
            self.losses += 1
        if place >= self.room:
            return
        if reason != WRITTEN:
            place += self.room
        self.places[place].handle = handle
        self.places[place].reason = <int8_t> reason
        self.places[place].into = into
        self.places[place].at = at

    def written(self):
        """``(handle, when)`` for the first of them, by the hub's stopwatch."""
        cdef uint64_t i
        return [(self.places[i].handle, self.places[i].at) for i in range(min(self.writes, self.room))]

    def lost(self):
        """``(handle, reason, into, when)`` for the first of them, by the hub's coarse clock.

        ``into`` is the ``seq`` of the newer message that took its place, or 0.
        """
        cdef uint64_t i
        cdef list found = []
        for i in range(self.room, self.room + min(self.losses, self.room)):
            found.append((
                self.places[i].handle, REASONS[self.places[i].reason], self.places[i].into,
                self.places[i].at,
            ))
        return found
