"""Frames: bounds of the reader, its account of unfinished bytes, and the encoder."""

import gc
import sys
import tracemalloc
from collections.abc import Iterator

import pytest

from wsserver_core.frames import (
    BINARY,
    CLOSE,
    OVERSIZE,
    PING,
    PONG,
    TEXT,
    FrameReader,
    ReadLimits,
    UnfinishedBudget,
    decode_close,
    encode_close,
    encode_frame,
)

pytestmark = pytest.mark.core

KEY = b"\0\0\0\0"
MAX, HARD, FRAGMENTS = 1000, 2000, 8


@pytest.fixture
def budget() -> UnfinishedBudget:
    return UnfinishedBudget(1 << 20)


@pytest.fixture
def reader(budget: UnfinishedBudget) -> FrameReader:
    return FrameReader(ReadLimits(MAX, HARD, FRAGMENTS), budget)


def header(first: int, length: int) -> bytes:
    if length < 126:
        return bytes([first, 0x80 | length]) + KEY
    if length < 65536:
        return bytes([first, 0xFE]) + length.to_bytes(2, "big") + KEY
    return bytes([first, 0xFF]) + length.to_bytes(8, "big") + KEY


def frame(first: int, payload: bytes) -> bytes:
    return header(first, len(payload)) + payload


class TestFeeding:
    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_any_contiguous_buffer_is_taken(self, reader: FrameReader, kind: type) -> None:
        assert reader.feed(kind(b"\x81\x81\0\0\0\0a")) == [(TEXT, b"a")]

    @pytest.mark.parametrize("data", ["text", None, 7, memoryview(b"abcd")[::2]])
    def test_what_is_no_contiguous_buffer_is_refused(self, reader: FrameReader, data: object) -> None:
        with pytest.raises((TypeError, BufferError)):
            reader.feed(data)

    def test_nothing_fed_gives_nothing(self, reader: FrameReader) -> None:
        assert reader.feed(b"") == []
        assert not reader.unfinished

    def test_events_keep_their_payload_when_the_input_is_overwritten(self, reader: FrameReader) -> None:
        data = bytearray(frame(0x82, b"payload") + header(0x82, 4) + b"pa")
        events = reader.feed(data)
        data[:] = bytes(len(data))
        assert events == [(BINARY, b"payload")]
        assert reader.feed(b"rt") == [(BINARY, b"part")]

    @pytest.mark.parametrize("size", [0, 1, 125, 126, 1000])
    def test_one_byte_at_a_time_gives_the_same_message(self, reader: FrameReader, size: int) -> None:
        stream = frame(0x81, b"x" * size)
        events = [event for byte in stream for event in reader.feed(bytes([byte]))]
        assert events == [(TEXT, b"x" * size)]

    @pytest.mark.parametrize("at", range(14))
    def test_a_long_header_may_be_cut_anywhere(self, budget: UnfinishedBudget, at: int) -> None:
        reader = FrameReader(ReadLimits(1 << 17, 1 << 17, 1), budget)
        stream = frame(0x82, b"y" * 65536)
        assert reader.feed(stream[:at]) == []
        assert reader.feed(stream[at:]) == [(BINARY, b"y" * 65536)]

    @pytest.mark.parametrize("limits", [None, 5])
    def test_limits_and_budget_must_be_given(self, limits: object, budget: UnfinishedBudget) -> None:
        with pytest.raises(TypeError):
            FrameReader(limits, budget)
        with pytest.raises(TypeError):
            FrameReader(ReadLimits(1, 1, 1), limits)

    def test_limits_may_not_be_taken_away(self, reader: FrameReader) -> None:
        reader.limits = None
        with pytest.raises(TypeError):
            reader.feed(b"\x81")


