"""Whose memory it is: every object and table that came since a moment, by owner.

What was there at the beginning is frozen, so that the collector names only what came later, and
no list of it is needed, which would take memory itself. What the collector does not know (text,
numbers, tuples of them) is found through its holder, with the attribute that it hangs on. Tables
that were there before are looked at again: what they have grown by is theirs. The core says of its
own tables how large they are (``sys.getsizeof``).
"""

import gc
import sys
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any, Final

import msgspec

from wsserver_core.connection import Connection
from wsserver_core.hub import Hub
from wsserver_core.pulse import Pulse
from wsserver_core.scopes import Scope, ScopeTable
from wsserver_core.topics import TopicIndex

LIBUV_HANDLE: Final = 248
"""Bytes of a ``uv_tcp_t``, which uvloop takes from the C library for each transport."""

SMALL: Final = 512
"""Up to here Python's own allocator serves, in steps of 16 bytes; beyond it that of the C library."""

_TABLES: Final = (dict, set, list, deque, Counter, OrderedDict)
FEW_PATIENTS: Final = 4
"""Up to here a scope keeps its patients in a tuple."""

_CORE: Final = (Hub, Pulse, ScopeTable, TopicIndex)
_NEVER: Final = (type, ModuleType)


def taken(size: int) -> int:
    """The bytes that an allocator gives out for an object of this size."""
    return (size + 15) & ~15 if size <= SMALL else _block(size)


def _block(size: int) -> int:
    # The C library puts 8 bytes in front of each block.
    return (size + 8 + 15) & ~15


class Ledger:
    """Bytes by owner, of what comes after it was made. ``close`` it, or nothing is collected any more.

    An owner is called after its type, ``Type.attribute`` where it is something simple that hangs on
    an object, or, for a table of Python's that was there before, ``table Type.attribute``. What the
    tables of the core have grown by is under their types.
    """

    def __init__(self) -> None:
        gc.collect()
        # Before they are frozen: of those the collector tells nothing.
        known = gc.get_objects()
        names = _names(known)
        self._tables = [
            (one, sys.getsizeof(one), f"table {names.get(id(one), '?')}")
            for one in known
            if type(one) in _TABLES and one
        ]
        self._tables += [(one, sys.getsizeof(one), type(one).__name__) for one in known if type(one) in _CORE]
        del known, names
        gc.collect()
        gc.freeze()

    def close(self) -> None:
        """Let the collector have everything again."""
        gc.unfreeze()

    def entries(self) -> dict[str, int]:
        """Bytes by owner."""
        gc.collect()
        found: Counter[str] = Counter()
        fresh = [one for one in gc.get_objects() if one is not found and not isinstance(one, _NEVER)]
        names = _names(fresh)
        for table, _, name in self._tables:
            names.update(
                (id(value), f"in {name}") for value in gc.get_referents(table) if type(value) in _TABLES
            )
        # What hangs on an object and stands in a table besides is the object's.
        fresh.sort(key=lambda one: type(one) in _TABLES)
        seen = {id(one) for one in fresh}
        for one in fresh:
            owner = type(one).__name__
            if owner == "TCPTransport":
                found["uv_tcp_t"] += _block(LIBUV_HANDLE)
            if type(one) in _TABLES or type(one) is tuple:
                owner = f"{owner} {names.get(id(one), '')}".rstrip()
            found[owner] += taken(sys.getsizeof(one))
            # Its patients are those of its scope, in the same tuple.
            for name, value in _held(one) if owner != "Registration" else ():
                _enter(found, f"{owner}.{name}" if name else f"in {owner}", value, seen)
        for table, before, name in self._tables:
            grown = sys.getsizeof(table) - before
            found[name] += grown
            # What the collector does not know of may hang on a table alone.
            for value in gc.get_referents(table) if grown > 0 and name.startswith("table ") else ():
                _enter(found, f"in {name}", value, seen)
        return {name: size for name, size in found.items() if size}


def _enter(found: Counter[str], owner: str, value: object, seen: set[int]) -> None:
    """Count what the collector does not know of, once, and what hangs on it."""
    if value is None or id(value) in seen or gc.is_tracked(value) or isinstance(value, _NEVER):
        return
    seen.add(id(value))
    found[owner] += taken(sys.getsizeof(value))
    if type(value) is Scope:
        _enter_patients(found, value, seen)
    parts = msgspec.structs.astuple(value) if isinstance(value, msgspec.Struct) else gc.get_referents(value)
    for inner in parts:
        _enter(found, owner, inner, seen)


def _enter_patients(found: Counter[str], scope: Scope, seen: set[int]) -> None:
    # The collector does not look into a scope, and what it gives is a copy of the set that it keeps.
    patients = scope.patients
    if patients is None:
        return
    kept = tuple(patients) if len(patients) <= FEW_PATIENTS else patients
    found["in Scope"] += taken(sys.getsizeof(kept))
    for one in patients:
        _enter(found, "in Scope", one, seen)


def _names(objects: Iterable[object]) -> dict[int, str]:
    """What tables hang on, by their ``id``."""
    names: dict[int, str] = {}
    for one in objects:
        if type(one) in _TABLES or isinstance(one, _NEVER):
            continue
        if any(type(value) in _TABLES or type(value) is tuple for value in gc.get_referents(one)):
            for name, value in _held(one):
                names.setdefault(id(value), f"{type(one).__name__}.{name}" if name else type(one).__name__)
    return names


def _held(one: object) -> Iterator[tuple[str, object]]:
    """What an object refers to, with the attribute where that can be told."""
    named = set()
    for name, value in _attributes(one):
        named.add(id(value))
        yield name, value
    for value in gc.get_referents(one):
        if id(value) not in named:
            yield "", value


def _attributes(one: object) -> Iterator[tuple[str, Any]]:
    for base in type(one).__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            yield name, getattr(one, name, None)
    yield from getattr(one, "__dict__", {}).items()
    if isinstance(one, Connection):
        # The collector is not told of attributes that cannot be part of a ring.
        yield "reader", one.reader
