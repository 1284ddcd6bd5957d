"""Filters: the time to find the receivers of one ECG message among many subscriptions to its patient.

What ``TopicIndex.select`` takes, against two scans of all subscriptions: each subscription's dict
evaluated by plain Python, and each subscription's own compiled filter asked by itself. All sizes
of a population are there at once, and they and the ways take turns, round after round, so that a
busy machine hits all of them alike; the scans sit most rounds out, for they take long. Before
anything is timed all three have to find the same receivers.

A time is that of one message in a stream of many that differ. "Cold" is the first after other
work, which has had the caches for itself. Ratios are medians of ratios within a round.
"""

import gc
import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmarks.filtering.finders import CompiledScan, Finder, Index, PythonScan
from benchmarks.filtering.populations import ALL, EQUAL, HUNDREDTH, NONE, POPULATIONS, SHARES, Population
from benchmarks.filtering.subscription_memory import bytes_per_subscription
from benchmarks.machine import facts, pin
from benchmarks.progress import say
from benchmarks.reports.chart import Chart, Line
from benchmarks.reports.figure import Figure, figure, spread_figure

EQUAL_RECEIVERS = 500
"""Receivers of the messages that reach as many whatever the size; small populations get fewer."""

SCAN_EVERY = 3
"""Of so many rounds, the scans take part in one."""

MESSAGES = 16
"""Messages of one kind that follow each other."""

FIRST = 1_000_000
"""Number of the very first message, which no round has."""

SAMPLE_SECONDS = 0.003
"""How long the index is watched in each round, to be measured by a clock of 50 ns."""

HEADINGS = {NONE: "none", HUNDREDTH: "1 %", ALL: "100 %", EQUAL: "equal"}


class FoundWrong(Exception):
    """The ways to find the receivers do not agree with each other, or with what is known."""


class Stage:
    """One size of a population, and the ways to find receivers in it."""

    def __init__(self, population: Population) -> None:
        self.population = population
        self.subscriptions = len(population.filters)
        self.index = Index(population)
        self.first_message_seconds = _seconds(self.index.select, population.message(HUNDREDTH, FIRST))
        """With what was put off until then."""
        self.scans: dict[str, Finder] = {
            "python": PythonScan(population),
            "compiled": CompiledScan(population),
        }

    def summary(self) -> dict[str, Any]:
        """What subscribing took, once and for all; in microseconds."""
        return {
            "subscriptions": self.subscriptions,
            "distinct_filters": self.population.distinct,
            "subscribe_us": self.index.seconds_to_subscribe / self.subscriptions * 1e6,
            "first_message_us": self.first_message_seconds * 1e6,
        }


class Case:
    """One kind of message to one stage; seconds, a value per round."""

    def __init__(self, stage: Stage, share: str) -> None:
        self.stage = stage
        self.share = share
        self.receivers = stage.population.receivers[share]
        self._messages = [stage.population.message(share, number) for number in range(MESSAGES)]
        self._times = 1
        self._found: list[float] = []
        self._cold: list[float] = []
        self._scans: dict[str, list[float]] = {name: [] for name in stage.scans}
        self._ratios: dict[str, list[float]] = {name: [] for name in stage.scans}

    def check(self) -> None:
        """Raise FoundWrong unless all ways find the receivers; decide how many messages make a sample."""
        index = self.stage.index
        name = f"({self.stage.population.name}) {self.stage.subscriptions:,}, {HEADINGS[self.share]}"
        for message in self._messages:
            selection = index.select(message)
            if not selection.matching == len(index.out) == self.receivers:
                raise FoundWrong(f"{name}: {selection}, {len(index.out)} found, {self.receivers} expected")
        right = sorted(index.find(self._messages[0]))
        for way, finder in self.stage.scans.items():
            if sorted(finder.find(self._messages[0])) != right:
                raise FoundWrong(f"{name}: the {way} scan finds other receivers")
        self._times = max(1, min(2_000, int(SAMPLE_SECONDS / index.seconds(self._messages, MESSAGES))))

    def round(self, number: int, *, scan: bool) -> None:
        """One round: the index, with a message never seen before as the first, and perhaps the scans."""
        fresh = self.stage.population.message(self.share, MESSAGES + number)
        self._cold.append(_seconds(self.stage.index.select, fresh))
        self._found.append(self.stage.index.seconds(self._messages, self._times))
        for name, finder in self.stage.scans.items() if scan else ():
            self._scans[name].append(_seconds(finder.find, fresh))
            self._ratios[name].append(self._scans[name][-1] / self._found[-1])

    def summary(self) -> dict[str, Any]:
        """Medians, in microseconds."""
        found = _spread(self._found, 1e6)
        return {
            "receivers": self.receivers,
            "index_us": found,
            "cold_us": _spread(self._cold, 1e6),
            "ns_per_receiver": found["median"] * 1e3 / self.receivers if self.receivers else None,
            **{f"{name}_us": _spread(seconds, 1e6) for name, seconds in self._scans.items()},
            **{f"{name}_to_index": _spread(ratios) for name, ratios in self._ratios.items()},
        }


