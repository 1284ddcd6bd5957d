"""Filters in an index: whichever way it finds the ones that match, they are those that the slow twin names.

Many connections subscribe to one topic, each with a filter. Every message must reach those whose
filter holds for it, while subscriptions come, change and go.
"""

import random
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import filter_dice
import pytest
import reference_filters as reference

from wsserver_core.filters import FilterInterner, FilterLimits
from wsserver_core.recipients import Recipients
from wsserver_core.scopes import Scope
from wsserver_core.topics import Selection, TopicIndex

pytestmark = pytest.mark.core

EVERYONE = Scope(None)
LETTERS = "abcdef"


class Family(NamedTuple):
    """Filters of one kind, and messages of which they are no strangers."""

    filter: Callable[[random.Random], dict[str, Any]]
    message: Callable[[random.Random], dict[str, Any]]


class Crowd:
    """Subscribers of one topic, in an index and in a plain list."""

    def __init__(self, dice: random.Random, family: Family, connections: int) -> None:
        self.dice = dice
        self.family = family
        self.index = TopicIndex()
        self.filters = FilterInterner(FilterLimits())
        self.out = Recipients()
        self.wanted: dict[int, dict[str, Any]] = {}
        self.numbers: dict[int, int] = {}
        self.seen: Counter[str] = Counter()
        self.handles = [7 << 32 | slot for slot in range(connections)]
        for handle in self.handles:
            self.index.admit(handle, EVERYONE, None)
            self.add(handle)

    def some_filter(self) -> dict[str, Any]:
        """A filter of the family; sometimes one that somebody has already."""
        if self.wanted and self.dice.random() < 0.1:
            return self.dice.choice(list(self.wanted.values()))
        source = self.family.filter(self.dice)
        while not reference.is_filter(source):
            source = self.family.filter(self.dice)
        return source

    def add(self, handle: int) -> None:
        self.wanted[handle] = source = self.some_filter()
        self.numbers[handle] = self.index.add(handle, "ecg", "1", self.filters.intern(source), 0.0)

    def replace(self, handle: int) -> None:
        self.wanted[handle] = source = self.some_filter()
        self.filters.release(self.index.replace(self.numbers[handle], self.filters.intern(source), 0.0))

    def remove(self, handle: int) -> None:
        program = self.index.remove(self.numbers.pop(handle))
        assert program is not None
        self.filters.release(program)
        del self.wanted[handle]

    def change(self) -> None:
        """A few come, go, or want something else."""
        for handle in set(self.dice.choices(self.handles, k=self.dice.choice((0, 1, 2, 5)))):
            if handle not in self.wanted:
                self.add(handle)
            elif self.dice.random() < 0.6:
                self.replace(handle)
            else:
                self.remove(handle)

    def publish(self) -> None:
        message = self.family.message(self.dice)
        derived = filter_dice.some_derived(self.dice)
        reached = {
            handle for handle, source in self.wanted.items() if reference.matches(source, message, derived)
        }
        matching, missed = len(reached), len(self.wanted) - len(reached)
        counts = Selection(len(self.wanted), matching, missed, 0)
        preview, numbers = self.index.preview("ecg", "1", None, message, derived)
        assert preview == counts, message
        assert sorted(numbers) == sorted(self.numbers[handle] for handle in reached), message
        assert self.index.select("ecg", "1", None, message, derived, self.out) == counts, message
        handles = self.out.handles()
        assert len(handles) == len(reached)
        differing = [self.wanted[handle] for handle in reached.symmetric_difference(handles)]
        assert not differing, (differing, message, derived)
        self.seen["matched"] += matching
        self.seen["missed"] += missed

    def leave(self) -> None:
        for handle in list(self.wanted):
            self.remove(handle)
        for handle in self.handles:
            assert self.index.dismiss(handle)
        assert set(self.index.sizes().values()) == {0}
        assert len(self.filters) == 0


# -- families


def some_of(dice: random.Random, value: Callable[[], Any]) -> Any:
    """A value, or now and then a list of some, or something else."""
    roll = dice.random()
    if roll < 0.75:
        return value()
    if roll < 0.95:
        return [value() for _ in range(dice.randrange(5))]
    return dice.choice([None, {}, "", True, [[value()]], {"a": value()}, *filter_dice.ODD])


def some_members(dice: random.Random, members: dict[str, Any]) -> dict[str, Any]:
    """One of them at least."""
    names = dice.sample(list(members), dice.randrange(1, len(members) + 1))
    return {name: members[name] for name in names}


def keys(dice: random.Random) -> dict[str, Any]:
    """Four fields with many values, few, types that Python takes for equal, and ids."""
    return {
        "bed": dice.randrange(60),
        "ward": f"w{dice.randrange(6)}",
        "flag": dice.choice([None, True, False, 0, 1, 1.0, "1", 0.5]),
        "patient_id": dice.choice([dice.randrange(9), str(dice.randrange(9))]),
    }


