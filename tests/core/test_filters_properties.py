"""Random filters against random messages: the compiled filters and their slow twin never differ."""

import random
from collections import Counter
from typing import Any

import filter_dice
import pytest
import reference_filters as reference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wsserver_core.filters import FilterError, FilterLimits, Program, compile_filter

pytestmark = pytest.mark.core

LIMITS = FilterLimits()
MESSAGES_AT_A_TIME = 100
FILTERS_PER_MESSAGES = 10
PAIRS = 100_000
LONG_PAIRS = 1_000_000

# The bytes of a filter, the size of a pattern, and how long a search for it takes.
BOUNDS_WITHOUT_TWIN = ("bytes", "too large", "too long")

Pair = tuple[dict[str, Any], dict[str, Any]]


def compiled(source: Any) -> Program | None:
    """The program, or None for what is no filter; the twin must have the same opinion."""
    expected = reference.is_filter(source)
    try:
        program = compile_filter(source, LIMITS)
    except FilterError as fault:
        reason = fault.reason
    else:
        assert expected, source
        return program
    assert not expected or any(bound in reason for bound in BOUNDS_WITHOUT_TWIN), (source, reason)
    return None


def check_form(source: Any, program: Program, dice: random.Random) -> Program:
    """However one writes the same filter, it has one form, and that is a filter itself."""
    again = compile_filter(program.source, LIMITS)
    assert (again.canonical, again.source) == (program.canonical, program.source), source
    assert again.complexity == program.complexity, source
    for other in (
        shuffled(source, dice),
        {"$and": [source]},
        {"$or": [source, source]},
        {"$not": {"$not": source}},
    ):
        if reference.is_filter(other):
            assert compile_filter(other, LIMITS).canonical == program.canonical, (source, other)
    return again


def shuffled(source: Any, dice: random.Random) -> Any:
    """The same filter with its members, alternatives and values in another order."""
    if isinstance(source, dict):
        members = list(source.items())
        dice.shuffle(members)
        return {name: shuffled(wanted, dice) for name, wanted in members}
    if isinstance(source, (list, tuple)):
        return dice.sample([shuffled(one, dice) for one in source], len(source))
    return source


def check_matches(
    source: Any, program: Program, again: Program, pairs: list[Pair], seen: Counter[str]
) -> None:
    for message, derived in pairs:
        expected = reference.matches(source, message, derived)
        assert program.matches(message, derived) is expected, (source, message, derived)
        assert again.matches(message, derived) is expected, (source, program.source, message, derived)
        seen["matched" if expected else "missed"] += 1


def check_random_filters(seed: int, pairs_wanted: int) -> None:
    dice = random.Random(seed)
    seen: Counter[str] = Counter()
    while seen.total() - seen["refused"] < pairs_wanted:
        pairs = [
            (filter_dice.some_message(dice), filter_dice.some_derived(dice))
            for _ in range(MESSAGES_AT_A_TIME)
        ]
        for _ in range(FILTERS_PER_MESSAGES):
            source = filter_dice.some_filter(dice)
            program = compiled(source)
            if program is None:
                seen["refused"] += 1
            else:
                check_matches(source, program, check_form(source, program, dice), pairs, seen)
    assert 0.25 < seen["matched"] / (seen["matched"] + seen["missed"]) < 0.6, seen
    assert seen["refused"] > pairs_wanted / 10_000, seen


def test_random_filters_agree_with_the_slow_twin_on_random_messages() -> None:
    check_random_filters(5, PAIRS)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_random_filters_agree_with_the_slow_twin_on_a_million_messages() -> None:
    check_random_filters(6, LONG_PAIRS)


@pytest.mark.parametrize("operator", filter_dice.OPERATORS)
def test_a_single_operator_agrees_with_the_slow_twin_and_decides(operator: str) -> None:
    """In a large filter one operator rarely matters: here each of them does."""
    dice = random.Random(operator)
    pairs = [(filter_dice.some_message(dice), filter_dice.some_derived(dice)) for _ in range(40)]
    seen: Counter[str] = Counter()
    for field, kind in filter_dice.FIELDS.items():
        for _ in range(8 if operator in filter_dice.APT[kind] else 0):
            source = {field: {operator: filter_dice.some_operand(dice, operator, kind)}}
            program = compiled(source)
            if program is not None:
                check_matches(source, program, check_form(source, program, dice), pairs, seen)
    assert min(seen["matched"], seen["missed"]) > seen.total() / 20, seen


