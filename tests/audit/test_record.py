"""The one spelling of a record."""

from wsserver.audit.record import AuditRecord


def test_members_have_their_order_and_details_are_sorted() -> None:
    record = AuditRecord(
        details={"b": 1, "a": "é"}, actor="u1", action="subscribe", at="2026-01-01T00:00:00.000Z", seq=1
    )
    assert record.encode().decode() == (
        '{"seq":1,"at":"2026-01-01T00:00:00.000Z","action":"subscribe","actor":"u1",'
        '"details":{"a":"é","b":1}}'
    )
