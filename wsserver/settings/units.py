"""Durations and sizes as people write them: ``30``, ``"30s"``, ``1048576``, ``"1MiB"``.

Durations are seconds and sizes are bytes wherever no unit is written. What `format_duration`
and `format_size` write, `parse_duration` and `parse_size` read back to the same number.
"""

import math
import re
from fractions import Fraction

_QUANTITY = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([A-Za-z]*)\s*", re.ASCII)

_SECONDS = {
    "": Fraction(1),
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "min": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86400),
}
_BYTES = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
}


def parse_duration(value: object) -> float:
    """Seconds of a number or of text such as ``"500ms"``, ``"30s"``, ``"10m"``, ``"1h"``, ``"7d"``.

    Raises ValueError with a text that follows "must be".
    """
    expected = 'a duration: seconds as a number, or text such as "500ms", "30s", "10m", "1h"'
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise ValueError(expected)
        return float(value)
    if isinstance(value, str) and (match := _QUANTITY.fullmatch(value)):
        unit = _SECONDS.get(match[2].lower())
        if unit is not None:
            return float(Fraction(match[1]) * unit)
    raise ValueError(expected)


def parse_size(value: object) -> int:
    """Bytes of a whole number or of text such as ``"512B"``, ``"64KiB"``, ``"1MiB"``, ``"1MB"``.

    Raises ValueError with a text that follows "must be".
    """
    expected = 'a size: bytes as a whole number, or text such as "64KiB", "1MiB", "1MB"'
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and (match := _QUANTITY.fullmatch(value)):
        unit = _BYTES.get(match[2].lower())
        if unit is not None:
            size = Fraction(match[1]) * unit
            if size.denominator == 1:
                return int(size)
    raise ValueError(expected)


def format_duration(seconds: float) -> str:
    """The shortest exact text: ``30s``, ``10m``, ``1h``, ``500ms``."""
    if seconds and seconds % 86400 == 0:
        return f"{seconds / 86400:.0f}d"
    if seconds and seconds % 3600 == 0:
        return f"{seconds / 3600:.0f}h"
    if seconds and seconds % 60 == 0:
        return f"{seconds / 60:.0f}m"
    if seconds == int(seconds):
        return f"{seconds:.0f}s"
    milliseconds = seconds * 1000
    if seconds < 1 and milliseconds == int(milliseconds):
        return f"{milliseconds:.0f}ms"
    return f"{seconds!r}s"


def format_size(size: int) -> str:
    """The largest binary unit that leaves a whole number: ``1MiB``, ``64KiB``, ``1000B``."""
    for unit in ("GiB", "MiB", "KiB"):
        factor = _BYTES[unit.lower()]
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size}B"
