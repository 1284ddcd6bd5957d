"""The real ECG that the demonstration replays; ATTRIBUTION.md tells its source and its layout."""

import hashlib
import struct
import sys
import zlib
from array import array
from dataclasses import dataclass
from importlib.resources import files
from itertools import accumulate

_FILE = "ecg_mitbih_208_mlii.bin"
_HEADER = struct.Struct("<4sHHI32s")
_MAGIC = b"ECG1"
_ZERO_LEVEL = 1024
_UNITS_PER_MILLIVOLT = 200


class RecordingError(ValueError):
    """The stored recording is damaged: the package was not installed as it was built."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One lead of an electrocardiogram."""

    rate: int
    """Samples per second."""
    samples: "array[int]"
    """Raw converter readings, 16 bits each."""

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    def millivolts(self, position: int, count: int) -> list[float]:
        """``count`` values from sample ``position`` on; past the end the recording begins again."""
        total = len(self.samples)
        start = position % total
        chunk = self.samples[start : start + count]
        while len(chunk) < count:
            chunk.extend(self.samples[: count - len(chunk)])
        return [(sample - _ZERO_LEVEL) / _UNITS_PER_MILLIVOLT for sample in chunk]


def load_recording() -> Recording:
    """The recording that comes with the package. Raises RecordingError when it is damaged."""
    return decode_recording(files(__package__).joinpath(_FILE).read_bytes())


def decode_recording(stored: bytes) -> Recording:
    """The recording in the layout of ATTRIBUTION.md. Raises RecordingError when any sample has changed."""
    if len(stored) < _HEADER.size:
        raise RecordingError("the ECG recording is cut short")
    magic, rate, first, count, digest = _HEADER.unpack_from(stored)
    if magic != _MAGIC:
        raise RecordingError("this is no ECG recording")
    inflate = zlib.decompressobj()
    try:
        differences = inflate.decompress(stored[_HEADER.size :], count)
    except zlib.error as fault:
        raise RecordingError("the ECG recording is damaged") from fault
    try:
        samples = array("H", accumulate(array("b", differences), initial=first))
    except OverflowError as fault:
        raise RecordingError("the ECG recording is damaged") from fault
    if len(samples) != count or _sha256(samples) != digest:
        raise RecordingError("the ECG recording is damaged")
    return Recording(rate, samples)


def _sha256(samples: "array[int]") -> bytes:
    words = samples
    if sys.byteorder == "big":
        words = samples[:]
        words.byteswap()
    return hashlib.sha256(words.tobytes()).digest()
