"""Benchmarks that measure nothing. Run as a script it is what `benchmarks.measurement` is to real ones."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

from benchmarks import measurement
from benchmarks.benchmark import Benchmark, Options
from benchmarks.progress import say
from benchmarks.reports.figure import Figure, figure


def _good(options: Options) -> dict[str, Any]:
    say("round 1 of 1")
    rates = [90.0, 100.0, 120.0]
    return {"benchmark": "good", "rounds": options.rounds, "rates": rates, "process": os.getpid()}


def _figures(result: dict[str, Any]) -> list[Figure]:
    return [figure("deliveries", "1/s", result["rates"], "more", aim=95.0)]


def _bad(options: Options) -> dict[str, Any]:
    where = ""
    if options.folder is not None:
        where = f"\n  at {options.folder}/socket, {Path.home()}, {measurement.__file__}"
    raise ValueError(f"the cable is out{where}")


def _dead(options: Options) -> dict[str, Any]:
    if options.folder is not None:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (options.folder / "started").write_text(str(child.pid))
    os.abort()


def _with_child(options: Options) -> dict[str, Any]:
    """Waits for ever, as does a child of its own, whose number is told beside the stores."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    assert options.folder is not None
    started = options.folder / "started"
    started.with_suffix(".part").write_text(f"{os.getpid()} {child.pid}")
    started.with_suffix(".part").rename(started)
    time.sleep(600)
    return {}


async def _hold(folder: Path) -> dict[str, Any]:
    try:
        (folder / "started").touch()
        await asyncio.sleep(600)
    finally:
        (folder / "away").touch()
    return {}


def _tidy(options: Options) -> dict[str, Any]:
    """Waits for ever, and says so when it puts away what it has."""
    assert options.folder is not None
    return uvloop.run(_hold(options.folder))


def _wrong_figures(result: dict[str, Any]) -> list[Figure]:
    return [figure("deliveries", "1/s", result["gone"], "more")]


def _table(result: dict[str, Any]) -> str:
    return f"{result['rounds']} rounds"


CATALOGUE = {
    "good": Benchmark(_good, _table, _figures, seconds=20, quick_seconds=2),
    "bad": Benchmark(_bad, str),
    "dead": Benchmark(_dead, str),
    "endless": Benchmark(_with_child, str),
    "tidy": Benchmark(_tidy, str),
    "uncounted": Benchmark(_good, str, _wrong_figures),
}

CHILD = (str(Path(__file__)),)

if __name__ == "__main__":
    measurement.main(CATALOGUE)
