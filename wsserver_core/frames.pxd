"""RFC 6455 framing for the server's side: layout and C signatures (behaviour in ``frames.pyx``)."""

from cpython.object cimport PyObject

from wsserver_core.utf8 cimport Utf8


cpdef enum:
    OVERSIZE = -1  # not an opcode: the event for a message that was swallowed
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


cdef struct Header:
    int opcode
    bint final
    Py_ssize_t length
    unsigned char key[4]


cdef class ReadLimits:
    cdef public Py_ssize_t max_message_size
    cdef public Py_ssize_t hard_message_size
    cdef public int max_fragments


cdef class UnfinishedBudget:
    cdef public Py_ssize_t limit
    cdef readonly Py_ssize_t used


cdef class FrameReader:
    cdef public ReadLimits limits
    cdef UnfinishedBudget budget
    cdef readonly str failure_reason
    # Payload so far of the message and of the control frame that wait for more. Each is a
    # bytes object with one reference, grown in place and handed over without a copy.
    cdef PyObject* message
    cdef PyObject* control
    cdef Py_ssize_t size       # payload bytes of the message so far
    cdef Py_ssize_t remaining  # payload bytes of the current frame still to come
    cdef readonly int failure
    cdef readonly unsigned int finished
    cdef int fragments
    cdef unsigned char key[4]  # turned so that key[0] meets the next payload byte
    cdef Utf8 text
    cdef unsigned char header_size
    cdef unsigned char header[14]
    cdef unsigned char frame_opcode
    cdef unsigned char message_opcode  # 0: between messages
    cdef bint final
    cdef bint swallowing
    cdef readonly bint ended

    cdef list feed_raw(self, const unsigned char* data, Py_ssize_t size)
    cdef bint is_unfinished(self) noexcept
    cdef void release(self) noexcept

    cdef Py_ssize_t read_header(self, const unsigned char* data, Py_ssize_t size, Header* header) noexcept
    cdef Py_ssize_t parse_header(self, const unsigned char* data, Py_ssize_t size, Header* header) noexcept
    cdef tuple read_whole(self, Header* header, const unsigned char* masked)
    cdef void begin(self, Header* header) noexcept
    cdef tuple read_part(self, const unsigned char* masked, Py_ssize_t size)
    cdef bint take(self, const unsigned char* masked, Py_ssize_t size) except -1
    cdef bint swallow(self, const unsigned char* masked, Py_ssize_t size) noexcept
    cdef bint grow_message(self, Py_ssize_t size) except -1
    cdef bint resize(self, PyObject** buffer, Py_ssize_t capacity) except -1
    cdef bytes hand_over(self, PyObject** buffer)
    cdef void drop(self, PyObject** buffer) noexcept
    cdef tuple finish_frame(self)
    cdef tuple finish_control(self, int opcode, bytes payload)
    cdef int fail(self, int code, str reason) noexcept


cdef bytes encode_raw(int opcode, const unsigned char* payload, Py_ssize_t size)
cpdef bytes encode_frame(int opcode, object payload)
cpdef bytes encode_close(int code, str reason=*)
