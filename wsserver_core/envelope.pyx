"""Binary frames: a header of 32 bytes, a topic, and a body that may hold typed samples or be compressed.

The layout is protocol.md's, field by field. Whatever comes in is checked in C first; only a frame
whose lengths are all true reaches the decoders of LZ4 and MessagePack, which allocate.
"""

cimport cython
from cpython cimport array
from cpython.buffer cimport PyBUF_READ, PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_CheckExact
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy, memset

from wsserver_core.lz4_block cimport MAX_EXPANSION, measure_block
from wsserver_core.messagepack cimport (
    FOREIGN_TYPE, INTEGER_TOO_LARGE, NOT_UTF8, SOUND, TOO_DEEP, Fault, scan_object, text_of,
)
from wsserver_core.samples cimport (
    FLOAT64, INT16, MIN_SAMPLES, NO_SAMPLES, SampleType, all_finite, narrowest, pack_samples, unpack_samples,
    width_of,
)

import msgspec
from lz4.block import LZ4BlockError, compress, decompress

cdef enum:
    MAGIC = 0xB1
    FLAG_LZ4 = 1
    FLAG_TOPIC = 2
    HEADER_SIZE = 32
    COUNTS_SIZE = 8
    MAX_TOPIC = 130
    SECONDS_PER_DAY = 86_400

# Of seq and time: JavaScript has them as doubles.
cdef int64_t MAX_NUMBER = 1LL << 53
# What a length of 32 bits can say.
cdef Py_ssize_t MAX_BODY = 0xFFFFFFFFLL

cdef enum HeaderFault:
    RIGHT
    NO_HEADER
    WRONG_MAGIC
    WRONG_KIND
    KIND_NOT_TAKEN
    WRONG_FLAGS
    WRONG_SAMPLE_TYPE
    WRONG_TOPIC_LENGTH
    WRONG_SEQ
    WRONG_TIME
    TOO_LARGE
    WRONG_LENGTH
    WRONG_TOPIC
    WRONG_PADDING

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX

cdef tuple TEXTS = (
    "",
    "the frame is shorter than its header",
    "the first byte is not 0xB1",
    "the kind is unknown",
    "this kind is not taken here",
    "the flags are unknown",
    "the sample type does not fit the kind",
    "the topic's length does not fit",
    "seq is out of range",
    "the time is out of range",
    "the body is over the limit",
    "the body's lengths do not fit",
    "the topic is not visible ASCII",
    "the padding is not zero",
)
cdef str WRONG_LZ4 = "the LZ4 block is damaged"
cdef str WRONG_COUNT = "the samples' lengths do not fit"
cdef str WRONG_FIELD = "the samples have no field of their own"
cdef str SAMPLE_NOT_FINITE = "a sample is not finite"
cdef str WRONG_META = "_meta is not an id and a log"
cdef str KEY_TWICE = "MessagePack has a key twice"

cdef object _pack = msgspec.msgpack.Encoder().encode
cdef object _unpack = msgspec.msgpack.Decoder().decode


class EnvelopeError(ValueError):
    """The frame, or what should become one, is against the protocol."""

    def __init__(self, reason):
        self.reason = reason
        super().__init__(reason)


@cython.final
cdef class Envelope:
    """What a binary frame says."""

    def __repr__(self):
        # Neither the topic nor the body: who is watched, and what about him.
        return f"<Envelope kind={self.kind} seq={self.seq} body_size={self.body_size}>"


# --- bytes -------------------------------------------------------------------------------------

cdef struct Header:
    unsigned char kind
    bint compressed
    SampleType sample_type
    Py_ssize_t topic_length
    uint64_t seq
    int64_t time
    Py_ssize_t length        # of the body as sent
    Py_ssize_t raw_length    # of the body uncompressed
    Py_ssize_t start         # of the body


cdef inline uint64_t get_number(const unsigned char* data, int size) noexcept nogil:
    cdef uint64_t number = 0
    cdef int i
    for i in range(size):
        number |= <uint64_t>data[i] << (8 * i)
    return number


