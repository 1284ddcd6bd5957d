"""Hypothesis strategies for what clients send: valid streams, damaged ones, and their splits."""

from itertools import pairwise

from hypothesis import strategies as st
from reference_frames import BINARY, CLOSE, PING, PONG, TEXT, client_frame

KEYS = st.binary(min_size=4, max_size=4)
WIRE_CODES = st.sampled_from([1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999])
# Characters of every encoded length, the edges of each included.
CHARACTERS = st.sampled_from("aZ\x00\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff")
TEXTS = st.text(CHARACTERS, max_size=40) | st.text(max_size=300)


@st.composite
def control_frames(draw: st.DrawFn) -> bytes:
    return client_frame(draw(st.sampled_from([PING, PONG])), draw(st.binary(max_size=125)), key=draw(KEYS))


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """One message in one or more fragments, cut anywhere, with control frames in between."""
    opcode = draw(st.sampled_from([TEXT, BINARY]))
    payload = draw(TEXTS).encode() if opcode == TEXT else draw(st.binary(max_size=300))
    pieces = cut(payload, draw(st.lists(st.integers(0, len(payload)), max_size=7)))
    stream = b""
    for number, piece in enumerate(pieces):
        final = number == len(pieces) - 1
        stream += client_frame(opcode if number == 0 else 0, piece, final=final, key=draw(KEYS))
        if not final:
            stream += b"".join(draw(st.lists(control_frames(), max_size=2)))
    return stream


@st.composite
def odd_frames(draw: st.DrawFn) -> bytes:
    """A frame in which anything may be wrong."""
    payload = draw(st.binary(max_size=140))
    form = draw(st.sampled_from([None, 16, 64] if len(payload) < 126 else [None, 64]))
    declared = draw(st.none() | st.sampled_from([0, 125, 126, 127, 65535, 65536, 2**31, 2**63 - 1, 2**63]))
    if declared is not None:
        form = 7 if declared < 126 else 16 if declared < 65536 and form != 64 else 64
    return client_frame(
        draw(st.integers(0, 15)),
        payload,
        final=draw(st.booleans()),
        key=draw(KEYS),
        rsv=draw(st.sampled_from([0, 0, 0, 1, 2, 4])),
        masked=draw(st.sampled_from([True, True, True, False])),
        length_form=form,
        declared=declared,
    )


@st.composite
def odd_texts(draw: st.DrawFn) -> bytes:
    """Two fragments of text made of the bytes at which UTF-8 changes its mind."""
    edges = st.sampled_from(b"a\x7f\x80\x8f\x90\x9f\xa0\xbf\xc1\xc2\xdf\xe0\xed\xef\xf0\xf4\xf5\xff")
    first, second = (bytes(draw(st.lists(edges, max_size=5))) for _ in range(2))
    start = client_frame(TEXT, b"ok" * draw(st.integers(0, 6)) + first, final=False, key=draw(KEYS))
    return start + client_frame(0, second, key=draw(KEYS))


@st.composite
def close_frames(draw: st.DrawFn) -> bytes:
    body = draw(
        st.just(b"") | st.binary(max_size=4) | st.builds(close_body, WIRE_CODES, st.text(max_size=20))
    )
    return client_frame(CLOSE, body, key=draw(KEYS))


def close_body(code: int, reason: str) -> bytes:
    return code.to_bytes(2, "big") + reason.encode()


@st.composite
def whole_frames(draw: st.DrawFn) -> bytes:
    payload = draw(TEXTS).encode()
    return client_frame(draw(st.sampled_from([TEXT, BINARY])), payload, key=draw(KEYS))


VALID_PARTS = whole_frames() | messages() | control_frames()
VALID_STREAMS = st.lists(VALID_PARTS, max_size=6).map(b"".join)


@st.composite
def damaged_streams(draw: st.DrawFn) -> bytes:
    """Mostly valid frames with odd ones among them, then a few bytes changed, lost or added."""
    parts = draw(st.lists(VALID_PARTS | odd_frames() | odd_texts() | close_frames(), max_size=6))
    stream = bytearray(b"".join(parts))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(stream)))
        match draw(st.sampled_from(["change", "lose", "add"])):
            case "change" if at < len(stream):
                stream[at] ^= 1 << draw(st.integers(0, 7))
            case "lose":
                del stream[at : at + draw(st.integers(1, 4))]
            case "add":
                stream[at:at] = draw(st.binary(min_size=1, max_size=4))
    return bytes(stream)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@st.composite
def split(draw: st.DrawFn, streams: st.SearchStrategy[bytes]) -> list[bytes]:
    """A stream in pieces: whole, cut at random places, or byte by byte."""
    stream = draw(streams)
    if draw(st.integers(0, 4)) == 0:
        return [stream[i : i + 1] for i in range(len(stream))]
    return cut(stream, draw(st.lists(st.integers(0, len(stream)), max_size=12)))
