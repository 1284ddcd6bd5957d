"""The decoder's benchmark runs; how fast it is is nobody's test."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_it_measures_every_size_and_form(node: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.suites.javascript_decode", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    *rows, facts = done.stdout.splitlines()
    assert len(rows) == 6
    for row in rows:
        assert row.count("µs") == 4, row
    assert '"node"' in facts