cdef inline void put_number(unsigned char* out, uint64_t number, int size) noexcept nogil:
    cdef int i
    for i in range(size):
        out[i] = number >> (8 * i) & 0xFF


cdef inline Py_ssize_t padded(Py_ssize_t size) noexcept nogil:
    """The size with what brings it to a multiple of eight, so that samples can be read where they lie."""
    return (size + 7) & ~<Py_ssize_t>7


cdef inline bint is_zero(const unsigned char* data, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(size):
        if data[i]:
            return False
    return True


cdef inline bint is_visible(const unsigned char* data, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(size):
        if not 0x21 <= data[i] <= 0x7E:
            return False
    return True


# --- reading -----------------------------------------------------------------------------------

def decode(data, *, Py_ssize_t max_size, kinds=(MESSAGE, SAMPLES, CONTROL), max_containers=None):
    """Read one frame of a kind that is taken here. Raises EnvelopeError."""
    cdef Py_buffer view
    cdef Header header
    cdef HeaderFault fault
    cdef unsigned int taken = 0
    cdef unsigned int kind
    cdef Py_ssize_t containers = PY_SSIZE_T_MAX if max_containers is None else max_containers
    for kind in kinds:
        taken |= 1 << (kind & 31)
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        fault = read_header(<const unsigned char*>view.buf, view.len, max_size, taken, &header)
        if fault != RIGHT:
            raise EnvelopeError(TEXTS[<int>fault])
        return read_envelope(<const unsigned char*>view.buf, &header, containers)
    finally:
        PyBuffer_Release(&view)


cdef HeaderFault read_header(
    const unsigned char* data, Py_ssize_t size, Py_ssize_t max_size, unsigned int taken, Header* header
) noexcept nogil:
    """All of a frame but its body; the first fault from the front is told."""
    cdef unsigned char flags
    cdef bint has_topic
    cdef Py_ssize_t topic_end
    if size < HEADER_SIZE:
        return NO_HEADER
    if data[0] != MAGIC:
        return WRONG_MAGIC
    header.kind = data[1]
    if not MESSAGE <= header.kind <= CONTROL:
        return WRONG_KIND
    if not taken >> header.kind & 1:
        return KIND_NOT_TAKEN
    flags = data[2]
    if flags & ~(FLAG_LZ4 | FLAG_TOPIC):
        return WRONG_FLAGS
    header.compressed = flags & FLAG_LZ4
    if not (INT16 <= data[3] <= FLOAT64 if header.kind == SAMPLES else data[3] == NO_SAMPLES):
        return WRONG_SAMPLE_TYPE
    header.sample_type = <SampleType>data[3]
    has_topic = (flags & FLAG_TOPIC) != 0
    header.topic_length = <Py_ssize_t>get_number(data + 4, 4)
    if has_topic != (header.kind != CONTROL):
        return WRONG_TOPIC_LENGTH
    if not (1 <= header.topic_length <= MAX_TOPIC if has_topic else header.topic_length == 0):
        return WRONG_TOPIC_LENGTH
    header.seq = get_number(data + 8, 8)
    if header.seq > <uint64_t>(MAX_NUMBER if has_topic else 0):
        return WRONG_SEQ
    header.time = <int64_t>get_number(data + 16, 8)
    if not 0 <= header.time <= MAX_NUMBER:
        return WRONG_TIME
    header.length = <Py_ssize_t>get_number(data + 24, 4)
    header.raw_length = <Py_ssize_t>get_number(data + 28, 4)
    if header.raw_length > max_size:
        return TOO_LARGE
    topic_end = HEADER_SIZE + header.topic_length
    header.start = padded(topic_end)
    if header.start + header.length != size:
        return WRONG_LENGTH
    if header.compressed:
        if not header.length < header.raw_length <= header.length * MAX_EXPANSION:
            return WRONG_LENGTH
    elif header.length != header.raw_length:
        return WRONG_LENGTH
    if not is_visible(data + HEADER_SIZE, header.topic_length):
        return WRONG_TOPIC
    if not is_zero(data + topic_end, header.start - topic_end):
        return WRONG_PADDING
    return RIGHT


cdef Envelope read_envelope(const unsigned char* data, Header* header, Py_ssize_t max_containers):
    cdef Envelope envelope = Envelope.__new__(Envelope)
    cdef const unsigned char* body = data + header.start
    cdef bytes text = None
    if header.compressed:
        text = unblock(body, header)
        body = <const unsigned char*>PyBytes_AS_STRING(text)
    if header.kind == SAMPLES:
        envelope.body = read_samples(body, header.raw_length, header.sample_type, max_containers)
    else:
        envelope.body = read_object(body, header.raw_length, max_containers)
    envelope.kind = header.kind
    envelope.seq = header.seq
    envelope.time = header.time
    envelope.body_size = header.raw_length
    if header.kind != CONTROL:
        envelope.topic = PyUnicode_DecodeASCII(<const char*>data + HEADER_SIZE, header.topic_length, NULL)
        complete_meta(envelope)
    return envelope


cdef bytes unblock(const unsigned char* block, Header* header):
    """The body out of its LZ4 block."""
    if measure_block(block, header.length, header.raw_length) != header.raw_length:
        raise EnvelopeError(WRONG_LZ4)
    view = PyMemoryView_FromMemory(<char*>block, header.length, PyBUF_READ)
    try:
        text = decompress(view, uncompressed_size=header.raw_length)
    except LZ4BlockError:
        # It keeps rules about the end of a block that ours does not know.
        raise EnvelopeError(WRONG_LZ4) from None
    if len(text) != header.raw_length:
        raise EnvelopeError(WRONG_LZ4)
    return text


cdef dict read_object(const unsigned char* data, Py_ssize_t size, Py_ssize_t max_containers):
    cdef uint32_t members = 0
    cdef Fault fault = scan_object(data, size, max_containers, &members)
    cdef dict body
    if fault != SOUND:
        raise EnvelopeError(text_of(fault))
    body = _unpack(PyMemoryView_FromMemory(<char*>data, size, PyBUF_READ))
    if <uint32_t>len(body) != members:
        raise EnvelopeError(KEY_TWICE)
    return body


cdef dict read_samples(
    const unsigned char* data, Py_ssize_t size, SampleType sample_type, Py_ssize_t max_containers
):
    """A body of kind SAMPLES: two counts, the other members, padding, the samples."""
    cdef uint64_t length, count, end, start
    cdef dict body
    if size < COUNTS_SIZE:
        raise EnvelopeError(WRONG_COUNT)
    # 64 bits hold the sum of whatever these two say.
    length = get_number(data, 4)
    count = get_number(data + 4, 4)
    end = COUNTS_SIZE + length
    start = (end + 7) & ~<uint64_t>7
    if start + count * <uint64_t>width_of(sample_type) != <uint64_t>size:
        raise EnvelopeError(WRONG_COUNT)
    if not is_zero(data + end, <Py_ssize_t>(start - end)):
        raise EnvelopeError(TEXTS[<int>WRONG_PADDING])
    if not all_finite(data + start, <Py_ssize_t>count, sample_type):
        raise EnvelopeError(SAMPLE_NOT_FINITE)
    body = read_object(data + COUNTS_SIZE, <Py_ssize_t>length, max_containers)
    field = body.pop("_samples", None)
    if type(field) is not str or field in body or field == "_meta" or field == "_samples":
        raise EnvelopeError(WRONG_FIELD)
    body[field] = unpack_samples(data + start, <Py_ssize_t>count, sample_type)
    return body


cdef int complete_meta(Envelope envelope) except -1:
    """Put into ``_meta`` what the header says, in the order in which JSON has it."""
    meta = envelope.body.get("_meta", envelope)
    if meta is envelope:
        return 0
    check_meta(meta)
    envelope.body["_meta"] = {
        "id": (<dict>meta)["id"],
        "topic": envelope.topic,
        "log": (<dict>meta)["log"],
        "seq": envelope.seq,
        "ts": utc_text(envelope.time),
    }
    return 0


cdef int check_meta(meta) except -1:
    if (
        type(meta) is not dict
        or len(<dict>meta) != 2
        or type((<dict>meta).get("id")) is not str
        or type((<dict>meta).get("log")) is not str
    ):
        raise EnvelopeError(WRONG_META)
    return 0


cdef str utc_text(int64_t microseconds):
    """RFC 3339 in UTC; milliseconds are cut. The years up to 2255, which MAX_NUMBER reaches."""
    cdef char text[32]
    cdef long long milliseconds = microseconds // 1000
    cdef long long seconds = milliseconds // 1000
    cdef long long second = seconds % SECONDS_PER_DAY
    # Years begin in March here, so that a leap day is the last of its year.
    cdef long long day = seconds // SECONDS_PER_DAY + 719_468
    cdef long long era = day // 146_097
    cdef long long of_era = day % 146_097
    cdef long long year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    cdef long long of_year = of_era - (365 * year + year // 4 - year // 100)
    cdef long long month = (5 * of_year + 2) // 153
    cdef int size = snprintf(
        text, sizeof(text), "%04lld-%02lld-%02lldT%02lld:%02lld:%02lld.%03lldZ",
        year + era * 400 + (month >= 10),
        month + 3 if month < 10 else month - 9,
        of_year - (153 * month + 2) // 5 + 1,
        second // 3_600, second // 60 % 60, second % 60, milliseconds % 1000,
    )
    return PyUnicode_DecodeASCII(text, size, NULL)


# --- writing -----------------------------------------------------------------------------------

def encode_message(
    dict body not None,
    *,
    str topic not None,
    seq,
    time,
    sample_fields=("data",),
    compression_threshold=102400,
):
    """A published message as a binary frame. Raises EnvelopeError."""
    cdef SampleType sample_type = NO_SAMPLES
    cdef array.array packed = None
    cdef dict members
    if "_meta" in body:
        check_meta(body["_meta"])
    for field in sample_fields:
        if field in body:
            if "_samples" not in body and field != "_meta":
                values = body[field]
                if type(values) is list and len(<list>values) >= MIN_SAMPLES:
                    sample_type = narrowest(<list>values)
            break
    members = body
    if sample_type != NO_SAMPLES:
        packed = pack_samples(<list>values, sample_type)
        members = body.copy()
        del members[field]
        members["_samples"] = field
    return assemble(topic, seq, time, encode_object(members), sample_type, packed, compression_threshold)


def encode_control(dict body not None, *, time, compression_threshold=102400):
    """A command or a control message as a binary frame. Raises EnvelopeError."""
    return assemble(None, 0, time, encode_object(body), NO_SAMPLES, None, compression_threshold)


cdef bytes encode_object(dict body):
    """MessagePack that our own reader takes: the encoder knows more types than JSON has."""
    cdef uint32_t members = 0
    cdef Fault fault
    cdef bytes packed
    try:
        packed = _pack(body)
    except TypeError:
        raise EnvelopeError(text_of(FOREIGN_TYPE)) from None
    except UnicodeEncodeError:
        raise EnvelopeError(text_of(NOT_UTF8)) from None
    except OverflowError:
        raise EnvelopeError(text_of(INTEGER_TOO_LARGE)) from None
    except RecursionError:
        raise EnvelopeError(text_of(TOO_DEEP)) from None
    fault = scan_object(
        <const unsigned char*>PyBytes_AS_STRING(packed), PyBytes_GET_SIZE(packed), PY_SSIZE_T_MAX, &members
    )
    if fault != SOUND:
        raise EnvelopeError(text_of(fault))
    return packed


cdef bytes assemble(
    str topic, seq, time, bytes members, SampleType sample_type, array.array packed, threshold
):
    """The frame of these parts; the kind is that of what is there. No topic: a control frame."""
    cdef Header header
    cdef Py_ssize_t members_size = PyBytes_GET_SIZE(members)
    cdef Py_ssize_t samples_at = padded(COUNTS_SIZE + members_size)
    cdef Py_ssize_t samples_size = 0
    cdef bytes frame, block
    cdef unsigned char* body
    header.kind = CONTROL if topic is None else MESSAGE if packed is None else SAMPLES
    header.sample_type = sample_type
    header.compressed = False
    header.seq = number_of(seq, WRONG_SEQ)
    header.time = <int64_t>number_of(time, WRONG_TIME)
    header.raw_length = members_size
    if packed is not None:
        samples_size = len(packed) * width_of(sample_type)
        header.raw_length = samples_at + samples_size
    if header.raw_length > MAX_BODY:
        raise EnvelopeError(TEXTS[<int>TOO_LARGE])
    header.length = header.raw_length
    frame = frame_of(&header, topic)
    body = <unsigned char*>PyBytes_AS_STRING(frame) + header.start
    if packed is not None:
        put_number(body, members_size, 4)
        put_number(body + 4, len(packed), 4)
        memcpy(body + COUNTS_SIZE, PyBytes_AS_STRING(members), members_size)
        memset(body + COUNTS_SIZE + members_size, 0, samples_at - COUNTS_SIZE - members_size)
        memcpy(body + samples_at, packed.data.as_chars, samples_size)
    else:
        memcpy(body, PyBytes_AS_STRING(members), members_size)
    if threshold is None or header.raw_length <= threshold:
        return frame
    block = compress(PyMemoryView_FromMemory(<char*>body, header.raw_length, PyBUF_READ), store_size=False)
    if PyBytes_GET_SIZE(block) >= header.raw_length:
        return frame
    header.compressed = True
    header.length = PyBytes_GET_SIZE(block)
    frame = frame_of(&header, topic)
    memcpy(PyBytes_AS_STRING(frame) + header.start, PyBytes_AS_STRING(block), header.length)
    return frame


cdef uint64_t number_of(value, HeaderFault fault) except? 0xFFFFFFFFFFFFFFFF:
    cdef int overflow = 0
    cdef long long number = -1
    if PyLong_CheckExact(value):
        number = PyLong_AsLongLongAndOverflow(value, &overflow)
    if overflow or not 0 <= number <= MAX_NUMBER:
        raise EnvelopeError(TEXTS[<int>fault])
    return <uint64_t>number


cdef bytes frame_of(Header* header, str topic):
    """A frame of which everything is written but its body."""
    cdef bytes text = b""
    cdef unsigned char* out
    cdef bytes frame
    if topic is not None:
        if not topic.isascii():
            raise EnvelopeError(TEXTS[<int>WRONG_TOPIC])
        text = topic.encode("ascii")
    header.topic_length = PyBytes_GET_SIZE(text)
    if topic is not None and not 1 <= header.topic_length <= MAX_TOPIC:
        raise EnvelopeError(TEXTS[<int>WRONG_TOPIC_LENGTH])
    if not is_visible(<const unsigned char*>PyBytes_AS_STRING(text), header.topic_length):
        raise EnvelopeError(TEXTS[<int>WRONG_TOPIC])
    header.start = HEADER_SIZE + padded(header.topic_length)
    frame = PyBytes_FromStringAndSize(NULL, header.start + header.length)
    out = <unsigned char*>PyBytes_AS_STRING(frame)
    out[0] = MAGIC
    out[1] = header.kind
    out[2] = (FLAG_LZ4 if header.compressed else 0) | (0 if topic is None else FLAG_TOPIC)
    out[3] = header.sample_type
    put_number(out + 4, header.topic_length, 4)
    put_number(out + 8, header.seq, 8)
    put_number(out + 16, <uint64_t>header.time, 8)
    put_number(out + 24, header.length, 4)
    put_number(out + 28, header.raw_length, 4)
    memcpy(out + HEADER_SIZE, PyBytes_AS_STRING(text), header.topic_length)
    memset(out + HEADER_SIZE + header.topic_length, 0, header.start - HEADER_SIZE - header.topic_length)
    return frame
