"""The latency benchmark: from when a message was due, to when the kernel had it for the last receiver."""

import asyncio
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def latency_can_be_built(
    require_tool: Callable[[bool, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    require_tool(shutil.which("cc") is not None, "a C compiler")
    monkeypatch.syspath_prepend(str(ROOT))


def test_everybody_has_every_message_at_each_rate(tmp_path: Path) -> None:
    target = tmp_path / "run.json"
    # A process of its own: a benchmark pins the one it runs in to a processor.
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "latency", "--connections", "20", "--rounds", "2",
         "--seconds", "0.1", "--json", target],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    measured = json.loads(target.read_text())["benchmarks"]["latency"]
    (cell,) = measured["result"]["cells"]
    assert (cell["subscribers"], cell["message_bytes"]) == (20, 200)
    single = cell["single"]
    assert single["broadcasts"] == 2
    for key in ("ours_ms", "floor_ms"):
        assert 0 < single[key]["p50"] <= single[key]["p99"] <= single[key]["max"]
    assert [one["share"] for one in cell["open_loop"]] == [0.1, 0.5, 0.9]
    for one in cell["open_loop"]:
        assert one["messages"] > 0
        assert one["messages_per_second"] == pytest.approx(cell["capacity_per_second"] * one["share"])
        # Within the 3 % of a bucket, the latest of all receivers is the last one of some message.
        assert one["last_receiver_ms"]["max"] == pytest.approx(one["receiver_ms"]["max"], rel=0.04)
        assert len(one["windows_ms"]) == min(3, one["messages"])
        slowest = max(part["max"] for part in one["windows_ms"])
        assert slowest == one["last_receiver_ms"]["max"]
    names = [one["name"] for one in measured["figures"]]
    assert len(names) == len(set(names))
    assert sum("p50" in name for name in names) == 3


async def test_moments_stay_even_while_their_publisher_is_held_up() -> None:
    from benchmarks.contest.pace import due_moments

    began, due, late = time.monotonic(), [], []
    async for moment in due_moments(1_000):
        due.append(moment)
        late.append(time.monotonic() - moment)
        if len(due) == 3:
            time.sleep(0.05)
        if len(due) == 30:
            break
    assert began <= due[0]
    assert [b - a for a, b in pairwise(due)] == pytest.approx([0.001] * 29)
    assert min(late) >= 0
    # The fourth was due a millisecond after the third, and was held up like those behind it.
    assert late[3] >= 0.049
    assert late[20] >= 0.049 - 0.018


async def test_a_publisher_that_was_held_up_shows_as_latency(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from benchmarks.clients.load_client import load_client
    from benchmarks.contest.contestants import Audience
    from benchmarks.servers.real_server import SUBSCRIBE, load_profile, real_server, write_tokens
    from benchmarks.suites.latency import at_pace

    loaded = load_profile()
    write_tokens(tmp_path / "tokens", 3, loaded, ward=1)
    async with (
        real_server(loaded) as server,
        load_client(
            server.port, SUBSCRIBE, core=None, tokens=tmp_path / "tokens", kernel_time=True
        ) as client,
    ):
        audience = Audience(client, 0)
        await audience.grow(3)
        broadcast, published = server.manager.broadcast_to_type, []

        def held_up(*arguments: Any) -> Any:
            published.append(arguments)
            if len(published) == 2:
                time.sleep(0.3)
            return broadcast(*arguments)

        monkeypatch.setattr(server.manager, "broadcast_to_type", held_up)
        # 20 messages at 100 a second: those that were due meanwhile have waited, however fast they then went.
        found = await at_pace(server, audience, 200, 100.0, 0.2)
    assert found["messages"] == len(published) == 20
    assert audience.sent == 20
    last = found["last_receiver_ms"]
    assert last["max"] >= 300
    assert last["p50"] >= 300 - 10 * 10
    assert found["receiver_ms"]["p50"] >= 300 - 10 * 11
    assert found["worst_publish_delay_ms"] >= 290


def test_percentiles_are_values_that_were_measured() -> None:
    from benchmarks.suites.latency import percentiles

    assert percentiles([3.0]) == {"p50": 3.0, "p99": 3.0, "max": 3.0}
    assert percentiles([float(one) for one in range(1, 201)]) == {"p50": 100.0, "p99": 198.0, "max": 200.0}
    assert percentiles([4.0, 1.0, 2.0, 3.0]) == {"p50": 2.0, "p99": 4.0, "max": 4.0}


async def test_the_pace_of_the_other_benchmarks_keeps_its_time() -> None:
    from benchmarks.contest.pace import Pace

    class Manager:
        def __init__(self) -> None:
            self.numbers: list[int] = []

        def broadcast_to_type(self, kind: str, message: dict[str, Any]) -> None:
            assert list(message)[:3] == ["type", "n", "at"]
            self.numbers.append(message["n"])

    class Server:
        manager = Manager()

    began = time.monotonic()
    number = await Pace(Server(), 200.0).run(0.1, 5)
    await asyncio.sleep(0)
    assert time.monotonic() - began >= 0.1
    assert Server.manager.numbers == list(range(5, number))
    assert number - 5 in (20, 21)
