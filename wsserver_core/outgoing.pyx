"""A message on its way out: encoded once, shared by every queue it stands in."""

cimport cython

DROP_REASONS = ("slow", "conflated", "expired", "closed", "shutdown")


@cython.final
cdef class Frame:
    """One encoded frame, shared by every queue it stands in, with the count of its outcomes.

    At any moment: times queued so far = ``queued`` + ``written`` + the sum of ``dropped``.
    ``subject`` is whom it is about, for those who may lose the right to it while it waits.
    ``importance`` (CONTROL, CRITICAL, ALERT, DATA) decides what a queue gives up first.
    ``topic``, ``log`` and ``seq`` say where a published message stands, so that a client can be
    told of its loss; ``lane`` is the place of that log among a connection's positions, from 1, or
    0. ``stream`` marks data of which only the newest matters to somebody who cannot keep up: a
    later frame of the same stream takes its place.

    It holds bytes and text only: letting go of one never runs anybody's code, so queues may do so
    in the middle of a walk.
    """

    def __cinit__(self, bytes wire not None, str subject=None, int importance=CONTROL, *,
                  str topic=None, str log=None, uint64_t seq=0, str stream=None, int lane=0):
        if not CONTROL <= importance <= DATA:
            raise ValueError("no such importance")
        if not 0 <= lane <= LANES:
            raise ValueError("no such lane")
        self.wire = wire
        self.subject = subject
        self.importance = importance
        self.topic = topic
        self.log = log
        self.seq = seq
        self.stream = stream
        self.lane = lane
        if stream is not None and importance == DATA:
            self.stream_hash = hash(stream)

    @property
    def dropped(self):
        """How many connections lost it, by reason."""
        return {DROP_REASONS[i]: self.dropped_by[i] for i in range(<int> DROPS)}

    cpdef Frame again(self):
        """The same bytes and the same place once more, with counters of its own."""
        cdef Frame copy = Frame.__new__(Frame, self.wire, self.subject, self.importance)
        copy.topic = self.topic
        copy.log = self.log
        copy.seq = self.seq
        copy.lane = self.lane
        copy.stream = self.stream
        copy.stream_hash = self.stream_hash
        return copy

    cdef bint supersedes(self, Frame other) except -1:
        """Whether this frame makes an earlier one needless: newer data of the same stream."""
        return (
            other.stream_hash == self.stream_hash
            and other.importance == DATA
            and other.stream is not None
            and other.stream == self.stream
        )
