"""A tiny ward on the real server: all that is due arrives, and what is lost is told."""

import asyncio
import json
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def client_can_be_built(require_tool: Callable[[bool, str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    require_tool(shutil.which("cc") is not None, "a C compiler")
    monkeypatch.syspath_prepend(str(ROOT))


@asynccontextmanager
async def ward(
    directory: Path, people: Any, settings: Mapping[str, object] | None = None
) -> AsyncIterator[tuple[Any, Any, Any]]:
    """The server, the publisher of ten monitors and the client, whose viewers have come."""
    from benchmarks.clients.ward_client import ward_client
    from benchmarks.servers.real_server import load_profile, real_server
    from benchmarks.ward.plan import write_plan
    from benchmarks.ward.publisher import Publisher

    loaded = load_profile(settings)
    write_plan(directory / "plan", people, 10, loaded)
    async with (
        real_server(loaded) as server,
        ward_client(server.port, directory / "plan", core=None) as client,
    ):
        await client.open(people.present)
        yield server.manager, Publisher(server.manager, people.patients, 10), client


async def caught_up(client: Any, publisher: Any) -> None:
    async with asyncio.timeout(20):
        while await client.behind(publisher.numbers):
            await asyncio.sleep(0.05)


async def test_all_that_is_due_arrives_once_in_order_at_those_it_is_for(tmp_path: Path) -> None:
    from benchmarks.ward.population import populate

    async with ward(tmp_path, populate(5, 20)) as (manager, publisher, client):
        accounts = manager.broadcasts.accounts
        delivered, matched, filtered = accounts.delivered, accounts.matched, accounts.filtered
        now = time.monotonic_ns()
        await client.step(now, now + 10**11, 0)
        await publisher.run(10, now, 1.5)
        await caught_up(client, publisher)
        report = await client.final(publisher.numbers)
    assert publisher.published == publisher.due > 90
    received = report["deliveries"] + report["slow_deliveries"]
    assert received == accounts.delivered - delivered == accounts.matched - matched
    assert accounts.filtered > filtered
    assert report["ready"] == 20
    for name in ("missing", "told", "all_missing", "untold", "duplicates", "disorder", "foreign", "errors"):
        assert report[name] == 0, name
    assert report["all"]["samples"] == report["deliveries"]
    assert report["last"]["samples"] <= publisher.published
    assert not report["closes"]


async def test_those_who_leave_and_come_miss_nothing_in_between(tmp_path: Path) -> None:
    from benchmarks.ward.population import populate

    async with ward(tmp_path, populate(5, 40)) as (_, publisher, client):
        now = time.monotonic_ns()
        await client.step(now, now + 10**9, 10)
        await publisher.run(10, now, 1.5)
        async with asyncio.timeout(10):
            while (report := await client.report())["done"] + report["hurried"] < report["asked"]:
                await asyncio.sleep(0.05)
        await caught_up(client, publisher)
        report = await client.final(publisher.numbers)
    assert report["done"] > 0
    assert report["arrival"]["samples"] == report["done"]
    assert report["ready"] == 40
    for name in ("missing", "told", "untold", "left_owed", "duplicates", "disorder", "foreign", "errors"):
        assert report[name] == 0, name


def lost(manager: Any) -> int:
    """By those who read slowly, since the start of this process."""
    figures = manager.backpressure.get_metrics()
    return int(figures["conflated"] + figures["dropped_slow"])


@pytest.mark.parametrize("binary", [False, True])
async def test_slow_viewers_lose_data_and_are_told_of_each(binary: bool, tmp_path: Path) -> None:
    from benchmarks.ward.population import Population, Viewer

    sure = Viewer(1, range(5), 0, binary=binary)
    # The first one stops at once.
    people = Population(5, (replace(sure, number=0, slow="stops"), sure))
    settings = {"broadcast.timeout": "100ms", "backpressure.send_buffer": 4_096}
    async with ward(tmp_path, people, settings) as (manager, publisher, client):
        lost_before = lost(manager)
        now = time.monotonic_ns()
        await client.step(now, now + 10**11, 0)
        async with asyncio.timeout(30):
            while lost(manager) < lost_before + 50:
                await publisher.run(10, time.monotonic_ns(), 0.5)
        # Of the one who reads; nobody knows when the other will have read all.
        await caught_up(client, publisher)
        await client.settle()
        await caught_up(client, publisher)
        async with asyncio.timeout(20):
            while (report := await client.final(publisher.numbers))["untold"]:
                await asyncio.sleep(0.05)
    assert report["slow_missing"] == report["slow_told"] == lost(manager) - lost_before
    assert report["missing"] == report["alerts_missing"] == 0
    assert report["ready"] == 2


class Quiet:
    """A server and a client that say what they are told to."""

    def __init__(self, behind: list[int]) -> None:
        self.behind_next, self.asked = behind, []

    async def step(self, *_: Any) -> dict[str, Any]:
        return {}

    async def numbers(self) -> list[int]:
        return [7]

    async def behind(self, numbers: list[int]) -> int:
        assert numbers == [7]
        return self.behind_next.pop(0)

    async def report(self) -> dict[str, Any]:
        return {"said": "report", "untold_ended": 0, "left_owed": 0, "cpu_share": 0.1}

    async def final(self, numbers: list[int]) -> dict[str, Any]:
        return {**await self.report(), "said": "final"}


@pytest.mark.parametrize(
    ("behind", "patience", "said"), [([5, 0], 60.0, "report"), ([0], 0.0, "report"), ([5, 5], 0.0, "final")]
)
async def test_what_is_lost_behind_the_last_message_counts_at_its_own_load(
    monkeypatch: pytest.MonkeyPatch, behind: list[int], patience: float, said: str
) -> None:
    from benchmarks.suites import ward as suite

    monkeypatch.setattr(suite, "PATIENCE", patience)
    both = Quiet(behind)
    step = await suite._Run(both, both, 10, 0.1, 0.0).step(1.0)
    assert step["client"]["said"] == said


def test_the_benchmark_holds_a_tiny_ward(tmp_path: Path) -> None:
    from benchmarks.suites import ward as suite

    target = tmp_path / "result.json"
    # A process of its own: a benchmark pins the one it runs in to a processor.
    options = ["--quick", "--connections", "20", "--seconds", "0.5", "--json", str(target)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "ward", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(target.read_text())["benchmarks"]["ward"]["result"]
    assert [step["load"] for step in result["steps"]] == [0.5, 1.0]
    for step in result["steps"]:
        assert step["server"]["unpublished"] == step["server"]["all_refused"] == 0
        assert step["server"]["published"] > 0
        assert step["client"]["deliveries"] > 0
        assert step["client"]["missing"] == step["client"]["untold_ended"] == 0
        assert step["client"]["duplicates"] == step["client"]["disorder"] == step["client"]["foreign"] == 0
    assert result["end"]["untold"] == 0
    assert result["verdict"] in suite.table(result)
    charts = [chart.name for chart in suite.charts(result)]
    assert charts == ["ward-latency", "ward-deliveries", "ward-processors"]
    assert len({one.name for one in suite.figures(result)}) == len(suite.figures(result)) >= 1
