"""What the tests of filters say of one: whether it holds, by two accounts, and why it is refused."""

import enum
from typing import Any

import pytest
import reference_filters as reference

from wsserver_core.filters import FilterError, FilterLimits, compile_filter

LIMITS = FilterLimits()
NAN = float("nan")


class Level(enum.IntEnum):
    HIGH = 3


class Severity(str, enum.Enum):  # noqa: UP042 - a StrEnum is another type, with another str()
    HIGH = "high"


def holds(source: object, message: dict[str, Any], derived: dict[str, Any] | None = None) -> bool:
    """What the compiled filter says; the slow twin must say the same."""
    expected = reference.matches(source, message, derived or {})
    assert reference.is_filter(source)
    assert compile_filter(source, LIMITS).matches(message, derived or {}) is expected
    return expected


def refusal(source: object, limits: FilterLimits = LIMITS) -> FilterError:
    with pytest.raises(FilterError) as caught:
        compile_filter(source, limits)
    return caught.value
