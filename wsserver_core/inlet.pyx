"""What the connections of one endpoint share: the buffer they read into, their rates and their deadlines."""

from wsserver_core.buckets cimport RateLimits
from wsserver_core.frames cimport UnfinishedBudget
from wsserver_core.hub cimport Hub
from wsserver_core.outgoing cimport DROPPED_CLOSED

cdef enum:
    # uvloop reads at most this much at a time; one buffer serves every connection, since
    # each read is parsed before the next one starts.
    READ_BUFFER = 64 * 1024

    TOO_BIG = 1009


cdef class Inlet:
    """What the connections of one endpoint share on the way in.

    ``sink`` receives what the connections read, on the loop's thread:

    - ``message_received(connection, opcode, payload)`` a complete text (1) or binary (2) message;
    - ``oversize_received(connection, size)`` a message over the limit was swallowed;
    - ``pong_received(connection, payload)``;
    - ``message_flood(connection, wait)`` a message was dropped because they come too fast;
      one would be taken again in ``wait`` seconds;
    - ``control_flood(connection, wait)`` the same for a ping or a pong;
    - ``connection_closed(connection, code, reason)`` exactly once, after the socket is gone.

    ``limits`` are the rates of each connection: of its messages, its control frames, its bytes.
    One that sends too many bytes is not read for a while; the kernel's window then holds it up.
    Times are seconds of the hub's coarse clock ``hub.now``, which ``sweep`` moves.
    """

    def __cinit__(self, Hub hub not None, object sink, UnfinishedBudget budget not None, *,
                  RateLimits limits=None, double message_deadline=10.0, double close_timeout=5.0):
        cdef bytearray memory = bytearray(READ_BUFFER)
        self.hub = hub
        self.sink = sink
        self.budget = budget
        self.limits = RateLimits() if limits is None else limits
        self.message_deadline = message_deadline
        self.close_timeout = close_timeout
        self.abort_reason = DROPPED_CLOSED
        self.unfinished = {}
        self.closing = {}
        self.throttled = {}
        self.lender = self.lend
        self.view = memoryview(memory)
        # The view pins the bytearray: it cannot be resized or moved while the view lives.
        self.data = <const unsigned char *> <char *> memory

    @property
    def unfinished_connections(self):
        """Connections in the middle of a message."""
        return len(self.unfinished)

    @property
    def closing_connections(self):
        """Connections whose closing handshake is under way."""
        return len(self.closing)

    @property
    def throttled_connections(self):
        """Connections that are not read at present because they sent too much."""
        return len(self.throttled)

    def received_totals(self):
        """``(messages, bytes)`` received over all connections of this endpoint since the start."""
        return self.messages_received, self.bytes_received

    def abort_all(self):
        """Drop every socket of this endpoint now."""
        for connection in self.hub.owners():
            if getattr(connection, "inlet", None) is self:
                connection.abort()

    def lend(self, sizehint):
        """The buffer to read into, whatever the connection: what is in it is parsed at once."""
        return self.view

    def sweep(self, double now):
        """Move the clock, read on where the rate allows it again, and end what has passed its deadline.

        An unfinished message closes its connection with 1009; a closing handshake that the
        peer does not complete ends in an abort.
        """
        cdef double since, due
        self.hub.now = now
        for connection, due in list(self.throttled.items()):
            if now >= due:
                del self.throttled[connection]
                connection.unthrottle()
        # Both dictionaries are in order of time: insertion order, with a constant delay each.
        for connection, since in list(self.unfinished.items()):
            if now - since < self.message_deadline:
                break
            if connection.is_paused:
                # Its end may have arrived, and it is we who do not look. Resuming starts it afresh.
                continue
            connection.fail(TOO_BIG, "message not finished in time")
        for connection, since in list(self.closing.items()):
            if now - since < self.close_timeout:
                break
            connection.abort()

    def release_throttled(self):
        """Read everybody again from the next ``sweep`` on: the rates have changed."""
        for connection in self.throttled:
            self.throttled[connection] = self.hub.now
