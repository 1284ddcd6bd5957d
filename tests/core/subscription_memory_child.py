"""Run in a process of its own: how much memory so many subscriptions take.

Argument: the case. Prints JSON: subscriptions, and the bytes by which the process grew.
"""

import gc
import json
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from wsserver_core.filters import FilterInterner, FilterLimits
from wsserver_core.scopes import ScopeTable
from wsserver_core.topics import TopicIndex

CONNECTIONS = 10_000
EACH = 5
PATIENTS = [f"patient-{number}" for number in range(1_000)]
FILTERS = [
    None,
    *({"severity": severity} for severity in ("low", "high", "critical")),
    *({"vitals.heart_rate": {"$gt": bound}} for bound in (60, 100, 120, 140)),
    *({"severity": "high", "vitals.heart_rate": {"$lt": bound}} for bound in (40, 50, 60)),
    {"ward": {"$regex": "^icu"}},
]

Subscription = tuple[int, str, str]


def handle(slot: int) -> int:
    return 1 << 32 | slot


def to_patients(dice: random.Random) -> Iterator[Subscription]:
    """10,000 connections with 5 patients each, of 1,000."""
    for slot in range(CONNECTIONS):
        for patient in dice.sample(PATIENTS, EACH):
            yield slot, "patient", patient


def to_one_type(dice: random.Random) -> Iterator[Subscription]:
    """50,000 connections with one subscription each, all to the same."""
    for slot in range(CONNECTIONS * EACH):
        yield slot, "vitals", "*"


CASES: dict[str, tuple[int, Callable[[random.Random], Iterator[Subscription]]]] = {
    "patients": (CONNECTIONS, to_patients),
    "one type": (CONNECTIONS * EACH, to_one_type),
}


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def main(case: str) -> None:
    connections, subscriptions = CASES[case]
    dice = random.Random(1)
    index, filters, scopes = TopicIndex(), FilterInterner(FilterLimits()), ScopeTable()
    programs = [filters.intern(source) for source in FILTERS]
    assert len(filters) == 12
    # What each connection costs is not the subscriptions'.
    scope = scopes.intern(PATIENTS)
    for slot in range(connections):
        index.admit(handle(slot), scope, None)
    wanted = [(slot, kind, target, dice.choice(programs)) for slot, kind, target in subscriptions(dice)]
    gc.collect()
    gc.disable()
    before = resident()
    for slot, kind, target, program in wanted:
        index.add(handle(slot), kind, target, program, 0.0)
    grown = resident() - before
    assert len(index) == len(wanted)
    print(json.dumps({"subscriptions": len(wanted), "bytes": grown}))


if __name__ == "__main__":
    main(sys.argv[1])
