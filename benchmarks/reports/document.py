"""The document of a run: what was measured, where and with what; JSON, to be kept and compared.

``schema``, ``date`` (UTC), ``command``, ``quick``, ``interrupted``, ``machine`` (with ``versions``),
``remarks``, and ``benchmarks`` by name: ``seconds``, ``result`` (its own, or null), ``figures`` and
``failure`` (a line, or null).
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.benchmark import Options
from benchmarks.reports.figure import Figure

SCHEMA = 1


class DocumentUnreadable(Exception):
    """A file is no document of a run; the text says why."""


def make(
    command: str,
    options: Options,
    machine: Mapping[str, Any],
    remarks: list[str],
    benchmarks: Mapping[str, Any],
    *,
    interrupted: bool,
) -> dict[str, Any]:
    """The document, dated now."""
    return {
        "schema": SCHEMA,
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "command": command,
        "quick": options.quick,
        "interrupted": interrupted,
        "remarks": remarks,
        "machine": dict(machine),
        "benchmarks": dict(benchmarks),
    }


def write(run: Mapping[str, Any], target: Path) -> None:
    """Keep it; the file is whole or, if that cannot be, as it was."""
    unfinished = target.with_name(f".{target.name}.unfinished")
    unfinished.write_text(json.dumps(run, indent=2, ensure_ascii=False) + "\n")
    unfinished.replace(target)


def read(path: Path) -> dict[str, Any]:
    """A kept document. Raises DocumentUnreadable."""
    try:
        run = json.loads(path.read_text())
    except (OSError, ValueError) as fault:
        raise DocumentUnreadable(f"{path.name} cannot be read: {fault}") from None
    if not isinstance(run, dict) or "benchmarks" not in run or "schema" not in run:
        raise DocumentUnreadable(f"{path.name} is no document of `python -m benchmarks --json`")
    if run["schema"] != SCHEMA:
        raise DocumentUnreadable(f"{path.name} has schema {run['schema']}, this program reads {SCHEMA}")
    return run


def figures(run: Mapping[str, Any]) -> dict[str, list[Figure]]:
    """The figures of a document by benchmark, of those that have any."""
    return {
        name: [Figure(**one) for one in one_benchmark["figures"]]
        for name, one_benchmark in run["benchmarks"].items()
        if one_benchmark["figures"]
    }