class TestUnfinished:
    def test_a_reader_is_unfinished_from_the_first_header_byte_to_the_last_payload_byte(
        self, reader: FrameReader
    ) -> None:
        stream = frame(0x82, b"abc")
        states = []
        for byte in stream:
            states.append(reader.unfinished)
            reader.feed(bytes([byte]))
        assert states == [False] + [True] * (len(stream) - 1)
        assert not reader.unfinished

    def test_a_reader_is_unfinished_between_fragments(self, reader: FrameReader) -> None:
        reader.feed(frame(0x01, b""))
        assert reader.unfinished
        reader.feed(frame(0x89, b"ping"))
        assert reader.unfinished
        reader.feed(frame(0x80, b""))
        assert not reader.unfinished

    def test_finished_moves_with_messages_and_not_with_pings_inside_one(self, reader: FrameReader) -> None:
        seen = []
        for part in (
            frame(0x81, b"one"),
            frame(0x89, b""),
            frame(0x01, b"two"),
            frame(0x89, b"ping"),
            frame(0x89, b"ping")[:-1],
            frame(0x89, b"ping")[-1:],
            frame(0x80, b""),
            frame(0x82, bytes(MAX + 1)),
        ):
            reader.feed(part)
            seen.append(reader.finished)
        assert seen == [1, 2, 2, 2, 2, 2, 3, 4]

    def test_close_drops_what_is_unfinished_and_ignores_further_input(
        self, reader: FrameReader, budget: UnfinishedBudget
    ) -> None:
        reader.feed(header(0x82, 500) + bytes(300))
        assert budget.used == reader.unfinished_bytes >= 300
        reader.close()
        assert (budget.used, reader.unfinished, reader.unfinished_bytes, reader.ended) == (0, False, 0, True)
        assert reader.feed(frame(0x81, b"late")) == []
        assert reader.failure == 0
        reader.close()
        assert budget.used == 0

    def test_a_forgotten_reader_gives_its_bytes_back(self, budget: UnfinishedBudget) -> None:
        reader = FrameReader(ReadLimits(MAX, HARD, FRAGMENTS), budget)
        reader.feed(header(0x02, 500) + bytes(500) + header(0x89, 9) + b"half")
        assert budget.used > 500
        del reader
        assert budget.used == 0


