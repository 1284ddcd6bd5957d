"""What is noted, what is kept of it, and what happens when it cannot be."""

import asyncio
import errno
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from fake_clock import FakeClock

from wsserver.audit import audit_file
from wsserver.audit.access_audit import HEAD_EVERY, KEPT, MAX_RECORD, AccessAudit
from wsserver.audit.chain import Chain, read_line
from wsserver.errors import ServerError
from wsserver.observe.alerts import AlertBook, Level, thresholds_of
from wsserver.settings import AlertsSettings, AuditSettings, Settings


def audit_of(**settings: Any) -> AccessAudit:
    return AccessAudit(AuditSettings(**settings), FakeClock())


def book() -> AlertBook:
    return AlertBook(thresholds_of(Settings()), AlertsSettings(), FakeClock())


def written(path: Path) -> list[dict[str, Any]]:
    """The records of a file, its chain checked."""
    chain, found = Chain(), []
    for line in path.read_bytes().splitlines(keepends=True):
        chain.take(read_line(line))
        found.append(json.loads(line))
    return found[1:]


async def until_written(audit: AccessAudit) -> None:
    async with asyncio.timeout(20):
        while audit.get_metrics()["pending"]:
            await asyncio.sleep(0.005)


def test_a_record_says_who_did_what_and_when_and_leaves_out_what_there_is_not() -> None:
    audit = audit_of()
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
    audit = audit_of()
    for action in ("sign_in", "reveal", "sign_in"):
        audit.note(action, actor="olga")
    assert [one.seq for one in audit.latest()] == [3, 2, 1]
    assert [one.seq for one in audit.latest(1)] == [3]
    assert [one.seq for one in audit.latest(action="sign_in")] == [3, 1]
    assert audit.latest(-1) == []


def test_only_the_newest_are_kept() -> None:
    audit = audit_of()
    for _ in range(KEPT + 5):
        audit.note("sign_in", actor="olga")
    assert len(audit.latest(2 * KEPT)) == KEPT
    assert audit.recorded == KEPT + 5


def test_details_that_json_cannot_say_or_that_are_endless_are_a_fault_of_whoever_notes_them() -> None:
    audit = audit_of()
    with pytest.raises(TypeError):
        audit.note("reveal", actor="olga", details={"what": object()})
    with pytest.raises(ValueError, match="at most"):
        audit.note("reveal", actor="olga", details={"what": "x" * MAX_RECORD})
    audit.note("reveal", actor="olga")
    assert [one.seq for one in audit.latest()] == [1]


async def test_without_a_file_it_works_in_memory_and_never_stands_in_the_way() -> None:
    audit, alerts = audit_of(), book()
    await audit.open()
    audit.note("reveal", actor="olga")
    audit.tick(alerts)
    audit.check()
    await audit.close()
    assert [one.action for one in reversed(audit.latest())] == ["server_start", "reveal", "server_stop"]
    assert (audit.path, audit.head, audit.get_metrics()["kind"]) == (None, None, "memory")


async def test_with_a_file_everything_is_in_it_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for _ in range(2):
        audit = audit_of(path=str(path))
        await audit.open()
        for _ in range(3):
            audit.note("reveal", actor="olga")
        await until_written(audit)
        assert audit.path == path
        assert audit.head is not None
        assert audit.head["seq"] == audit.latest(1)[0].seq
        await audit.close()
        assert audit.get_metrics()["lost"] == 0
    actions = [one["action"] for one in written(path)]
    assert actions == ["server_start", "reveal", "reveal", "reveal", "server_stop"] * 2


