"""Where each connection stands in the logs, and what is sent to it once more.

A connection that comes back catches up first: what is published meanwhile passes it over, for
else it would overtake what is replayed. Whoever replays finds it in the history, and lets the
connection go live when nothing is left there.
"""

from libc.stdint cimport uint32_t, uint64_t

from wsserver_core.backlog cimport CAUGHT_UP_LATER, QUEUED, REFUSED_CLOSING, REFUSED_GONE, Backlog
from wsserver_core.outgoing cimport LANES, Frame
from wsserver_core.slots cimport (
    CATCHING_UP, CLOSING, OVERFLOWED, SLOW, WANTS_ROOM, Slot, check_form, size_of,
)


cdef class Replays(Backlog):
    """The queues of a hub, with the positions of their connections."""

    def set_out(self, uint64_t handle, tuple positions, bint catching_up=False):
        """Say where a connection begins: for each log the ``seq`` up to which it lacks nothing.

        With ``catching_up`` it gets nothing that is published before ``go_live``. Raises ValueError
        for another number of positions.
        """
        cdef Slot *slot = self.slot_of(handle)
        cdef int i
        self.check_thread()
        if len(positions) != LANES:
            raise ValueError("one position for each log is needed")
        if slot == NULL:
            return
        for i in range(<int> LANES):
            slot.base[i] = slot.sent[i] = positions[i]
            slot.refused[i] = 0
        if catching_up:
            slot.flags |= CATCHING_UP

    def go_live(self, uint64_t handle):
        """The connection has caught up: what is published from now on reaches it."""
        cdef Slot *slot = self.slot_of(handle)
        self.check_thread()
        if slot != NULL:
            slot.flags &= ~<uint32_t> (CATCHING_UP | WANTS_ROOM)

    def is_catching_up(self, uint64_t handle):
        """Whether what is published passes this connection over."""
        cdef Slot *slot = self.slot_of(handle)
        return slot != NULL and slot.flags & CATCHING_UP != 0

    def standing(self, uint64_t handle):
        """Where a connection stands: ``(base, sent, refused)``, or None when it is gone.

        Each has a ``seq`` for each log: where it began, the last that its queue took since (at
        first that of the beginning), and the first that was refused, 0 for none.
        """
        cdef Slot *slot = self.slot_of(handle)
        cdef int i
        if slot == NULL:
            return None
        return (
            tuple([slot.base[i] for i in range(<int> LANES)]),
            tuple([slot.sent[i] for i in range(<int> LANES)]),
            tuple([slot.refused[i] for i in range(<int> LANES)]),
        )

    cpdef int replay(self, uint64_t handle, Frame frame) except -1:
        """Queue a frame from the history for a connection that is catching up; 0 is success.

        Much may not wait for it, lest it counts as slow for what we send: then 4 is returned, and
        ``on_room(owner)`` is called once there is room. Raises ValueError for a frame without the
        form that the connection speaks.
        """
        cdef Slot *slot = self.slot_of(handle)
        self.check_thread()
        if frame is None:
            raise TypeError("frame must not be None")
        if slot == NULL:
            return REFUSED_GONE
        check_form(slot, frame)
        if slot.flags & CLOSING:
            return REFUSED_CLOSING
        if (slot.flags & (OVERFLOWED | SLOW)
                or self.is_over(slot, size_of(slot, frame), self.watch_messages, self.watch_bytes)):
            slot.flags |= WANTS_ROOM
            return CAUGHT_UP_LATER
        self.push(slot, frame)
        self.replays.note(handle, frame)
        slot.renewed_at = self.now
        self.frames_replayed += 1
        self.mark_dirty(<uint32_t> handle)
        return QUEUED

    cpdef Py_ssize_t replay_many(self, uint64_t handle, object frames) except -1:
        """Queue frames from the history, as long as there is room; returns how many were taken."""
        cdef Py_ssize_t taken = 0
        cdef Frame frame
        for frame in frames:
            if self.replay(handle, frame) != QUEUED:
                break
            taken += 1
        return taken
