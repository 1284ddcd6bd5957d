"""Which records somebody asks for, and how times are given."""

import pytest
from audit_log import AT, record

from wsserver.audit.wanted import Wanted, parse_time


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        (Wanted(), True),
        (Wanted("p1", "u1", "subscribe", AT, AT), True),
        (Wanted(patient_id="p2"), False),
        (Wanted(user_id="u2"), False),
        (Wanted(action="end"), False),
        (Wanted(since="2026-01-01T00:00:00.001Z"), False),
        (Wanted(until="2025-12-31T23:59:59.999Z"), False),
    ],
)
def test_every_member_that_is_given_must_be_so(wanted: Wanted, taken: bool) -> None:
    assert wanted.takes(record(1)) is taken


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("2026-01-01T00:00:00Z", AT),
        ("2026-01-01T02:00:00+02:00", AT),
        ("2026-01-01 00:00", AT),
        ("2026-01-01", AT),
        ("2026-01-01T00:00:00.001500Z", "2026-01-01T00:00:00.001Z"),
    ],
)
def test_times_are_spelt_as_records_spell_them(text: str, spelt: str) -> None:
    assert parse_time(text) == spelt


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "12:00", "0001-01-01T00:00:00+23:00"])
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)
