"""The golden vectors are what their generator makes, and the twins agree with them."""

import json
import sys
from pathlib import Path
from typing import Any

import lz4.block
import pytest
import reference_envelope as twin
import reference_messagepack as messagepack

VECTORS = Path(__file__).parent.parent / "vectors"
sys.path.append(str(VECTORS))

import generate  # noqa: E402 - found by the line above


def committed(name: str) -> list[dict[str, Any]]:
    return json.loads((VECTORS / name).read_text())


def compressed(vector: dict[str, Any]) -> bool:
    """Whether its bytes are the choice of one version of LZ4."""
    return bytes.fromhex(vector["hex"])[2:3] in (b"\1", b"\3") and "envelope" in vector


@pytest.mark.parametrize("name", ["envelopes.json", "messagepack.json"])
def test_the_files_are_what_the_generator_writes(name: str) -> None:
    fresh = json.loads(generate.text_of(generate.FILES[name]()))
    assert [vector["name"] for vector in fresh] == [vector["name"] for vector in committed(name)]
    for ours, theirs in zip(fresh, committed(name), strict=True):
        if "LZ4" in theirs["name"] or compressed(theirs):
            ours, theirs = ours | {"hex": None}, theirs | {"hex": None}
        assert ours == theirs, theirs["name"]


def test_lz4_blocks_are_what_the_generator_writes_but_for_the_bytes_of_the_compressor() -> None:
    fresh = json.loads(generate.text_of(generate.FILES["lz4.json"]()))
    without = [{**vector, "hex": None} for vector in fresh]
    assert without == [{**vector, "hex": None} for vector in committed("lz4.json")]


@pytest.mark.parametrize("vector", committed("lz4.json"), ids=lambda vector: vector["name"])
def test_lz4_blocks_are_judged_alike(vector: dict[str, Any]) -> None:
    block, size = bytes.fromhex(vector["hex"]), vector["size"]
    if "error" in vector:
        with pytest.raises(messagepack.Fault, match=vector["error"]):
            twin.unblock(block, size)
    else:
        text = b"".join(bytes.fromhex(unit) * times for unit, times in vector["output"])
        assert twin.unblock(block, size) == text
        assert lz4.block.decompress(lz4.block.compress(text)) == text


def test_names_are_given_once() -> None:
    for name in generate.FILES:
        names = [vector["name"] for vector in committed(name)]
        assert len(set(names)) == len(names)


def test_nothing_is_left_for_parsers_to_differ_about() -> None:
    for name in generate.FILES:
        assert (VECTORS / name).read_text().isascii()
        json.loads((VECTORS / name).read_text(), parse_constant=pytest.fail)