async def test_what_was_torn_by_a_crash_is_told_in_a_record(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = audit_of(path=str(path))
    await audit.open()
    await audit.close()
    with path.open("ab") as file:
        file.write(b'{"seq":3,"at')
    await audit.open()
    await audit.close()
    told = next(one for one in written(path) if one["action"] == "torn_line")
    assert told["actor"] == "server"
    assert told["details"]["bytes"] == 12
    assert (tmp_path / told["details"]["file"]).read_bytes() == b'{"seq":3,"at'


class Disk:
    """Fails to write while it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails = False
        self._write = audit_file._write_all
        monkeypatch.setattr(audit_file, "_write_all", self.write)

    def write(self, descriptor: int, data: bytes) -> None:
        if self.fails:
            raise OSError(errno.ENOSPC, "no space left")
        self._write(descriptor, data)


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_full_disk_raises_the_alert_and_where_it_is_required_ends_access(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, alerts = Disk(monkeypatch), book()
    clock = FakeClock()
    audit = AccessAudit(AuditSettings(path=str(tmp_path / "audit.jsonl"), required=True), clock)
    await audit.open()
    audit.check()
    disk.fails = True
    audit.note("subscribe", actor="u1")
    await until(lambda: audit.fault == "disk_full")
    with pytest.raises(ServerError) as caught:
        audit.check()
    assert caught.value.kind.code == 1015
    assert caught.value.as_dict()["details"] == {"reason": "audit_unavailable"}
    assert caught.value.retry_after_ms == 5_000
    audit.tick(alerts)
    assert alerts.level("audit") is Level.CRITICAL
    assert alerts.history(1)[0].details == {"reason": "disk_full"}
    # What was noted meanwhile is not lost.
    audit.note("subscribe", actor="u2")
    disk.fails = False
    clock.advance(10)
    await until(lambda: audit.fault is None)
    audit.check()
    audit.tick(alerts)
    assert alerts.level("audit") is Level.OK
    await audit.close()
    actors = [one["actor"] for one in written(tmp_path / "audit.jsonl")]
    assert actors == ["server", "u1", "u2", "server"]


async def test_where_it_is_not_required_access_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    audit = audit_of(path=str(tmp_path / "audit.jsonl"))
    await audit.open()
    disk.fails = True
    audit.note("subscribe", actor="u1")
    await until(lambda: audit.fault == "disk_full")
    audit.check()
    await audit.close()


async def test_what_is_too_much_to_wait_is_counted_and_told_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, alerts, clock = Disk(monkeypatch), book(), FakeClock()
    path = tmp_path / "audit.jsonl"
    audit = AccessAudit(AuditSettings(path=str(path), max_pending=100, required=True), clock)
    await audit.open()
    await until_written(audit)
    disk.fails = True
    for number in range(130):
        audit.note("subscribe", actor=f"u{number}")
    assert (audit.lost, audit.fault is not None) == (30, True)
    with pytest.raises(ServerError):
        audit.check()
    assert audit.get_metrics()["lost"] == 30
    disk.fails = False
    clock.advance(10)
    await until_written(audit)
    audit.tick(alerts)
    audit.note("subscribe", actor="later")
    await audit.close()
    records = written(path)
    told = [one["actor"] for one in records]
    assert told[1:101] == [f"u{number}" for number in range(100)]
    assert records[101]["action"] == "records_lost"
    assert records[101]["details"] == {"count": 30}
    assert told[102:] == ["later", "server"]
    assert [one["seq"] for one in records] == list(range(1, len(records) + 1))


async def test_what_cannot_be_written_at_the_end_is_counted_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Disk(monkeypatch)
    audit = audit_of(path=str(tmp_path / "audit.jsonl"))
    await audit.open()
    await until_written(audit)
    disk.fails = True
    audit.note("subscribe", actor="u1")
    await audit.close()
    assert audit.lost == 2
    assert "2 records of the audit could not be written" in caplog.text


async def test_the_log_tells_each_hour_where_the_chain_stands_and_nobody_by_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "wsserver.audit")
    clock, alerts = FakeClock(), book()
    audit = AccessAudit(AuditSettings(path=str(tmp_path / "audit.jsonl")), clock)
    await audit.open()
    audit.note("subscribe", actor="canary-user", patient_id="canary-patient")
    await until_written(audit)
    caplog.clear()
    clock.advance(HEAD_EVERY - 1)
    audit.tick(alerts)
    assert caplog.text == ""
    clock.advance(1)
    audit.tick(alerts)
    assert audit.head is not None
    assert f"stands at record 2, hash {audit.head['hash']}" in caplog.text
    assert "canary" not in caplog.text
    await audit.close()
