from libc.stdint cimport uint64_t

from wsserver_core.frames cimport FrameReader, UnfinishedBudget
from wsserver_core.hub cimport Hub
from wsserver_core.outgoing cimport Frame


cdef class Inlet:
    cdef readonly Hub hub
    cdef readonly object sink
    cdef readonly UnfinishedBudget budget
    cdef public double message_deadline
    cdef public double close_timeout
    cdef public double message_rate
    cdef public double message_burst
    cdef public double control_rate
    cdef public double control_burst
    cdef public int abort_reason       # what the queues of aborted connections are dropped for
    cdef set connections
    cdef uint64_t messages_of_closed
    cdef uint64_t bytes_of_closed
    cdef dict unfinished
    cdef dict closing
    cdef object view
    cdef const unsigned char *data


cdef class Connection:
    cdef readonly Inlet inlet
    cdef readonly FrameReader reader
    cdef readonly object transport
    cdef readonly uint64_t handle
    cdef public object owner
    cdef Hub hub
    cdef Frame pong
    cdef double message_tokens
    cdef double control_tokens
    cdef double refilled_at
    cdef readonly uint64_t messages_received
    cdef readonly uint64_t bytes_received
    cdef readonly int close_code
    cdef readonly str close_reason
    cdef unsigned char state
    cdef unsigned char paused      # PAUSED_FOR_ bits: who holds reading back
    cdef bint tracked_unfinished
    cdef bint deaf                 # failed: whatever still arrives is not looked at

    cpdef int send_frame(self, Frame frame) except -1
    cdef int take(self, const unsigned char *data, Py_ssize_t size) except -1
    cdef int dispatch(self, int opcode, object payload) except -1
    cdef bint spend(self, bint control) noexcept
    cdef int answer_ping(self, bytes payload) except -1
    cdef int peer_closed(self, bytes payload) except -1
    cdef int track_unfinished(self, bint progressed) except -1
