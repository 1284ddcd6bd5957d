"""The npm package in the eyes of those who know what bundlers and compilers stumble over."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from wsserver.web.client_files import client_package

ToolFinder = Callable[[str], Path]


@pytest.fixture
def tarball(tmp_path: Path) -> Path:
    file = tmp_path / "wsserver-client.tgz"
    file.write_bytes(client_package().body)
    return file


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_publint_has_no_suggestion(tarball: Path, node: Path, npm_tool: ToolFinder) -> None:
    assert "All good!" in run(node, npm_tool("publint"), tarball, "--level=suggestion", "--strict")


def test_the_types_are_right_for_every_way_to_import_modules(
    tarball: Path, node: Path, npm_tool: ToolFinder
) -> None:
    report = json.loads(run(node, npm_tool("attw"), tarball, "--profile=esm-only", "--format=json"))
    entries = report["analysis"]["entrypoints"]
    assert {".", "./websocket-reconnect.service", "./package.json"} <= set(entries)
    for name, entry in entries.items():
        for way in ("node16-esm", "bundler"):
            assert entry["resolutions"][way].get("resolution"), (name, way)
    # Modules only: CommonJS takes them by `import()`, and from Node.js 22.12 on by `require`.
    kinds = {problem["kind"] for problem in report["analysis"]["problems"]}
    assert kinds <= {"CJSResolvesToESM"}, report["analysis"]["problems"]
