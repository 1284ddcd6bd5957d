"""Why a filter holds for one message, or why it does not.

The verdicts are those of the compiled core, one for each condition; what is worked out here is
what the message has where the condition looks.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Final

from wsserver.log import escape_controls
from wsserver.observe.field_paths import nearest_path, paths_of
from wsserver.observe.filter_outline import Condition, Connective, Part, outline
from wsserver_core.filters import FilterInterner, FilterLimits

MAX_VALUES: Final = 8
"""Values shown of one path."""

MAX_TEXT: Final = 200
"""Characters shown of one text."""

MAX_SUGGESTIONS: Final = 8
"""Paths of one filter for which a similar one is searched in the message."""

# As in the core: nothing in a message is nested deeper.
_MAX_NESTING: Final = 32

# For filters that were accepted, be it under other settings than today's.
_WIDE: Final = FilterLimits(
    max_bytes=sys.maxsize,
    max_nodes=sys.maxsize,
    max_depth=128,
    max_values=sys.maxsize,
    max_pattern_bytes=sys.maxsize,
    max_patterns=sys.maxsize,
    try_patterns=False,
)

_ORDER: Final = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_TEXTUAL: Final = {"$prefix": "begins with", "$contains": "contains", "$regex": "matches"}


@dataclass(frozen=True, slots=True, repr=False)
class Clause:
    """One condition of a filter, and what the message has for it. No repr: it would show patients' data.

    An empty filter inside of another is a clause, too: it has no path, its operator is ``$and``,
    it wants ``()`` and it holds.
    """

    place: str
    """Where it stands in the filter, such as ``severity``, ``vitals.hr.$gt`` or ``$or[1].lead``."""
    path: str
    operator: str
    """Equality without an operator is ``$eq``, a list ``$in``."""
    wanted: Any
    """A scalar, or a tuple of scalars."""
    holds: bool
    """Whether the condition by itself holds, be it wanted or not."""
    negated: bool = False
    """Whether it stands under ``$not`` (once, or any odd number of times), so that it must not hold."""
    there: bool = False
    """Whether the path leads anywhere in the message, be it to null."""
    found: tuple[Any, ...] = ()
    """The first ``MAX_VALUES`` values it leads to, texts cut at ``MAX_TEXT``; of a list its elements."""
    more: bool = False
    """Whether it leads to more values than are shown."""
    is_list: bool = False
    """Whether only lists lie at the end of the path, whose elements ``$gt`` and its like do not see."""
    suggestion: str | None = None
    """A path that the message has and that was perhaps meant, if this one leads nowhere."""

    @property
    def fits(self) -> bool:
        """Whether the condition is as it must be: it holds, or under ``$not`` does not."""
        return self.holds != self.negated

    def as_dict(self) -> dict[str, Any]:
        """All members, ready for JSON."""
        return {
            "place": self.place,
            "path": self.path,
            "operator": self.operator,
            "wanted": list(self.wanted) if isinstance(self.wanted, tuple) else self.wanted,
            "holds": self.holds,
            "negated": self.negated,
            "there": self.there,
            "found": list(self.found),
            "more": self.more,
            "is_list": self.is_list,
            "suggestion": self.suggestion,
        }

    def text(self) -> str:
        """One line for people, such as ``✗ vitals.hr is 90, wanted > 120``."""
        around = self.place.removesuffix(f".{self.operator}").removesuffix(self.path).removesuffix(".")
        line = f"{'✓' if self.fits else '✗'} {f'{around}: ' if around else ''}{self._sentence()}"
        return escape_controls(line)

    def _sentence(self) -> str:
        if not self.path:
            return f"an empty filter matches every message{', wanted none' if self.negated else ''}"
        meant = f" (did you mean {self.suggestion}?)" if self.suggestion is not None else ""
        if self.operator == "$exists":
            if self.there:
                return f"{self.path} is there{'' if self.fits else ', wanted it not to be'}"
            return f"{self.path} is not there{'' if self.fits else meant}"
        if not self.there:
            return f"{self.path} is not there{f', wanted {self._wish()}' if self.fits else ''}{meant}"
        return f"{self.path} {self._finding()}, wanted {self._wish()}"

    def _finding(self) -> str:
        if self.is_list and self.operator in _ORDER:
            return "is a list"
        return f"is {_enumeration(self.found, self.more)}" if self.found else "has no value"

    def _wish(self) -> str:
        opposite = self.negated
        if self.operator in _ORDER:
            return f"{'nothing ' if opposite else ''}{_ORDER[self.operator]} {_spelled(self.wanted)}"
        if self.operator in _TEXTUAL:
            verb = _TEXTUAL[self.operator]
            return f"{'no ' if opposite else ''}text that {verb} {_spelled(self.wanted)}"
        opposite ^= self.operator in ("$ne", "$nin")
        if isinstance(self.wanted, tuple):
            values = _enumeration(self.wanted[:MAX_VALUES], len(self.wanted) > MAX_VALUES)
            return f"{'none' if opposite else 'one'} of {values}"
        return f"{'anything but ' if opposite else ''}{_spelled(self.wanted)}"


@dataclass(frozen=True, slots=True, repr=False)
class FilterExplanation:
    """The verdict on one message, with all conditions of the filter. No repr: it holds patients' data."""

    matches: bool
    clauses: tuple[Clause, ...]
    """In the order written, those inside of a connective where it stands."""
    failed: tuple[Clause, ...]
    """Those on account of which the filter does not match; empty when it does.

    Of members that must all hold, those that do not; of an ``$or``, what failed in each branch;
    under ``$not``, what holds although it must not.
    """

    def as_dict(self) -> dict[str, Any]:
        """The verdict and the clauses, ready for JSON; ``failed`` gives the places of clauses."""
        return {
            "matches": self.matches,
            "clauses": [clause.as_dict() for clause in self.clauses],
            "failed": [clause.place for clause in self.failed],
        }

    def text(self) -> str:
        """Each clause in a line of its own, without the verdict."""
        return (
            "\n".join(clause.text() for clause in self.clauses) or "✓ an empty filter matches every message"
        )


