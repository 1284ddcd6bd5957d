"""Our reader against the Sans-I/O reader of ``websockets`` on the same bytes.

Both must say the same, or the difference must be one of ``explanation``. Each of these is
shown once with literal bytes, so none is there without a cause.
"""

from dataclasses import dataclass, field

import pytest
from client_streams import VALID_STREAMS, damaged_streams, split
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference_frames import CLOSE, Event, client_frame
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from wsserver_core.frames import FrameReader, ReadLimits, UnfinishedBudget

pytestmark = pytest.mark.core

EXAMPLES = 400
LONG_EXAMPLES = 20_000
LIMIT = 100_000


@dataclass
class Verdict:
    events: list[Event] = field(default_factory=list)
    failure: int = 0
    reason: str = ""
    in_message: bool = False


def our_verdict(pieces: list[bytes], limit: int = LIMIT) -> Verdict:
    # websockets knows one limit and refuses what exceeds it, so nothing is swallowed here.
    reader = FrameReader(ReadLimits(limit, limit, 1_000_000), UnfinishedBudget(1 << 30))
    events: list[Event] = [event for piece in pieces for event in reader.feed(piece)]
    return Verdict(events, reader.failure, reader.failure_reason)


def their_verdict(pieces: list[bytes], limit: int = LIMIT) -> Verdict:
    protocol = ServerProtocol(state=State.OPEN, max_size=limit)
    verdict = Verdict()
    for piece in pieces:
        protocol.receive_data(piece)
    opcode, payload = 0, b""
    for frame in protocol.events_received():
        assert isinstance(frame, Frame)
        if frame.opcode >= Opcode.CLOSE:
            verdict.events.append((int(frame.opcode), bytes(frame.data)))
            continue
        if frame.opcode != Opcode.CONT:
            opcode, payload = int(frame.opcode), b""
        payload += bytes(frame.data)
        if frame.fin:
            verdict.events.append((opcode, payload))
    verdict.in_message = protocol.current_size is not None
    match protocol.parser_exc:
        case None:
            pass
        case PayloadTooBig():
            verdict.failure = 1009
        case UnicodeDecodeError():
            verdict.failure = 1007
        case ProtocolError():
            verdict.failure = 1002
        case other:
            raise AssertionError("unknown verdict") from other
    return verdict


# Found in the first bytes of the header by us; by websockets when the whole frame is
# there, unless its length is too big first.
FOUND_LATE = {
    "reserved bit set",
    "unknown opcode",
    "fragmented control frame",
    "control frame over 125 bytes",
    "continuation of no message",
    "new message inside a fragmented one",
}


def explanation(ours: Verdict, theirs: Verdict) -> str | None:
    """Why the two differ; None when there is no good reason."""
    same_events = theirs.events == ours.events
    begins_alike = theirs.events[: len(ours.events)] == ours.events
    if same_events and ours.reason in FOUND_LATE and theirs.failure in {0, 1002, 1009}:
        return "websockets judges a frame when all of it has arrived"
    if same_events and ours.reason == "length over 63 bits" and theirs.failure == 1009:
        return "websockets takes a 64-bit length with its top bit set for a big one"
    # A control frame in a longer form breaks either rule; which one shows only later.
    if begins_alike and ours.reason in {"length not minimal", "control frame over 125 bytes"}:
        return "websockets accepts lengths that are not minimal"
    if begins_alike and ours.reason == "text is not UTF-8":
        return "websockets leaves UTF-8 to the layer above"
    if same_events and ours.reason == "close code not allowed" and theirs.failure == 1007:
        return "websockets decodes the reason of a close frame before it judges the code"
    if (
        theirs.failure == 1002
        and theirs.in_message
        and ours.events
        and ours.events[-1][0] == CLOSE
        and theirs.events == ours.events[:-1]
    ):
        return "websockets refuses a close frame between fragments, which section 5.4 allows"
    return None


def check_difference(pieces: list[bytes]) -> None:
    ours, theirs = our_verdict(pieces), their_verdict(pieces)
    if (ours.events, ours.failure) != (theirs.events, theirs.failure):
        assert explanation(ours, theirs) is not None, (ours, theirs)


