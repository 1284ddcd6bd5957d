"""Durable: messages published to a store on disk, against one commit each and against memory.

What is measured: publishes per second of a number of publishers that each await their reports, and
how long such a report takes. Nobody is subscribed, so what counts is the store. The disk decides: a
folder in memory (tmpfs) has no syncs to wait for and says nothing about a server's.
"""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.machine import facts
from benchmarks.progress import say
from benchmarks.reports.chart import Chart, Line
from benchmarks.reports.figure import Figure, figure
from wsserver.connection_manager import ConnectionManager
from wsserver.service import Service
from wsserver.settings import AuthSettings, Settings, StoreSettings
from wsserver.store import store_inbox

PUBLISHERS: Final = 256
"""How many publish at the same time, each waiting for its report."""

MESSAGE: Final = {"type": "vitals", "heart_rate": 61, "spo2": 97, "note": "x" * 100}

VARIANTS: Final = ("memory", "volatile", "group commit", "one commit each")


async def durable(seconds: float, folder: Path | None) -> dict[str, Any]:
    """Publish for so long in each variant."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="wsserver-durable-") as name:
        stages = [await _stage(variant, seconds, Path(name)) for variant in VARIANTS]
    return {
        "benchmark": "durable",
        "machine": facts(),
        "publishers": PUBLISHERS,
        "seconds": seconds,
        "stages": stages,
    }


async def _stage(variant: str, seconds: float, folder: Path) -> dict[str, Any]:
    say(f"{variant}, for {seconds:g} s")
    url = "memory:" if variant == "memory" else f"sqlite:///{folder / variant.replace(' ', '-')}.db"
    store = StoreSettings(
        url=url,
        volatile_types=("vitals",) if variant == "volatile" else (),
        commit_interval=0.0 if variant == "one commit each" else StoreSettings().commit_interval,
    )
    settings = Settings(auth=AuthSettings(secret="benchmark" * 4), store=store)
    manager = ConnectionManager(settings)
    service = Service(settings, manager=manager)
    usual = store_inbox.MOST_TOGETHER
    store_inbox.MOST_TOGETHER = 1 if variant == "one commit each" else usual
    try:
        await service.start()
        took = await _publish(manager, seconds)
        figures = service.store_keeper.get_metrics()
    finally:
        store_inbox.MOST_TOGETHER = usual
        await service.stop()
    took.sort()
    return {
        "variant": variant,
        "published": len(took),
        "per_second": round(len(took) / seconds),
        "median_ms": _at(took, 0.5),
        "p99_ms": _at(took, 0.99),
        "longest_ms": _at(took, 1.0),
        "stored": figures["stored"],
        "commits": figures.get("commits", 0),
        "file_bytes": figures.get("file_bytes", 0),
    }


async def _publish(manager: ConnectionManager, seconds: float) -> list[float]:
    """How long each report took, in seconds."""
    took: list[float] = []
    until = time.perf_counter() + seconds

    async def publisher(patient: int) -> None:
        while (began := time.perf_counter()) < until:
            await manager.broadcast_to_patient(patient, MESSAGE)
            took.append(time.perf_counter() - began)
            # A report that is there at once gives the loop no turn.
            await asyncio.sleep(0)

    await asyncio.gather(*(publisher(number) for number in range(PUBLISHERS)))
    return took


def _at(took: list[float], share: float) -> float:
    return round(took[min(len(took) - 1, int(share * len(took)))] * 1000, 3) if took else 0.0


def figures(result: dict[str, Any]) -> list[Figure]:
    """For comparison with another run; of one measurement each."""
    found = []
    for one in result["stages"]:
        name = f"{result['publishers']} publishers, {one['variant']}"
        found.append(figure(name, "publishes/s", [one["per_second"]], "more"))
        found.append(figure(f"{name}: p99 of a report", "ms", [one["p99_ms"]], "less"))
    return found


def charts(result: dict[str, Any]) -> list[Chart]:
    """Publishes per second of each way to store."""
    stages = result["stages"]
    line = Line("publishes/s", [one["per_second"] for one in stages])
    title = f"Messages stored, {result['publishers']} publishers"
    return [Chart("durable", title, "", "publishes per second", [one["variant"] for one in stages], [line])]


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [f"{result['publishers']} publishers that await each report, {result['seconds']:g} s a row\n"]
    lines += [
        f"  {one['variant']:<16} {one['per_second']:>8,} a second, median {one['median_ms']:>8.2f} ms, "
        f"p99 {one['p99_ms']:>8.2f} ms, {one['commits']:>7,} commits\n"
        for one in result["stages"]
    ]
    return "".join(lines)
