"""What a filter is made of, part by part as it was written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias


@dataclass(frozen=True, slots=True, repr=False)
class Condition:
    """One operator on one path. Equality without an operator is ``$eq``, a list ``$in``."""

    place: str
    """Where it stands, in the words of the filter: ``$or[1].vitals.hr.$gt``."""
    path: str
    operator: str
    wanted: Any
    """A scalar, or a tuple of scalars."""


@dataclass(frozen=True, slots=True, repr=False)
class Connective:
    """What stands around conditions; a filter itself is an ``$and`` of its members."""

    place: str
    name: Literal["$and", "$or", "$not"]
    parts: "tuple[Part, ...]"


Part: TypeAlias = Condition | Connective


def outline(filters: Mapping[str, Any], place: str = "") -> Connective:
    """The parts of a valid filter in the order written; ``place`` is where the filter stands."""
    parts: list[Part] = []
    for key, wanted in filters.items():
        inside = f"{place}.{key}" if place else key
        if key == "$not":
            parts.append(Connective(inside, "$not", (outline(wanted, inside),)))
        elif key in ("$and", "$or"):
            several = tuple(outline(one, f"{inside}[{number}]") for number, one in enumerate(wanted))
            parts.append(Connective(inside, "$and" if key == "$and" else "$or", several))
        elif isinstance(wanted, dict):
            parts += [
                Condition(f"{inside}.{operator}", key, operator, _constant(operand))
                for operator, operand in wanted.items()
            ]
        else:
            operator = "$in" if isinstance(wanted, list | tuple) else "$eq"
            parts.append(Condition(inside, key, operator, _constant(wanted)))
    return Connective(place, "$and", tuple(parts))


def _constant(operand: Any) -> Any:
    return tuple(operand) if isinstance(operand, list | tuple) else operand
