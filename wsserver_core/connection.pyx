"""The protocol object that owns one WebSocket after the handshake.

It reads frames, answers pings and closes, and passes messages on to a sink shared by all
connections. It has no task and no timer: deadlines are looked after by ``Inlet.sweep``.
"""

from wsserver_core cimport buckets
from wsserver_core.buckets cimport BYTES, CONTROL, KINDS, MESSAGES
from wsserver_core.frames cimport (
    BINARY, CLOSE, OVERSIZE, PING, PONG, TEXT,
    FrameReader, ReadLimits, encode_close, encode_frame,
)
from wsserver_core.inlet cimport Inlet
from wsserver_core.outgoing cimport DROPPED_CLOSED, Frame, neutral

from wsserver_core.frames import decode_close

cdef enum:
    # Connection states.
    NEW = 0
    OPEN = 1
    CLOSING = 2      # our close frame is queued; messages still coming in are ignored
    CLOSED = 3

    ABNORMAL = 1006
    INTERNAL_ERROR = 1011


cdef class Connection:
    """One WebSocket, server side.

    Create it, then ``attach`` it to the transport that it takes over. ``owner`` is for the
    policy layer: whatever it wants to find again when a message comes in. A ``binary`` one gets
    the binary form of each frame.
    """

    def __cinit__(self, Inlet inlet not None, ReadLimits limits not None, object owner=None,
                  bint binary=False):
        self.inlet = inlet
        self.reader = FrameReader(limits, inlet.budget)
        self.owner = owner
        self.is_binary = binary
        self.close_reason = ""

    # -- taking over

    def attach(self, transport, int fd, bytes head=b""):
        """Take the transport over and return the handle.

        ``fd`` is the socket's descriptor, or -1 when bytes must go through the transport
        (TLS). ``head`` (the 101 response) leaves before anything else.
        """
        if self.state != NEW:
            raise RuntimeError("the connection is attached already")
        self.transport = transport
        self.handle = self.inlet.hub.open(transport, fd, self, False, self.is_binary)
        self.state = OPEN
        self.attaching = True
        try:
            transport.set_protocol(self)
        finally:
            self.attaching = False
        # Zero makes resume_writing mean "empty". TLS transports pause at >= the limit, so
        # that zero would pause them for ever.
        transport.set_write_buffer_limits(high=0 if fd >= 0 else 1, low=0)
        if transport.get_write_buffer_size():
            self.inlet.hub.block(self.handle)
        if head:
            self.inlet.hub.enqueue(self.handle, neutral(head))
        return self.handle

    def feed(self, bytes data):
        """Read bytes that another layer had taken from the socket already."""
        self.take(data, len(data))

    # -- asyncio.BufferedProtocol

    def connection_made(self, transport):
        """Never called: the transport is taken over when it is connected already."""

    # A transport keeps the methods that it calls, and each bound one takes 64 bytes for as long as
    # the connection is open.

    @property
    def get_buffer(self):
        """The method by which every connection of an endpoint lends the same buffer."""
        return self.inlet.lender

    def buffer_updated(self, Py_ssize_t size):
        self.take(self.inlet.data, size)

    @property
    def data_received(self):
        """Asked for by asyncio's own loop each time, which knows only its own class for a buffered protocol.

        None while a transport is given its protocol: uvloop's keeps what it gets then, and calls
        the buffered methods all the same.
        """
        return None if self.attaching else self.feed

    def eof_received(self):
        return self.inlet.hub.outlive_eof(self.handle)

    def pause_writing(self):
        self.inlet.hub.block(self.handle)

    def resume_writing(self):
        self.inlet.hub.unblock(self.handle)

    def connection_lost(self, exc):
        if self.state == CLOSED:
            return
        self.state = CLOSED
        self.paused = 0
        self.reader.close()
        self.inlet.unfinished.pop(self, None)
        self.inlet.closing.pop(self, None)
        self.inlet.throttled.pop(self, None)
        # The sink may still ask where the connection stood; nothing more is sent.
        self.inlet.hub.disarm(self.handle)
        self.transport = None
        self.pong = None
        try:
            self.inlet.sink.connection_closed(self, self.close_code or ABNORMAL, self.close_reason)
        finally:
            self.inlet.hub.release(self.handle)
            self.owner = None

    # -- reading

    cdef int take(self, const unsigned char *data, Py_ssize_t size) except -1:
        cdef list events
        cdef tuple event
        cdef double wait
        cdef unsigned int finished = self.reader.finished
        if self.state == CLOSED or size <= 0:
            return 0
        # Also of one who is closing or not listened to any more: reading costs us the same.
        wait = buckets.charge(&self.full_at[BYTES], &self.inlet.limits.rates[BYTES], size, self.inlet.hub.now)
        if wait > 0:
            self.throttle(wait)
        if self.deaf:
            return 0
        self.inlet.hub.touch(self.handle)
        self.bytes_received += size
        self.inlet.bytes_received += size
        events = self.reader.feed_raw(data, size)
        if events is not None:
            for event in events:
                try:
                    self.dispatch(event[0], event[1])
                except Exception as fault:
                    # The sink answers for its own faults; this is the last line, so that one
                    # client's message can never take the loop or another client down.
                    self.inlet.hub.loop.call_exception_handler({
                        "message": "fault while handling a WebSocket message", "exception": fault,
                    })
                    self.close(INTERNAL_ERROR)
                if self.state == CLOSED:
                    return 0
        if self.reader.failure:
            self.fail(self.reader.failure, self.reader.failure_reason)
        else:
            self.track_unfinished(self.reader.finished != finished)
        return 0

    cdef int dispatch(self, int opcode, object payload) except -1:
        cdef double wait
        if opcode == CLOSE:
            return self.peer_closed(payload)
        if self.state != OPEN:
            return 0
        if opcode == PING or opcode == PONG:
            wait = self.spend(CONTROL, 1.0)
            if wait > 0:
                self.inlet.sink.control_flood(self, wait)
            elif opcode == PING:
                self.answer_ping(payload)
            else:
                self.inlet.sink.pong_received(self, payload)
            return 0
        self.messages_received += 1
        self.inlet.messages_received += 1
        wait = self.spend(MESSAGES, 1.0)
        if wait > 0:
            self.inlet.sink.message_flood(self, wait)
        elif opcode == OVERSIZE:
            self.inlet.sink.oversize_received(self, payload)
        else:
            self.inlet.sink.message_received(self, opcode, payload)
        return 0

    cdef int track_unfinished(self, bint progressed) except -1:
        if self.reader.is_unfinished():
            if self.tracked_unfinished:
                if not progressed:
                    return 0
                del self.inlet.unfinished[self]
            self.tracked_unfinished = True
            self.inlet.unfinished[self] = self.inlet.hub.now
        elif self.tracked_unfinished:
            self.tracked_unfinished = False
            self.inlet.unfinished.pop(self, None)
        return 0

    cdef int answer_ping(self, bytes payload) except -1:
        cdef bytes wire = encode_frame(PONG, payload)
        # RFC 6455 section 5.5.3 allows to answer only the latest ping: a client that pings
        # and does not read holds one waiting pong, not thousands.
        if self.pong is not None and self.inlet.hub.rewrite(self.handle, self.pong, wire):
            return 0
        self.pong = neutral(wire)
        self.inlet.hub.enqueue(self.handle, self.pong)
        return 0

    # -- closing

    cdef int peer_closed(self, bytes payload) except -1:
        code, reason = decode_close(payload)
        if self.state == CLOSING:
            # The answer to our close frame: RFC 6455 section 7.1.1 has the server close TCP first.
            self.inlet.hub.finish(self.handle)
            return 0
        self.state = CLOSING
        self.close_code = code
        self.close_reason = reason
        self.inlet.closing[self] = self.inlet.hub.now
        self.inlet.hub.discard(self.handle, DROPPED_CLOSED)
        self.inlet.hub.enqueue(self.handle, neutral(encode_frame(CLOSE, payload[:2])), True)
        self.inlet.hub.finish(self.handle)
        return 0

    def close(self, int code, str reason="", discard=None):
        """Start the closing handshake; what was queued before leaves first, in order.

        ``discard`` drops the queue instead, counted under that reason (an index of
        ``hub.DROP_REASONS``). Returns False when the connection is closing already. Raises
        ValueError for a code that may not be sent and for an unknown reason to drop.
        """
        cdef Frame frame = neutral(encode_close(code, reason))
        if self.state != OPEN:
            return False
        if discard is not None:
            self.inlet.hub.discard(self.handle, discard)
        self.state = CLOSING
        self.close_code = code
        self.close_reason = reason
        self.inlet.hub.enqueue(self.handle, frame, True)
        self.inlet.closing[self] = self.inlet.hub.now
        # The answer must be heard, whoever held reading back; the rate still bounds what that costs.
        self.resume_reading(self.paused & ~PAUSED_FOR_RATE)
        return True

    def fail(self, int code, str reason=""):
        """Fail the connection as RFC 6455 section 7.1.7 says: close, and hear no more."""
        if self.state == CLOSED:
            return
        self.inlet.unfinished.pop(self, None)
        self.tracked_unfinished = False
        self.deaf = True
        self.reader.close()
        self.close(code, reason)
        self.inlet.hub.finish(self.handle, True)

    def abort(self):
        """Drop the socket now, without a closing handshake.

        What still waits is counted as dropped for the inlet's ``abort_reason``.
        """
        if self.state == CLOSED or self.transport is None:
            return
        self.state = CLOSING
        self.inlet.hub.discard(self.handle, self.inlet.abort_reason)
        self.inlet.hub.disarm(self.handle)
        self.transport.abort()

    @property
    def is_open(self):
        """Whether messages may still be queued for it."""
        return self.state == OPEN

    @property
    def is_closed(self):
        """Whether the socket is gone."""
        return self.state == CLOSED

    # -- sending

    cpdef int send_frame(self, Frame frame) except -1:
        """Queue an encoded frame; 0 is success, else the hub's reason to refuse."""
        return self.inlet.hub.enqueue(self.handle, frame)

    def send_text(self, bytes text):
        """Queue one text message (UTF-8); 0 is success, else the hub's reason to refuse.

        Raises ValueError where the connection is a binary one.
        """
        return self.inlet.hub.enqueue(self.handle, Frame(encode_frame(TEXT, text)))

    def send_binary(self, payload):
        """Queue one binary message; 0 is success, else the hub's reason to refuse.

        Raises ValueError where the connection is not a binary one.
        """
        return self.inlet.hub.enqueue(self.handle, Frame(None, binary=encode_frame(BINARY, payload)))

    def ping(self, bytes payload=b""):
        """Queue a ping frame."""
        return self.inlet.hub.enqueue(self.handle, neutral(encode_frame(PING, payload)))

    # -- flow and figures

    cpdef double spend(self, int kind, double cost) except -1:
        """Take ``cost`` from a bucket of this connection and return 0, or the seconds to wait for it."""
        buckets.check_kind(kind, KINDS)
        return buckets.spend(&self.full_at[kind], &self.inlet.limits.rates[kind], cost, self.inlet.hub.now)

    cpdef double charge(self, int kind, double cost) except -1:
        """Take what is spent already; the seconds until the bucket is half full if it had less, else 0."""
        buckets.check_kind(kind, KINDS)
        return buckets.charge(&self.full_at[kind], &self.inlet.limits.rates[kind], cost, self.inlet.hub.now)

    cpdef double spent(self, int kind) except -1:
        """How much of a bucket is missing at present."""
        cdef buckets.Rate *rate
        buckets.check_kind(kind, KINDS)
        rate = &self.inlet.limits.rates[kind]
        if rate.interval <= 0 or self.full_at[kind] <= self.inlet.hub.now:
            return 0.0
        return (self.full_at[kind] - self.inlet.hub.now) / rate.interval

    cpdef int throttle(self, double seconds) except -1:
        """Do not read from the client for so long; ``Inlet.sweep`` ends it."""
        cdef dict throttled = self.inlet.throttled
        cdef double due = self.inlet.hub.now + seconds
        if self.state == NEW or self.state == CLOSED:
            return 0
        if self.paused & PAUSED_FOR_RATE:
            throttled[self] = max(due, <double> throttled[self])
            return 0
        if self.paused == 0 and not self.transport.is_closing():
            self.transport.pause_reading()
        self.paused |= PAUSED_FOR_RATE
        self.inlet.hub.hold_up(self.handle)
        self.inlet.throttles += 1
        throttled[self] = due
        return 0

    def unthrottle(self):
        """Read again; for ``Inlet.sweep``."""
        self.resume_reading(PAUSED_FOR_RATE)

    def pause_reading(self, unsigned char reason):
        """Stop reading from the client; the kernel's window then slows it down.

        ``reason`` is one of the ``PAUSED_FOR_…`` bits, or several. What has been read already
        is still dispatched. Does nothing on a connection that is not open.
        """
        if self.state != OPEN or reason == 0:
            return
        if self.paused == 0 and not self.transport.is_closing():
            self.transport.pause_reading()
        self.paused |= reason
        self.inlet.hub.hold_up(self.handle)

    def resume_reading(self, unsigned char reason):
        """Take a reason to pause back; reading goes on when none is left.

        That counts as a sign of life: nobody is to be declared dead for a silence of our making.
        """
        if not self.paused & reason:
            return
        self.paused &= ~reason
        if self.paused or self.transport is None:
            return
        self.inlet.hub.touch(self.handle)
        # Once more: it may have been pinged meanwhile.
        self.inlet.hub.hold_up(self.handle)
        if self.tracked_unfinished:
            del self.inlet.unfinished[self]
            self.inlet.unfinished[self] = self.inlet.hub.now
        if not self.transport.is_closing():
            self.transport.resume_reading()

    @property
    def is_paused(self):
        """Whether we ourselves hold its reading back."""
        return self.paused != 0

    @property
    def figures(self):
        """``(frames_written, bytes_written, queued_messages, queued_bytes)``, or None when gone."""
        return self.inlet.hub.connection_figures(self.handle)
