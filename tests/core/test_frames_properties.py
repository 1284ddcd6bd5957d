"""Reader and encoder against their reference twins, under every split of the stream."""

import pytest
from client_streams import KEYS, TEXTS, VALID_STREAMS, damaged_streams, split
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from reference_frames import ReferenceReader, client_frame, reference_encode

from wsserver_core.frames import FrameReader, ReadLimits, UnfinishedBudget, encode_frame

pytestmark = pytest.mark.core

EXAMPLES = 400
LONG_EXAMPLES = 20_000

# Small enough for the streams to cross each of them, and one that they never reach.
LIMITS = st.sampled_from([(100_000, 200_000, 128), (100, 200, 4), (60, 60, 128), (0, 130, 2)])
SPLIT_STREAMS = split(VALID_STREAMS) | split(damaged_streams())


def sized(examples: int) -> settings:
    # No deadline: the machine is shared, and the slow side is the twin.
    return settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def check_against_twin(pieces: list[bytes], limits: tuple[int, int, int]) -> None:
    budget = UnfinishedBudget(1 << 30)
    reader = FrameReader(ReadLimits(*limits), budget)
    twin = ReferenceReader(*limits)
    for piece in pieces:
        assert reader.feed(piece) == twin.feed(piece)
        assert reader.failure == twin.failure
        assert bool(reader.failure_reason) == bool(twin.failure)
        assert reader.ended == twin.ended
        assert reader.unfinished == twin.unfinished
        assert budget.used == reader.unfinished_bytes
    reader.close()
    assert budget.used == 0


@sized(EXAMPLES)
@given(SPLIT_STREAMS, LIMITS)
@example([client_frame(1, b"\xce", final=False), client_frame(0, b"\xba")], (100, 200, 4))
@example([client_frame(1, b"\xed", final=False), client_frame(0, b"\xa0")], (100, 200, 4))
@example([client_frame(1, b"", final=False) + client_frame(2, b"x")], (100, 200, 4))
def test_reader_agrees_with_its_twin_after_every_piece_of_the_stream(
    pieces: list[bytes], limits: tuple[int, int, int]
) -> None:
    check_against_twin(pieces, limits)


@pytest.mark.long
@pytest.mark.timeout(1800)
@sized(LONG_EXAMPLES)
@given(SPLIT_STREAMS, LIMITS)
def test_reader_agrees_with_its_twin_over_many_streams(
    pieces: list[bytes], limits: tuple[int, int, int]
) -> None:
    check_against_twin(pieces, limits)


@sized(EXAMPLES // 2)
@given(split(VALID_STREAMS))
def test_a_valid_stream_never_fails_and_leaves_nothing_unfinished(pieces: list[bytes]) -> None:
    reader = FrameReader(ReadLimits(100_000, 200_000, 128), UnfinishedBudget(1 << 30))
    for piece in pieces:
        reader.feed(piece)
    assert reader.failure == 0
    assert not reader.unfinished
    assert reader.unfinished_bytes == 0


@sized(EXAMPLES // 2)
@given(st.sampled_from([1, 2, 9, 10]), st.binary(max_size=125))
def test_encoder_agrees_with_its_twin(opcode: int, payload: bytes) -> None:
    assert encode_frame(opcode, payload) == reference_encode(opcode, payload)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 255, 256, 65535, 65536, 70000])
def test_encoder_agrees_with_its_twin_at_the_edges_of_each_length_form(size: int) -> None:
    payload = bytes(range(256)) * (size // 256 + 1)
    assert encode_frame(2, payload[:size]) == reference_encode(2, payload[:size])


@sized(EXAMPLES // 2)
@given(TEXTS, KEYS, st.data())
def test_what_is_unmasked_in_pieces_is_what_was_masked(text: str, key: bytes, data: st.DataObject) -> None:
    payload = text.encode()
    pieces = data.draw(split(st.just(client_frame(1, payload, key=key))))
    reader = FrameReader(ReadLimits(100_000, 200_000, 128), UnfinishedBudget(1 << 30))
    assert [event for piece in pieces for event in reader.feed(piece)] == [(1, payload)]
