"""Time as people read it."""

import time

import pytest

from wsserver.clock import SystemClock, microseconds, utc_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_800_000_000.25, "2027-01-15T08:00:00.250Z"),
        (0.9999, "1970-01-01T00:00:00.999Z"),
        (1_709_164_800, "2024-02-29T00:00:00.000Z"),
    ],
)
def test_a_moment_is_written_in_utc_with_milliseconds(seconds: float, text: str) -> None:
    assert utc_text(seconds) == text
    assert utc_text(seconds) == text


@pytest.mark.parametrize(
    "seconds", [0.0, 278158293.956, 1112863657.587, 1240814670.0049999, 1_800_000_000.25]
)
def test_microseconds_and_text_are_the_same_instant_however_a_float_is_rounded(seconds: float) -> None:
    milliseconds = microseconds(seconds) // 1000
    assert utc_text(seconds).endswith(f".{milliseconds % 1000:03}Z")
    assert microseconds(seconds) == int(seconds * 1_000_000)


def test_the_clocks_of_the_machine_are_its_own() -> None:
    clock = SystemClock()
    assert time.monotonic() <= clock.monotonic() <= time.monotonic()
    assert time.time() <= clock.time() <= time.time()
