"""Fan-out: one system call for all that waits for a connection.

A frame is encoded once and queued by reference. Sockets with something to send are flushed
at the end of the loop's turn, in slices: a slice is built with the GIL held, sent without
it, and settled with it again. Everything here belongs to the loop's thread.
"""

from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset
from posix.uio cimport iovec

from wsserver_core.backlog cimport FRAMES_SORTED
from wsserver_core.histogram cimport Histogram
from wsserver_core.outgoing cimport Frame
from wsserver_core.replays cimport Replays
from wsserver_core.slots cimport (
    BEHIND, BLOCKED, CLOSING, CROWDED, DEAD, FINISH, FOREIGN, HALF, HELD_UP, LIVE, OPEN, SLOW, WANTS_ROOM,
    Slot, form_of, frame_at, handle_of, ring_of, size_of,
)

from contextlib import suppress


cdef extern from "<sys/socket.h>" nogil:
    enum: MSG_DONTWAIT
    enum: MSG_NOSIGNAL
    struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen
    ssize_t send(int fd, const void *buffer, size_t length, int flags)
    ssize_t sendmsg(int fd, const msghdr *message, int flags)


cdef enum:
    # What one system call carries at the most. Eight frames in one send cost hardly more
    # than one; beyond 64 the gain is gone and a slice would hold the loop for too long.
    FRAMES_PER_SEND = 64
    BYTES_PER_SEND = 256 * 1024
    # What one slice carries: so much takes about as long as 100 small messages. Without it a slice of
    # deep queues took ten times as long, and whoever was not in it waited for that.
    BYTES_PER_SLICE = 512 * 1024
    # What is handed to a transport at once is copied for that connection alone.
    BYTES_PER_COPY = 64 * 1024

    # What one turn of the loop sends, while it is young. The turns cost as well: with 100 connections in
    # each, 10,000 receivers got 0.94 of what a bare loop of send sends them, with 250 or more 0.97.
    SLICES_PER_TURN = 4

cdef double SECONDS_PER_TURN = 0.002