def sized(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


STREAMS = split(damaged_streams()) | split(VALID_STREAMS) | split(st.binary(max_size=60))


@sized(EXAMPLES)
@given(STREAMS)
def test_every_difference_from_websockets_is_explained(pieces: list[bytes]) -> None:
    check_difference(pieces)


@pytest.mark.long
@pytest.mark.timeout(1800)
@sized(LONG_EXAMPLES)
@given(STREAMS)
def test_every_difference_from_websockets_is_explained_over_many_streams(pieces: list[bytes]) -> None:
    check_difference(pieces)


@sized(EXAMPLES // 2)
@given(split(VALID_STREAMS))
def test_valid_streams_are_read_as_websockets_reads_them(pieces: list[bytes]) -> None:
    ours, theirs = our_verdict(pieces), their_verdict(pieces)
    assert (ours.events, ours.failure) == (theirs.events, theirs.failure)


def test_every_close_code_is_judged_as_websockets_judges_it() -> None:
    differing = []
    for code in range(65536):
        stream = [client_frame(CLOSE, code.to_bytes(2, "big"))]
        if our_verdict(stream).failure != their_verdict(stream).failure:
            differing.append(code)
    assert differing == []


@pytest.mark.parametrize(
    ("stream", "our_failure", "their_failure", "why"),
    [
        (b"\xc1\x85", 1002, 0, "websockets judges a frame when all of it has arrived"),
        (b"\x83", 1002, 0, "websockets judges a frame when all of it has arrived"),
        (b"\x09\x85", 1002, 0, "websockets judges a frame when all of it has arrived"),
        (b"\x89\xfe", 1002, 0, "websockets judges a frame when all of it has arrived"),
        (b"\x80", 1002, 0, "websockets judges a frame when all of it has arrived"),
        (b"\x01\x80\0\0\0\0\x82", 1002, 0, "websockets judges a frame when all of it has arrived"),
        (
            b"\xc1\xff\x7f\xff\xff\xff\xff\xff\xff\xff",
            1002,
            1009,
            "websockets judges a frame when all of it has arrived",
        ),
        (
            b"\x82\xff\x80\0\0\0\0\0\0\0",
            1002,
            1009,
            "websockets takes a 64-bit length with its top bit set for a big one",
        ),
        (b"\x82\xfe\0\x01\0\0\0\0x", 1002, 0, "websockets accepts lengths that are not minimal"),
        (b"\x88\xfe\0\0\0\0\0\0", 1002, 0, "websockets accepts lengths that are not minimal"),
        (b"\x81\x81\0\0\0\0\xff", 1007, 0, "websockets leaves UTF-8 to the layer above"),
        (
            b"\x88\x83\0\0\0\0\x03\xed\xff",
            1002,
            1007,
            "websockets decodes the reason of a close frame before it judges the code",
        ),
        (
            b"\x01\x80\0\0\0\0\x88\x80\0\0\0\0",
            0,
            1002,
            "websockets refuses a close frame between fragments, which section 5.4 allows",
        ),
    ],
)
def test_each_explanation_has_a_case(stream: bytes, our_failure: int, their_failure: int, why: str) -> None:
    ours, theirs = our_verdict([stream]), their_verdict([stream])
    assert (ours.failure, theirs.failure) == (our_failure, their_failure)
    assert explanation(ours, theirs) == why


def test_only_websockets_counts_a_ping_against_the_room_left_for_the_message() -> None:
    # The streams above stay far from LIMIT, so this difference needs no explanation there.
    stream = [
        client_frame(2, bytes(95), final=False) + client_frame(9, bytes(10)) + client_frame(0, bytes(5))
    ]
    ours, theirs = our_verdict(stream, limit=100), their_verdict(stream, limit=100)
    assert (ours.events, ours.failure) == ([(9, bytes(10)), (2, bytes(100))], 0)
    assert (theirs.events, theirs.failure) == ([], 1009)
