"""Runs benchmarks one after the other, each in a process of its own, and keeps what comes of them.

A process of its own, because each pins itself to a processor, and because memory must not find what
another one has left behind. One that fails or takes far too long is noted and does not keep the others.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks import measurement
from benchmarks.benchmark import Benchmark, Options

PATIENCE = 3.0
"""Times what a benchmark usually takes after which it is ended."""

SHORTEST = 120.0
"""Seconds that any may take: a quick one builds its clients in C, and on a busy machine all is slower."""

CHOSEN_SIZES = 3600.0
"""Seconds that one may take where its sizes were given, for nobody knows how long that takes."""

GRACE = 10.0
"""Seconds for one that was interrupted to put its servers and clients away."""


@dataclass
class Outcome:
    """What came of a run."""

    benchmarks: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By name: ``seconds``, ``result``, ``figures``, ``failure``; see `benchmarks.reports.document`."""
    interrupted: bool = False


def run(
    names: Sequence[str],
    options: Options,
    catalogue: Mapping[str, Benchmark],
    *,
    timeout: float | None = None,
    child: Sequence[str] = ("-m", "benchmarks.measurement"),
    say: Callable[[str], None],
    done: Callable[[str, dict[str, Any]], None],
) -> Outcome:
    """Measure those benchmarks; ``done`` is told of each when it is over.

    Ctrl-C and TERM end the one that is measured, with all its processes, and leave out the others.
    """
    outcome, began = Outcome(), time.monotonic()
    expected = {name: _expected(catalogue[name], options) for name in names}
    with tempfile.TemporaryDirectory(prefix="wsserver-benchmarks-") as directory, _terminable():
        for place, name in enumerate(names, 1):
            left = sum(expected[other] for other in names[place - 1 :])
            say(
                f"{place} of {len(names)}: {name}, about {clock(expected[name])}; "
                f"{clock(time.monotonic() - began)} so far, about {clock(left)} to go"
            )
            title = f"{place}/{len(names)} {name}"
            limit = timeout if timeout is not None else _limit(options, expected[name])
            started = time.monotonic()
            try:
                target = Path(directory) / f"{name}.json"
                found = _measure([*child, name, title, str(target)], options, target, limit)
            except KeyboardInterrupt:
                outcome.interrupted = True
                say(f"interrupted: {name} is left out, and what would have come after it")
                break
            entry = {"seconds": round(time.monotonic() - started, 1), **found}
            outcome.benchmarks[name] = entry
            if entry["failure"] is not None:
                say(f"{name} FAILED: {entry['failure']}")
            done(name, entry)
    return outcome


def clock(seconds: float) -> str:
    """As ``12 s`` or ``3:05 min``."""
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60}:{whole % 60:02} min"


def _expected(benchmark: Benchmark, options: Options) -> float:
    return benchmark.quick_seconds if options.quick else benchmark.seconds


def _limit(options: Options, expected: float) -> float:
    chosen = (options.connections, options.rounds, options.subscriptions, options.seconds, options.rate)
    if options.install or any(size is not None for size in chosen):
        return CHOSEN_SIZES
    return max(PATIENCE * expected, SHORTEST)


def _measure(child: Sequence[str], options: Options, target: Path, limit: float) -> dict[str, Any]:
    """What the child has written, or why it has written nothing. Raises KeyboardInterrupt."""
    process = subprocess.Popen(
        [sys.executable, *child],
        stdin=subprocess.PIPE,
        stdout=sys.stderr,
        text=True,
        # Ctrl-C is for the runner, which passes it on once and not to the clients and servers as well.
        start_new_session=True,
    )
    try:
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(measurement.written(options) + "\n")
            process.stdin.close()
        status = process.wait(limit)
    except subprocess.TimeoutExpired:
        return _failed(f"was not over after {limit:.0f} s and was ended")
    finally:
        _end(process)
    if target.exists():
        return dict(json.loads(target.read_text()))
    if status < 0:
        return _failed(f"ended by {signal.Signals(-status).name}")
    return _failed(f"ended with status {status} and no result")


def _failed(why: str) -> dict[str, Any]:
    return {"failure": why, "figures": [], "result": None}


def _end(process: subprocess.Popen[str]) -> None:
    """Have it end, by itself if it can, and nothing of it stay behind."""
    below = []
    if process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            below = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            process.wait(GRACE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for one in below:
        with suppress(psutil.NoSuchProcess):
            one.kill()
    process.wait()


@contextmanager
def _terminable() -> Iterator[None]:
    """TERM is an interruption like Ctrl-C, and both are heard in the background, within the block."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    measurement.listen_to_interruptions()
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
