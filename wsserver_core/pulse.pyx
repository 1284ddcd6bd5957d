"""Heartbeats of the hub's connections: who is pinged when, and who has fallen silent.

Every watched connection stands on a timing wheel, at the tick at which it is looked at next:
when its next ping is due or its silence would be too long, whichever comes first. A tick costs
as much as is due in it, however many connections there are.

Time in which the loop did not run is not silence of anybody: the wheel moves on by a bounded
step only, and the last sign of life of every connection by the rest. Whoever seems to have been
silent for too long right after such an absence is looked at again one tick later, when the loop
has read what waits in the sockets.
"""

from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.math cimport ceil
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from wsserver_core.frames cimport PING, encode_frame
from wsserver_core.histogram cimport Histogram
from wsserver_core.hub cimport Hub
from wsserver_core.outgoing cimport neutral
from wsserver_core.slots cimport BLOCKED, HELD_UP, Slot, handle_of
from wsserver_core.wheel cimport NOWHERE, Spoke, Wheel

cdef enum:
    # Beat flags.
    MORTAL = 1        # ended for silence
    LISTED = 2        # counts in the figures
    PENDING = 4       # its newest ping is neither answered nor given up
    SUSPECT = 8       # was silent for too long when we came back from an absence

    FIRST_CAPACITY = 64
    PAYLOAD = 8       # bytes of a ping: its number and its token, four each

# A ping that is due in 8 years is due never, and ticks are counted in 32 bits.
cdef double MAX_TICKS = 1 << 30
# The weight of a new round trip in the smoothed one, as RFC 6298 section 2 has it.
cdef double WEIGHT = 0.125
# A step of more ticks than these is an absence, of which one tick counts.
cdef double LONG_STEP = 2.0


