"""Ways to find the receivers of one message: the topic index, and a look at each subscription."""

import itertools
import time
from typing import Any, Protocol

from benchmarks.filtering.filter_scan import matches
from benchmarks.filtering.populations import DERIVED, Population
from wsserver_core.filters import FilterInterner, FilterLimits, compile_filter
from wsserver_core.recipients import Recipients
from wsserver_core.scopes import Scope
from wsserver_core.topics import Selection, TopicIndex

PATIENT = "1"
TOPIC = ("patient", PATIENT, PATIENT)

LIMITS = FilterLimits()


def handle(slot: int) -> int:
    """The connection in a slot."""
    return 1 << 32 | slot


class Finder(Protocol):
    """One way to find them."""

    def find(self, message: dict[str, Any]) -> list[int]:
        """The handles of the connections that get a message."""


class Index:
    """``TopicIndex.select``, one subscription to the patient per connection."""

    def __init__(self, population: Population) -> None:
        self.index = TopicIndex()
        self.out = Recipients()
        self.interner = FilterInterner(LIMITS)
        scope = Scope(None)
        for slot in range(len(population.filters)):
            self.index.admit(handle(slot), scope, None)
        began = time.perf_counter()
        for slot, source in enumerate(population.filters):
            self.index.add(handle(slot), "patient", PATIENT, self.interner.intern(source), 0.0)
        self.seconds_to_subscribe = time.perf_counter() - began
        """For all subscriptions together, their filters compiled on the way."""

    def select(self, message: dict[str, Any]) -> Selection:
        """Find them and leave them in ``out``."""
        return self.index.select(*TOPIC, message, DERIVED, self.out)

    def find(self, message: dict[str, Any]) -> list[int]:
        """What is in ``out``, as a list."""
        self.select(message)
        return self.out.handles()

    def seconds(self, messages: list[dict[str, Any]], times: int) -> float:
        """Seconds per message, over so many that follow each other."""
        select, out = self.index.select, self.out
        stream = list(itertools.islice(itertools.cycle(messages), times))
        began = time.perf_counter()
        for message in stream:
            select("patient", PATIENT, PATIENT, message, DERIVED, out)
        return (time.perf_counter() - began) / times


class CompiledScan:
    """Each subscription's compiled filter, asked by itself: as fast as without an index."""

    def __init__(self, population: Population) -> None:
        # Not of the interner's: its patterns are searched for all filters at once.
        compiled: dict[int, Any] = {}
        for source in population.filters:
            if id(source) not in compiled:
                compiled[id(source)] = compile_filter(source, LIMITS)
        self._subscriptions = [
            (handle(slot), compiled[id(source)]) for slot, source in enumerate(population.filters)
        ]

    def find(self, message: dict[str, Any]) -> list[int]:
        """The handles of the connections that get a message."""
        return [one for one, program in self._subscriptions if program.matches(message, DERIVED)]


class PythonScan:
    """Each subscription's dict, evaluated by plain Python."""

    def __init__(self, population: Population) -> None:
        self._subscriptions = [(handle(slot), source) for slot, source in enumerate(population.filters)]

    def find(self, message: dict[str, Any]) -> list[int]:
        """The handles of the connections that get a message."""
        return [one for one, source in self._subscriptions if matches(source, message, DERIVED)]