def filters(sizes: Sequence[int], rounds: int) -> dict[str, Any]:
    """Run the benchmark with those numbers of subscriptions.

    Raises FoundWrong when the index and the scans do not find the same receivers.
    """
    core = pin()
    machine = facts()
    equal = min(EQUAL_RECEIVERS, min(sizes) // 25)
    # Before this process has grown, which its child begins as a copy of.
    memory = {
        "subscriptions": max(sizes),
        "shared_filter": bytes_per_subscription(max(sizes), 1),
        "own_filter": bytes_per_subscription(max(sizes), max(sizes)),
    }
    return {
        "benchmark": "filters",
        "machine": machine,
        "pinned": core is not None,
        "rounds": rounds,
        "rounds_with_scans": len(range(0, rounds, SCAN_EVERY)),
        "equal_receivers": equal,
        "populations": [_population([build(size, equal) for size in sizes], rounds) for build in POPULATIONS],
        "memory": memory,
    }


def _population(populations: Sequence[Population], rounds: int) -> dict[str, Any]:
    say(f"({populations[0].name}) {populations[0].title}")
    stages = [Stage(population) for population in populations]
    cases = [Case(stage, share) for share in SHARES for stage in stages]
    gc.collect()
    # What has been built is there to stay: the scans' garbage collections need not walk through it.
    gc.freeze()
    for case in cases:
        case.check()
    for number in range(rounds):
        for case in _turned(cases, number):
            case.round(number, scan=number % SCAN_EVERY == 0)
    gc.unfreeze()
    return {
        "name": populations[0].name,
        "title": populations[0].title,
        "example": populations[0].example,
        "stages": [
            {
                **stage.summary(),
                "messages": {case.share: case.summary() for case in cases if case.stage is stage},
            }
            for stage in stages
        ],
    }


def _turned(cases: Sequence[Case], number: int) -> Iterator[Case]:
    shift = number % len(cases)
    yield from cases[shift:]
    yield from cases[:shift]


def _seconds(way: Callable[[dict[str, Any]], object], message: dict[str, Any]) -> float:
    began = time.perf_counter()
    way(message)
    return time.perf_counter() - began


def _spread(values: Sequence[float], unit: float = 1.0) -> dict[str, float]:
    return {
        "median": statistics.median(values) * unit,
        "min": min(values) * unit,
        "max": max(values) * unit,
    }


def figures(result: dict[str, Any]) -> list[Figure]:
    """For comparison with another run: of each population the largest size."""
    found = []
    for population in result["populations"]:
        stage = population["stages"][-1]
        who = f"({population['name']}) {population['title']}, {stage['subscriptions']:,} subscriptions"
        for share in SHARES:
            name = f"{who}, {HEADINGS[share]} match" if share != EQUAL else f"{who}, equally many match"
            found.append(spread_figure(name, "µs", stage["messages"][share]["index_us"], "less"))
        found.append(figure(f"{who}: subscribe", "µs", [stage["subscribe_us"]], "less"))
    memory = result["memory"]
    for name, key in (("a filter that all share", "shared_filter"), ("a filter of its own", "own_filter")):
        who = f"one of {memory['subscriptions']:,} subscriptions with {name}"
        found.append(figure(who, "bytes", [memory[key]], "less"))
    return found


def charts(result: dict[str, Any]) -> list[Chart]:
    """How the time for one message grows with the subscriptions, beside the fastest of the scans."""
    found = []
    for share, title in ((HUNDREDTH, "1 % match"), (EQUAL, f"{result['equal_receivers']} match")):
        lines, scans = [], []
        for population in result["populations"]:
            ways = [stage["messages"][share] for stage in population["stages"]]
            times = [way["index_us"] for way in ways]
            spreads = ([one[which] for one in times] for which in ("median", "min", "max"))
            lines.append(Line(f"({population['name']}) {population['title']}", *spreads))
            scans.append([way["python_us"]["median"] for way in ways])
        fastest = [min(times) for times in zip(*scans, strict=True)]
        lines.append(Line("a scan in plain Python, the fastest", fastest, is_reference=True))
        found.append(
            Chart(
                f"filters-{share}",
                f"Time to find the receivers of one message, {title}",
                "subscriptions to the patient",
                "µs",
                _sizes(result),
                lines,
                x_logarithmic=True,
                y_logarithmic=True,
            )
        )
    return found


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    return "\n".join(
        [
            f"{result['rounds']} rounds, the scans in {result['rounds_with_scans']} of them; "
            "times in µs for one message",
            "",
            *(line for population in result["populations"] for line in _population_lines(population)),
            *_growth_lines(result),
            *_subscribing_lines(result),
        ]
    )


def _population_lines(population: dict[str, Any]) -> Iterator[str]:
    yield f"({population['name']}) {population['title']}, such as {json.dumps(population['example'])}"
    yield (
        f"  {'match':>6}{'subscribed':>12}{'receivers':>11}{'µs':>10}{'min':>10}{'max':>10}{'cold':>10}"
        f"{'ns/rcvr':>9}{'Python µs':>11}{'/ index':>9}{'compiled':>10}{'/ index':>9}"
    )
    for share in SHARES:
        for stage in population["stages"]:
            one = stage["messages"][share]
            found, each = one["index_us"], one["ns_per_receiver"]
            yield (
                f"  {HEADINGS[share]:>6}{stage['subscriptions']:12,}{one['receivers']:11,}"
                f"{_us(found['median']):>10}{_us(found['min']):>10}{_us(found['max']):>10}"
                f"{_us(one['cold_us']['median']):>10}{'–' if each is None else f'{each:.1f}':>9}"
                f"{one['python_us']['median']:11,.0f}{one['python_to_index']['median']:9,.0f}"
                f"{one['compiled_us']['median']:10,.0f}{one['compiled_to_index']['median']:9,.0f}"
            )
    yield ""


def _growth_lines(result: dict[str, Any]) -> Iterator[str]:
    sizes = _sizes(result)
    yield (
        f"Growth: µs at about {result['equal_receivers']} receivers, whatever the number of subscriptions; "
        "in brackets times the size before"
    )
    yield f"  {'':52}" + "".join(f"{size:>19,}" for size in sizes)
    for population in result["populations"]:
        for name, key in (("index", "index_us"), ("Python scan", "python_us")):
            medians = [stage["messages"][EQUAL][key]["median"] for stage in population["stages"]]
            cells = [_us(medians[0])] + [
                f"{_us(after)} (× {after / before:.2f})" for before, after in itertools.pairwise(medians)
            ]
            title = f"({population['name']}) {population['title']}" if key == "index_us" else ""
            yield f"  {title if title else name.rjust(50):52}" + "".join(f"{cell:>19}" for cell in cells)
    yield ""


def _subscribing_lines(result: dict[str, Any]) -> Iterator[str]:
    sizes = _sizes(result)
    yield "Subscribing: µs per subscription, its filter compiled on the way; and the first message after that"
    yield f"  {'':52}" + "".join(f"{size:>11,}" for size in sizes) + f"{'first':>11}"
    for population in result["populations"]:
        stages = population["stages"]
        title = f"({population['name']}) {population['title']}"
        yield (
            f"  {title:52}"
            + "".join(f"{stage['subscribe_us']:11.1f}" for stage in stages)
            + f"{_us(stages[-1]['first_message_us']):>11}"
        )
    memory = result["memory"]
    yield (
        f"Memory: {memory['shared_filter']:.0f} bytes per subscription with a filter that all "
        f"{memory['subscriptions']:,} share, {memory['own_filter']:,.0f} with one of its own"
    )
    yield ""


def _sizes(result: dict[str, Any]) -> list[int]:
    return [stage["subscriptions"] for stage in result["populations"][0]["stages"]]


def _us(value: float) -> str:
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"