class TestMessageSize:
    def test_a_message_of_exactly_the_limit_is_delivered(self, reader: FrameReader) -> None:
        assert reader.feed(frame(0x82, bytes(MAX))) == [(BINARY, bytes(MAX))]

    def test_fragments_that_sum_to_exactly_the_limit_are_delivered(self, reader: FrameReader) -> None:
        stream = frame(0x02, bytes(MAX - 1)) + frame(0x80, b"z")
        assert reader.feed(stream) == [(BINARY, bytes(MAX - 1) + b"z")]

    def test_a_message_over_the_limit_is_swallowed_and_reported_at_its_end(self, reader: FrameReader) -> None:
        stream = frame(0x82, bytes(MAX + 1))
        assert reader.feed(stream[:-1]) == []
        assert reader.unfinished_bytes == 0
        assert reader.feed(stream[-1:]) == [(OVERSIZE, MAX + 1)]
        assert reader.feed(frame(0x81, b"next")) == [(TEXT, b"next")]

    def test_fragments_over_the_limit_are_dropped_when_the_header_says_so(
        self, reader: FrameReader, budget: UnfinishedBudget
    ) -> None:
        reader.feed(frame(0x02, bytes(MAX - 10)))
        assert budget.used >= MAX - 10
        reader.feed(header(0x80, 11))
        assert budget.used == 0
        assert reader.feed(bytes(11)) == [(OVERSIZE, MAX + 1)]

    def test_a_swallowed_message_stays_swallowed_when_limits_are_raised(self, reader: FrameReader) -> None:
        reader.feed(frame(0x02, bytes(MAX + 1)))
        reader.limits = ReadLimits(1 << 20, 1 << 20, FRAGMENTS)
        assert reader.feed(frame(0x00, b"more")) == []
        assert reader.unfinished_bytes == 0
        assert reader.feed(frame(0x80, b"end")) == [(OVERSIZE, MAX + 8)]
        assert reader.feed(frame(0x82, bytes(MAX + 1))) == [(BINARY, bytes(MAX + 1))]

    def test_swallowed_text_is_checked_to_its_end(self, reader: FrameReader) -> None:
        stream = frame(0x81, "é".encode() * 600)
        assert reader.feed(stream[:777]) == []
        assert reader.feed(stream[777:]) == [(OVERSIZE, 1200)]
        reader.feed(header(0x81, 1200) + b"a" * 1100)
        assert reader.failure == 0
        reader.feed(b"\xff")
        assert reader.failure == 1007

    def test_swallowed_text_is_unmasked_with_the_key_in_step(self, budget: UnfinishedBudget) -> None:
        # Longer than the reader's scratch space and fed at odd places, so the key must turn with it.
        reader = FrameReader(ReadLimits(10, 10_000, 1), budget)
        key = b"\x80\x01\xff\x7f"
        payload = "漢".encode() * 2000
        masked = bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))
        stream = b"\x81\xfe" + len(payload).to_bytes(2, "big") + key + masked
        events = [
            event for at in range(0, len(stream), 1499) for event in reader.feed(stream[at : at + 1499])
        ]
        assert (events, reader.failure) == ([(OVERSIZE, len(payload))], 0)

    def test_swallowed_text_must_not_end_inside_a_character(self, reader: FrameReader) -> None:
        assert reader.feed(frame(0x81, b"a" * MAX + b"\xc3")) == []
        assert reader.failure == 1007

    def test_control_frames_inside_a_swallowed_message_are_delivered(self, reader: FrameReader) -> None:
        stream = frame(0x02, bytes(MAX + 1)) + frame(0x89, b"p") + frame(0x80, b"")
        assert reader.feed(stream) == [(PING, b"p"), (OVERSIZE, MAX + 1)]

    def test_a_message_of_exactly_the_hard_limit_is_swallowed(self, reader: FrameReader) -> None:
        assert reader.feed(frame(0x82, bytes(HARD))) == [(OVERSIZE, HARD)]

    def test_a_declared_length_over_the_hard_limit_fails_before_its_payload(
        self, reader: FrameReader
    ) -> None:
        reader.feed(b"\x82\xfe" + (HARD + 1).to_bytes(2, "big"))
        assert (reader.failure, reader.failure_reason) == (1009, "message too big")

    def test_fragments_over_the_hard_limit_fail_at_the_header_that_exceeds_it(
        self, reader: FrameReader
    ) -> None:
        reader.feed(frame(0x02, bytes(HARD)) + frame(0x00, b""))
        assert reader.failure == 0
        reader.feed(b"\x80\x81")
        assert reader.failure == 1009

    def test_lower_limits_hold_from_the_next_header_on(self, reader: FrameReader) -> None:
        reader.feed(header(0x02, 900) + bytes(100))
        reader.limits = ReadLimits(50, 60, FRAGMENTS)
        assert reader.feed(bytes(800)) == []
        assert reader.failure == 0
        reader.feed(header(0x80, 0))
        assert reader.failure == 1009

    def test_a_limit_of_0_lets_only_empty_messages_pass(self, budget: UnfinishedBudget) -> None:
        reader = FrameReader(ReadLimits(0, 5, 2), budget)
        assert reader.feed(frame(0x82, b"") + frame(0x82, b"x")) == [(BINARY, b""), (OVERSIZE, 1)]

    @pytest.mark.parametrize("sizes", [(-1, 5, 1), (6, 5, 1), (1, 5, 0)])
    def test_limits_that_make_no_sense_are_refused(self, sizes: tuple[int, int, int]) -> None:
        with pytest.raises(ValueError):
            ReadLimits(*sizes)


