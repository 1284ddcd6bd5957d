"""Filters once more, slow and obvious: the section on filters of protocol.md read aloud.

Used by the tests only, to compare the compiled filters with. ``is_filter`` says whether a
filter is one, ``matches`` whether it holds for a message.
"""

import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import re2

IDENTITY = {"patient_id", "target_id", "user_id"}
OBJECTS = 4  # in a filter, for each condition that it may have
MAX_NESTING = 32
MAX_WHOLE = 2**53
MAX_ID = 2**63 - 1
MAX_TEXTS = 256
MAX_SEARCHED_BYTES = 1024

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}

SILENT = re2.Options()
SILENT.log_errors = False


# -- what is a filter


class Bounds(NamedTuple):
    """What a filter may have; without its bytes and the size of a pattern's program, which have no twin."""

    nodes: int
    depth: int
    values: int
    pattern_bytes: int


def is_filter(
    source: Any, *, nodes: int = 64, depth: int = 8, values: int = 256, pattern_bytes: int = 256
) -> bool:
    if source is None:
        return True
    bounds = Bounds(nodes, depth, values, pattern_bytes)
    return is_object(source, bounds, 0, 0) and count(source) <= nodes and objects(source) <= OBJECTS * nodes


def is_object(source: Any, bounds: Bounds, level: int, around: int) -> bool:
    """Whether it is a filter, inside so many levels of $or and $not and inside so many objects."""
    if not isinstance(source, dict) or around == OBJECTS * bounds.nodes:
        return False
    return all(is_member(name, wanted, bounds, level, around + 1) for name, wanted in source.items())


def is_member(name: Any, wanted: Any, bounds: Bounds, level: int, around: int) -> bool:
    if name in ("$or", "$not"):
        level += 1
        if level > bounds.depth:
            return False
    if name == "$not":
        return is_object(wanted, bounds, level, around)
    if name in ("$and", "$or"):
        return is_filled_list(wanted) and all(is_object(one, bounds, level, around) for one in wanted)
    return is_path(name, bounds) and is_wanted(wanted, name, bounds)


def is_path(path: Any, bounds: Bounds) -> bool:
    if not isinstance(path, str) or not is_text(path):
        return False
    names = path.split(".")
    return len(names) <= bounds.depth and all(name and not name.startswith("$") for name in names)


def is_wanted(wanted: Any, path: str, bounds: Bounds) -> bool:
    if isinstance(wanted, dict) and not wanted:
        return False
    return all(is_operator(name, constant, path, bounds) for name, constant in operators(wanted).items())


def is_operator(name: Any, constant: Any, path: str, bounds: Bounds) -> bool:
    if name in ("$eq", "$ne"):
        return is_value(constant, path)
    if name in ("$in", "$nin"):
        return is_filled_list(constant) and len(constant) <= bounds.values and are_values(constant, path)
    if name in COMPARISONS:
        return not is_identity(path) and is_number(constant)
    if name == "$exists":
        return constant is True or constant is False
    if not isinstance(constant, str) or not is_text(constant):
        return False
    return name in ("$prefix", "$contains") or (name == "$regex" and is_pattern(constant, bounds))


def are_values(values: Any, path: str) -> bool:
    return all(is_value(value, path) for value in values)


def is_value(value: Any, path: str) -> bool:
    if value is None:
        return True
    if isinstance(value, str):
        return is_text(value)
    if is_identity(path):
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_WHOLE
    return isinstance(value, bool) or is_number(value)


def is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return abs(value) <= MAX_WHOLE
    return isinstance(value, float) and math.isfinite(value)


def is_text(text: str) -> bool:
    return not any(0xD800 <= ord(letter) <= 0xDFFF for letter in text)


def is_pattern(pattern: str, bounds: Bounds) -> bool:
    if len(pattern.encode()) > bounds.pattern_bytes:
        return False
    try:
        re2.compile(pattern, SILENT)
    except re2.error:
        return False
    return True


def is_identity(path: str) -> bool:
    return path.split(".")[-1] in IDENTITY


def is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def is_filled_list(value: Any) -> bool:
    return is_list(value) and len(value) > 0


def count(source: dict[str, Any]) -> int:
    """Every operator on a path is one, and every $or and $not; that all must hold goes without saying."""
    total = sum(1 for name in source if name in ("$or", "$not"))
    total += sum(len(operators(wanted)) for name, wanted in source.items() if not name.startswith("$"))
    return total + sum(count(part) for part in parts(source))


def objects(source: dict[str, Any]) -> int:
    return 1 + sum(objects(part) for part in parts(source))


