"""The names of fields, as filters write them: those a message has, and the one that was meant."""

import difflib
import heapq
from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

MAX_NAMES: Final = 8
"""Names in a path."""

MAX_LENGTH: Final = 128
"""Characters of a path; longer ones are left out."""

_MAX_CONTAINERS: Final = 1024
_CONTAINERS: Final = frozenset({dict, list, tuple})

# Comparing costs the product of the lengths, for as many as are compared in full.
_MAX_COMPARED: Final = 64
_MAX_CANDIDATES: Final = 512
_MAX_FINALISTS: Final = 16
_NEAR: Final = 0.6


def paths_of(body: dict[str, Any], limit: int = 256) -> list[str]:
    """The paths that lead somewhere in a message, dotted, through lists as well; outer ones first.

    At most ``limit`` of them. Left out are those that no filter can name, for an empty name or one
    with a dot or a leading ``$``, and those of more than ``MAX_NAMES`` names or ``MAX_LENGTH``
    characters. ``body`` holds plain JSON values.
    """
    return survey(body, limit)[0]


def survey(body: dict[str, Any], limit: int) -> tuple[list[str], bool]:
    """What ``paths_of`` gives, and whether those are all: False when a bound ended the search."""
    found: dict[str, None] = {}
    containers: list[tuple[str, int, Any]] = [("", 0, body)]
    # The list grows while it is read: level by level, so that a bound cuts off what is deep.
    for looked_at, (place, names, container) in enumerate(containers):
        if looked_at == _MAX_CONTAINERS:
            return list(found), False
        if not isinstance(container, dict):
            # Of a list of samples only the types are read.
            if not _CONTAINERS.isdisjoint(map(type, container)):
                inside = ((place, names, value) for value in container if type(value) in _CONTAINERS)
                containers += islice(inside, _MAX_CONTAINERS + 1 - len(containers))
            continue
        for name, value in container.items():
            path = f"{place}.{name}" if place else name
            if not name or "." in name or name[0] == "$" or len(path) > MAX_LENGTH:
                continue
            if path not in found:
                if len(found) == limit:
                    return list(found), False
                found[path] = None
            if type(value) in _CONTAINERS and names + 1 < MAX_NAMES:
                containers.append((path, names + 1, value))
    return list(found), True


def nearest_path(path: str, seen: Iterable[str]) -> str | None:
    """The path among ``seen`` that was probably meant; None when none is near.

    That is one spelled much alike, or else the only one that ends with this path.
    """
    if len(path) > _MAX_COMPARED:
        return None
    candidates = set(seen) - {path}
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(path)

    def likeness_at_most(candidate: str) -> float:
        matcher.set_seq1(candidate)
        return matcher.quick_ratio()

    def likeness(candidate: str) -> float:
        matcher.set_seq1(candidate)
        return matcher.ratio()

    size = len(path)
    alike = [one for one in candidates if 2 * min(len(one), size) >= _NEAR * (len(one) + size)]
    closest = heapq.nsmallest(_MAX_CANDIDATES, alike, key=lambda one: (abs(len(one) - size), one))
    finalists = heapq.nlargest(_MAX_FINALISTS, closest, key=likeness_at_most)
    best = max(finalists, key=likeness, default=None)
    if best is not None and likeness(best) >= _NEAR:
        return best
    deeper = [one for one in candidates if one.endswith(f".{path}")]
    return deeper[0] if len(deeper) == 1 else None