class TestFragments:
    def test_a_message_may_have_as_many_frames_as_the_limit(self, reader: FrameReader) -> None:
        stream = frame(0x02, b"a") + frame(0x00, b"b") * (FRAGMENTS - 2) + frame(0x80, b"c")
        assert reader.feed(stream * 2) == [(BINARY, b"abbbbbbc")] * 2

    def test_one_frame_more_fails_with_1009_at_its_first_byte(self, reader: FrameReader) -> None:
        reader.feed(frame(0x02, b"a") + frame(0x00, b"b") * (FRAGMENTS - 1))
        assert reader.failure == 0
        reader.feed(b"\x80")
        assert (reader.failure, reader.failure_reason) == (1009, "too many fragments")

    def test_control_frames_are_not_fragments(self, reader: FrameReader) -> None:
        pings = frame(0x89, b"") * 100
        events = reader.feed(frame(0x02, b"a") + pings + frame(0x80, b"b") + pings)
        assert len(events) == 201
        assert reader.failure == 0

    def test_endless_empty_continuations_are_ended_by_the_limit(self, budget: UnfinishedBudget) -> None:
        # CVE-2026-48779, CVE-2026-62389.
        reader = FrameReader(ReadLimits(1 << 20, 1 << 21, 128), budget)
        reader.feed(frame(0x01, b"") + frame(0x00, b"") * 127)
        assert reader.failure == 0
        reader.feed(frame(0x00, b"") * 20_000)
        assert (reader.failure, budget.used) == (1009, 0)


class TestBudget:
    def test_a_declared_length_costs_nothing_until_bytes_arrive(self, budget: UnfinishedBudget) -> None:
        # CVE-2026-54274: declare much, send little, stall.
        reader = FrameReader(ReadLimits(1 << 20, 1 << 21, 128), budget)
        reader.feed(header(0x82, 1 << 20))
        assert budget.used == 0
        reader.feed(bytes(10))
        assert 10 <= budget.used <= 256

    @pytest.mark.parametrize("length", [(1 << 63) - 1, (1 << 63) - 2, 1 << 62])
    def test_a_huge_length_after_a_fragment_fails_with_1009_at_once(
        self, reader: FrameReader, budget: UnfinishedBudget, length: int
    ) -> None:
        # PYSEC-2026-4395: the sum with the first fragment overflows a signed 64-bit size.
        reader.feed(frame(0x02, b"x") + b"\x80\xff" + length.to_bytes(8, "big"))
        assert (reader.failure, budget.used) == (1009, 0)

    def test_a_huge_hard_limit_does_not_make_sums_overflow(self, budget: UnfinishedBudget) -> None:
        reader = FrameReader(ReadLimits(sys.maxsize, sys.maxsize, 128), budget)
        reader.feed(frame(0x02, b"x") + b"\x80\xff" + sys.maxsize.to_bytes(8, "big"))
        assert (reader.failure, reader.failure_reason) == (1009, "message too big")

    @pytest.mark.parametrize("final", [0x80, 0])
    def test_memory_is_at_most_twice_what_was_received(self, budget: UnfinishedBudget, final: int) -> None:
        # PYSEC-2026-4389: 64 KiB in writes of one byte.
        reader = FrameReader(ReadLimits(1 << 20, 1 << 21, 128), budget)
        size = 65536
        reader.feed(header(0x02 | final, size))
        tracemalloc.start()
        try:
            for received in range(1, size):
                reader.feed(b"x")
                assert budget.used == reader.unfinished_bytes <= max(256, 2 * received)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak <= 2 * size + 1024
        assert reader.feed(b"x") == ([(BINARY, b"x" * size)] if final else [])

    def test_memory_never_exceeds_the_message_that_is_to_come(self, reader: FrameReader) -> None:
        reader.feed(header(0x82, 700) + bytes(400))
        reader.feed(bytes(1))
        assert reader.unfinished_bytes == 700

    def test_the_reader_that_would_exceed_the_budget_fails_with_1009(self) -> None:
        budget = UnfinishedBudget(1000)
        limits = ReadLimits(MAX, HARD, FRAGMENTS)
        first, second = FrameReader(limits, budget), FrameReader(limits, budget)
        first.feed(header(0x82, 600) + bytes(599))
        second.feed(header(0x82, 600) + bytes(300))
        assert budget.used == 899
        second.feed(bytes(200))
        assert (second.failure, second.failure_reason) == (1009, "too much unfinished data")
        assert (first.failure, budget.used) == (0, 599)
        assert first.feed(bytes(1)) == [(BINARY, bytes(600))]
        assert budget.used == 0

    def test_a_complete_frame_needs_no_budget(self) -> None:
        reader = FrameReader(ReadLimits(MAX, HARD, FRAGMENTS), UnfinishedBudget(0))
        assert reader.feed(frame(0x81, b"whole") + frame(0x89, b"ping")) == [
            (TEXT, b"whole"),
            (PING, b"ping"),
        ]
        assert reader.feed(frame(0x02, b"")) == []
        reader.feed(header(0x89, 4) + b"h")
        assert reader.failure == 1009

    def test_a_budget_lowered_below_its_use_lets_messages_end(self, budget: UnfinishedBudget) -> None:
        reader = FrameReader(ReadLimits(MAX, HARD, FRAGMENTS), budget)
        reader.feed(frame(0x02, bytes(200)))
        budget.limit = 10
        assert reader.feed(frame(0x80, bytes(1))) == [(BINARY, bytes(201))]
        assert budget.used == 0

    def test_a_delivered_message_holds_no_spare_room(self, reader: FrameReader) -> None:
        [(_, payload)] = reader.feed(frame(0x02, bytes(10)) + frame(0x80, b"z"))
        assert sys.getsizeof(payload) == sys.getsizeof(bytes(11))

    def test_the_budget_is_restored_by_every_way_out(self, budget: UnfinishedBudget) -> None:
        start = frame(0x01, b"a" * 300) + header(0x89, 20) + b"half"
        rest = bytes(16)
        for end in (
            rest + b"\xff",  # reserved bits
            rest + frame(0x80, b"\xff"),  # not UTF-8
            rest + frame(0x80, bytes(MAX)),  # swallowed
            rest + header(0x80, HARD),  # hard limit
            rest + frame(0x88, b""),  # close
            rest + frame(0x80, b""),  # delivered
        ):
            reader = FrameReader(ReadLimits(MAX, HARD, FRAGMENTS), budget)
            reader.feed(start)
            assert budget.used == reader.unfinished_bytes > 300
            reader.feed(end)
            assert (budget.used, reader.unfinished_bytes) == (0, 0)

    def test_a_negative_budget_is_refused(self) -> None:
        with pytest.raises(ValueError):
            UnfinishedBudget(-1)


