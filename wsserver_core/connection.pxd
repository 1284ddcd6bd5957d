from libc.stdint cimport uint64_t

from wsserver_core.buckets cimport KINDS
from wsserver_core.frames cimport FrameReader
from wsserver_core.hub cimport Hub
from wsserver_core.inlet cimport Inlet
from wsserver_core.outgoing cimport Frame

# Who may hold reading back; each has a bit, so that nobody undoes another's pause.
cpdef enum:
    PAUSED_FOR_TURN = 1
    PAUSED_FOR_CREDENTIALS = 2
    PAUSED_FOR_RATE = 4
    PAUSED_FOR_MEMORY = 8
    PAUSED_FOR_STORE = 16
    PAUSED_FOR_CATCH_UP = 32


cdef class Connection:
    cdef readonly Inlet inlet
    cdef readonly FrameReader reader
    cdef readonly object transport
    cdef readonly uint64_t handle
    cdef public object owner
    cdef Frame pong
    cdef double full_at[KINDS]
    cdef readonly uint64_t messages_received
    cdef readonly uint64_t bytes_received
    cdef readonly int close_code
    cdef readonly str close_reason
    cdef unsigned char state
    cdef unsigned char paused      # PAUSED_FOR_ bits: who holds reading back
    cdef unsigned char tracked_unfinished
    cdef readonly bint is_binary
    cdef unsigned char deaf        # failed: whatever still arrives is not looked at
    cdef unsigned char attaching   # the transport is asking how to call us

    cpdef double spend(self, int kind, double cost) except -1
    cpdef double charge(self, int kind, double cost) except -1
    cpdef double spent(self, int kind) except -1
    cpdef int throttle(self, double seconds) except -1
    cpdef int send_frame(self, Frame frame) except -1
    cdef int take(self, const unsigned char *data, Py_ssize_t size) except -1
    cdef int dispatch(self, int opcode, object payload) except -1
    cdef int answer_ping(self, bytes payload) except -1
    cdef int peer_closed(self, bytes payload) except -1
    cdef int track_unfinished(self, bint progressed) except -1
