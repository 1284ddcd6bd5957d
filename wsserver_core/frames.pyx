"""RFC 6455 framing for the server's side: bytes in, events out, and frames to send.

The reader is strict, keeps at most what it has received, and gives the same events for
the same bytes however they are split. It knows no socket and no clock.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.ref cimport Py_DECREF, Py_XDECREF
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from wsserver_core.utf8 cimport accept_utf8, beyond_ascii, is_utf8

cdef extern from "Python.h":
    # As owned pointers: Cython would count references to an object that must have exactly one.
    PyObject* new_bytes "PyBytes_FromStringAndSize"(const char* data, Py_ssize_t size) except NULL
    int _PyBytes_Resize(PyObject** buffer, Py_ssize_t size) except -1
    Py_ssize_t bytes_size "PyBytes_GET_SIZE"(PyObject* buffer) noexcept
    unsigned char* bytes_start "(unsigned char*)PyBytes_AS_STRING"(PyObject* buffer) noexcept


cdef enum:
    CONTINUATION = 0
    PROTOCOL_ERROR = 1002
    NO_STATUS = 1005
    INVALID_TEXT = 1007
    TOO_BIG = 1009
    MAX_CONTROL_SIZE = 125
    MAX_HEADER_SIZE = 14
    FIRST_ROOM = 256      # bytes: keeps a fragment flood of tiny frames from resizing each time
    SCRATCH_SIZE = 1024   # bytes of a swallowed text that are unmasked at a time

cdef str TEXT_NOT_UTF8 = "text is not UTF-8"
cdef str REASON_NOT_UTF8 = "close reason is not UTF-8"


# --- payload bytes -----------------------------------------------------------------------------

cdef inline uint64_t unmask(
    unsigned char* out, const unsigned char* masked, Py_ssize_t size, const unsigned char* key
) noexcept nogil:
    """Unmask into ``out``; the result is not 0 if any byte is outside ASCII."""
    cdef uint32_t half
    cdef uint64_t word, word_key, seen = 0
    cdef Py_ssize_t i = 0
    memcpy(&half, key, 4)
    word_key = half | (<uint64_t>half << 32)
    while size - i >= 8:
        memcpy(&word, masked + i, 8)
        word ^= word_key
        memcpy(out + i, &word, 8)
        seen |= word
        i += 8
    while i < size:
        out[i] = masked[i] ^ key[i & 3]
        seen |= out[i]
        i += 1
    return beyond_ascii(seen)


cdef inline void turn_key(unsigned char* key, Py_ssize_t size) noexcept nogil:
    """Advance the key past ``size`` payload bytes."""
    cdef unsigned char old[4]
    cdef int i
    memcpy(old, key, 4)
    for i in range(4):
        key[i] = old[(size + i) & 3]


cdef inline bint is_wire_code(int code) noexcept nogil:
    """RFC 6455 section 7.4 and the IANA registry: 1004, 1005, 1006 and 1015 never travel."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


cdef str close_fault(const unsigned char* body, Py_ssize_t size):
    """What is wrong with the body of a close frame, or None."""
    if size == 0:
        return None
    if size == 1:
        return "close body of one byte"
    if not is_wire_code(body[0] << 8 | body[1]):
        return "close code not allowed"
    if not is_utf8(body + 2, size - 2):
        return REASON_NOT_UTF8
    return None


# --- reading -----------------------------------------------------------------------------------

@cython.final
@cython.no_gc
@cython.auto_pickle(False)
cdef class ReadLimits:
    """How much of one message a reader takes; sizes in payload bytes, all of them inclusive.

    A message over ``max_message_size`` is swallowed and reported as OVERSIZE at its end;
    one that declares or reaches more than ``hard_message_size``, or has more frames than
    ``max_fragments``, fails the connection with 1009. A reader's limits may be exchanged
    at any time and hold from the next frame header on.

    Raises ValueError unless 0 <= max_message_size <= hard_message_size and max_fragments >= 1.
    """

    def __init__(self, Py_ssize_t max_message_size, Py_ssize_t hard_message_size, int max_fragments):
        if not 0 <= max_message_size <= hard_message_size:
            raise ValueError("need 0 <= max_message_size <= hard_message_size")
        if max_fragments < 1:
            raise ValueError("a message has at least one fragment")
        self.max_message_size = max_message_size
        self.hard_message_size = hard_message_size
        self.max_fragments = max_fragments


