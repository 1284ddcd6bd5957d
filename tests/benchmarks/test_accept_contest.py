"""The accept benchmark lets both servers do the same and sees when one of them keeps what was closed."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def benchmarks_can_be_built(
    require_tool: Callable[[bool, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    require_tool(shutil.which("cc") is not None, "a C compiler")
    monkeypatch.syspath_prepend(str(ROOT))


def test_both_servers_are_visited_as_often_and_compared(tmp_path: Path) -> None:
    from benchmarks.suites.accept import figures, table

    target = tmp_path / "result.json"
    done = subprocess.run(
        [
            sys.executable, "-m", "benchmarks", "accept", "--connections", "20", "--rounds", "2",
            "--json", str(target),
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(target.read_text())["benchmarks"]["accept"]["result"]
    assert list(result["modes"]) == ["alone", "while as many leave"]
    for contest in result["modes"].values():
        assert list(contest["servers"]) == ["ours", "aiohttp's upgrade, no token check"]
        ours, bare = contest["servers"].values()
        for one in (ours, bare):
            assert len(one["rates"]) == len(one["costs_us"]) == 2
            assert min(one["rates"]) > 0
            assert min(one["costs_us"]) > 0
            assert one["listen_drops"] >= 0
        pairs = sorted(own / other for own, other in zip(ours["rates"], bare["rates"], strict=True))
        assert contest["rate_ratio"]["min"] == pytest.approx(pairs[0])
        assert contest["rate_ratio"]["max"] == pytest.approx(pairs[-1])
    ratio = figures(result)[2]
    assert (ratio.better, ratio.aim, ratio.least <= ratio.median <= ratio.most) == ("more", None, True)
    assert ratio.unjudged == "measured at 20, the aim is for 2,000"
    assert table(result).count("ours to it") == 2



async def test_a_server_that_keeps_closed_connections_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.contest.contestants import naive_server
    from benchmarks.suites import accept

    monkeypatch.setattr(accept, "_GONE_SECONDS", 0.1)
    async with naive_server() as bare:
        door = accept.Door("bare", bare.port, bare.pid)
        await door.visit(accept.CHURN, 3, tmp_path, None, counts=True)
        assert len(door.visits[accept.CHURN].rates) == 1
        door._at_rest -= 1
        with pytest.raises(TimeoutError):
            await door.visit(accept.ALONE, 3, tmp_path, None, counts=True)
        assert not door.visits[accept.ALONE].rates


async def test_the_processor_time_of_another_process_is_read() -> None:
    from benchmarks.machine import processor_seconds

    assert processor_seconds(os.getpid()) > 0
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c",
        "import time\nwhile time.process_time() < 0.1: pass\nprint(time.process_time(), flush=True)\ninput()",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        own = float(await process.stdout.readline())
        assert own <= processor_seconds(process.pid) < own + 0.1
    finally:
        process.kill()
        await process.wait()
    with pytest.raises(OSError):
        processor_seconds(process.pid)
