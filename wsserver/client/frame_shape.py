"""What a frame of the server must look like before anything of it is acted upon."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

Check = Callable[[Any], bool]
Members = Mapping[str, Any]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= 2**53


def _is_number(value: Any) -> bool:
    # An int of a thousand digits is one in JSON, and no float.
    return type(value) in (int, float) and abs(value) <= 2**63 and math.isfinite(value)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_cursor(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_count, value.values()))


def _optional(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _object_of(shape: Mapping[str, Check]) -> Check:
    members = tuple(shape.items())

    def check(value: Any) -> bool:
        return isinstance(value, dict) and all(check(value.get(name)) for name, check in members)

    return check


_TOPIC: Final = {"subscription_type": _is_text, "target_id": _is_text}
_SUBSCRIPTION: Final = {**_TOPIC, "subscription_id": _is_text}
_GAP: Final = {
    "reason": _is_text,
    "log": _optional(_is_text),
    "topic": _optional(_is_text),
    "from": _optional(_is_count),
    "to": _optional(_is_count),
    "count": _optional(_is_count),
}
_ERROR: Final = {
    "code": _is_number,
    "name": _optional(_is_text),
    "message": _optional(_is_text),
    "topic": _optional(_is_text),
    "retry_after_ms": _optional(_is_number),
}
_SESSION: Final = {
    "resumed": _optional(_is_flag),
    "replayed": _optional(_is_count),
    "gaps": _optional(_list_of(_object_of(_GAP))),
}
_SHAPES: Final[Mapping[str, Mapping[str, Check]]] = {
    "connected": {
        "connection_id": _is_text,
        "session_id": _optional(_is_text),
        "user_id": _is_text,
        "role": _is_text,
        "protocol": _is_text,
        "cursor": _is_cursor,
        "session": _optional(_object_of(_SESSION)),
        "subscriptions": _optional(_list_of(_object_of(_SUBSCRIPTION))),
        "errors": _optional(_list_of(_object_of(_ERROR))),
    },
    "error": _ERROR,
    "gap": _GAP,
    "pong": {"cursor": _optional(_is_cursor)},
    "subscription_confirmed": _SUBSCRIPTION,
    "subscription_expired": _TOPIC,
    "system_shutdown": {"reconnect_after_ms": _optional(_is_number)},
    "token_expiring": {"expires_in": _is_number},
}
_CONTROL: Final = {
    kind: _object_of({**shape, "request_id": _optional(_is_text)}) for kind, shape in _SHAPES.items()
}
_is_answer: Final = _object_of({"type": _is_text, "request_id": _optional(_is_text)})
_is_meta: Final = _object_of(
    {"id": _is_text, "topic": _is_text, "log": _is_text, "seq": _is_count, "ts": _is_text}
)


def is_frame(members: Members) -> bool:
    """Whether this is a published message or a control message of the protocol.

    What is not is damaged, or of somebody else. Members that have no name here may be anything.
    """
    if "_meta" in members:
        return _is_meta(members["_meta"])
    kind = members.get("type")
    return isinstance(kind, str) and _CONTROL.get(kind, _is_answer)(members)