def key_message(dice: random.Random) -> dict[str, Any]:
    message = keys(dice)
    return {name: some_of(dice, lambda name=name: keys(dice)[name]) for name in some_members(dice, message)}


def equality(dice: random.Random) -> dict[str, Any]:
    return some_members(dice, keys(dice))


def lists_of_values(dice: random.Random) -> dict[str, Any]:
    """Lists of one value up to more than an index keys by, on one field or on several."""
    sizes = dice.choice([(1, 2, 3), (4, 5), (15, 16, 17, 40)])
    return {name: [keys(dice)[name] for _ in range(dice.choice(sizes))] for name in equality(dice)}


def negations(dice: random.Random) -> dict[str, Any]:
    wanted = equality(dice)
    roll = dice.random()
    if roll < 0.3:
        return {"$not": wanted}
    if roll < 0.6:
        return {name: {"$ne": value} for name, value in wanted.items()}
    if roll < 0.8:
        return {name: {"$nin": [value, keys(dice)[name], None]} for name, value in wanted.items()}
    return {name: {"$exists": dice.random() < 0.5} for name in wanted}


def number(dice: random.Random) -> float:
    if dice.random() < 0.04:
        return dice.choice([2**53, -(2**53), 0, -0.0, 1e300, -1e300, 5e-324])
    return dice.choice([dice.randrange(-20, 200), dice.randrange(-40, 400) / 2])


def threshold(dice: random.Random, field: str = "hr") -> dict[str, Any]:
    return {field: {dice.choice(filter_dice.ORDER): number(dice)}}


def two_sided(dice: random.Random) -> dict[str, Any]:
    """Mostly ranges of one field and one kind; also impossible ones, and bounds of two fields."""
    field = dice.choice(("hr", "hr", "hr", "hr", "leads.gain"))
    low, high = sorted((number(dice), number(dice)))
    if dice.random() < 0.1:
        low, high = high, low
    ranged = {
        field: {
            dice.choice(("$gte", "$gte", "$gte", "$gt")): low,
            dice.choice(("$lt", "$lt", "$lt", "$lte")): high,
        }
    }
    if dice.random() < 0.2:
        return {**threshold(dice, "hr"), **threshold(dice, "leads.gain")}
    return {**ranged, "bed": [0, 1, 2]} if dice.random() < 0.3 else ranged


def measured(dice: random.Random) -> dict[str, Any]:
    leads = [{"gain": some_of(dice, lambda: number(dice))} for _ in range(dice.randrange(4))]
    whole = {"hr": some_of(dice, lambda: number(dice)), "leads": leads, "bed": dice.randrange(5)}
    return some_members(dice, whole)


def letters(dice: random.Random, most: int) -> str:
    return "".join(dice.choices(LETTERS, k=dice.randrange(1, most + 1)))


def pattern(dice: random.Random) -> str:
    one, other = letters(dice, 2), letters(dice, 2)
    return dice.choice(
        [f"^{one}", f"{one}{other}$", f"{one}.{other}", f"(?i){one.upper()}|{other}", f"^[{one}{other}]+$"]
    )


def textual(dice: random.Random) -> dict[str, Any]:
    roll = dice.random()
    if roll < 0.6:
        return {"note": {"$regex": pattern(dice)}}
    if roll < 0.8:
        return {"note": {dice.choice(("$prefix", "$contains")): letters(dice, 3)}}
    return {"note": {"$regex": pattern(dice), "$contains": letters(dice, 1)}, "bed": [0, 1, 2]}


def noted(dice: random.Random) -> dict[str, Any]:
    return {
        "note": some_of(dice, lambda: letters(dice, dice.choice((1, 4, 12, 2000)))),
        "bed": dice.randrange(5),
    }


def tagged(dice: random.Random) -> dict[str, Any]:
    """Filters on fields that are lists in most messages."""
    tag = letters(dice, 1)
    return dice.choice(
        [
            {"tags": tag},
            {"tags": [tag, letters(dice, 1)]},
            {"tags": {"$ne": tag}},
            {"tags": {"$nin": [tag, letters(dice, 1)]}},
            {"tags": {"$eq": tag, "$contains": letters(dice, 1)}},
            {"$and": [{"tags": tag}, {"tags": letters(dice, 1)}]},
            {"leads.name": tag, "tags": letters(dice, 1)},
            {"leads.name": {"$ne": tag}},
            {"tags": {"$gt": 1}},
            {"tags": {"$exists": dice.random() < 0.5}, "leads.name": tag},
        ]
    )


