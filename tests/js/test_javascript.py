"""The tests of the JavaScript client, run by Node.js; each file is a test here."""

import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*.test.js"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.removesuffix(".test.js"))
def test_node_passes(file: Path, node: Path) -> None:
    command = [node, "--throw-deprecation", "--test", "--test-reporter=spec", file.name]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    # A file in which nothing is a test passes as well.
    passed = next(line for line in done.stdout.splitlines() if line.startswith("ℹ pass "))
    assert int(passed.removeprefix("ℹ pass ")) > 0
    assert "Warning" not in done.stderr, done.stderr
