"""The benchmarks by name: what each measures with which sizes, and how its result is shown."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvloop

from benchmarks.reports import growth_plot
from benchmarks.reports.chart import Chart
from benchmarks.reports.figure import Figure
from benchmarks.suites import (
    accept,
    drain,
    durable,
    encodings,
    fanout,
    filters,
    herd,
    idle,
    inbound,
    memory,
    mixed,
    operators,
    replay,
    slow,
    trace,
)
from wsserver.settings import ShutdownSettings


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; None is the usual."""

    quick: bool = False
    connections: int | None = None
    rounds: int | None = None
    subscriptions: int | None = None
    seconds: float | None = None
    rate: float | None = None
    plot: Path | None = None
    folder: Path | None = None

    def crowd(self, usual: int, quick: int) -> int:
        """How many connections."""
        return self.connections or (quick if self.quick else usual)

    def duration(self, usual: float, quick: float) -> float:
        """How many seconds."""
        return self.seconds or (quick if self.quick else usual)

    def turns(self, usual: int, quick: int) -> int:
        """How many rounds."""
        return self.rounds or (quick if self.quick else usual)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark: its measurement, and what its result makes: a text, figures to compare, charts."""

    measure: Callable[[Options], dict[str, Any]]
    table: Callable[[dict[str, Any]], str]
    figures: Callable[[dict[str, Any]], list[Figure]] | None = None
    charts: Callable[[dict[str, Any]], list[Chart]] | None = None


def _fanout(options: Options) -> dict[str, Any]:
    usual = [200, 1_000] if options.quick else [1_000, 10_000]
    sizes = [options.connections] if options.connections else usual
    return uvloop.run(fanout.fanout(sizes, options.turns(9, 3)))


def _mixed(options: Options) -> dict[str, Any]:
    return uvloop.run(mixed.mixed(options.crowd(10_000, 1_000), options.turns(9, 3)))


def _memory(options: Options) -> dict[str, Any]:
    return uvloop.run(memory.memory(options.crowd(10_000, 1_000)))


def _accept(options: Options) -> dict[str, Any]:
    return uvloop.run(accept.accept(options.crowd(2_000, 500), options.turns(9, 3)))


def _inbound(options: Options) -> dict[str, Any]:
    crowd, rounds = options.crowd(1_000, 100), options.turns(4, 1)
    return uvloop.run(inbound.inbound(crowd, rounds, options.duration(0.6, 0.15)))


def _idle(options: Options) -> dict[str, Any]:
    return uvloop.run(idle.idle(options.crowd(10_000, 1_000), options.duration(60, 5)))


def _filters(options: Options) -> dict[str, Any]:
    usual = [5_000, 10_000] if options.quick else [12_500, 25_000, 50_000, 100_000]
    sizes = [options.subscriptions] if options.subscriptions else usual
    result = filters.filters(sizes, options.turns(9, 3))
    if options.plot is not None:
        growth_plot.draw(result, options.plot)
    return result


def _slow(options: Options) -> dict[str, Any]:
    return uvloop.run(slow.slow(options.crowd(10_000, 1_000), options.duration(60, 10)))


def _drain(options: Options) -> dict[str, Any]:
    rate = options.rate or ShutdownSettings().return_rate
    return uvloop.run(drain.drain(options.crowd(10_000, 1_000), rate))


def _herd(options: Options) -> dict[str, Any]:
    policies = list(herd.POLICIES)[: 1 if options.quick else None]
    return uvloop.run(herd.herd(options.crowd(10_000, 1_000), options.turns(3, 1), policies))


def _operators(options: Options) -> dict[str, Any]:
    crowd, rounds = options.crowd(10_000, 1_000), options.turns(9, 3)
    return uvloop.run(operators.operators(crowd, rounds, options.duration(11, 3)))


def _trace(options: Options) -> dict[str, Any]:
    return uvloop.run(trace.trace(options.crowd(1_000, 200), options.turns(40, 3)))


def _durable(options: Options) -> dict[str, Any]:
    return uvloop.run(durable.durable(options.duration(10, 2), options.folder))


def _replay(options: Options) -> dict[str, Any]:
    return uvloop.run(replay.replay(options.crowd(1_000, 100), options.turns(1_000, 200)))


def _encodings(options: Options) -> dict[str, Any]:
    return encodings.encodings(options.turns(25, 3))


SUITE: Final = {
    "fanout": Benchmark(_fanout, fanout.table),
    "mixed": Benchmark(_mixed, mixed.table),
    "memory": Benchmark(_memory, memory.table),
    "accept": Benchmark(_accept, accept.table, accept.figures),
    "inbound": Benchmark(_inbound, inbound.table, inbound.figures),
    "idle": Benchmark(_idle, idle.table),
    "filters": Benchmark(_filters, filters.table),
    "slow": Benchmark(_slow, slow.table),
    "encodings": Benchmark(_encodings, encodings.table),
    "durable": Benchmark(_durable, durable.table),
    "replay": Benchmark(_replay, replay.table),
    "trace": Benchmark(_trace, trace.table),
    "operators": Benchmark(_operators, operators.table),
    "drain": Benchmark(_drain, drain.table),
    "herd": Benchmark(_herd, herd.table),
}