@cython.final
@cython.no_gc
@cython.auto_pickle(False)
cdef class UnfinishedBudget:
    """Bytes that all readers of a process may hold for what is not complete.

    ``used`` counts what is allocated, in bytes. The reader that would exceed ``limit``
    fails with 1009; a frame that arrives complete needs none of it.
    """

    def __init__(self, Py_ssize_t limit):
        if limit < 0:
            raise ValueError("a budget is not negative")
        self.limit = limit


# Without the collector's header an idle reader stays under 150 bytes. Nothing that it
# refers to can refer back to it, so there are no cycles to collect.
@cython.final
@cython.no_gc
@cython.auto_pickle(False)
cdef class FrameReader:
    """Turns a client's bytes into messages and control frames.

    Events are ``(opcode, payload)`` in the order in which they were completed: whole
    messages (text is valid UTF-8), control frames as soon as they are there, even between
    the fragments of a message, and ``(OVERSIZE, size in bytes)`` for a message that was
    swallowed. The payload of a CLOSE event is a valid close body.

    ``failure`` is 0 or the code to close with (1002, 1007, 1009) and ``failure_reason``
    says why, in words that suit the close frame. ``ended`` is true after a failure, a
    close frame or ``close()``: whatever is fed then is ignored.

    ``finished`` counts what was completed, without control frames inside a message. The
    reader has no clock: a caller that sees the same number again after its deadline, and
    ``unfinished`` both times, looks at one message (or frame) that took so long.
    """

    def __cinit__(self, ReadLimits limits not None, UnfinishedBudget budget not None):
        self.limits = limits
        self.budget = budget
        self.failure_reason = ""

    def __dealloc__(self):
        self.release()

    def feed(self, object data):
        """Take the next bytes of the stream (bytes-like) and return the events which they complete.

        What breaks the protocol or a limit is not raised: look at ``failure`` afterwards.
        """
        cdef Py_buffer view
        cdef list events
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            events = self.feed_raw(<const unsigned char*>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)
        return [] if events is None else events

    def close(self):
        """Drop what is unfinished and ignore all further input."""
        self.release()

    @property
    def unfinished(self):
        """True while a frame (its header included) or a message has begun and is not complete."""
        return self.is_unfinished()

    @property
    def unfinished_bytes(self):
        """Bytes allocated for what is not complete: this reader's part of the budget."""
        cdef Py_ssize_t held = 0
        if self.message != NULL:
            held += bytes_size(self.message)
        if self.control != NULL:
            held += bytes_size(self.control)
        return held

    cdef list feed_raw(self, const unsigned char* data, Py_ssize_t size):
        """Events completed by these bytes, or None when there are none."""
        cdef Header header
        cdef Py_ssize_t at = 0, taken
        cdef list events = None
        cdef tuple event
        cdef bint whole
        if self.limits is None:
            raise TypeError("a reader needs limits")
        while at < size and not self.ended:
            whole = False
            if self.remaining == 0:
                taken = self.read_header(data + at, size - at, &header)
                if taken <= 0:
                    break
                at += taken
                whole = header.length <= size - at and (
                    header.opcode & 8
                    or header.final and self.message_opcode == 0
                    and header.length <= self.limits.max_message_size
                )
                if not whole:
                    self.begin(&header)
            if whole:
                taken = header.length
                event = self.read_whole(&header, data + at)
            else:
                taken = min(self.remaining, size - at)
                event = self.read_part(data + at, taken)
            at += taken
            if event is not None:
                if events is None:
                    events = []
                events.append(event)
        return events

    cdef bint is_unfinished(self) noexcept:
        """True while a frame or a message has begun and is not complete."""
        return self.header_size != 0 or self.remaining != 0 or self.message_opcode != 0

    cdef void release(self) noexcept:
        """Give the unfinished bytes back to the budget and ignore all further input."""
        self.drop(&self.message)
        self.drop(&self.control)
        self.header_size = 0
        self.remaining = 0
        self.message_opcode = 0
        self.ended = True

    cdef int fail(self, int code, str reason) noexcept:
        self.failure = code
        self.failure_reason = reason
        self.release()
        return -1

    cdef Py_ssize_t read_header(self, const unsigned char* data, Py_ssize_t size, Header* header) noexcept:
        """Bytes of ``data`` that complete a header; 0 when all are kept for later, -1 on failure."""
        cdef Py_ssize_t held = self.header_size
        cdef Py_ssize_t copied = min(MAX_HEADER_SIZE - held, size)
        cdef Py_ssize_t length
        if held == 0:
            length = self.parse_header(data, size, header)
            if length == 0:
                memcpy(self.header, data, copied)
                self.header_size = <unsigned char>copied
            return length
        memcpy(self.header + held, data, copied)
        length = self.parse_header(self.header, held + copied, header)
        if length == 0:
            self.header_size = <unsigned char>(held + copied)
            return 0
        self.header_size = 0
        return length - held if length > 0 else -1

    cdef Py_ssize_t parse_header(self, const unsigned char* data, Py_ssize_t size, Header* header) noexcept:
        """Length of the header at ``data``; 0 when more bytes are needed, -1 on failure.

        Each rule is applied as soon as the bytes that break it are there, so the verdict
        on a prefix of the stream does not depend on how it was split.
        """
        cdef int opcode = data[0] & 0x0F
        cdef Py_ssize_t start = 2
        cdef uint64_t length
        cdef int i
        if data[0] & 0x70:
            return self.fail(PROTOCOL_ERROR, "reserved bit set")
        header.opcode = opcode
        header.final = data[0] >> 7
        if opcode & 8:
            if opcode > PONG:
                return self.fail(PROTOCOL_ERROR, "unknown opcode")
            if not header.final:
                return self.fail(PROTOCOL_ERROR, "fragmented control frame")
        elif opcode > BINARY:
            return self.fail(PROTOCOL_ERROR, "unknown opcode")
        elif opcode == CONTINUATION and self.message_opcode == 0:
            return self.fail(PROTOCOL_ERROR, "continuation of no message")
        elif opcode != CONTINUATION and self.message_opcode != 0:
            return self.fail(PROTOCOL_ERROR, "new message inside a fragmented one")
        elif self.fragments >= self.limits.max_fragments:
            return self.fail(TOO_BIG, "too many fragments")
        if size < 2:
            return 0

        if not data[1] & 0x80:
            return self.fail(PROTOCOL_ERROR, "frame not masked")
        length = data[1] & 0x7F
        if opcode & 8:
            if length > MAX_CONTROL_SIZE:
                return self.fail(PROTOCOL_ERROR, "control frame over 125 bytes")
        elif length >= 126:
            start = 4 if length == 126 else 10
            if size < start:
                return 0
            length = 0
            for i in range(2, start):
                length = length << 8 | data[i]
            if length >> 63:
                return self.fail(PROTOCOL_ERROR, "length over 63 bits")
            if length < 126 or start == 10 and length <= 0xFFFF:
                return self.fail(PROTOCOL_ERROR, "length not minimal")
        header.length = <Py_ssize_t>length
        if not opcode & 8 and header.length > self.limits.hard_message_size - self.size:
            return self.fail(TOO_BIG, "message too big")

        if size < start + 4:
            return 0
        memcpy(header.key, data + start, 4)
        return start + 4

    cdef tuple read_whole(self, Header* header, const unsigned char* masked):
        """The fast path: a frame that is its own message and lies complete in the input."""
        cdef bytes payload = PyBytes_FromStringAndSize(NULL, header.length)
        cdef unsigned char* out = <unsigned char*>PyBytes_AS_STRING(payload)
        cdef bint ascii_only = unmask(out, masked, header.length, header.key) == 0
        if header.opcode & 8:
            return self.finish_control(header.opcode, payload)
        if header.opcode == TEXT and not ascii_only and not is_utf8(out, header.length):
            self.fail(INVALID_TEXT, TEXT_NOT_UTF8)
            return None
        self.finished += 1
        return (header.opcode, payload)

    cdef void begin(self, Header* header) noexcept:
        """Start a frame whose payload is taken in pieces or belongs to a longer message."""
        self.frame_opcode = <unsigned char>header.opcode
        self.final = header.final
        self.remaining = header.length
        memcpy(self.key, header.key, 4)
        if header.opcode & 8:
            return
        if header.opcode != CONTINUATION:
            self.message_opcode = <unsigned char>header.opcode
        self.fragments += 1
        if header.length > self.limits.max_message_size - self.size:
            self.swallowing = True
            self.drop(&self.message)

    cdef tuple read_part(self, const unsigned char* masked, Py_ssize_t size):
        """The next bytes of the current frame, and the event if they complete one."""
        if size and not self.take(masked, size):
            return None
        return self.finish_frame() if self.remaining == 0 else None

    cdef bint take(self, const unsigned char* masked, Py_ssize_t size) except -1:
        """Unmask, check and keep the next bytes of the current frame; false on failure."""
        cdef unsigned char* out
        cdef bint ascii_only
        if self.frame_opcode & 8:
            if self.control == NULL and not self.resize(&self.control, self.remaining):
                return False
            out = bytes_start(self.control) + bytes_size(self.control) - self.remaining
            unmask(out, masked, size, self.key)
        else:
            if self.swallowing:
                if self.message_opcode == TEXT and not self.swallow(masked, size):
                    return False
            else:
                if not self.grow_message(size):
                    return False
                out = bytes_start(self.message) + self.size
                ascii_only = unmask(out, masked, size, self.key) == 0
                if self.message_opcode == TEXT and (self.text.need or not ascii_only):
                    if not accept_utf8(&self.text, out, size):
                        self.fail(INVALID_TEXT, TEXT_NOT_UTF8)
                        return False
            self.size += size
        turn_key(self.key, size)
        self.remaining -= size
        return True

    cdef bint swallow(self, const unsigned char* masked, Py_ssize_t size) noexcept:
        """Check text of a message that is too big without keeping it; false on failure."""
        cdef unsigned char scratch[SCRATCH_SIZE]
        cdef Py_ssize_t done = 0, part
        while done < size:
            # SCRATCH_SIZE is a multiple of 4: the key stays in step.
            part = min(size - done, <Py_ssize_t>SCRATCH_SIZE)
            unmask(scratch, masked + done, part, self.key)
            if not accept_utf8(&self.text, scratch, part):
                self.fail(INVALID_TEXT, TEXT_NOT_UTF8)
                return False
            done += part
        return True

    cdef bint grow_message(self, Py_ssize_t size) except -1:
        """Make room for ``size`` more bytes; false when the budget does not allow it.

        Room doubles with the bytes received and ends where the message must end, so a
        declared length alone costs nothing.
        """
        cdef Py_ssize_t needed = self.size + size
        cdef Py_ssize_t room = 0 if self.message == NULL else bytes_size(self.message)
        cdef Py_ssize_t ceiling
        if needed <= room:
            return True
        if self.final:
            ceiling = self.size + self.remaining
        else:
            ceiling = max(needed, self.limits.max_message_size)
        return self.resize(&self.message, min(max(needed, 2 * room, <Py_ssize_t>FIRST_ROOM), ceiling))

    cdef bint resize(self, PyObject** buffer, Py_ssize_t capacity) except -1:
        """Change what is allocated, on account of the budget; false when it is exceeded."""
        cdef Py_ssize_t held = 0 if buffer[0] == NULL else bytes_size(buffer[0])
        if capacity > held and capacity - held > self.budget.limit - self.budget.used:
            self.fail(TOO_BIG, "too much unfinished data")
            return False
        self.budget.used -= held
        try:
            if buffer[0] == NULL:
                buffer[0] = new_bytes(NULL, capacity)
            else:
                # On failure this frees the old bytes and leaves NULL behind.
                _PyBytes_Resize(buffer, capacity)
        except MemoryError:
            self.release()
            raise
        self.budget.used += capacity
        return True

    cdef bytes hand_over(self, PyObject** buffer):
        """The collected bytes, off the budget and no longer ours."""
        cdef bytes payload
        if buffer[0] == NULL:
            return b""
        payload = <bytes>buffer[0]
        Py_DECREF(payload)
        buffer[0] = NULL
        self.budget.used -= len(payload)
        return payload

    cdef void drop(self, PyObject** buffer) noexcept:
        if buffer[0] != NULL:
            self.budget.used -= bytes_size(buffer[0])
            Py_XDECREF(buffer[0])
            buffer[0] = NULL

    cdef tuple finish_frame(self):
        """The event that the end of the current frame completes, or None."""
        cdef int opcode = self.message_opcode
        cdef Py_ssize_t size = self.size
        cdef bint swallowed = self.swallowing
        cdef bytes payload = b""
        if self.frame_opcode & 8:
            return self.finish_control(self.frame_opcode, self.hand_over(&self.control))
        if not self.final:
            return None
        if opcode == TEXT and self.text.need:
            self.fail(INVALID_TEXT, TEXT_NOT_UTF8)
            return None
        if size and not swallowed:
            self.resize(&self.message, size)
            payload = self.hand_over(&self.message)
        self.message_opcode = 0
        self.fragments = 0
        self.size = 0
        self.swallowing = False
        self.finished += 1
        return (OVERSIZE, size) if swallowed else (opcode, payload)

    cdef tuple finish_control(self, int opcode, bytes payload):
        """The event of a complete control frame, or None when it is a faulty close."""
        cdef str fault
        if opcode == CLOSE:
            fault = close_fault(<const unsigned char*>PyBytes_AS_STRING(payload), len(payload))
            if fault is not None:
                self.fail(INVALID_TEXT if fault is REASON_NOT_UTF8 else PROTOCOL_ERROR, fault)
                return None
            # RFC 6455 section 1.4: whatever follows a close frame is discarded.
            self.release()
        elif self.message_opcode == 0:
            self.finished += 1
        return (opcode, payload)


