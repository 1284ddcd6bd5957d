"""RFC 6455, the duties of a server that reads frames: section by section, as literal bytes.

Most frames use the masking key 00 00 00 00, which leaves the payload readable.
"""

from itertools import product

import pytest
from reference_frames import begins_a_character, is_text

from wsserver_core.frames import BINARY, CLOSE, PING, PONG, TEXT, FrameReader, ReadLimits, UnfinishedBudget

pytestmark = pytest.mark.core

KEY = b"\0\0\0\0"
EMPTY_FIRST_FRAGMENT = b"\x01\x80" + KEY


def new_reader() -> FrameReader:
    return FrameReader(ReadLimits(1 << 20, 1 << 21, 128), UnfinishedBudget(1 << 28))


def read(stream: bytes) -> list[tuple[int, bytes | int]]:
    """The events of a stream that must be valid."""
    reader = new_reader()
    events = reader.feed(stream)
    assert (reader.failure, reader.failure_reason) == (0, "")
    return list(events)


def failure_of(stream: bytes) -> tuple[int, str]:
    reader = new_reader()
    assert reader.feed(stream) == []
    return reader.failure, reader.failure_reason


class TestSection51Masking:
    @pytest.mark.parametrize("first", [b"\x81", b"\x82", b"\x88", b"\x89", b"\x8a", b"\x01"])
    def test_an_unmasked_frame_fails_with_1002(self, first: bytes) -> None:
        assert failure_of(first + b"\0") == (1002, "frame not masked")

    def test_the_masking_bit_is_judged_before_the_payload_arrives(self) -> None:
        assert failure_of(b"\x81\x7e") == (1002, "frame not masked")


class TestSection52Framing:
    @pytest.mark.parametrize("bit", [0x40, 0x20, 0x10])
    @pytest.mark.parametrize("opcode", [TEXT, BINARY, CLOSE, PING, PONG])
    def test_a_reserved_bit_fails_with_1002_at_the_first_byte(self, bit: int, opcode: int) -> None:
        assert failure_of(bytes([0x80 | bit | opcode])) == (1002, "reserved bit set")

    @pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
    @pytest.mark.parametrize("final", [0x80, 0])
    def test_an_unknown_opcode_fails_with_1002_at_the_first_byte(self, opcode: int, final: int) -> None:
        code, reason = failure_of(bytes([final | opcode]))
        assert (code, reason) == (1002, "unknown opcode")

    @pytest.mark.parametrize("length", [0, 1, 125])
    def test_a_16_bit_length_under_126_is_not_minimal(self, length: int) -> None:
        assert failure_of(b"\x82\xfe" + length.to_bytes(2, "big")) == (1002, "length not minimal")

    @pytest.mark.parametrize("length", [0, 125, 126, 65535])
    def test_a_64_bit_length_under_65536_is_not_minimal(self, length: int) -> None:
        assert failure_of(b"\x82\xff" + length.to_bytes(8, "big")) == (1002, "length not minimal")

    @pytest.mark.parametrize("length", [1 << 63, (1 << 64) - 1])
    def test_a_64_bit_length_with_its_top_bit_set_fails_with_1002(self, length: int) -> None:
        assert failure_of(b"\x82\xff" + length.to_bytes(8, "big")) == (1002, "length over 63 bits")

    def test_the_smallest_length_of_each_form_is_accepted(self) -> None:
        assert read(b"\x82\x80" + KEY) == [(BINARY, b"")]
        assert read(b"\x82\xfe\0\x7e" + KEY + bytes(126)) == [(BINARY, bytes(126))]
        assert read(b"\x82\xff\0\0\0\0\0\x01\0\0" + KEY + bytes(65536)) == [(BINARY, bytes(65536))]

    def test_the_largest_length_of_each_form_is_accepted(self) -> None:
        assert read(b"\x82\xfd" + KEY + bytes(125)) == [(BINARY, bytes(125))]
        assert read(b"\x82\xfe\xff\xff" + KEY + bytes(65535)) == [(BINARY, bytes(65535))]