cdef class Hub(Replays):
    """The open sockets of one loop.

    ``loop`` needs ``call_soon``, ``call_later`` and ``call_exception_handler``. A handle is
    ``generation << 32 | slot``; a handle whose connection is gone is refused, never mistaken
    for the slot's next owner.

    At the start of the next flush ``on_overflow(owner)`` is called for a connection whose queue
    was full, or which has been slow for too long; until then everything further for it is
    refused. ``on_relief(owner)`` is called for one that was slow and keeps up again, ``on_room(owner)``
    for one that is catching up and has room for more.
    """

    def __cinit__(self, object loop, *, uint32_t batch_size=100, uint32_t max_queue_messages=1000,
                  uint64_t max_queue_bytes=1 << 20, double slow_share=0.5, double flush_interval=0.0):
        self.turn = self.flush_turn
        self.faults = []
        self.slice_times = Histogram()
        self.batch_size = batch_size
        self.reliefs_left = batch_size

    def __dealloc__(self):
        PyMem_Free(self.jobs)
        PyMem_Free(self.iovecs)
        PyMem_Free(self.indirect)

    # -- settings

    @property
    def batch_size(self):
        """Connections flushed in one slice of the loop's time."""
        return self._batch_size

    @batch_size.setter
    def batch_size(self, uint32_t value):
        if not 1 <= value <= 100_000:
            raise ValueError("batch_size must be from 1 to 100000")
        self._batch_size = value
        self.reliefs_left = min(self.reliefs_left, value)

    # -- ending

    cdef bint outlive_eof(self, uint64_t handle) except -1:
        """The peer has closed its half. True when the transport must stay for what still has to leave.

        RFC 6455 section 5.5.1: a peer that ends right behind its close frame is owed ours.
        """
        cdef Slot *slot = self.slot_of(handle)
        if slot != NULL and slot.count and slot.flags & CLOSING and not slot.flags & DEAD:
            if slot.fd >= 0:
                self.finish(handle)
                return True
            # TLS transports close whatever is returned, but send first what they were given.
            self.through_transport(<uint32_t> handle)
        self.disarm(handle)
        return False

    cpdef void finish(self, uint64_t handle, bint half=False):
        """Close the transport as soon as everything queued has left.

        ``half`` sends FIN only where the transport can: closing a socket with unread input
        makes the kernel send RST, which may destroy the close frame on its way. A later
        call without it closes after all.
        """
        cdef Slot *slot = self.slot_of(handle)
        self.check_thread()
        if slot == NULL or slot.flags & FINISH and (half or not slot.flags & HALF):
            return
        slot.flags = (slot.flags & ~<uint32_t> HALF) | FINISH | CLOSING | (HALF if half else 0)
        if slot.count == 0 and not slot.flags & BLOCKED:
            self.drained(<uint32_t> handle)

    # -- the transport's word

    cpdef void block(self, uint64_t handle):
        """The transport holds bytes (``pause_writing``)."""
        cdef Slot *slot = self.slot_of(handle)
        self.check_thread()
        if slot != NULL:
            slot.flags |= BLOCKED | HELD_UP
            self.stand_aside(slot)
            self.stalled.setdefault(handle, None)

    cpdef void unblock(self, uint64_t handle):
        """The transport is empty again (``resume_writing``): it has got rid of what it held.

        That is, to the kernel; a TLS transport keeps up to 64 KiB more in a buffer of its own,
        which nobody can look into, and ``written`` means "encrypted and on its way" there.
        """
        cdef Slot *slot = self.slot_of(handle)
        self.check_thread()
        if slot == NULL or not slot.flags & BLOCKED:
            return
        slot.flags &= ~<uint32_t> BLOCKED
        self.stalled.pop(handle, None)
        self.note_copy(slot, 0)
        self.settle_front(slot, slot.leaving, True, 0)
        self.left(slot, handle)
        if slot.count:
            self.mark_dirty(<uint32_t> handle)
        else:
            self.drained(<uint32_t> handle)

    # -- flushing

    def flush_turn(self):
        """Flush one slice and, while more waits, come back after the loop has had its turn."""
        self.check_thread()
        # What is queued meanwhile needs no turn of its own.
        self.scheduled = True
        self.reliefs_left = self._batch_size
        self.sorting_left = FRAMES_SORTED
        # All of them are about to be served.
        self.outsiders.clear()
        try:
            self.report_faults()
            self.announce()
            self.flush_slices()
        finally:
            self.scheduled = False
            if self.dirty_count or self.overflowed or self.relieved or self.roomy or self.faults:
                # Not after flush_interval: that one is for joining messages, not for slices.
                self.loop.call_soon(self.turn)
                self.scheduled = True

    cdef int flush_slices(self) except -1:
        """Flush one slice, and more of them while this turn of the loop is young."""
        cdef double began = self.read_stopwatch()
        cdef int slices = 1
        self.flush_slice()
        # Without a stopwatch one has to do.
        while (self.dirty_count and slices < SLICES_PER_TURN
                and began > 0 and self.read_stopwatch() - began < SECONDS_PER_TURN):
            self.flush_slice()
            slices += 1
        return 0

    def flush_all(self):
        """Flush slice after slice until nothing is ready to be sent; return the connections served.

        Called from within a transport it does nothing: the flush under way goes on anyway.
        """
        cdef uint64_t served = 0
        cdef uint32_t before
        self.check_thread()
        if self.in_slice:
            return 0
        self.report_faults()
        self.announce()
        while self.dirty_count:
            before = self.dirty_count
            self.flush_slice()
            served += before - self.dirty_count if before > self.dirty_count else 0
        return served

    def flush_slice(self):
        """Send what waits for up to ``batch_size`` connections, one system call each.

        Those that are catching up come last, and one of them always.
        """
        cdef uint32_t jobs, i, index, generation
        cdef list faults = []
        cdef double began
        self.check_thread()
        if self.dirty_count == 0 or self.in_slice:
            return
        self.reserve_jobs()
        began = self.read_stopwatch()
        self.in_slice = True
        try:
            jobs = self.build()
            if jobs:
                self.flushing = True
                with nogil:
                    self.send_all(jobs)
                self.flushing = False
                self.send_calls += jobs
                # Once for all messages whose last copy has left in this slice.
                self.sent_at = self.read_stopwatch()
                for i in range(jobs):
                    index, generation = self.jobs[i].slot, self.jobs[i].generation
                    try:
                        self.settle(&self.jobs[i])
                    except Exception as fault:
                        faults.append(fault)
                        self.give_up(index, generation)
                self.sent_at = 0
            for i in range(self.indirect_count):
                index = self.indirect[i]
                generation = self.slots[index].generation
                try:
                    self.through_transport(index)
                except Exception as fault:
                    faults.append(fault)
                    self.give_up(index, generation)
            self.indirect_count = 0
        finally:
            self.in_slice = False
            self.sent_at = 0
        if began > 0:
            self.slice_times.add(self.read_stopwatch() - began)
        self.report("fault in a transport", faults)

    cdef bint relieve(self, uint64_t handle, bint outsiders=False) except -1:
        cdef uint32_t index = <uint32_t> handle
        cdef Slot *slot = &self.slots[index]
        if self.in_slice or slot.flags & (BLOCKED | DEAD) or slot.count == 0:
            return False
        if slot.flags & FOREIGN and not outsiders:
            return False
        self.reserve_jobs()
        self.in_slice = True
        try:
            if slot.fd < 0:
                self.through_transport(index)
            else:
                self.load(&self.jobs[0], index, 0)
                self.flushing = True
                with nogil:
                    self.send_all(1)
                self.flushing = False
                self.send_calls += 1
                self.settle(&self.jobs[0])
        except Exception as fault:
            self.give_up(index, <uint32_t> (handle >> 32))
            # Not now: whoever hears of it might publish in the middle of another broadcast.
            self.faults.append(fault)
            self.schedule()
        finally:
            self.in_slice = False
        return True

    cdef int report_faults(self) except -1:
        cdef list faults = self.faults
        if not faults:
            return 0
        self.faults = []
        return self.report("fault in a transport", faults)

    cdef int give_up(self, uint32_t index, uint32_t generation) except -1:
        """A transport has raised: its connection ends, the others of the slice are served."""
        cdef Slot *slot = &self.slots[index]
        if slot.flags & OPEN and slot.generation == generation:
            self.disarm(handle_of(index, generation))
            with suppress(Exception):
                (<object> slot.transport).abort()
        return 0

    cdef int reserve_jobs(self) except -1:
        # One more, for somebody who is catching up.
        cdef uint32_t seats = self._batch_size + 1
        cdef void *memory
        if self.jobs_capacity < seats:
            memory = PyMem_Realloc(self.jobs, seats * sizeof(Job))
            if memory == NULL:
                raise MemoryError()
            self.jobs = <Job *> memory
            memory = PyMem_Realloc(self.indirect, seats * sizeof(uint32_t))
            if memory == NULL:
                raise MemoryError()
            self.indirect = <uint32_t *> memory
            self.jobs_capacity = seats
        if self.iovecs_capacity < seats * 2 + FRAMES_PER_SEND:
            memory = PyMem_Realloc(self.iovecs, (seats * 2 + FRAMES_PER_SEND) * sizeof(iovec))
            if memory == NULL:
                raise MemoryError()
            self.iovecs = <iovec *> memory
            self.iovecs_capacity = seats * 2 + FRAMES_PER_SEND
        return 0

    cdef uint32_t build(self) except? 4294967295:
        """Turn the next dirty slots into jobs; no Python code runs between here and the sends."""
        cdef uint32_t jobs = 0
        cdef uint32_t iovecs = 0
        cdef uint32_t seen = 0
        cdef uint32_t index
        cdef Py_ssize_t size = 0
        cdef Slot *slot
        cdef void *memory
        cdef int which
        cdef bint has_been_behind = False
        self.indirect_count = 0
        while self.dirty_count:
            which = LIVE if self.dirty[LIVE].count else BEHIND
            if seen >= self._batch_size or size >= BYTES_PER_SLICE:
                # However much is published, those who catch up get there.
                if has_been_behind or not self.dirty[BEHIND].count:
                    break
                which = BEHIND
            has_been_behind |= which == BEHIND
            index = self.next_dirty(which)
            if iovecs + FRAMES_PER_SEND > self.iovecs_capacity:
                # A deep slice: sized by what waits, kept for the next one.
                memory = PyMem_Realloc(self.iovecs, self.iovecs_capacity * 2 * sizeof(iovec))
                if memory == NULL:
                    raise MemoryError()
                self.iovecs = <iovec *> memory
                self.iovecs_capacity *= 2
            seen += 1
            slot = &self.slots[index]
            if not slot.flags & OPEN or slot.flags & (BLOCKED | DEAD) or slot.count == 0:
                continue
            if slot.fd < 0:
                self.indirect[self.indirect_count] = index
                self.indirect_count += 1
                # What it will be given: all up to the bound, or one frame beyond it.
                size += max(<Py_ssize_t> size_of(slot, frame_at(slot, 0)),
                            min(<Py_ssize_t> slot.queued_bytes, BYTES_PER_COPY))
                continue
            iovecs = self.load(&self.jobs[jobs], index, iovecs)
            size += self.jobs[jobs].size
            jobs += 1
        return jobs

    cdef uint32_t load(self, Job *job, uint32_t index, uint32_t iovecs) noexcept:
        """Make a job of what waits for one slot; returns how many vectors are in use then."""
        cdef Slot *slot = &self.slots[index]
        cdef PyObject **ring = ring_of(slot)
        cdef uint32_t k = 0
        cdef Py_ssize_t size
        cdef bytes wire
        job.slot = index
        job.generation = slot.generation
        job.iov_start = iovecs
        job.size = 0
        job.sent = -1
        job.error = 0
        while k < slot.count and k < FRAMES_PER_SEND:
            wire = form_of(slot, <Frame> ring[(slot.head + k) & (slot.capacity - 1)])
            size = len(wire)
            if k and job.size + size > BYTES_PER_SEND:
                break
            self.iovecs[iovecs].iov_base = <char *> wire
            self.iovecs[iovecs].iov_len = size
            job.size += size
            iovecs += 1
            k += 1
        job.iov_count = k
        slot.leaving = k
        return iovecs

    cdef void send_all(self, uint32_t jobs) noexcept nogil:
        cdef uint32_t i
        cdef Job *job
        cdef Slot *slot
        cdef iovec *iov
        cdef msghdr message
        cdef ssize_t sent
        memset(&message, 0, sizeof(message))
        for i in range(jobs):
            job = &self.jobs[i]
            slot = &self.slots[job.slot]
            if slot.generation != job.generation or slot.fd < 0:
                continue
            iov = &self.iovecs[job.iov_start]
            while True:
                if job.iov_count == 1:
                    sent = send(slot.fd, iov.iov_base, iov.iov_len, MSG_DONTWAIT | MSG_NOSIGNAL)
                else:
                    message.msg_iov = iov
                    message.msg_iovlen = job.iov_count
                    sent = sendmsg(slot.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL)
                if sent >= 0 or errno != EINTR:
                    break
            job.sent = sent
            if sent < 0:
                job.error = errno

    cdef int settle(self, Job *job) except -1:
        """Account for what one send did, and see to what it could not do."""
        cdef uint32_t index = job.slot
        cdef Slot *slot = &self.slots[index]
        cdef uint32_t whole = 0
        cdef Py_ssize_t left
        cdef Py_ssize_t size
        cdef PyObject **ring
        cdef bytes wire
        # Transports called since the sends may have closed this connection, or had it settled.
        if not slot.flags & OPEN or slot.generation != job.generation or slot.leaving != job.iov_count:
            return 0
        if job.sent == job.size:
            self.settle_front(slot, job.iov_count, True, 0)
            if slot.flags & (SLOW | CROWDED | WANTS_ROOM):
                self.left(slot, handle_of(index, slot.generation))
            if slot.count:
                self.mark_dirty(index)
            elif slot.flags & FINISH:
                self.drained(index)
            return 0
        if job.sent < 0:
            if job.error != EAGAIN:
                # The transport closes itself when the loop reads the error; nothing more is sent.
                slot.leaving = 0
                self.disarm(handle_of(index, slot.generation))
                (<object> slot.transport).abort()
                return 0
            job.sent = 0
        ring = ring_of(slot)
        left = job.sent
        while True:
            wire = form_of(slot, <Frame> ring[(slot.head + whole) & (slot.capacity - 1)])
            size = len(wire)
            if left < size:
                break
            left -= size
            whole += 1
        self.settle_front(slot, whole, True, 0)
        # A full socket: the transport waits for it with the rest of this frame; the other
        # frames stay here by reference.
        return self.hand_over(index, memoryview(wire)[left:] if left else wire, 1)

    cdef int through_transport(self, uint32_t index) except -1:
        cdef Slot *slot = &self.slots[index]
        cdef PyObject **ring
        cdef list parts = []
        cdef uint32_t k = 0
        cdef Py_ssize_t size = 0
        cdef bytes wire
        # The slot may have changed hands since the slice was built: transports called since
        # then may have closed connections.
        if not slot.flags & OPEN or slot.flags & (BLOCKED | DEAD) or slot.count == 0 or slot.fd >= 0:
            return 0
        ring = ring_of(slot)
        while k < slot.count and k < FRAMES_PER_SEND:
            wire = form_of(slot, <Frame> ring[(slot.head + k) & (slot.capacity - 1)])
            if k and size + len(wire) > BYTES_PER_COPY:
                break
            size += len(wire)
            parts.append(wire)
            k += 1
        return self.hand_over(index, parts[0] if k == 1 else b"".join(parts), k)

    cdef int hand_over(self, uint32_t index, object data, uint32_t frames) except -1:
        cdef Slot *slot = &self.slots[index]
        cdef uint32_t generation = slot.generation
        cdef object transport = <object> slot.transport
        slot.leaving = frames
        slot.flags |= BLOCKED
        self.stand_aside(slot)
        if transport.is_closing():
            return 0
        slot = &self.slots[index]
        if not slot.flags & OPEN or slot.generation != generation:
            return 0
        if slot.fd < 0:
            self.note_copy(slot, <uint32_t> len(data))
        transport.write(data)
        if transport.get_write_buffer_size() or transport.is_closing():
            return 0
        # The transport got rid of all of it at once and will not call resume_writing.
        slot = &self.slots[index]
        if slot.flags & OPEN and slot.generation == generation:
            self.unblock(handle_of(index, generation))
        return 0