class TestMemory:
    def test_an_idle_reader_is_small(self, reader: FrameReader) -> None:
        assert sys.getsizeof(reader) <= 150

    def test_reading_leaks_nothing(self, budget: UnfinishedBudget) -> None:
        limits = ReadLimits(MAX, HARD, FRAGMENTS)
        stream = b"".join(every_kind_of_end())

        def work(rounds: int) -> None:
            for _ in range(rounds):
                for part in (stream, stream[:500], frame(0x01, b"\xff"), frame(0x82, bytes(HARD + 1))):
                    reader = FrameReader(limits, budget)
                    for at in range(0, len(part), 97):
                        reader.feed(part[at : at + 97])

        work(50)
        gc.collect()
        before = sys.getallocatedblocks()
        work(500)
        gc.collect()
        assert sys.getallocatedblocks() - before < 100
        assert budget.used == 0


def every_kind_of_end() -> Iterator[bytes]:
    yield frame(0x81, b"text")
    yield frame(0x02, bytes(300)) + frame(0x89, b"between") + frame(0x80, bytes(300))
    yield frame(0x82, bytes(MAX + 1))
    yield frame(0x8A, b"")
    yield frame(0x88, b"\x03\xe8bye")


class TestEncoding:
    @pytest.mark.parametrize(
        ("opcode", "payload", "wire"),
        [
            (TEXT, b"Hello", b"\x81\x05Hello"),
            (BINARY, b"", b"\x82\x00"),
            (PING, b"Hello", b"\x89\x05Hello"),
            (PONG, b"Hello", b"\x8a\x05Hello"),
            (CLOSE, b"\x03\xe8", b"\x88\x02\x03\xe8"),
            (CLOSE, b"", b"\x88\x00"),
            (BINARY, b"x" * 125, b"\x82\x7d" + b"x" * 125),
            (BINARY, b"x" * 126, b"\x82\x7e\x00\x7e" + b"x" * 126),
            (BINARY, b"x" * 65535, b"\x82\x7e\xff\xff" + b"x" * 65535),
            (BINARY, b"x" * 65536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + b"x" * 65536),
        ],
    )
    def test_a_frame_is_final_unmasked_and_of_minimal_length(
        self, opcode: int, payload: bytes, wire: bytes
    ) -> None:
        assert encode_frame(opcode, payload) == wire

    @pytest.mark.parametrize("kind", [bytearray, memoryview])
    def test_any_contiguous_buffer_is_encoded(self, kind: type) -> None:
        assert encode_frame(TEXT, kind(b"ab")) == b"\x81\x02ab"

    @pytest.mark.parametrize("opcode", [-1, 0, 3, 7, 11, 15, 16, 0x81, 257])
    def test_an_opcode_that_starts_no_message_is_refused(self, opcode: int) -> None:
        with pytest.raises(ValueError):
            encode_frame(opcode, b"")

    @pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
    def test_a_control_payload_over_125_bytes_is_refused(self, opcode: int) -> None:
        assert len(encode_frame(opcode, b"\x03\xe8" + b"x" * 123)) == 127
        with pytest.raises(ValueError):
            encode_frame(opcode, b"\x03\xe8" + b"x" * 124)

    @pytest.mark.parametrize("body", [b"\x03", b"\x03\xed", b"\x03\xe8\xff"])
    def test_a_close_body_that_may_not_be_on_the_wire_is_refused(self, body: bytes) -> None:
        with pytest.raises(ValueError):
            encode_frame(CLOSE, body)

    def test_text_must_be_given_as_bytes(self) -> None:
        with pytest.raises(TypeError):
            encode_frame(TEXT, "text")


