from libc.stdint cimport uint32_t, uint64_t
from posix.uio cimport iovec

from wsserver_core.histogram cimport Histogram
from wsserver_core.replays cimport Replays


# One connection's share of a slice, between building and settling.
cdef struct Job:
    uint32_t slot
    uint32_t generation
    uint32_t iov_start
    uint32_t iov_count
    Py_ssize_t size
    Py_ssize_t sent
    int error


cdef class Hub(Replays):
    cdef uint32_t *indirect        # slots of the slice which must go through their transport
    cdef uint32_t indirect_count
    cdef Job *jobs
    cdef iovec *iovecs
    cdef uint32_t jobs_capacity
    cdef uint32_t iovecs_capacity
    cdef uint32_t _batch_size
    cdef bint in_slice
    cdef list faults               # of transports, to be reported when nothing is half done
    cdef readonly uint64_t send_calls
    cdef readonly Histogram slice_times

    cpdef void finish(self, uint64_t handle, bint half=*)
    cpdef void block(self, uint64_t handle)
    cpdef void unblock(self, uint64_t handle)
    cdef bint outlive_eof(self, uint64_t handle) except -1

    cdef int reserve_jobs(self) except -1
    cdef uint32_t load(self, Job *job, uint32_t index, uint32_t iovecs) noexcept
    cdef uint32_t build(self) except? 4294967295
    cdef void send_all(self, uint32_t jobs) noexcept nogil
    cdef int settle(self, Job *job) except -1
    cdef int through_transport(self, uint32_t index) except -1
    cdef int hand_over(self, uint32_t index, object data, uint32_t frames) except -1
    cdef int flush_slices(self) except -1
    cdef int report_faults(self) except -1
    cdef int give_up(self, uint32_t index, uint32_t generation) except -1