class TestSection53Unmasking:
    def test_the_example_of_section_57_is_read(self) -> None:
        assert read(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58") == [(TEXT, b"Hello")]

    def test_every_frame_has_its_own_key(self) -> None:
        assert read(b"\x82\x81\x01\0\0\0\x01\x82\x81\x02\0\0\0\x02") == [(BINARY, b"\0"), (BINARY, b"\0")]


class TestSection54Fragmentation:
    def test_fragments_are_joined(self) -> None:
        stream = b"\x01\x83" + KEY + b"Hel" + b"\x80\x82" + KEY + b"lo"
        assert read(stream) == [(TEXT, b"Hello")]

    def test_a_control_frame_between_fragments_is_delivered_at_once(self) -> None:
        reader = new_reader()
        assert reader.feed(b"\x02\x81" + KEY + b"a") == []
        assert reader.feed(b"\x89\x81" + KEY + b"p") == [(PING, b"p")]
        assert reader.feed(b"\x8a\x80" + KEY) == [(PONG, b"")]
        assert reader.feed(b"\x80\x81" + KEY + b"b") == [(BINARY, b"ab")]

    def test_a_close_frame_between_fragments_is_delivered(self) -> None:
        assert read(EMPTY_FIRST_FRAGMENT + b"\x88\x80" + KEY) == [(CLOSE, b"")]

    @pytest.mark.parametrize("first", [b"\x80", b"\x00"])
    def test_a_continuation_of_no_message_fails_with_1002(self, first: bytes) -> None:
        assert failure_of(first) == (1002, "continuation of no message")

    def test_a_continuation_after_the_last_fragment_fails_with_1002(self) -> None:
        reader = new_reader()
        assert reader.feed(EMPTY_FIRST_FRAGMENT + b"\x80\x80" + KEY + b"\x80") == [(TEXT, b"")]
        assert reader.failure == 1002

    @pytest.mark.parametrize("first_fragment", [b"\x01\x81" + KEY + b"x", EMPTY_FIRST_FRAGMENT])
    @pytest.mark.parametrize("second", [b"\x81", b"\x82", b"\x01", b"\x02"])
    def test_a_new_message_inside_a_fragmented_one_fails_with_1002(
        self, first_fragment: bytes, second: bytes
    ) -> None:
        assert failure_of(first_fragment + second) == (1002, "new message inside a fragmented one")

    def test_all_fragments_may_be_empty(self) -> None:
        assert read(EMPTY_FIRST_FRAGMENT + b"\x00\x80" + KEY + b"\x80\x80" + KEY) == [(TEXT, b"")]


class TestSection55ControlFrames:
    @pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
    def test_a_fragmented_control_frame_fails_with_1002(self, opcode: int) -> None:
        assert failure_of(bytes([opcode])) == (1002, "fragmented control frame")

    @pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
    @pytest.mark.parametrize("length", [b"\xfe", b"\xff"])
    def test_a_control_frame_over_125_bytes_fails_with_1002(self, opcode: int, length: bytes) -> None:
        assert failure_of(bytes([0x80 | opcode]) + length) == (1002, "control frame over 125 bytes")

    @pytest.mark.parametrize("opcode", [PING, PONG])
    def test_a_control_frame_of_125_bytes_is_delivered(self, opcode: int) -> None:
        assert read(bytes([0x80 | opcode]) + b"\xfd" + KEY + bytes(125)) == [(opcode, bytes(125))]

    def test_a_ping_may_carry_bytes_that_are_not_utf8(self) -> None:
        assert read(b"\x89\x81" + KEY + b"\xff") == [(PING, b"\xff")]


class TestSection551Close:
    ALLOWED = (*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999)
    REFUSED = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)

    @pytest.mark.parametrize("code", ALLOWED)
    def test_a_code_that_may_be_on_the_wire_is_delivered(self, code: int) -> None:
        body = code.to_bytes(2, "big")
        assert read(b"\x88\x82" + KEY + body) == [(CLOSE, body)]

    @pytest.mark.parametrize("code", REFUSED)
    def test_a_code_that_may_not_be_on_the_wire_fails_with_1002(self, code: int) -> None:
        assert failure_of(b"\x88\x82" + KEY + code.to_bytes(2, "big")) == (1002, "close code not allowed")

    def test_an_empty_body_is_delivered(self) -> None:
        assert read(b"\x88\x80" + KEY) == [(CLOSE, b"")]

    def test_a_body_of_one_byte_fails_with_1002(self) -> None:
        assert failure_of(b"\x88\x81" + KEY + b"\x03") == (1002, "close body of one byte")

    def test_a_reason_is_delivered(self) -> None:
        assert read(b"\x88\x87" + KEY + b"\x03\xe8bye\xc3\xa9") == [(CLOSE, b"\x03\xe8bye\xc3\xa9")]

    @pytest.mark.parametrize("reason", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80"])
    def test_a_reason_that_is_not_utf8_fails_with_1007(self, reason: bytes) -> None:
        stream = bytes([0x88, 0x80 | 2 + len(reason)]) + KEY + b"\x03\xe8" + reason
        assert failure_of(stream) == (1007, "close reason is not UTF-8")

    def test_nothing_is_read_after_a_close_frame(self) -> None:
        reader = new_reader()
        assert reader.feed(b"\x88\x80" + KEY + b"\x89\x80" + KEY + b"\xff\xff") == [(CLOSE, b"")]
        assert reader.feed(b"\x89\x80" + KEY) == []
        assert (reader.failure, reader.ended, reader.unfinished) == (0, True, False)


def fails_at(text: bytes) -> int | None:
    """Which byte of a text makes the reader fail; the message is never completed."""
    reader = new_reader()
    reader.feed(b"\x81\xfd" + KEY)
    for position in range(len(text)):
        reader.feed(text[position : position + 1])
        if reader.failure:
            assert reader.failure == 1007
            return position
    return None


def must_fail_at(text: bytes) -> int | None:
    start = 0
    for end in range(1, len(text) + 1):
        if not begins_a_character(text[start:end]):
            return end - 1
        if is_text(text[start:end]):
            start = end
    return None


class TestSection81Utf8:
    def test_every_pair_of_bytes_fails_at_the_first_byte_that_no_text_can_have(self) -> None:
        pairs = [bytes(pair) for pair in product(range(256), repeat=2)]
        assert [pair for pair in pairs if fails_at(pair) != must_fail_at(pair)] == []

    def test_long_sequences_fail_at_the_first_byte_that_no_text_can_have(self) -> None:
        edges = (0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0)
        texts = [bytes(text) for text in product(range(0xE0, 0xF8), edges, edges, (0x7F, 0x80, 0xBF, 0xC0))]
        assert [text for text in texts if fails_at(text) != must_fail_at(text)] == []

    @pytest.mark.parametrize(
        "character", ["\x7f", "é", "\u0800", "\ud7ff", "\ue000", "\U00010000", "\U0010ffff"]
    )
    @pytest.mark.parametrize("before", range(17))
    def test_a_character_may_stand_and_be_cut_anywhere(self, character: str, before: int) -> None:
        # 17 positions: the check takes ASCII in words of 8 bytes.
        payload = b"a" * before + character.encode() + b"z" * 9
        for at in range(len(payload) + 1):
            start, rest = payload[:at], payload[at:]
            stream = (
                bytes([0x01, 0x80 | len(start)]) + KEY + start + bytes([0x80, 0x80 | len(rest)]) + KEY + rest
            )
            assert read(stream) == [(TEXT, payload)]
        whole = bytes([0x81, 0x80 | len(payload)]) + KEY + payload
        assert read(whole) == [(TEXT, payload)]

    @pytest.mark.parametrize("before", range(17))
    def test_a_bad_byte_is_found_anywhere(self, before: int) -> None:
        payload = b"a" * before + b"\xff" + b"z" * 9
        whole = bytes([0x81, 0x80 | len(payload)]) + KEY + payload
        assert failure_of(whole) == (1007, "text is not UTF-8")
        assert failure_of(whole[: 6 + before + 1]) == (1007, "text is not UTF-8")
        assert failure_of(b"\x01" + whole[1:]) == (1007, "text is not UTF-8")

    @pytest.mark.parametrize("first", [b"\x81", b"\x01"])
    @pytest.mark.parametrize("cut_character", [b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98"])
    def test_text_must_not_end_inside_a_character(self, first: bytes, cut_character: bytes) -> None:
        stream = first + bytes([0x80 | len(cut_character)]) + KEY + cut_character
        if first == b"\x01":
            stream += b"\x80\x80" + KEY
        assert failure_of(stream) == (1007, "text is not UTF-8")

    def test_a_character_cut_by_a_ping_is_still_checked(self) -> None:
        reader = new_reader()
        assert reader.feed(b"\x01\x81" + KEY + b"\xed" + b"\x89\x80" + KEY) == [(PING, b"")]
        assert reader.feed(b"\x80\x82" + KEY + b"\xa0") == []
        assert reader.failure == 1007

    def test_the_check_starts_afresh_with_each_message(self) -> None:
        stream = b"\x01\x81" + KEY + b"\xc3" + b"\x80\x81" + KEY + b"\xa9" + b"\x81\x81" + KEY + b"a"
        assert read(stream) == [(TEXT, "é".encode()), (TEXT, b"a")]

    def test_binary_messages_are_not_checked(self) -> None:
        assert read(b"\x02\x81" + KEY + b"\xff" + b"\x80\x81" + KEY + b"\xfe") == [(BINARY, b"\xff\xfe")]


class TestSection717Failing:
    def test_what_was_complete_before_the_fault_is_delivered(self) -> None:
        reader = new_reader()
        assert reader.feed(b"\x81\x81" + KEY + b"a" + b"\xff" + b"\x81\x81" + KEY + b"b") == [(TEXT, b"a")]
        assert reader.failure == 1002

    def test_nothing_is_processed_after_the_fault(self) -> None:
        reader = new_reader()
        reader.feed(b"\xff")
        assert reader.feed(b"\x81\x81" + KEY + b"b") == []
        assert (reader.failure, reader.failure_reason) == (1002, "reserved bit set")
        assert (reader.ended, reader.unfinished, reader.unfinished_bytes) == (True, False, 0)