# --- sending -----------------------------------------------------------------------------------

cdef bytes encode_raw(int opcode, const unsigned char* payload, Py_ssize_t size):
    """One unmasked frame with FIN set; ValueError for what no server may send."""
    cdef str fault
    cdef int header_size = 2 if size <= 125 else 4 if size <= 0xFFFF else 10
    cdef bytes frame
    cdef unsigned char* out
    cdef int i
    if opcode not in (TEXT, BINARY, CLOSE, PING, PONG):
        raise ValueError(f"opcode {opcode} does not start a message")
    if opcode & 8 and size > MAX_CONTROL_SIZE:
        raise ValueError("control frame over 125 bytes")
    if opcode == CLOSE:
        fault = close_fault(payload, size)
        if fault is not None:
            raise ValueError(fault)
    frame = PyBytes_FromStringAndSize(NULL, header_size + size)
    out = <unsigned char*>PyBytes_AS_STRING(frame)
    out[0] = <unsigned char>(0x80 | opcode)
    if header_size == 2:
        out[1] = <unsigned char>size
    else:
        out[1] = 126 if header_size == 4 else 127
        for i in range(2, header_size):
            out[i] = <unsigned char>(size >> 8 * (header_size - 1 - i))
    memcpy(out + header_size, payload, size)
    return frame


