"""The access audit as the doctor sees it; nothing of it is changed."""

import fcntl
from pathlib import Path

import pytest
from fake_clock import FakeClock
from workbench import settings_with

from wsserver.audit.audit_file import AuditFile
from wsserver.audit.record import AuditRecord
from wsserver.doctor import audit
from wsserver.doctor.audit import examine_audit
from wsserver.settings import Settings


def levels(path: Path) -> dict[str, str]:
    before = {one: one.read_bytes() for one in path.parent.glob("*")}
    found = {one.check: one.level for one in examine_audit(settings_with(audit={"path": str(path)}))}
    assert {one: one.read_bytes() for one in path.parent.glob("*")} == before
    return found


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A log of three records."""
    path = tmp_path / "audit.jsonl"
    file = AuditFile(path, Settings().audit, FakeClock())
    file.open()
    at = "2026-11-26T10:41:07.000Z"
    records = [AuditRecord(seq=seq, at=at, action="x", actor="a") for seq in (1, 2, 3)]
    file.append([record.encode() for record in records])
    file.close()
    return path


def test_an_audit_that_is_not_kept_is_warned_of() -> None:
    (found,) = examine_audit(Settings())
    assert (found.level, found.remedy) == ("warning", "set audit.path")


def test_a_place_that_is_none_is_a_fault_and_a_new_one_is_good(tmp_path: Path) -> None:
    assert levels(tmp_path / "none" / "audit.jsonl") == {"audit": "fault"}
    assert levels(tmp_path / "audit.jsonl") == {"audit": "ok", "audit_chain": "ok", "audit_room": "ok"}


def test_a_chain_that_does_not_hold_is_a_fault(written: Path) -> None:
    assert levels(written)["audit_chain"] == "ok"
    lines = written.read_bytes().splitlines(keepends=True)
    written.write_bytes(b"".join([*lines[:-2], lines[-1]]))
    assert levels(written)["audit_chain"] == "fault"


def test_a_log_in_use_is_left_alone(written: Path) -> None:
    with (written.parent / "audit.jsonl.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert levels(written)["audit_chain"] == "skipped"


def test_files_need_room(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = Settings().audit.max_bytes
    for free, level in ((2 * size, "ok"), (2 * size - 1, "warning")):
        monkeypatch.setattr(audit, "free_bytes", lambda folder, free=free: free)
        assert levels(written)["audit_room"] == level
