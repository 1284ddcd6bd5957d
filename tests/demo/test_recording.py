import hashlib
import struct
import zlib
from importlib.resources import files

import pytest

from wsserver.demo.recording import Recording, RecordingError, decode_recording, load_recording

# Of the 108,000 samples in scipy/misc/ecg.dat of the scipy 1.11.4 wheel, as little-endian 16-bit words.
ORIGINAL_SHA256 = "45cbec844577d9c7e2117b2011a5d524ab6dd49d93c29f5f5aea690772681b8f"


@pytest.fixture(scope="module")
def recording() -> Recording:
    return load_recording()


@pytest.fixture(scope="module")
def stored() -> bytes:
    return files("wsserver.demo").joinpath("ecg_mitbih_208_mlii.bin").read_bytes()


def test_every_sample_of_the_original_is_kept(recording: Recording) -> None:
    words = struct.pack(f"<{len(recording)}H", *recording.samples)
    assert hashlib.sha256(words).hexdigest() == ORIGINAL_SHA256


def test_it_is_five_minutes_at_360_hertz(recording: Recording) -> None:
    assert (recording.rate, len(recording), recording.seconds) == (360, 108_000, 300.0)
    assert (min(recording.samples), max(recording.samples)) == (327, 1754)


def test_millivolts_have_the_stated_zero_and_scale(recording: Recording) -> None:
    assert list(recording.samples[:3]) == [975, 981, 987]
    assert recording.millivolts(0, 3) == [-0.245, -0.215, -0.185]


def test_past_its_end_it_begins_again(recording: Recording) -> None:
    last = recording.millivolts(107_999, 1)
    first = recording.millivolts(0, 2)
    assert recording.millivolts(107_999, 3) == last + first
    assert recording.millivolts(108_000, 2) == first
    assert len(recording.millivolts(5, 250_000)) == 250_000


def test_its_store_is_small(stored: bytes) -> None:
    assert len(stored) < 71_000


def test_its_attribution_names_source_licence_and_digest() -> None:
    text = files("wsserver.demo").joinpath("ATTRIBUTION.md").read_text(encoding="utf-8")
    assert "MIT-BIH Arrhythmia Database v1.0.0" in text
    assert "ODC Attribution License v1.0" in text
    assert "doi:10.13026/C2F305" in text
    assert ORIGINAL_SHA256 in text


def with_differences(stored: bytes, differences: bytes) -> bytes:
    return stored[:44] + zlib.compress(differences)


def damage(stored: bytes) -> dict[str, bytes]:
    differences = zlib.decompress(stored[44:])
    spoiled = bytearray(differences)
    spoiled[50_000] ^= 1
    return {
        "empty": b"",
        "header cut": stored[:43],
        "body cut": stored[:-100],
        "foreign": b"RIFF" + stored[4:],
        "no zlib stream": stored[:44] + b"\xff" * 100,
        "first sample": stored[:6] + b"\x00\x01" + stored[8:],
        "digest": stored[:12] + b"\x00" + stored[13:],
        "one difference": with_differences(stored, bytes(spoiled)),
        "below zero": with_differences(stored, b"\x80" * 107_999),
        "too many": with_differences(stored, differences + b"\x00"),
        "a bomb": with_differences(stored, b"\x00" * 50_000_000),
    }


def test_damage_anywhere_is_noticed(stored: bytes) -> None:
    for content in damage(stored).values():
        with pytest.raises(RecordingError):
            decode_recording(content)