def with_lists(dice: random.Random) -> dict[str, Any]:
    def some_letters() -> list[Any]:
        return [dice.choice([letters(dice, 1), letters(dice, 2), 5, None]) for _ in range(dice.randrange(5))]

    leads = [{"name": dice.choice([some_letters(), letters(dice, 1)])} for _ in range(dice.randrange(4))]
    return some_members(dice, {"tags": dice.choice([some_letters(), tuple(some_letters())]), "leads": leads})


def conjunction(dice: random.Random) -> dict[str, Any]:
    parts = [equality(dice), threshold(dice), threshold(dice, "leads.gain"), textual(dice), negations(dice)]
    return {
        name: wanted for part in dice.sample(parts, dice.randrange(1, 3)) for name, wanted in part.items()
    }


def alternatives(dice: random.Random) -> dict[str, Any]:
    """Alternatives, and combinations of so many that no index would spell them out."""
    if dice.random() < 0.8:
        return {"$or": [conjunction(dice) for _ in range(dice.randrange(1, 6))]}
    whole = {"$and": [{"$or": [conjunction(dice) for _ in range(3)]} for _ in range(dice.randrange(2, 4))]}
    return whole if dice.random() < 0.7 else {"$not": whole}


def everything(dice: random.Random) -> dict[str, Any]:
    """A message with the fields of all families; those that share a name fight for it."""
    makers = [key_message, measured, noted, with_lists, filter_dice.some_message]
    dice.shuffle(makers)
    return {name: value for maker in makers for name, value in maker(dice).items()}


def anything(dice: random.Random) -> dict[str, Any]:
    """A random filter or one of any family; rarely one that matches everything, or nothing."""
    if dice.random() < 0.03:
        return dice.choice([{}, {"$not": {}}, {"$or": [{}, {"a": 1}]}])
    if dice.random() < 0.5:
        return filter_dice.some_filter(dice, faulty=0)
    return dice.choice(list(FAMILIES.values())).filter(dice)


FAMILIES = {
    "equality": Family(equality, key_message),
    "lists of values": Family(lists_of_values, key_message),
    "negations": Family(negations, key_message),
    "thresholds": Family(threshold, measured),
    "two-sided ranges": Family(two_sided, measured),
    "texts": Family(textual, noted),
    "lists in messages": Family(tagged, with_lists),
    "alternatives": Family(alternatives, everything),
}
RANDOM = Family(lambda dice: filter_dice.some_filter(dice, faulty=0), filter_dice.some_message)
MIXTURE = Family(anything, everything)


def check(seed: str, family: Family, connections: int, messages: int) -> None:
    dice = random.Random(seed)
    crowd = Crowd(dice, family, connections)
    for _ in range(messages):
        crowd.publish()
        crowd.change()
    assert min(crowd.seen["matched"], crowd.seen["missed"]) > crowd.seen.total() / 200, crowd.seen
    crowd.leave()


def test_random_filters_reach_whom_the_slow_twin_names() -> None:
    check("random", RANDOM, connections=300, messages=100)


@pytest.mark.parametrize("name", FAMILIES)
def test_filters_of_one_family_reach_whom_the_slow_twin_names(name: str) -> None:
    check(name, FAMILIES[name], connections=300, messages=50)


def test_filters_of_all_families_in_one_topic_reach_whom_the_slow_twin_names() -> None:
    check("mixture", MIXTURE, connections=300, messages=40)


@pytest.mark.parametrize("connections", [1, 2, 3, 15, 40])
def test_a_few_filters_reach_whom_the_slow_twin_names(connections: int) -> None:
    """An index may do otherwise when there is little to find."""
    check(f"few {connections}", MIXTURE, connections, messages=600 // (connections + 5))


@pytest.mark.parametrize("name", ["equality", "two-sided ranges", "texts"])
def test_an_index_that_fills_and_empties_again_and_again_stays_right(name: str) -> None:
    crowd = Crowd(random.Random(name), FAMILIES[name], connections=80)
    for _ in range(6):
        for handle in crowd.dice.sample(crowd.handles, len(crowd.handles)):
            if handle in crowd.wanted:
                crowd.remove(handle)
            if len(crowd.wanted) % 3 == 0:
                crowd.publish()
        assert not crowd.wanted
        for handle in crowd.dice.sample(crowd.handles, len(crowd.handles)):
            crowd.add(handle)
            if len(crowd.wanted) % 3 == 0:
                crowd.publish()
    crowd.leave()


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", [*FAMILIES, "random", "mixture"])
def test_thousands_of_filters_reach_whom_the_slow_twin_names(name: str) -> None:
    family = {**FAMILIES, "random": RANDOM, "mixture": MIXTURE}[name]
    check(f"long {name}", family, connections=3_000, messages=500)
