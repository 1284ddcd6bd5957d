"""Encodings: an ECG message of 4, 250 and 2,500 samples as JSON, as a binary frame, and as one with LZ4.

The samples are the demonstration's recording, once in millivolts as the demonstration rounds them and
once as the converter's integers. JSON is msgspec's, to and from the very object that clients
get; the binary frame is made of what a server has at that point and read back to the same
object with typed samples. All ways take turns, round after round; a time is processor time of
this thread, so that a busy machine widens the spread and moves the median little.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from benchmarks.machine import facts, pin
from benchmarks.reports.chart import Chart, Line
from benchmarks.reports.figure import Figure, figure, spread_figure
from wsserver.demo.recording import load_recording
from wsserver_core.envelope import decode, encode_message

SAMPLES: Final = (4, 250, 2_500)
WAYS: Final = ("json", "binary", "lz4")
START_SECONDS: Final = 149
"""Where the demonstration's first bed begins."""

SAMPLE_SECONDS: Final = 0.004
"""How long one way is watched in one round."""

MAX_SIZE: Final = 1 << 20
SEQ, TIME, TOPIC = 1_234_567, 1_767_225_600_123_456, "patient:demo-1"
META: Final = {"id": "m_00019b76da8000000000a1b2c3d4", "log": "k3f9d"}

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


class DecodedWrong(Exception):
    """A way does not give back the message that went in."""


class Case:
    """One message and the ways to write and read it; seconds, a value per round."""

    def __init__(self, name: str, samples: list[Any]) -> None:
        self.name = name
        self.count = len(samples)
        body = {
            "_meta": META,
            "type": "ecg_data",
            "patient_id": "demo-1",
            "data": samples,
            "timestamp": "2026-01-01T00:00:00.000Z",
            "sampling_rate": 360,
        }
        header: dict[str, Any] = {"topic": TOPIC, "seq": SEQ, "time": TIME}
        whole = {
            **body,
            "_meta": {
                "id": META["id"],
                "topic": TOPIC,
                "log": META["log"],
                "seq": SEQ,
                "ts": "2026-01-01T00:00:00.123Z",
            },
        }
        self._encoders: dict[str, Callable[[], bytes]] = {
            "json": lambda: _encode(whole),
            "binary": lambda: encode_message(body, **header, compression_threshold=None),
            "lz4": lambda: encode_message(body, **header, compression_threshold=0),
        }
        frames = {way: encode() for way, encode in self._encoders.items()}
        self._decoders: dict[str, Callable[[], Any]] = {
            "json": lambda: _decode(frames["json"]),
            "binary": lambda: decode(frames["binary"], max_size=MAX_SIZE).body,
            "lz4": lambda: decode(frames["lz4"], max_size=MAX_SIZE).body,
        }
        self.sizes = {way: len(frame) for way, frame in frames.items()}
        for way, read in self._decoders.items():
            back = read()
            back["data"] = list(back["data"])
            if back != whole:
                raise DecodedWrong(f"{name}, {self.count} samples: {way}")
        self._works = {("encode", way): work for way, work in self._encoders.items()} | {
            ("decode", way): work for way, work in self._decoders.items()
        }
        self._times = {key: self._repetitions(work) for key, work in self._works.items()}
        self._seconds: dict[tuple[str, str], list[float]] = {key: [] for key in self._works}

    def _repetitions(self, work: Callable[[], Any]) -> int:
        return max(1, int(SAMPLE_SECONDS / max(min(_seconds(work, 3) for _ in range(3)), 1e-7)))

    def round(self) -> None:
        """Each way once, in turn."""
        for key, work in self._works.items():
            self._seconds[key].append(_seconds(work, self._times[key]))

    def summary(self) -> dict[str, Any]:
        """Medians with their spread, in microseconds; sizes in bytes."""
        spreads = {key: _spread(seconds) for key, seconds in self._seconds.items()}
        return {
            "numbers": self.name,
            "samples": self.count,
            "bytes": self.sizes,
            "encode_us": {way: spreads["encode", way] for way in WAYS},
            "decode_us": {way: spreads["decode", way] for way in WAYS},
        }


def encodings(rounds: int) -> dict[str, Any]:
    """Run the benchmark. Raises DecodedWrong when a way loses something of a message."""
    core = pin()
    recording = load_recording()
    position = START_SECONDS * recording.rate
    cases = []
    for count in SAMPLES:
        millivolts = [round(value, 3) for value in recording.millivolts(position, count)]
        cases.append(Case("mV", millivolts))
        cases.append(Case("raw", list(recording.samples[position : position + count])))
    for _ in range(rounds):
        for case in cases:
            case.round()
    return {
        "benchmark": "encodings",
        "machine": facts(),
        "pinned": core is not None,
        "rounds": rounds,
        "cases": [case.summary() for case in cases],
    }


def _seconds(work: Callable[[], Any], times: int) -> float:
    """Processor time of one go, out of so many."""
    began = time.thread_time()
    for _ in range(times):
        work()
    return (time.thread_time() - began) / times


def _spread(seconds: list[float]) -> dict[str, float]:
    low, _, high = statistics.quantiles(seconds, n=4) if len(seconds) > 1 else [seconds[0]] * 3
    named = {
        "median": statistics.median(seconds),
        "min": min(seconds),
        "max": max(seconds),
        "low": low,
        "high": high,
    }
    return {name: value * 1e6 for name, value in named.items()}


def figures(result: dict[str, Any]) -> list[Figure]:
    """For comparison with another run."""
    found = []
    for case in result["cases"]:
        for way in WAYS:
            name = f"{case['samples']:,} samples, {case['numbers']}, {way}"
            found += [
                figure(name, "bytes", [case["bytes"][way]], "less"),
                spread_figure(f"{name}: write", "µs", case["encode_us"][way], "less"),
                spread_figure(f"{name}: read", "µs", case["decode_us"][way], "less"),
            ]
    return found


def charts(result: dict[str, Any]) -> list[Chart]:
    """Times and bytes of the message with the most samples, in each way."""
    cases = [case for case in result["cases"] if case["samples"] == max(SAMPLES)]
    found = []
    for key, name in (("encode_us", "write"), ("decode_us", "read")):
        lines = []
        for way in WAYS:
            spreads = [case[key][way] for case in cases]
            lines.append(Line(way, *([one[which] for one in spreads] for which in ("median", "low", "high"))))
        title = f"Time to {name} an ECG message of {max(SAMPLES):,} samples"
        places = [case["numbers"] for case in cases]
        found.append(Chart(f"encodings-{name}", title, "kind of numbers", "µs", places, lines))
    return found


def table(result: dict[str, Any]) -> str:
    """The result for people: medians, and the middle half of all rounds."""
    return "\n".join(_lines(result))


def _lines(result: dict[str, Any]) -> Iterator[str]:
    yield f"An ECG message: bytes on the wire, and microseconds (median, middle half of {result['rounds']})"
    yield f"{'samples':>12}  {'':6} {'bytes':>8} {'encode':>22} {'decode':>22}"
    for case in result["cases"]:
        for way in WAYS:
            name = f"{case['samples']:,} {case['numbers']}" if way == WAYS[0] else ""
            encode, read = case["encode_us"][way], case["decode_us"][way]
            yield f"{name:>12}  {way:6} {case['bytes'][way]:>8,} {_us(encode):>22} {_us(read):>22}"


def _us(spread: dict[str, float]) -> str:
    return f"{spread['median']:,.2f} ({spread['low']:,.2f}-{spread['high']:,.2f})"
