from libc.stdint cimport uint64_t

from wsserver_core.backlog cimport Backlog
from wsserver_core.outgoing cimport Frame


cdef class Replays(Backlog):
    cdef readonly uint64_t frames_replayed

    cpdef int replay(self, uint64_t handle, Frame frame) except -1
    cpdef Py_ssize_t replay_many(self, uint64_t handle, object frames) except -1
