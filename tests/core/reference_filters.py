"""Filters once more, slow and obvious: PROTOCOL.md section 5 read aloud.

Used by the tests only, to compare the compiled filters with. ``is_filter`` says whether a
filter is one, ``matches`` whether it holds for a message.
"""

import math
from typing import Any

IDENTITY = {"patient_id", "target_id", "user_id"}
MAX_NESTING = 32
MAX_WHOLE = 2**53


def is_filter(source: Any, *, nodes: int = 64, depth: int = 8, values: int = 256) -> bool:
    if source is None:
        return True
    return isinstance(source, dict) and len(source) <= nodes and all(
        is_path(path, depth) and is_wanted(wanted, path, values) for path, wanted in source.items()
    )


def is_path(path: Any, depth: int) -> bool:
    if not isinstance(path, str) or not is_text(path):
        return False
    names = path.split(".")
    return len(names) <= depth and all(name and not name.startswith("$") for name in names)


def is_wanted(wanted: Any, path: str, values: int) -> bool:
    if isinstance(wanted, (list, tuple)):
        return 0 < len(wanted) <= values and all(is_value(value, path) for value in wanted)
    return is_value(wanted, path)


def is_value(value: Any, path: str) -> bool:
    if value is None:
        return True
    if isinstance(value, str):
        return is_text(value)
    if is_identity(path):
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_WHOLE
    if isinstance(value, bool):
        return True
    if isinstance(value, int):
        return abs(value) <= MAX_WHOLE
    return isinstance(value, float) and math.isfinite(value)


def is_text(text: str) -> bool:
    return not any(0xD800 <= ord(letter) <= 0xDFFF for letter in text)


def is_identity(path: str) -> bool:
    return path.split(".")[-1] in IDENTITY


def matches(source: Any, message: dict[str, Any], derived: dict[str, Any]) -> bool:
    """Whether all members hold."""
    seen = {**derived, **message}
    return all(
        any(
            equal(found, value, is_identity(path))
            for found in leaves(seen, path.split("."), 1)
            for value in (wanted if isinstance(wanted, (list, tuple)) else [wanted])
        )
        for path, wanted in (source or {}).items()
    )


def leaves(value: Any, names: list[str], level: int) -> list[Any]:
    """Everything the path leads to; ``level`` counts the objects and lists around what is inside."""
    if isinstance(value, (list, tuple)):
        if level > MAX_NESTING:
            return []
        if not names:
            return list(value)
        return [leaf for element in value for leaf in leaves(element, names, level + 1)]
    if not names:
        return [value]
    if not isinstance(value, dict) or level > MAX_NESTING or names[0] not in value:
        return []
    return leaves(value[names[0]], names[1:], level + 1)


def equal(found: Any, value: Any, identity: bool) -> bool:
    if found is None or value is None:
        return found is value
    if identity:
        return is_id(found) and str(found) == str(value)
    if isinstance(found, bool) or isinstance(value, bool):
        return found is value
    if isinstance(found, str) or isinstance(value, str):
        return isinstance(found, str) and isinstance(value, str) and found == value
    return isinstance(found, (int, float)) and found == value


def is_id(found: Any) -> bool:
    if isinstance(found, str):
        return True
    return isinstance(found, int) and not isinstance(found, bool) and found >= 0
