"""Ids of people, shown so that a passer-by cannot tell who it is and an operator can tell them apart."""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from wsserver.protocol.topic import ANY

MASK: Final = "•••"

_PEOPLE: Final = frozenset({"user_id", "patient_id"})
_ADDRESSES: Final = frozenset({"topic", "topics"})
_PROSE: Final = frozenset({"text", "detail", "remark", "message", "reason"})


def mask(whole: str) -> str:
    """``•••`` and the last two characters; fewer of an id so short that these would give it away."""
    shown = min(2, max(0, len(whole) - 2))
    return MASK + whole[len(whole) - shown :]


def mask_topic(topic: str) -> str:
    """A topic's text with its target masked: whatever its type, that may be a patient's or a user's id."""
    kind, separator, target = topic.partition(":")
    return f"{kind}:{mask(target)}" if separator and target != ANY and kind != "type" else topic


def mask_document(document: Any) -> Any:
    """A copy of an answer without the ids of users and patients.

    Members by the names that answers use are masked, filters on an identity field as well; then
    whatever was masked is masked in the sentences around it, too.
    """
    hidden: set[str] = set()
    masked = _masked(document, hidden)
    return _reworded(masked, _rewording(hidden)) if hidden else masked


def _masked(value: Any, hidden: set[str]) -> Any:
    if isinstance(value, dict):
        return _masked_members(value, hidden)
    if isinstance(value, list | tuple):
        return [_masked(one, hidden) for one in value]
    return value


def _masked_members(members: dict[str, Any], hidden: set[str]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    is_target = members.get("subscription_type") not in (None, "type")
    clause_of = members.get("path") if "operator" in members else None
    for name, value in members.items():
        if name in _PEOPLE or (name == "target_id" and is_target):
            out[name] = _hide(value, hidden)
        elif name in _ADDRESSES:
            out[name] = _mask_topics(value, hidden)
        elif name == "filters" and isinstance(value, dict):
            out[name] = _mask_filter(value, hidden, inside=False)
        elif name in ("wanted", "found") and _names_people(clause_of):
            out[name] = _hide(value, hidden)
        else:
            out[name] = _masked(value, hidden)
    return out


def _names_people(path: object) -> bool:
    return isinstance(path, str) and path.rpartition(".")[2] in {*_PEOPLE, "target_id"}


def _mask_filter(value: Any, hidden: set[str], *, inside: bool) -> Any:
    """A filter; ``inside`` one on an identity field every value is an id."""
    if isinstance(value, dict):
        return {
            name: _mask_filter(
                one, hidden, inside=(inside if name.startswith("$") else inside or _names_people(name))
            )
            for name, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [_mask_filter(one, hidden, inside=inside) for one in value]
    return _hide(value, hidden) if inside else value


def _mask_topics(value: Any, hidden: set[str]) -> Any:
    if isinstance(value, list | tuple):
        return [_mask_topics(one, hidden) for one in value]
    if not isinstance(value, str):
        return value
    masked = mask_topic(value)
    if masked != value:
        hidden.add(value.partition(":")[2])
    return masked


def _hide(value: Any, hidden: set[str]) -> Any:
    if isinstance(value, list | tuple):
        return [_hide(one, hidden) for one in value]
    if isinstance(value, bool) or not isinstance(value, str | int) or value in ("", ANY):
        return value
    hidden.add(str(value))
    return mask(str(value))


def _rewording(hidden: Iterable[str]) -> Callable[[str], str]:
    # The longest first: an id may begin like another.
    words = "|".join(re.escape(one) for one in sorted(hidden, key=len, reverse=True))
    pattern = re.compile(f"(?<![A-Za-z0-9_-])(?:{words})(?![A-Za-z0-9_-])")
    return lambda text: pattern.sub(lambda found: mask(found[0]), text)


def _reworded(value: Any, reword: Callable[[str], str], *, prose: bool = False) -> Any:
    if isinstance(value, dict):
        return {name: _reworded(one, reword, prose=name in _PROSE) for name, one in value.items()}
    if isinstance(value, list):
        return [_reworded(one, reword, prose=prose) for one in value]
    return reword(value) if prose and isinstance(value, str) else value
