"""The scan in plain Python says what the compiled filters say, and the populations are what they promise."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wsserver_core.filters import FilterLimits, compile_filter

ROOT = Path(__file__).parents[2]
LIMITS = FilterLimits()
DERIVED = {"severity": "normal", "data_type": "ecg", "patient_id": "1"}

PATHS = ["severity", "data_type", "lead", "note", "vitals", "vitals.hr", "vitals.hr.note", "vitals.note"]
IDENTITY_PATHS = ["patient_id", "vitals.patient_id", "user_id"]
NUMBERS = [0, 1, 1.0, -2.5, 72, 72.5, 10**6]
TEXTS = ["", "1", "72", "high", "High", "normal", "bed 017", "at bed 017: code blue", "II"]
SCALARS = [None, True, False, *NUMBERS, *TEXTS]
IDS = [None, 0, 1, 72, "1", "72", "high"]
PATTERNS = [r"bed \d+", r"(?i)HIGH", r"^1$", r"0\d7\b|blue", "", r"[a-n]+m"]


@pytest.fixture(autouse=True)
def the_benchmarks_are_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


class Dice:
    """Random filters and messages of few names and values, so that they often meet."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._one = self._random.choice

    def _some(self, make: Callable[[], Any]) -> list[Any]:
        return [make() for _ in range(self._random.randint(1, 3))]

    def filter(self, depth: int = 2) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for _ in range(self._random.randint(0, 2)):
            kind = self._random.random()
            if depth and kind < 0.15:
                members[self._one(["$and", "$or"])] = self._some(lambda: self.filter(depth - 1))
            elif depth and kind < 0.25:
                members["$not"] = self.filter(depth - 1)
            elif kind < 0.45:
                members[self._one(IDENTITY_PATHS)] = self._wanted(IDS, ordered=False)
            else:
                members[self._one(PATHS)] = self._wanted(SCALARS, ordered=True)
        return members

    def _wanted(self, constants: list[Any], *, ordered: bool) -> Any:
        def constant() -> Any:
            return self._one(constants)

        def text() -> str:
            return str(self._one(TEXTS))

        operators: dict[str, Callable[[], Any]] = {
            "$eq": constant,
            "$ne": constant,
            "$in": lambda: self._some(constant),
            "$nin": lambda: self._some(constant),
            "$exists": lambda: self._one([True, False]),
            "$prefix": text,
            "$contains": text,
            "$regex": lambda: self._one(PATTERNS),
        }
        if ordered:
            operators |= dict.fromkeys(("$gt", "$gte", "$lt", "$lte"), lambda: self._one(NUMBERS))
        shape = self._random.random()
        if shape < 0.2:
            return constant()
        if shape < 0.35:
            return self._some(constant)
        names = self._random.sample(sorted(operators), self._random.randint(1, 2))
        return {name: operators[name]() for name in names}

    def message(self, depth: int = 3) -> dict[str, Any]:
        names = ["severity", "lead", "note", "vitals", "hr", "patient_id", "user_id"]
        return {name: self._value(depth) for name in self._random.sample(names, self._random.randint(0, 6))}

    def _value(self, depth: int) -> Any:
        shape = self._random.random()
        if depth and shape < 0.25:
            return self.message(depth - 1)
        if depth and shape < 0.5:
            return [self._value(depth - 1) for _ in range(self._random.randint(0, 3))]
        return self._one([*SCALARS, float("nan"), float("inf"), -1])


def verdicts(seed: int) -> Iterator[tuple[bool, bool, dict[str, Any], dict[str, Any]]]:
    from benchmarks.filtering.filter_scan import matches

    dice = Dice(seed)
    messages = [dice.message() for _ in range(40)]
    for _ in range(250):
        source = dice.filter()
        program = compile_filter(source, LIMITS)
        for message in messages:
            yield matches(source, message, DERIVED), program.matches(message, DERIVED), source, message


@pytest.mark.parametrize("seed", range(4))
def test_it_agrees_with_the_compiled_filters(seed: int) -> None:
    seen = {True: 0, False: 0}
    for scanned, compiled, source, message in verdicts(seed):
        assert scanned == compiled, (source, message)
        seen[compiled] += 1
    # Else agreeing would say little.
    assert min(seen.values()) > 1_000


def test_no_filter_matches_everything() -> None:
    from benchmarks.filtering.filter_scan import matches

    assert matches(None, {}, {})
    assert matches({}, {"severity": "high"}, {})


@pytest.mark.parametrize("size", [100, 137, 1_000, 2_345])
def test_populations_hold_what_they_promise_and_all_ways_agree(size: int) -> None:
    from benchmarks.filtering.finders import CompiledScan, Index, PythonScan
    from benchmarks.filtering.populations import ALL, EQUAL, HUNDREDTH, NONE, POPULATIONS

    equal = min(20, size // 25)
    for build in POPULATIONS:
        population = build(size, equal)
        finders = [Index(population), CompiledScan(population), PythonScan(population)]
        for share, expected in population.receivers.items():
            for number in (0, 1):
                found = [sorted(one.find(population.message(share, number))) for one in finders]
                assert found[0] == found[1] == found[2], (population.name, share)
                assert len(found[0]) == expected, (population.name, share)
        receivers = population.receivers
        assert (receivers[NONE], receivers[ALL]) == (0, size)
        assert abs(receivers[HUNDREDTH] - size / 100) < 1
        # Where a filter is held by several they come and go together; a pattern's ward, five at a time.
        assert abs(receivers[EQUAL] - equal) <= max(3, 3 * size // 1_000)
