"""The described frame is the one that the encoder makes."""

from wsserver.api_documents import binary_frame
from wsserver.api_documents.message_examples import PUBLISHED_EXAMPLE
from wsserver_core.envelope import decode


def test_the_example_says_what_the_example_in_json_says() -> None:
    envelope = decode(binary_frame.example(), max_size=1 << 20)
    meta = PUBLISHED_EXAMPLE["_meta"]
    assert (envelope.topic, envelope.seq) == (meta["topic"], meta["seq"])
    assert envelope.body == PUBLISHED_EXAMPLE


def test_the_layout_is_whole_and_reads_the_example() -> None:
    end = 0
    for field in binary_frame.layout():
        assert field["offset"] == end, "no holes"
        end += field["bytes"]
    assert end == 32
    frame = binary_frame.example()
    read = {
        field["name"]: int.from_bytes(frame[field["offset"] : field["offset"] + field["bytes"]], "little")
        for field in binary_frame.layout()
    }
    assert read["magic"] == 0xB1
    assert (read["kind"], read["flags"], read["sample_type"]) == (1, 2, 0)
    assert read["topic_length"] == len("patient:123")
    assert (read["seq"], read["time"]) == (6, binary_frame.EXAMPLE_TIME)
    assert read["body_length"] == read["uncompressed_length"] == len(frame) - 32 - 16
