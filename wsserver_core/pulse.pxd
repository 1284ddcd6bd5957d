from libc.stdint cimport uint16_t, uint32_t, uint64_t

from wsserver_core.histogram cimport Histogram
from wsserver_core.hub cimport Hub
from wsserver_core.outgoing cimport Frame
from wsserver_core.slots cimport Slot
from wsserver_core.wheel cimport Wheel


cdef enum:
    SENT = 1024                # pings whose time is remembered, one a tick


# What is known of one watched slot. When it is looked at next, the wheel knows.
cdef struct Beat:
    double asked_at            # when its newest ping was queued
    uint32_t generation        # of the handle that is watched; 0: none
    uint32_t ping_due          # the tick of the next ping, not before the next look
    uint32_t asked             # number of its newest ping; 0 before the first
    uint32_t answered          # number of the newest ping that it has answered
    float rtt                  # smoothed, in seconds; negative before the first
    uint16_t missed            # rounds in a row in which nothing came
    uint16_t flags


# One ping, which many connections were sent.
cdef struct Ping:
    double at
    uint32_t number
    uint32_t token


cdef class Pulse:
    cdef readonly Hub hub
    cdef readonly double interval
    cdef readonly double timeout
    cdef readonly double tick_length
    cdef readonly double jitter
    cdef readonly double slow_rtt
    cdef readonly double slow_factor
    cdef readonly uint32_t watched
    cdef readonly uint64_t pings
    cdef readonly uint64_t answered
    cdef readonly uint64_t missed
    cdef readonly uint64_t absences
    cdef readonly double absent_seconds
    cdef readonly Histogram round_trips
    cdef Beat *beats
    cdef uint32_t capacity
    cdef uint32_t top
    cdef Wheel wheel
    cdef Ping sent[SENT]
    cdef Frame frame           # of this tick, once somebody needs it
    cdef uint32_t number       # of the newest ping
    cdef uint32_t target       # the tick of now, which the wheel has yet to reach while we advance
    cdef double now
    cdef double listened       # seconds in which we were there to hear something
    cdef double trusted_since  # the end of our last absence
    cdef double ruled_since    # when interval or timeout last changed
    cdef uint64_t dice

    cpdef int watch(self, uint64_t handle, bint mortal=*, bint listed=*) except -1
    cpdef bint forget(self, uint64_t handle)
    cpdef list advance(self, double now, uint32_t token)

    cdef Beat *beat_of(self, uint64_t handle) noexcept
    cdef double draw(self) noexcept
    cdef uint32_t ticks(self, double seconds) noexcept
    cdef double limit_of(self, Beat *beat) noexcept
    cdef bint is_late(self, Beat *beat, Slot *slot) noexcept
    cdef int plan(self, uint32_t index, Slot *slot) except -1
    cdef void excuse(self, double seconds) noexcept
    cdef int look(self, uint32_t index, bint absent, list stale) except -1
    cdef int ask(self, uint32_t index, Slot *slot) except -1
    cdef void settle(self, Beat *beat, Slot *slot) noexcept
    cdef void smooth(self, Beat *beat, double rtt) noexcept