def parts(source: dict[str, Any]) -> list[dict[str, Any]]:
    """The filters inside a filter."""
    inside = [one for name in ("$and", "$or") for one in source.get(name, ())]
    return [*inside, source["$not"]] if "$not" in source else inside


def operators(wanted: Any) -> dict[str, Any]:
    """A list is short for $in, a scalar for $eq."""
    if isinstance(wanted, dict):
        return wanted
    return {"$in" if is_list(wanted) else "$eq": wanted}


# -- what a filter matches


def matches(source: Any, message: dict[str, Any], derived: dict[str, Any]) -> bool:
    return holds(source or {}, {**derived, **message})


def holds(source: dict[str, Any], seen: dict[str, Any]) -> bool:
    """Whether all members hold."""
    return all(member_holds(name, wanted, seen) for name, wanted in source.items())


def member_holds(name: str, wanted: Any, seen: dict[str, Any]) -> bool:
    if name == "$and":
        return all(holds(one, seen) for one in wanted)
    if name == "$or":
        return any(holds(one, seen) for one in wanted)
    if name == "$not":
        return not holds(wanted, seen)
    found = leaves(seen, name.split("."), 1)
    return all(
        condition_holds(operator_name, constant, found, is_identity(name))
        for operator_name, constant in operators(wanted).items()
    )


def leaves(value: Any, names: list[str], level: int) -> list[Any]:
    """Everything the path leads to; ``level`` counts the objects and lists around what is inside."""
    if not names:
        # A list that is nested too deep is there, but nobody looks into it.
        return [[] if is_list(value) and level > MAX_NESTING else value]
    if level > MAX_NESTING:
        return []
    if is_list(value):
        return [leaf for element in value for leaf in leaves(element, names, level + 1)]
    if not isinstance(value, dict) or names[0] not in value:
        return []
    return leaves(value[names[0]], names[1:], level + 1)


def condition_holds(name: str, constant: Any, found: list[Any], identity: bool) -> bool:
    if name == "$eq":
        return any(equal(value, constant, identity) for value in values_of(found))
    if name == "$ne":
        return not condition_holds("$eq", constant, found, identity)
    if name == "$in":
        return any(condition_holds("$eq", value, found, identity) for value in constant)
    if name == "$nin":
        return not condition_holds("$in", constant, found, identity)
    if name in COMPARISONS:
        compare = COMPARISONS[name]
        return any(compare(number, constant) for number in numbers_of(found))
    if name == "$exists":
        return bool(found) is constant
    texts = texts_of(found, identity)
    if name == "$prefix":
        return any(text.startswith(constant) for text in texts)
    if name == "$contains":
        return any(constant in text for text in texts)
    pattern = re2.compile(constant, SILENT)
    return any(pattern.search(text) is not None for text in beginnings(texts))


def values_of(found: list[Any]) -> list[Any]:
    """Of a list its elements; what is a list or an object then is no value."""
    values = [value for thing in found for value in (thing if is_list(thing) else [thing])]
    return [value for value in values if not is_list(value) and not isinstance(value, dict)]


def equal(found: Any, value: Any, identity: bool) -> bool:
    if found is None or value is None:
        return found is value
    if identity:
        return id_text(found) == str(value)
    if isinstance(found, bool) or isinstance(value, bool):
        return found is value
    if isinstance(found, str) or isinstance(value, str):
        return isinstance(found, str) and isinstance(value, str) and found == value
    return isinstance(found, (int, float)) and found == value


def numbers_of(found: list[Any]) -> list[float]:
    """As machines count: a whole number too large for a double is infinite. A list is no number."""
    numbers = [thing for thing in found if isinstance(thing, (int, float)) and not isinstance(thing, bool)]
    return [as_double(number) for number in numbers]


def as_double(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def texts_of(found: list[Any], identity: bool) -> list[str]:
    texts = [id_text(value) if identity else plain_text(value) for value in values_of(found)]
    return [text for text in texts if text is not None][:MAX_TEXTS]


def plain_text(value: Any) -> str | None:
    return str.__str__(value) if isinstance(value, str) else None


def id_text(value: Any) -> str | None:
    """An id in its one spelling; None for what is no id."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_ID:
        return str(int(value))
    return plain_text(value)


def beginnings(texts: list[str]) -> list[str]:
    """What is searched: the first bytes of all texts together, without the piece of a character at the end.

    Half a surrogate pair, which no bytes can say, is a ``?``.
    """
    searched: list[str] = []
    for text in texts:
        left = MAX_SEARCHED_BYTES - sum(len(one.encode()) for one in searched)
        if left == 0:
            break
        whole = text.encode(errors="replace")
        searched.append(whole[:left].decode(errors="ignore"))
        if len(whole) > left:
            break
    return searched
