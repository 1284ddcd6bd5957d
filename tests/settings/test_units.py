import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsserver.settings.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (30, 30.0), (0.5, 0.5), ("30", 30.0), ("30s", 30.0), ("500ms", 0.5), ("1.5m", 90.0), ("10min", 600.0),
        ("2 h", 7200.0), ("1D", 86400.0), ("0", 0.0),
    ],
)  # fmt: skip
def test_a_duration_is_read_in_seconds(written: object, seconds: float) -> None:
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written",
    ["", "s", "-1", "-1s", "1w", "1e3", "1h30m", "０", "1,5s", "9" * 100, True, None, math.nan, math.inf],
)
def test_what_is_no_duration_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="seconds"):
        parse_duration(written)


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (7, 7),
        ("7", 7),
        ("7B", 7),
        ("64KiB", 65536),
        ("1.5MiB", 1572864),
        ("1MB", 1_000_000),
        ("2 gib", 2**31),
    ],
)
def test_a_size_is_read_in_bytes(written: object, size: int) -> None:
    assert parse_size(written) == size


@pytest.mark.parametrize("written", ["", "1.5", "0.3KiB", "1TiB", "-1", 1.0, True, None, [1]])
def test_what_is_no_size_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="bytes"):
        parse_size(written)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0s"),
        (30.0, "30s"),
        (90.0, "90s"),
        (3600.0, "1h"),
        (172800.0, "2d"),
        (0.25, "250ms"),
        (1.5, "1.5s"),
    ],
)
def test_a_duration_is_written_in_its_largest_whole_unit(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(0, 2**40))
def test_a_written_size_reads_back(size: int) -> None:
    assert parse_size(format_size(size)) == size


@given(st.integers(0, 31_536_000_000))
def test_a_written_duration_of_whole_milliseconds_reads_back(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert parse_duration(format_duration(seconds)) == seconds