cpdef bytes encode_frame(int opcode, object payload):
    """One unmasked frame with FIN set around a bytes-like payload.

    The opcode is TEXT, BINARY, CLOSE, PING or PONG. Text is not checked for UTF-8: it is
    the caller's. Raises ValueError for another opcode, a control payload over 125 bytes
    or a close body that may not be on the wire.
    """
    cdef Py_buffer view
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    try:
        return encode_raw(opcode, <const unsigned char*>view.buf, view.len)
    finally:
        PyBuffer_Release(&view)


cpdef bytes encode_close(int code, str reason=""):
    """A close frame. The reason is cut at 123 bytes of UTF-8, never inside a character.

    Raises ValueError for a code that may not be on the wire (RFC 6455 section 7.4).
    """
    cdef bytes text
    cdef Py_ssize_t size
    if not is_wire_code(code):
        raise ValueError(f"close code {code} may not be on the wire")
    # "replace": a lone surrogate must not keep a connection from being closed.
    text = reason.encode("utf-8", "replace")
    size = len(text)
    if size > MAX_CONTROL_SIZE - 2:
        size = MAX_CONTROL_SIZE - 2
        while text[size] & 0xC0 == 0x80:
            size -= 1
    return encode_frame(CLOSE, code.to_bytes(2, "big") + text[:size])


def decode_close(bytes payload not None):
    """Code and reason of a close frame's body; ``(1005, "")`` for an empty one.

    Raises ValueError for a body that a reader would have refused.
    """
    cdef str fault = close_fault(<const unsigned char*>PyBytes_AS_STRING(payload), len(payload))
    if fault is not None:
        raise ValueError(fault)
    if not payload:
        return NO_STATUS, ""
    return int.from_bytes(payload[:2], "big"), payload[2:].decode()
