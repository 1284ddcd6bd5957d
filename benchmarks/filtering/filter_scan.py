"""What one writes first: a filter's dict, evaluated anew in plain Python for each subscription.

It follows the filter language without the bounds that the core has for hostile input: how deep
a message is nested, how many texts a path leads to and how much of a text a pattern is searched
in. Regular expressions are Python's own, compiled once.
"""

import operator
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

Operator = Callable[[list[Any], Any, bool], bool]
"""Whether an operator holds for what a path has led to, by its operand; the last one says: these are ids."""

IDENTITY_FIELDS = {"patient_id", "target_id", "user_id"}

_names = lru_cache(maxsize=None)(lambda path: tuple(path.split(".")))
_pattern = lru_cache(maxsize=None)(re.compile)


def matches(source: dict[str, Any] | None, message: dict[str, Any], derived: dict[str, Any]) -> bool:
    """Whether all members of a filter hold.

    ``derived`` is asked for a top-level name that ``message`` lacks.
    """
    for path, wanted in (source or {}).items():
        if path == "$and":
            held = all(matches(one, message, derived) for one in wanted)
        elif path == "$or":
            held = any(matches(one, message, derived) for one in wanted)
        elif path == "$not":
            held = not matches(wanted, message, derived)
        else:
            held = _member(path, wanted, message, derived)
        if not held:
            return False
    return True


def _member(path: str, wanted: Any, message: dict[str, Any], derived: dict[str, Any]) -> bool:
    first, *others = names = _names(path)
    if first in message:
        found = _found(message[first], others)
    elif first in derived:
        found = _found(derived[first], others)
    else:
        found = []
    identity = names[-1] in IDENTITY_FIELDS
    if isinstance(wanted, dict):
        return all(OPERATORS[name](found, operand, identity) for name, operand in wanted.items())
    return _equals_any(found, wanted if isinstance(wanted, (list, tuple)) else (wanted,), identity)


def _found(value: Any, names: list[str]) -> list[Any]:
    """Everything that a path leads to from here, lists in its way run through."""
    for place, name in enumerate(names):
        if isinstance(value, dict):
            if name not in value:
                return []
            value = value[name]
        elif isinstance(value, (list, tuple)):
            return [one for element in value for one in _found(element, names[place:])]
        else:
            return []
    return [value]


def _values(found: list[Any]) -> list[Any]:
    """A list at the end of a path stands for its elements."""
    if len(found) == 1 and not isinstance(found[0], (list, tuple)):
        return found
    return [one for value in found for one in (value if isinstance(value, (list, tuple)) else (value,))]


def _id(value: Any) -> Any:
    """An id as text, null as it is; something that equals nothing else for what is no id."""
    if value is None or isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else object()


def _equals_any(found: list[Any], wanted: Iterable[Any], identity: bool) -> bool:
    values = _values(found)
    if identity:
        return not {_id(value) for value in values}.isdisjoint(map(_id, wanted))
    for value in values:
        for constant in wanted:
            # In Python, True == 1.
            if value == constant and isinstance(value, bool) == isinstance(constant, bool):
                return True
    return False


def _order(holds: Callable[[Any, Any], bool]) -> Operator:
    def test(found: list[Any], bound: float, _: bool) -> bool:
        for value in found:
            if isinstance(value, (int, float)) and not isinstance(value, bool) and holds(value, bound):
                return True
        return False

    return test


def _textual(holds: Callable[[str, str], bool]) -> Operator:
    def test(found: list[Any], wanted: str, identity: bool) -> bool:
        for value in map(_id, _values(found)) if identity else _values(found):
            if isinstance(value, str) and holds(value, wanted):
                return True
        return False

    return test


OPERATORS: dict[str, Operator] = {
    "$eq": lambda found, wanted, identity: _equals_any(found, (wanted,), identity),
    "$in": _equals_any,
    "$ne": lambda found, wanted, identity: not _equals_any(found, (wanted,), identity),
    "$nin": lambda found, wanted, identity: not _equals_any(found, wanted, identity),
    "$gt": _order(operator.gt),
    "$gte": _order(operator.ge),
    "$lt": _order(operator.lt),
    "$lte": _order(operator.le),
    "$exists": lambda found, wanted, _: bool(found) == wanted,
    "$prefix": _textual(str.startswith),
    "$contains": _textual(operator.contains),
    "$regex": _textual(lambda text, pattern: _pattern(pattern).search(text) is not None),
}
