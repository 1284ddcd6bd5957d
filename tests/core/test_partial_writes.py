"""Threat M5: order and wholeness of every stream while sends are cut short at random.

A C shim is preloaded into a child process. It makes ``send``, ``sendmsg``, ``write`` and
``writev`` take 1 to n bytes, or fail with EAGAIN or EINTR, in five of eight calls.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FLAGS = ("-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory, require_tool: Callable[[bool, str], None]) -> Path:
    compiler = shutil.which("cc") or ""
    require_tool(compiler != "", "cc")
    library = tmp_path_factory.mktemp("shim") / "short_writes.so"
    subprocess.run(
        [compiler, *FLAGS, "-o", library, HERE / "short_writes.c", "-ldl"],
        check=True,
        timeout=60,
    )
    return library


def run_child(shim: Path, frames: int, seed: int, how: str, timeout: float) -> dict[str, int]:
    # After a sanitizer's library, which insists on being the first.
    preload = " ".join([*os.environ.get("LD_PRELOAD", "").split(), str(shim)])
    path = os.pathsep.join([str(HERE), str(HERE.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "LD_PRELOAD": preload, "PYTHONPATH": path, "SHORT_WRITES_SEED": str(seed)}
    done = subprocess.run(
        [
            sys.executable,
            "-X",
            "dev",
            "-W",
            "error",
            HERE / "partial_writes_child.py",
            str(frames),
            str(seed),
            how,
        ],
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    figures: dict[str, int] = json.loads(done.stdout)
    return figures


def check(figures: dict[str, int], frames: int) -> None:
    assert figures["frames"] >= frames
    # The shim was in the way, and often.
    assert min(figures["short"], figures["eagain"], figures["eintr"]) > figures["sends"] / 50
    assert figures["pongs"] > 0


@pytest.mark.parametrize("how", ["socketpair", "tcp"])
def test_every_stream_is_whole_and_in_order(shim: Path, how: str) -> None:
    check(run_child(shim, 20_000, 1, how, timeout=100), 20_000)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("how", ["socketpair", "tcp"])
def test_a_million_frames_are_whole_and_in_order(shim: Path, how: str) -> None:
    check(run_child(shim, 1_000_000, 2, how, timeout=1700), 1_000_000)
