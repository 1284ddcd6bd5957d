from libc.stdint cimport uint64_t

from wsserver_core.buckets cimport RateLimits
from wsserver_core.frames cimport UnfinishedBudget
from wsserver_core.hub cimport Hub


cdef class Inlet:
    cdef readonly Hub hub
    cdef readonly object sink
    cdef readonly UnfinishedBudget budget
    cdef readonly RateLimits limits
    cdef public double message_deadline
    cdef public double close_timeout
    cdef public int abort_reason       # what the queues of aborted connections are dropped for
    cdef uint64_t messages_received
    cdef uint64_t bytes_received
    cdef dict unfinished
    cdef dict closing
    cdef dict throttled            # connection -> when its reading goes on
    cdef readonly uint64_t throttles
    cdef object lender             # its own `lend`, for all connections
    cdef object view
    cdef const unsigned char *data
