"""Who watches whom in the ward: drawn by a seed, so that every run has the same people."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Literal

from benchmarks.ward.monitors import FIGURES, NO_FILTER, SEVERITY, THRESHOLD, WAVEFORM

UNIT: Final = 25
"""Patients of one unit, who are looked after by the same people."""
MOST_PATIENTS: Final = 20
"""The longest list of a viewer."""
SHARE_SLOW: Final = 0.01
SHARE_BINARY: Final = 0.4
SHARE_ROAMING: Final = 0.1
"""Viewers whose patients lie anywhere in the house, as a consultant's do."""
SHARE_COMING_AND_GOING: Final = 0.1
"""Viewers whose places change hands."""
SHARE_WAITING: Final = 0.2
"""People outside, as a part of those places, who take the next one that gets free."""
LEAST_LIST_OF_SLOW: Final = 10
"""Whoever watches two patients may read as slowly as they like, and nobody would notice."""

FILTER_WEIGHTS: Final = {NO_FILTER: 45, WAVEFORM: 15, FIGURES: 15, SEVERITY: 15, THRESHOLD: 10}

Place = Literal["permanent", "coming and going", "waiting"]
Slowness = Literal["", "stops", "crawls"]
View = Literal["list", "unit", "house"]


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody with a screen."""

    number: int
    patients: Sequence[int]
    """Whom they may see, in rising order; with the view ``house`` all."""
    filter: int
    """Of each of their subscriptions, by its place in ``FILTERS``."""
    binary: bool
    place: Place = "permanent"
    slow: Slowness = ""
    view: View = "list"
    """Whether they subscribe to each of their patients or, as a central station, by a wildcard to what
    they may see: a unit or the whole house."""


@dataclass(frozen=True, slots=True)
class Population:
    """The ward's people."""

    patients: int
    viewers: tuple[Viewer, ...]

    def count(self, **wanted: object) -> int:
        """How many viewers have these values."""
        return sum(all(getattr(one, key) == wanted[key] for key in wanted) for one in self.viewers)

    @property
    def present(self) -> int:
        """Those who are there at a time."""
        return len(self.viewers) - self.count(place="waiting")


def list_weights() -> list[float]:
    """How often a list has 1, 2, … ``MOST_PATIENTS`` patients: most are short, some are long."""
    return [1 / size for size in range(1, MOST_PATIENTS + 1)]


def populate(patients: int, viewers: int, seed: int = 1) -> Population:
    """That many viewers at a time, central stations among them, and some who wait outside."""
    draw = random.Random(seed)
    units = [range(first, min(first + UNIT, patients)) for first in range(0, patients, UNIT)]
    stations = _stations(units, patients, viewers)
    coming = round(viewers * SHARE_COMING_AND_GOING)
    waiting = max(1, round(coming * SHARE_WAITING))
    people: list[Viewer] = list(stations)
    while len(people) < viewers + waiting:
        left = viewers + waiting - len(people)
        place: Place = "waiting" if left <= waiting else "permanent"
        if place == "permanent" and left <= waiting + coming:
            place = "coming and going"
        people.append(_viewer(draw, len(people), units, patients, place))
    return Population(patients, tuple(_slowed(people, max(1, round(viewers * SHARE_SLOW)))))


def _stations(units: Sequence[range], patients: int, viewers: int) -> list[Viewer]:
    """One for each unit, which sees all, and a few for the house; never more than a tenth of all viewers."""
    house = max(1, viewers // 1_000)
    wanted = [("unit", unit, NO_FILTER) for unit in units[: max(1, viewers // 10 - house)]]
    # Waveforms of everybody are for the one that records them.
    wanted += [("house", range(patients), FIGURES if number else NO_FILTER) for number in range(house)]
    return [
        Viewer(number, seen, chosen, binary=number % 2 == 1, view=view)
        for number, (view, seen, chosen) in enumerate(wanted)
    ]


def _viewer(draw: random.Random, number: int, units: Sequence[range], patients: int, place: Place) -> Viewer:
    weights = list_weights()
    (size,) = draw.choices(range(1, len(weights) + 1), cum_weights=list(accumulate(weights)))
    pool = range(patients) if draw.random() < SHARE_ROAMING else draw.choice(units)
    (chosen,) = draw.choices(list(FILTER_WEIGHTS), list(FILTER_WEIGHTS.values()))
    seen = sorted(draw.sample(pool, min(size, len(pool))))
    return Viewer(number, seen, chosen, binary=draw.random() < SHARE_BINARY, place=place)


def _slowed(people: list[Viewer], count: int) -> list[Viewer]:
    """The same, some of whom read slowly: by turns they stop for seconds, or take little at a time.

    They are those with the most to read, of those who stay.
    """
    candidates = [
        one for one in people if one.place == "permanent" and one.view == "list" and one.filter == NO_FILTER
    ]
    # Long lists first, and in between as they come: the sort is stable.
    candidates.sort(key=lambda one: len(one.patients) < LEAST_LIST_OF_SLOW)
    for turn, one in enumerate(candidates[:count]):
        slow: Slowness = "crawls" if turn % 2 else "stops"
        people[one.number] = Viewer(one.number, one.patients, one.filter, one.binary, slow=slow)
    return people