class TestEncodingClose:
    def test_code_and_reason_are_encoded(self) -> None:
        assert encode_close(1000) == b"\x88\x02\x03\xe8"
        assert encode_close(4005, "slow") == b"\x88\x06\x0f\xa5slow"

    @pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65536 + 1000])
    def test_a_code_that_may_not_be_on_the_wire_is_refused(self, code: int) -> None:
        with pytest.raises(ValueError):
            encode_close(code)

    def test_a_reason_of_123_bytes_is_whole(self) -> None:
        assert encode_close(1000, "r" * 123) == b"\x88\x7d\x03\xe8" + b"r" * 123

    @pytest.mark.parametrize(("reason", "kept"), [("r" * 124, 123), ("é" * 62, 122), ("x" * 120 + "😀", 120)])
    def test_a_longer_reason_is_cut_between_characters(self, reason: str, kept: int) -> None:
        wire = encode_close(1000, reason)
        assert wire[4:] == reason.encode()[:kept]
        assert wire[1] == 2 + kept

    def test_a_reason_with_a_lone_surrogate_still_closes(self) -> None:
        assert encode_close(1000, "a\ud800b") == b"\x88\x05\x03\xe8a?b"


class TestDecodingClose:
    def test_code_and_reason_are_decoded(self) -> None:
        assert decode_close(b"\x03\xe8") == (1000, "")
        assert decode_close(b"\x0f\xa5h\xc3\xa9") == (4005, "hé")

    def test_an_empty_body_means_1005(self) -> None:
        assert decode_close(b"") == (1005, "")

    @pytest.mark.parametrize("body", [b"\x03", b"\x03\xed", b"\x03\xe8\xff"])
    def test_a_body_that_a_reader_refuses_is_refused(self, body: bytes) -> None:
        with pytest.raises(ValueError):
            decode_close(body)
