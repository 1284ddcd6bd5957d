"""Which JSON this server takes: bounded in depth, and with values that every peer reads alike.

Refused are values that JSON can spell but that do not survive the trip to a browser's
``JSON.parse``: integers beyond ±2^53, infinities, lone surrogates; and Python values that
an encoder would quietly turn into something else (a datetime, NaN, a key that is no text).
Of duplicate keys in one object the last wins, as in ``JSON.parse``.
"""

import math
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from wsserver_core.nesting import nests_deeper

MAX_DEPTH: Final = 32
"""Objects and arrays inside one another, the outermost counted."""

MAX_INTEGER: Final = 2**53
"""The largest magnitude of an integer; beyond it a browser rounds."""

_PLAIN_TYPES: Final = frozenset({str, bool, type(None)})
_NUMBER_TYPES: Final = frozenset({int, float})
_MAX_STEP: Final = 64
TOO_DEEP: Final = f"is nested deeper than {MAX_DEPTH}"
_TOO_BIG: Final = "is an integer beyond 2^53; send it as text"
_NOT_FINITE: Final = "is not a finite number"

Path = tuple[str | int, ...]


class JsonFault(ValueError):
    """A value that may not be sent. Neither ``reason`` nor ``str()`` holds the value or its path."""

    def __init__(self, reason: str, path: Path = ()) -> None:
        self.reason = reason
        self.path = path
        super().__init__(reason)

    def inside(self, key: str | int) -> "JsonFault":
        """The same fault as seen from the object or array that holds it under ``key``."""
        return JsonFault(self.reason, (key, *self.path))


def path_text(path: Path) -> str:
    """``("data", 3, "v")`` as ``data[3].v``; long keys are cut, and it can always be encoded as UTF-8."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step[:_MAX_STEP]}" for step in path)
    return text.removeprefix(".").encode("utf-8", "backslashreplace").decode()


def nested_too_deep(payload: bytes) -> bool:
    """Whether JSON text goes deeper than ``MAX_DEPTH``; to be asked before any decoder sees it.

    The decoder recurses, and how deep it may do so depends on who called it.
    """
    # Nearly every payload ends here: no more opening brackets in it than levels allowed.
    if payload.count(b"{") + payload.count(b"[") <= MAX_DEPTH:
        return False
    return nests_deeper(payload, MAX_DEPTH)


def decode_json(payload: bytes) -> Any:
    """Decode JSON text of any shape; raises JsonFault. Integers are checked by ``check_object``."""
    if nested_too_deep(payload):
        raise JsonFault(TOO_DEEP)
    try:
        return msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise fault_of(error) from None


_AT = re.compile(r" - at (?:`key` in )?`\$\.?(?P<path>[^`]*)`$")
_BYTE = re.compile(r"\(byte \d+\)$")
_MISSING = re.compile(r"^Object missing required field `(?P<field>\w+)`$")


def fault_of(error: msgspec.DecodeError | UnicodeDecodeError) -> JsonFault:
    """What the decoder complains about, without anything that the peer wrote as a value."""
    if not isinstance(error, msgspec.ValidationError):
        where = _BYTE.search(str(error))
        return JsonFault(f"is not valid JSON {where[0]}" if where else "is not valid JSON")
    text = str(error)
    at = _AT.search(text)
    reason = text[: at.start()] if at else text
    path: Path = (at["path"],) if at and at["path"] else ()
    if missing := _MISSING.match(reason):
        return JsonFault("is required", (*path, missing["field"]))
    if reason.endswith("out of range"):
        reason = "holds a number out of range"
    reason = reason.replace("Expected ", "must be ", 1).replace(", got ", ", not ", 1)
    return JsonFault(reason, path)


def check_object(members: dict[Any, Any], depth: int = 1) -> bool:
    """Check what a publisher hands over; raises JsonFault. True when a tuple stands in for an array.

    Text is left to the encoder, which refuses lone surrogates as it meets them.
    """
    if depth > MAX_DEPTH:
        raise JsonFault(TOO_DEEP)
    has_tuple = False
    for key, value in members.items():
        if type(key) is not str:
            raise JsonFault(f"has a key of type {type(key).__name__}; keys must be text")
        if type(value) in _PLAIN_TYPES:
            continue
        try:
            has_tuple |= _check_value(value, depth)
        except JsonFault as fault:
            raise fault.inside(key) from None
    return has_tuple


def _check_value(value: object, depth: int) -> bool:
    kind = type(value)
    if kind is float:
        if not math.isfinite(value):  # type: ignore[arg-type]
            raise JsonFault(_NOT_FINITE)
    elif kind is int:
        if not -MAX_INTEGER <= value <= MAX_INTEGER:  # type: ignore[operator]
            raise JsonFault(_TOO_BIG)
    elif kind is dict:
        return check_object(value, depth + 1)  # type: ignore[arg-type]
    elif kind is list:
        return _check_array(value, depth + 1)  # type: ignore[arg-type]
    elif kind is tuple:
        _check_array(value, depth + 1)  # type: ignore[arg-type]
        return True
    elif kind not in _PLAIN_TYPES:
        # Subclasses as well: numpy.float64 is a float and an IntEnum an int, but encoders
        # disagree about them.
        raise JsonFault(f"is of type {kind.__name__}, which JSON does not have")
    return False


def _check_array(values: list[Any] | tuple[Any, ...], depth: int) -> bool:
    if depth > MAX_DEPTH:
        raise JsonFault(TOO_DEEP)
    kinds = set(map(type, values))
    if kinds <= _PLAIN_TYPES or (kinds <= _NUMBER_TYPES and _surely_safe(values)):
        return False
    has_tuple = False
    for index, value in enumerate(values):
        try:
            has_tuple |= _check_value(value, depth)
        except JsonFault as fault:
            raise fault.inside(index) from None
    return has_tuple


def _surely_safe(numbers: list[Any] | tuple[Any, ...]) -> bool:
    """Whether all are finite and in range, told in one step: 250 samples in 2 µs (a loop: 15).

    Every magnitude is at most the Euclidean norm, and the norm of an infinity or NaN is
    one. The half leaves room for rounding. False asks for a look at each number.
    """
    try:
        return math.hypot(*numbers) < MAX_INTEGER / 2
    except OverflowError:  # an integer beyond the range of floats
        return False


def find_lone_surrogate(value: object) -> Path:
    """The path of the first text that UTF-8 cannot carry; for a key, the path of its object."""
    for path, text in _texts(value):
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                return path
    return ()


def _texts(value: object) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield (), value
    elif isinstance(value, dict):
        for key, member in value.items():
            yield (), key
            for path, text in _texts(member):
                yield (key, *path), text
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            for path, text in _texts(item):
                yield (index, *path), text
