"""One hint on a filter that does not do what its author probably meant. It names fields, never values."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from wsserver.log import escape_controls
from wsserver.observe.field_census import Sightings
from wsserver.observe.field_paths import MAX_LENGTH, MAX_NAMES, nearest_path
from wsserver.observe.filter_outline import Condition, Part, outline

MIN_MESSAGES: Final = 8
"""Messages to have looked into before a field is said never to occur."""

MAX_LISTED: Final = 12
"""Fields that a hint lists; with more it lists none."""

_ALWAYS_SEEN: Final = frozenset({"severity", "data_type"})


def lint_filter(
    filters: Mapping[str, Any], sightings: Sightings, tested: int, matched: int, *, enough: int = 100
) -> str | None:
    """The most telling hint on a valid filter, or None.

    ``sightings`` are those of its subscription; ``tested`` and ``matched`` say how often it was held
    against a message and how often it held. Before it was tested ``enough`` times, that it never
    matched means nothing.
    """
    whole = outline(filters)
    if _is_settled(whole, False):
        return "matches no message at all: what is under $not matches every message"
    if sightings.complete and sightings.messages >= MIN_MESSAGES:
        for path in _paths_needed(whole, negated=False):
            if path not in sightings.paths and path not in _ALWAYS_SEEN and _is_noted(path):
                near = nearest_path(path, sightings.paths | _ALWAYS_SEEN)
                return f"field {_quoted(path)} was never seen" + (
                    f"; did you mean {_quoted(near)}?" if near else ""
                )
    if tested >= enough and matched == 0:
        hint = f"tested {tested:,} times, matched 0 times"
        if 0 < len(sightings.paths) <= MAX_LISTED:
            hint += f"; fields seen: {', '.join(escape_controls(path) for path in sorted(sightings.paths))}"
        return hint
    return None


def _is_settled(part: Part, verdict: bool) -> bool:
    """Whether it comes to this verdict whatever the message is."""
    if isinstance(part, Condition):
        return False
    if part.name == "$not":
        return _is_settled(part.parts[0], not verdict)
    settled = (_is_settled(one, verdict) for one in part.parts)
    return all(settled) if verdict == (part.name == "$and") else any(settled)


def _paths_needed(part: Part, negated: bool) -> Iterator[str]:
    """The paths it reads, in the order written, but for those that it wants to lead nowhere."""
    if not isinstance(part, Condition):
        for one in part.parts:
            yield from _paths_needed(one, negated ^ (part.name == "$not"))
    elif part.operator != "$exists" or part.wanted != negated:
        yield part.path


def _is_noted(path: str) -> bool:
    """Whether a census would have noted this path, had it seen it."""
    return path.count(".") < MAX_NAMES and len(path) <= MAX_LENGTH


def _quoted(path: str) -> str:
    return f"'{escape_controls(path)}'"
