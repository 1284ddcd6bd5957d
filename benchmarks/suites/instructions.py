"""Instructions: how many each operation of the core takes, counted by callgrind.

A count is the same on a busy machine as on a quiet one, so that a change of a few hundredths can be seen
where times differ by a fifth. It is not time: what waits for memory or for the kernel is not in it. Each
operation is done N times and 2 N times, and what the second takes more than the first is N calls; what they
have in common, as starting Python, falls out.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.build import build
from benchmarks.contest.series import spread
from benchmarks.machine import facts
from benchmarks.progress import say
from benchmarks.reports.figure import Figure

GROUPS: Final = ("encode", "read", "match", "send", "heartbeat", "command")
QUICK_GROUPS: Final = GROUPS[:-1]
"""Without those for which the whole service must be loaded, under callgrind."""

REPEATABLE: Final = 0.01
"""By what share two counts of the same code may differ: the order of addresses is not all in our hands."""

_ROOT: Final = Path(__file__).parents[2]
_MARKS: Final = _ROOT / "benchmarks" / "micro" / "callgrind_marks.c"
_TIMEOUT: Final = 600.0

_MARK: Final = re.compile(r"^desc: Trigger: Client Request: (.*)\|(\d+)$", re.MULTILINE)
_SUMMARY: Final = re.compile(r"^summary: (\d+)$", re.MULTILINE)


class CannotCount(Exception):
    """Callgrind is not there or did not run; the text says what is missing."""


def instructions(times: int, groups: Sequence[str] = GROUPS) -> dict[str, Any]:
    """Count each operation of some groups so many times."""
    machine = facts()
    try:
        valgrind, marks = _tools()
    except CannotCount as fault:
        return {"benchmark": "instructions", "machine": machine, "skipped": str(fault), "operations": {}}
    say(f"instructions: {', '.join(groups)} under callgrind")
    counted = _count(valgrind, marks, times, groups)
    return {
        "benchmark": "instructions",
        "machine": machine,
        "skipped": None,
        "valgrind": _version(valgrind),
        "times": times,
        "operations": {name: spread(counts) for name, counts in counted.items()},
    }


def _tools() -> tuple[str, Path]:
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise CannotCount("valgrind is not installed")
    try:
        return valgrind, build(_MARKS, shared=True)
    except (OSError, subprocess.CalledProcessError):
        raise CannotCount(
            "callgrind's marks cannot be compiled: a C compiler and valgrind/callgrind.h are needed"
        ) from None


def _version(valgrind: str) -> str:
    return subprocess.run([valgrind, "--version"], capture_output=True, text=True, check=True).stdout.strip()


def _count(valgrind: str, marks: Path, times: int, groups: Sequence[str]) -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as directory:
        # Addresses and hashes decide how dicts and sets are laid out, and so what is looked at.
        setarch = shutil.which("setarch")
        command = [
            *([setarch, "-R"] if setarch is not None and _may_fix_addresses(setarch) else []),
            valgrind, "--quiet", "--tool=callgrind", "--instr-atstart=no",
            f"--callgrind-out-file={directory}/counts",
            sys.executable, "-m", "benchmarks.micro.counted", str(marks), str(times), *groups,
        ]  # fmt: skip
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        subprocess.run(command, cwd=_ROOT, env=environment, check=True, timeout=_TIMEOUT)
        # In the order in which they were written.
        files = sorted(Path(directory).glob("counts.*"), key=lambda path: int(path.suffix[1:]))
        return per_call(path.read_text() for path in files)


def _may_fix_addresses(setarch: str) -> bool:
    """Not in every container."""
    return subprocess.run([setarch, "-R", "true"], capture_output=True, check=False).returncode == 0


def per_call(files: Iterable[str]) -> dict[str, list[float]]:
    """Instructions of one call of each operation, from callgrind's files in their order.

    Raises ValueError when they are not those of ``benchmarks.micro.counted``.
    """
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for text in files:
        mark, summary = _MARK.search(text), _SUMMARY.search(text)
        if mark is None or summary is None:
            raise ValueError("a file of callgrind's has no mark")
        found[mark[1]].append((int(mark[2]), int(summary[1])))
    counts: dict[str, list[float]] = {}
    for name, measured in found.items():
        pairs = list(zip(measured[::2], measured[1::2], strict=True))
        if not all(more == 2 * calls for (calls, _), (more, _) in pairs):
            raise ValueError(f"{name} was not done N and 2 N times")
        counts[name] = [(twice - once) / calls for (calls, once), (_, twice) in pairs]
    return counts


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    if result["skipped"]:
        return f"instructions were not counted: {result['skipped']}\n"
    lines = [f"instructions of one call, {result['times']} counts each"]
    lines += [
        f"  {name:<58} {one['median']:>11,.0f} ({one['min']:,.0f} to {one['max']:,.0f})"
        for name, one in result["operations"].items()
    ]
    return "\n".join(lines) + "\n"


def figures(result: dict[str, Any]) -> list[Figure]:
    """For comparison with another run; none where they were not counted."""
    return [
        Figure(
            f"instructions, {name}",
            "instructions",
            one["median"],
            min(one["min"], one["median"] * (1 - REPEATABLE)),
            max(one["max"], one["median"] * (1 + REPEATABLE)),
            "less",
        )
        for name, one in result["operations"].items()
    ]
