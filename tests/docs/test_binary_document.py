"""protocol.md on binary frames: its example is one, its sizes are those of the benchmark."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from documents import DOCS, blocks, table

from wsserver.demo.recording import load_recording
from wsserver_core.envelope import decode, encode_message

PROTOCOL = DOCS / "protocol.md"
ROOT = Path(__file__).parents[2]


def example() -> bytes:
    (block,) = [block.text for block in blocks(PROTOCOL, "text") if block.text.startswith("b1 ")]
    lines = [re.match(r"(?:[0-9a-f]{2} )+", line + " ") for line in block.splitlines()]
    return bytes.fromhex("".join(line[0] for line in lines if line))


def test_the_example_says_what_stands_beside_it() -> None:
    envelope = decode(example(), max_size=100)
    assert (envelope.kind, envelope.topic, envelope.seq) == (1, "patient:123", 42)
    assert envelope.body == {"text": "all ok."}
    assert example() == encode_message(envelope.body, topic="patient:123", seq=42, time=1_767_225_600_000_000)


def cases() -> list[Any]:
    sys.path.append(str(ROOT))
    from benchmarks.suites.encodings import START_SECONDS, Case

    recording = load_recording()
    start = START_SECONDS * recording.rate
    made = []
    for count in (4, 250, 2_500):
        millivolts = [round(value, 3) for value in recording.millivolts(start, count)]
        made += [Case("in mV", millivolts), Case("integers", list(recording.samples[start : start + count]))]
    return made


def test_the_sizes_are_those_of_the_benchmark() -> None:
    rows = {row[0]: [int(cell.replace(",", "")) for cell in row[1:]] for row in table(PROTOCOL, "samples")}
    for case in cases():
        json_size, binary, lz4_size = rows.pop(f"{case.count:,} {case.name}")
        assert (json_size, binary) == (case.sizes["json"], case.sizes["binary"])
        # Another version of LZ4 may find a little more or less.
        assert lz4_size == pytest.approx(case.sizes["lz4"], rel=0.02)
    assert not rows