def explain_filter(
    filters: Mapping[str, Any],
    body: dict[str, Any],
    derived: dict[str, str],
    limits: FilterLimits | None = None,
) -> FilterExplanation:
    """Hold a filter against a message, condition by condition.

    ``filters`` is what a client writes or ``Program.source`` gives; ``body`` and ``derived`` are
    those of a PublishedMessage. Raises FilterError for what is no filter or beyond the limits;
    None is for a filter in use, which had to keep limits before.
    """
    return _Examination(dict(filters), body, derived, limits or _WIDE).explanation()


@dataclass(frozen=True, slots=True)
class _Verdict:
    holds: bool
    clauses: tuple[Clause, ...]
    failed: tuple[Clause, ...]


class _Examination:
    """One filter in front of one message."""

    def __init__(
        self, filters: dict[str, Any], body: dict[str, Any], derived: dict[str, str], limits: FilterLimits
    ) -> None:
        self._body = body
        self._derived = derived
        # One vocabulary for the whole and its parts, so that each pattern is compiled once.
        self._interner = FilterInterner(limits)
        self._program = self._interner.intern(filters)
        self._filters = filters
        # A part may be longer than the whole, whose normal form has dropped it.
        self._interner.limits = _WIDE
        self._paths: list[str] | None = None
        self._suggestions: dict[str, str | None] = {}

    def explanation(self) -> FilterExplanation:
        verdict = self._examine(outline(self._filters), negated=False)
        matches = self._program.matches(self._body, self._derived)
        return FilterExplanation(matches, verdict.clauses, verdict.failed)

    def _examine(self, part: Part, negated: bool) -> _Verdict:
        if isinstance(part, Condition):
            return _alone(self._clause(part, negated))
        if not part.parts and part.place:
            return _alone(Clause(part.place, "", "$and", (), True, negated))
        inner = [self._examine(one, negated ^ (part.name == "$not")) for one in part.parts]
        holds = _connected(part, [one.holds for one in inner])
        failed = chain.from_iterable(one.failed for one in inner) if holds == negated else ()
        return _Verdict(holds, tuple(chain.from_iterable(one.clauses for one in inner)), tuple(failed))

    def _clause(self, condition: Condition, negated: bool) -> Clause:
        alone = {condition.path: {condition.operator: condition.wanted}}
        there, is_list, values = False, True, list[Any]()
        for end, nesting in self._ends(condition.path):
            there = True
            is_list &= isinstance(end, list | tuple)
            values += islice(_values(end, nesting), MAX_VALUES + 1 - len(values))
            if len(values) > MAX_VALUES:
                break
        return Clause(
            place=condition.place,
            path=condition.path,
            operator=condition.operator,
            wanted=condition.wanted,
            holds=self._interner.intern(alone).matches(self._body, self._derived),
            negated=negated,
            there=there,
            found=tuple(_cut(value) for value in values[:MAX_VALUES]),
            more=len(values) > MAX_VALUES,
            is_list=there and is_list,
            suggestion=None if there else self._suggestion(condition.path),
        )

    def _ends(self, path: str) -> Iterator[tuple[Any, int]]:
        """What the path leads to, and how many objects and lists stand around it."""
        first, *rest = path.split(".")
        seen = self._body if first in self._body else self._derived
        return _walk(seen[first], rest, 1) if first in seen else iter(())

    def _suggestion(self, path: str) -> str | None:
        if path not in self._suggestions and len(self._suggestions) < MAX_SUGGESTIONS:
            if self._paths is None:
                self._paths = [*paths_of(self._body), *self._derived]
            self._suggestions[path] = nearest_path(path, self._paths)
        return self._suggestions.get(path)


def _alone(clause: Clause) -> _Verdict:
    return _Verdict(clause.holds, (clause,), () if clause.fits else (clause,))


def _connected(connective: Connective, holding: list[bool]) -> bool:
    if connective.name == "$not":
        return not holding[0]
    return any(holding) if connective.name == "$or" else all(holding)


def _walk(value: Any, names: list[str], nesting: int) -> Iterator[tuple[Any, int]]:
    if not names:
        yield value, nesting
    elif nesting < _MAX_NESTING:
        if isinstance(value, list | tuple):
            for element in value:
                yield from _walk(element, names, nesting + 1)
        elif isinstance(value, dict) and names[0] in value:
            yield from _walk(value[names[0]], names[1:], nesting + 1)


def _values(end: Any, nesting: int) -> Iterator[Any]:
    several = isinstance(end, list | tuple)
    for value in end if several and nesting < _MAX_NESTING else () if several else (end,):
        if not isinstance(value, dict | list | tuple):
            yield value


def _cut(value: Any) -> Any:
    return f"{value[: MAX_TEXT - 1]}…" if isinstance(value, str) and len(value) > MAX_TEXT else value


def _spelled(value: Any) -> str:
    return json.dumps(_cut(value), ensure_ascii=False)


def _enumeration(values: tuple[Any, ...], more: bool) -> str:
    return ", ".join([_spelled(value) for value in values] + ["…"] * more)
