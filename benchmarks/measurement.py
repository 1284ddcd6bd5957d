"""One benchmark in this process, which has nothing else to do and ends with it.

``python -m benchmarks.measurement NAME TITLE FILE`` reads the options as JSON from its standard input and
writes to FILE, as JSON: ``result``, ``figures``, and ``failure``, a line, where something went wrong.
"""

import ctypes
import dataclasses
import json
import signal
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks import progress
from benchmarks.benchmark import Benchmark, Options

_PATHS = ("plot", "folder")

LONGEST = 500
"""Letters of a failure that are kept."""

PR_SET_PDEATHSIG = 1
"""Of prctl(2): the signal that this process gets when its parent has ended."""


def written(options: Options) -> str:
    """The options as a line of JSON."""
    return json.dumps(dataclasses.asdict(options), default=str)


def read(line: str) -> Options:
    """The options of such a line."""
    members = json.loads(line)
    return Options(**{name: Path(v) if v and name in _PATHS else v for name, v in members.items()})


def measure(benchmark: Benchmark, options: Options) -> dict[str, Any]:
    """Its result and figures, or why there are none."""
    outcome: dict[str, Any] = {"failure": None, "figures": [], "result": None}
    try:
        outcome["result"] = result = benchmark.measure(options)
        if benchmark.figures is not None:
            outcome["figures"] = [dataclasses.asdict(one) for one in benchmark.figures(result)]
    except Exception as fault:
        traceback.print_exc()
        outcome["failure"] = _line(fault, options)
    return outcome


def _line(fault: Exception, options: Options) -> str:
    """What went wrong, in one line and without paths that are nobody else's."""
    text = " ".join(f"{type(fault).__name__}: {fault}".split())
    for place in (options.folder, Path(__file__).parents[1], tempfile.gettempdir(), Path.home()):
        if place is not None and len(str(place)) > 1:
            text = text.replace(str(place), "…")
    return text[:LONGEST]


def listen_to_interruptions() -> None:
    """Have INT and TERM end what goes on, with all that is to be put away, by KeyboardInterrupt.

    For the main thread. A shell starts what it puts into the background with INT ignored, and Python then
    installs no handler of its own.
    """

    def as_interruption(_: int, frame: FrameType | None) -> None:
        # Whoever has taken INT over meanwhile, as a running event loop does to end its tasks first.
        handler = signal.getsignal(signal.SIGINT)
        if callable(handler):
            handler(signal.SIGINT, frame)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, as_interruption)


def main(catalogue: Mapping[str, Benchmark]) -> None:
    """Do what the command line says; status 1 without a result, 130 when it was interrupted."""
    name, title, target = sys.argv[1:]
    listen_to_interruptions()
    # Whoever kills the runner wants no servers and clients to stay.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)
    progress.begin(title)
    try:
        outcome = measure(catalogue[name], read(sys.stdin.readline()))
    except KeyboardInterrupt:
        sys.exit(130)
    Path(target).write_text(json.dumps(outcome))
    sys.exit(0 if outcome["failure"] is None else 1)


if __name__ == "__main__":
    from benchmarks.catalogue import SUITE

    main(SUITE)