cdef class Pulse:
    """Heartbeats of the connections of one hub. Durations are seconds.

    A connection is pinged every ``interval`` seconds, each time sooner or later by up to the
    share ``jitter`` of it, for the first time somewhen in the first interval; never later than
    half-way from ``interval`` to ``timeout``, so that it has time to answer. It is silent when
    nothing has come from it for ``timeout`` seconds, or ``slow_factor`` times as long if its
    round trips take longer than ``slow_rtt`` on the average. ``seed`` starts the dice.

    Times that are passed in are the hub's, ``hub.now`` being the coarse form of the same.
    """

    def __cinit__(self, Hub hub not None, *, double interval, double timeout, double tick=0.25,
                  double jitter=0.2, double slow_rtt=1.0, double slow_factor=2.0, uint64_t seed=1):
        if not (interval > 0 and timeout > 0 and tick > 0):
            raise ValueError("interval, timeout and tick must be positive")
        if not (0 <= jitter < 1 and slow_factor >= 1):
            raise ValueError("jitter must be from 0 to below 1, slow_factor at least 1")
        self.hub = hub
        self.interval = interval
        self.timeout = timeout
        self.tick_length = tick
        self.jitter = jitter
        self.slow_rtt = slow_rtt
        self.slow_factor = slow_factor
        self.dice = seed or 1
        self.now = hub.now
        self.trusted_since = self.ruled_since = hub.now
        self.wheel = Wheel()
        self.round_trips = Histogram()

    def __dealloc__(self):
        PyMem_Free(self.beats)

    def __sizeof__(self):
        """With what is known of each slot, and its place on the wheel."""
        return object.__sizeof__(self) + self.top * sizeof(Beat) + self.wheel.top * sizeof(Spoke)

    # -- who is watched

    cdef Beat *beat_of(self, uint64_t handle) noexcept:
        cdef uint32_t index = <uint32_t> handle
        cdef Beat *beat
        if index >= self.top:
            return NULL
        beat = &self.beats[index]
        if not beat.generation or beat.generation != <uint32_t> (handle >> 32):
            return NULL
        return beat

    cpdef int watch(self, uint64_t handle, bint mortal=True, bint listed=True) except -1:
        """Begin with a connection; does nothing for one that is watched already.

        ``mortal`` says whether it is ever handed over as silent, ``listed`` whether it counts in
        the figures. Raises ValueError for a handle whose connection is gone.
        """
        cdef uint32_t index = <uint32_t> handle
        cdef uint32_t capacity
        cdef Slot *slot = self.hub.slot_of(handle)
        cdef Beat *beat
        cdef void *memory
        if slot == NULL:
            raise ValueError("no such connection")
        if self.beat_of(handle) != NULL:
            return 0
        self.wheel.reserve(index)
        if index >= self.capacity:
            capacity = max(<uint32_t> FIRST_CAPACITY, index + 1, self.capacity + self.capacity // 2)
            memory = PyMem_Realloc(self.beats, capacity * sizeof(Beat))
            if memory == NULL:
                raise MemoryError()
            self.beats = <Beat *> memory
            self.capacity = capacity
        # Memory beyond the highest slot in use is not touched, and so costs nothing yet.
        if index >= self.top:
            memset(&self.beats[self.top], 0, (index + 1 - self.top) * sizeof(Beat))
            self.top = index + 1
        beat = &self.beats[index]
        if beat.generation:
            # The slot has changed hands and nobody told us.
            self.forget(handle_of(index, beat.generation))
        memset(beat, 0, sizeof(Beat))
        beat.generation = <uint32_t> (handle >> 32)
        beat.rtt = -1.0
        beat.flags = (MORTAL if mortal else 0) | (LISTED if listed else 0)
        beat.ping_due = self.wheel.tick + self.ticks(self.draw() * self.interval)
        self.watched += 1
        return self.plan(index, slot)

    cpdef bint forget(self, uint64_t handle):
        """Have done with a connection; False when it is not watched."""
        cdef Beat *beat = self.beat_of(handle)
        if beat == NULL:
            return False
        self.wheel.remove(<uint32_t> handle)
        beat.generation = 0
        self.watched -= 1
        return True

    def is_watched(self, uint64_t handle):
        """Whether this connection is watched."""
        return self.beat_of(handle) != NULL

    def configure(self, double interval, double timeout):
        """Take another interval and timeout, and plan all connections anew.

        Nobody is judged by the new timeout on what it did under the old one: all have a whole
        ``timeout`` from now on to be heard.
        """
        cdef uint32_t index
        cdef Slot *slot
        cdef Beat *beat
        if not (interval > 0 and timeout > 0):
            raise ValueError("interval and timeout must be positive")
        if interval == self.interval and timeout == self.timeout:
            return
        self.interval = interval
        self.timeout = timeout
        self.ruled_since = self.now
        for index in range(self.top):
            beat = &self.beats[index]
            if not beat.generation:
                continue
            slot = self.hub.slot_of(handle_of(index, beat.generation))
            if slot == NULL:
                self.forget(handle_of(index, beat.generation))
                continue
            beat.ping_due = self.wheel.tick + self.ticks(self.draw() * interval)
            self.plan(index, slot)

    # -- the wheel

    cdef double draw(self) noexcept:
        """From 0 to below 1: xorshift64*, good enough to spread things."""
        self.dice ^= self.dice >> 12
        self.dice ^= self.dice << 25
        self.dice ^= self.dice >> 27
        return <double> ((self.dice * <uint64_t> 0x2545F4914F6CDD1D) >> 11) / <double> (<uint64_t> 1 << 53)

    cdef uint32_t ticks(self, double seconds) noexcept:
        """Whole ticks, at least one: what is due has not been looked at yet."""
        cdef double count = ceil(seconds / self.tick_length)
        return 1 if count < 1 else <uint32_t> min(count, MAX_TICKS)

    cdef double limit_of(self, Beat *beat) noexcept:
        return self.timeout * (self.slow_factor if beat.rtt > self.slow_rtt else 1.0)

    cdef int plan(self, uint32_t index, Slot *slot) except -1:
        """Put a connection where it is looked at next."""
        cdef Beat *beat = &self.beats[index]
        cdef uint32_t due = beat.ping_due
        cdef uint32_t deadline
        if beat.flags & MORTAL:
            deadline = self.target + self.ticks(
                max(slot.last_received, self.ruled_since) + self.limit_of(beat) - self.now
            )
            due = min(due, deadline)
        return self.wheel.put(index, due)

    cpdef list advance(self, double now, uint32_t token):
        """Ping those whose turn has come; returns the owners of the silent.

        A silent connection stays watched and comes again after another interval, unless it is
        forgotten or heard. ``token`` must not be guessable: a pong is believed if it brings it back.
        """
        cdef list stale = []
        cdef double step = now - self.now
        cdef uint32_t index
        cdef bint absent = step > LONG_STEP * self.tick_length
        if step <= 0:
            return stale
        self.now = now
        if absent:
            self.absences += 1
            self.absent_seconds += step - self.tick_length
            self.trusted_since = now
            self.excuse(step - self.tick_length)
            step = self.tick_length
        self.listened += step
        self.target = <uint32_t> (self.listened / self.tick_length)
        self.number += 1
        self.sent[self.number % SENT] = Ping(now, self.number, token)
        while self.wheel.tick != self.target:
            self.wheel.turn()
            while True:
                index = self.wheel.take()
                if index == NOWHERE:
                    break
                self.look(index, absent, stale)
        self.frame = None
        return stale

    cdef void excuse(self, double seconds) noexcept:
        """We were away: what anybody may have sent meanwhile has not been read yet."""
        cdef uint32_t index
        cdef Slot *slot
        self.ruled_since = min(self.ruled_since + seconds, self.now)
        for index in range(self.top):
            if self.beats[index].generation:
                slot = self.hub.slot_of(handle_of(index, self.beats[index].generation))
                if slot != NULL:
                    slot.last_received = min(slot.last_received + seconds, self.now)

    cdef int look(self, uint32_t index, bint absent, list stale) except -1:
        cdef Beat *beat = &self.beats[index]
        cdef uint64_t handle = handle_of(index, beat.generation)
        cdef Slot *slot = self.hub.slot_of(handle)
        cdef bint suspect = beat.flags & SUSPECT != 0
        if slot == NULL:
            self.forget(handle)
            return 0
        # First of all it gets another turn, whatever happens in this one. Not one of the same
        # call, between which and this one nothing could have been read.
        self.wheel.put(index, self.target + 1)
        beat.flags &= ~<uint16_t> SUSPECT
        if beat.flags & MORTAL and (
            self.now - max(slot.last_received, self.ruled_since) >= self.limit_of(beat)
        ):
            if absent and not suspect:
                beat.flags |= SUSPECT
                return 0
            self.settle(beat, slot)
            stale.append(<object> slot.owner)
            return self.wheel.put(index, self.target + self.ticks(self.interval))
        if beat.ping_due <= self.wheel.tick:
            return self.ask(index, slot)
        return self.plan(index, slot)

    cdef int ask(self, uint32_t index, Slot *slot) except -1:
        """Send a ping, and plan the next one."""
        cdef Beat *beat = &self.beats[index]
        cdef uint64_t handle = handle_of(index, beat.generation)
        cdef Ping *ping = &self.sent[self.number % SENT]
        cdef unsigned char payload[PAYLOAD]
        cdef double gap = self.interval * (1.0 - self.jitter + 2.0 * self.jitter * self.draw())
        cdef int i
        self.settle(beat, slot)
        beat.ping_due = self.wheel.tick + self.ticks(
            min(gap, (self.interval + max(self.interval, self.timeout)) / 2) - self.tick_length / 2
        )
        if self.frame is None:
            for i in range(4):
                payload[i] = (ping.number >> (24 - 8 * i)) & 0xFF
                payload[4 + i] = (ping.token >> (24 - 8 * i)) & 0xFF
            self.frame = neutral(encode_frame(PING, payload[:PAYLOAD]))
        if beat.answered == beat.asked and not slot.flags & BLOCKED:
            slot.flags &= ~<uint32_t> HELD_UP
        # A connection that takes no ping is not asked: its silence counts all the same.
        if self.hub.enqueue(handle, self.frame) == 0:
            self.pings += 1
            beat.asked = self.number
            beat.asked_at = self.now
            beat.flags |= PENDING
        return self.plan(index, slot)

    cdef void settle(self, Beat *beat, Slot *slot) noexcept:
        """Count what came of the last ping, unless we were away meanwhile."""
        if not beat.flags & PENDING:
            return
        beat.flags &= ~<uint16_t> PENDING
        if beat.asked_at < self.trusted_since:
            return
        if beat.flags & LISTED:
            self.missed += 1
        if slot.last_received >= beat.asked_at:
            beat.missed = 0
        elif beat.missed < 0xFFFF:
            beat.missed += 1

    # -- answers

    cdef void smooth(self, Beat *beat, double rtt) noexcept:
        beat.rtt = <float> (rtt if beat.rtt < 0 else beat.rtt + WEIGHT * (rtt - beat.rtt))

    def answer(self, uint64_t handle, bytes payload, double now):
        """A pong has come: the seconds since its ping, or None if it tells nothing.

        That is so for a ping that this connection was not sent, has answered already or was sent
        before we were away ourselves. Nor does it measure the line when since then the ping had to
        wait for room in the socket, or the pong for us to read on. ``payload`` None answers the
        newest ping, in good faith.
        """
        cdef Beat *beat = self.beat_of(handle)
        cdef Slot *slot = self.hub.slot_of(handle)
        cdef const unsigned char *data
        cdef uint32_t number = 0
        cdef uint32_t token = 0
        cdef double at
        cdef int i
        if beat == NULL:
            return None
        if payload is None:
            number, at = beat.asked, beat.asked_at
        elif len(payload) != PAYLOAD:
            return None
        else:
            data = payload
            for i in range(4):
                number = number << 8 | data[i]
                token = token << 8 | data[4 + i]
            if self.sent[number % SENT].number != number or self.sent[number % SENT].token != token:
                return None
            at = self.sent[number % SENT].at
        if not beat.answered < number <= beat.asked:
            return None
        if payload is None:
            self.hub.touch(handle)
        beat.answered = number
        beat.missed = 0
        if number == beat.asked and beat.flags & PENDING:
            beat.flags &= ~<uint16_t> PENDING
            if beat.flags & LISTED:
                self.answered += 1
        if at < self.trusted_since or now < at or (slot != NULL and slot.flags & HELD_UP):
            return None
        if beat.flags & LISTED:
            self.round_trips.add(now - at)
        self.smooth(beat, now - at)
        return now - at

    def note_round_trip(self, uint64_t handle, double rtt):
        """Take a round trip that somebody else has measured into the average; False if not watched."""
        cdef Beat *beat = self.beat_of(handle)
        if beat == NULL:
            return False
        self.smooth(beat, rtt)
        return True

    # -- figures

    cdef bint is_late(self, Beat *beat, Slot *slot) noexcept:
        return beat.missed > 0 and slot.last_received < beat.asked_at

    def timeout_of(self, uint64_t handle):
        """Seconds of silence that this connection is allowed; ``timeout`` for one not watched."""
        cdef Beat *beat = self.beat_of(handle)
        return self.timeout if beat == NULL else self.limit_of(beat)

    def figures(self, uint64_t handle):
        """``(silent_for, missed, average rtt or None)`` of a watched connection, else None.

        ``missed`` are the pings in a row at whose turn nothing had come since the one before.
        """
        cdef Beat *beat = self.beat_of(handle)
        cdef Slot *slot = self.hub.slot_of(handle)
        if beat == NULL or slot == NULL:
            return None
        return (
            max(self.now - slot.last_received, 0.0),
            beat.missed if self.is_late(beat, slot) else 0,
            None if beat.rtt < 0 else beat.rtt,
        )

    def census(self):
        """``(listed, late, slow, measured, sum of their average rtt)`` over all connections now.

        ``late`` have missed at least one ping and not been heard since, ``slow`` have the longer
        timeout. Walks the table.
        """
        cdef uint32_t listed = 0
        cdef uint32_t late = 0
        cdef uint32_t slow = 0
        cdef uint32_t measured = 0
        cdef double total = 0.0
        cdef uint32_t index
        cdef Beat *beat
        cdef Slot *slot
        for index in range(self.top):
            beat = &self.beats[index]
            if not beat.generation or not beat.flags & LISTED:
                continue
            slot = self.hub.slot_of(handle_of(index, beat.generation))
            if slot == NULL:
                continue
            listed += 1
            if self.is_late(beat, slot):
                late += 1
            if beat.rtt >= 0:
                measured += 1
                total += beat.rtt
                if beat.rtt > self.slow_rtt:
                    slow += 1
        return listed, late, slow, measured, total

    def begin(self, double now):
        """Start from here: the time since the last tick was no absence, as nobody was to tick."""
        self.now = now
        self.trusted_since = self.ruled_since = now
