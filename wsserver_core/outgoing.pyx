"""A message on its way out: encoded once for each protocol, shared by every queue it stands in."""

cimport cython

from wsserver_core.fates cimport Fates

DROP_REASONS = ("slow", "conflated", "expired", "closed", "shutdown")


# What it holds cannot be part of a cycle, and there may be very many.
@cython.no_gc
@cython.final
cdef class Frame:
    """One encoded message, shared by every queue it stands in, with the count of its outcomes.

    ``wire`` are the bytes for connections that speak JSON, ``binary`` those for connections that
    speak the binary protocol; one of the two may be missing, and then no connection of that kind
    can be given this frame. Neither changes any more. Pings and the like, which are the same for
    all, have one object as both.

    At any moment: times queued so far = ``queued`` + ``written`` + the sum of ``dropped``.
    ``subject`` is whom it is about, for those who may lose the right to it while it waits.
    ``importance`` (CONTROL, CRITICAL, ALERT, DATA) decides what a queue gives up first.
    ``topic``, ``log`` and ``seq`` say where a published message stands, so that a client can be
    told of its loss; ``lane`` is the place of that log among a connection's positions, from 1, or
    0; ``time`` is that of its publication in microseconds since 1970. ``stream`` marks data of
    which only the newest matters to somebody who cannot keep up: a later frame of the same stream
    takes its place. ``accepted_at`` is when a broadcast was taken in, by the hub's stopwatch; 0.0 for
    what is not timed.

    It holds bytes, text and numbers only: letting go of one never runs anybody's code, so queues may do so
    in the middle of a walk.
    """

    def __cinit__(self, bytes wire, str subject=None, int importance=CONTROL, *, bytes binary=None,
                  str topic=None, str log=None, uint64_t seq=0, str stream=None, int lane=0,
                  int64_t time=0, double accepted_at=0.0):
        if wire is None and binary is None:
            raise ValueError("a frame has bytes for somebody")
        if not CONTROL <= importance <= DATA:
            raise ValueError("no such importance")
        if not 0 <= lane <= LANES:
            raise ValueError("no such lane")
        self.json = wire
        self.binary = binary
        self.subject = subject
        self.importance = importance
        self.topic = topic
        self.log = log
        self.seq = seq
        self.stream = stream
        self.lane = lane
        self.time = time
        self.accepted_at = accepted_at
        if stream is not None and importance == DATA:
            self.stream_hash = hash(stream)

    @property
    def wire(self):
        """The bytes for connections that speak JSON. Raises ValueError if there are none."""
        if self.json is None:
            raise ValueError("this frame is for connections that speak the binary protocol")
        return self.json

    @property
    def text(self):
        """The JSON text in ``wire``, which must be one unmasked frame (RFC 6455 section 5.2)."""
        cdef bytes wire = self.wire
        cdef unsigned char length = wire[1]
        return memoryview(wire)[2 if length < 126 else 4 if length == 126 else 10:]

    @property
    def dropped(self):
        """How many connections lost it, by reason."""
        return {DROP_REASONS[i]: self.dropped_by[i] for i in range(<int> DROPS)}

    def watch(self, uint32_t room=100):
        """Note from now on what becomes of its copies; apart, of those that are sent once more."""
        if self.fates is None:
            self.fates = Fates(room)
        return self.fates

    cpdef Frame again(self, bytes binary=None):
        """The same bytes and the same place once more, with counters of its own.

        ``binary`` are the bytes of the binary protocol, if this one lacks them.
        """
        return self.copy(self.binary if binary is None else binary)

    cpdef Frame without_binary(self):
        """The same as ``again``, for connections that speak JSON alone."""
        return self.copy(None)

    cdef Frame copy(self, bytes binary):
        cdef Frame copy = Frame.__new__(Frame, self.json, self.subject, self.importance, binary=binary)
        copy.topic = self.topic
        copy.log = self.log
        copy.seq = self.seq
        copy.lane = self.lane
        copy.time = self.time
        copy.stream = self.stream
        copy.stream_hash = self.stream_hash
        if self.fates is not None:
            copy.fates = self.fates.for_replays()
        return copy

    cdef bint supersedes(self, Frame other) except -1:
        """Whether this frame makes an earlier one needless: newer data of the same stream."""
        return (
            other.stream_hash == self.stream_hash
            and other.importance == DATA
            and other.stream is not None
            and other.stream == self.stream
        )


cdef Frame neutral(bytes wire):
    """A frame of the WebSocket protocol itself, the same whatever its connection speaks."""
    return Frame.__new__(Frame, wire, None, CONTROL, binary=wire)
