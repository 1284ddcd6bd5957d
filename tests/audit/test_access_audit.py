"""What is noted, and what is kept of it."""

import pytest
from fake_clock import FakeClock

from wsserver.audit.access_audit import KEPT, AccessAudit


def test_a_record_says_who_did_what_and_when_and_leaves_out_what_there_is_not() -> None:
    audit = AccessAudit(FakeClock())
    audit.note("sign_in", actor="olga", role="operator", right="password")
    (record,) = audit.latest()
    assert record.as_dict() == {
        "seq": 1,
        "at": "2027-01-15T08:00:00.000Z",
        "action": "sign_in",
        "actor": "olga",
        "role": "operator",
        "right": "password",
    }


def test_records_are_numbered_and_given_newest_first() -> None:
    audit = AccessAudit(FakeClock())
    for action in ("sign_in", "reveal", "sign_in"):
        audit.note(action, actor="olga")
    assert [one.seq for one in audit.latest()] == [3, 2, 1]
    assert [one.seq for one in audit.latest(1)] == [3]
    assert [one.seq for one in audit.latest(action="sign_in")] == [3, 1]
    assert audit.latest(-1) == []


def test_only_the_newest_are_kept() -> None:
    audit = AccessAudit(FakeClock())
    for _ in range(KEPT + 5):
        audit.note("sign_in", actor="olga")
    assert len(audit.latest(2 * KEPT)) == KEPT
    assert audit.recorded == KEPT + 5


def test_details_that_json_cannot_say_are_a_fault_of_whoever_notes_them() -> None:
    with pytest.raises(TypeError):
        AccessAudit(FakeClock()).note("reveal", actor="olga", details={"what": object()})