@pytest.mark.parametrize("fault", range(len(filter_dice.BAD_WANTED)))
def test_what_cannot_be_wanted_of_a_field_is_refused_wherever_it_stands(fault: int) -> None:
    check_refused({"a": filter_dice.BAD_WANTED[fault]})


@pytest.mark.parametrize("fault", range(len(filter_dice.BAD_MEMBERS)))
def test_what_is_no_member_is_refused_wherever_it_stands(fault: int) -> None:
    check_refused(filter_dice.BAD_MEMBERS[fault])


@pytest.mark.parametrize("fault", range(len(filter_dice.BAD_PATHS)))
def test_what_is_no_path_is_refused_wherever_it_stands(fault: int) -> None:
    check_refused({filter_dice.BAD_PATHS[fault]: 1})


def check_refused(bad: dict[Any, Any]) -> None:
    good = {"b": 1}
    for source in (
        bad, {**good, **bad}, {"$not": bad}, {"$or": [good, bad]}, {"$or": [{}, bad]}, {"$and": (bad, good)},
        {"$not": {"$or": [{"$and": [good, bad]}]}},
    ):  # fmt: skip
        assert not reference.is_filter(source)
        with pytest.raises(FilterError):
            compile_filter(source, LIMITS)


# -- the same by Hypothesis, which makes a failure small


def lists_of(values: st.SearchStrategy[Any], least: int = 0) -> st.SearchStrategy[Any]:
    lists = st.lists(values, min_size=least, max_size=3)
    return lists | lists.map(tuple)


def dicts_of(
    strategies: dict[str, st.SearchStrategy[Any]], least: int = 0
) -> st.SearchStrategy[dict[str, Any]]:
    """An object with some of these members."""
    members = st.lists(st.sampled_from(list(strategies)), unique=True, min_size=least, max_size=4)
    return members.flatmap(lambda names: st.fixed_dictionaries({name: strategies[name] for name in names}))


CONSTANTS = st.sampled_from(filter_dice.SCALARS)
WHOLE = st.integers(-(2**53), 2**53) | st.integers()
VALUES = (
    CONSTANTS | st.sampled_from([*filter_dice.LONG_TEXTS, *filter_dice.ODD]) | st.text() | WHOLE | st.floats()
)
SOME_TEXT = st.sampled_from(filter_dice.PIECES) | st.text(max_size=3)
SOME_NUMBER = st.sampled_from(filter_dice.BOUNDS) | st.integers(-(2**53), 2**53) | st.floats()
OPERANDS: dict[str, st.SearchStrategy[Any]] = {
    "$eq": CONSTANTS,
    "$ne": CONSTANTS,
    "$in": lists_of(CONSTANTS, 1),
    "$nin": lists_of(CONSTANTS, 1),
    **dict.fromkeys(filter_dice.ORDER, SOME_NUMBER),
    "$exists": st.booleans(),
    "$prefix": SOME_TEXT,
    "$contains": SOME_TEXT,
    "$regex": st.sampled_from([*filter_dice.PATTERNS, *filter_dice.BAD_PATTERNS]),
}
NAMES = ["a", "b", "patient_id"]
PATHS = [*NAMES, *(f"{one}.{other}" for one in NAMES for other in NAMES), "a.b.a", "$gt", "a."]
MEMBERS = dict.fromkeys(PATHS, CONSTANTS | lists_of(CONSTANTS) | dicts_of(OPERANDS, 1))
FILTERS = st.recursive(
    dicts_of(MEMBERS),
    lambda inner: dicts_of({**MEMBERS, "$and": lists_of(inner, 1), "$or": lists_of(inner, 1), "$not": inner}),
    max_leaves=6,
)
THINGS = st.recursive(VALUES, lambda inner: lists_of(inner) | st.dictionaries(st.sampled_from(NAMES), inner))
OBJECTS = st.dictionaries(st.sampled_from(NAMES), THINGS)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(
    FILTERS, st.lists(st.tuples(OBJECTS, OBJECTS), min_size=1, max_size=5), st.randoms(use_true_random=False)
)
def test_any_filter_agrees_with_the_slow_twin_on_any_message(
    source: Any, pairs: list[Pair], dice: random.Random
) -> None:
    program = compiled(source)
    if program is not None:
        check_matches(source, program, check_form(source, program, dice), pairs, Counter())
