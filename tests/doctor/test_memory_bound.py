"""The sum of what the settings allow."""

from pathlib import Path

from workbench import settings_with

from wsserver.doctor.memory_bound import PROCESS, VIEWER, examine_memory, parts
from wsserver.observe.process_memory import MemoryUsage
from wsserver.settings import Settings
from wsserver.status.viewers import QUEUED_BYTES

MIB = 2**20


def test_every_bound_of_bytes_in_the_settings_counts() -> None:
    """Each changed by 1 GiB moves the sum by as much: none is forgotten, none counts twice."""
    whole = sum(size for _, size in parts(settings_with(store={"url": "sqlite:///x.db"})))
    for section, name in (
        ("backpressure", "max_total_bytes"),
        ("inbound", "max_unfinished_total"),
        ("history", "max_total_bytes"),
        ("session", "max_total_bytes"),
        ("records", "max_total_bytes"),
        ("store", "max_pending_bytes"),
    ):
        now = getattr(getattr(Settings(), section), name)
        changed = {"store": {"url": "sqlite:///x.db"}}
        changed[section] = {**changed.get(section, {}), name: now + 2**30}
        assert sum(size for _, size in parts(settings_with(**changed))) == whole + 2**30, name


def test_viewers_of_the_status_page_and_records_of_the_audit_count() -> None:
    assert VIEWER == QUEUED_BYTES
    sizes = dict(parts(settings_with(audit={"path": "a.jsonl", "max_pending": 1000})))
    assert sizes["audit (audit.max_pending)"] == 1000 * 1024
    assert sizes["viewers of the status page (status.max_viewers)"] == 50 * VIEWER
    assert dict(parts(Settings()))["audit (audit.max_pending)"] == 0


def test_more_clients_take_more() -> None:
    whole = sum(size for _, size in parts(Settings()))
    more = sum(size for _, size in parts(settings_with(connection={"max_connections": 10_001})))
    # Its own memory, and what the kernel holds for it when it does not read.
    assert more - whole == 8192 + 2 * 131_072
    largest = parts(settings_with(connection={"max_connections": 100_000}))[0]
    assert largest[0].startswith("send buffers in the kernel")


def test_keys_are_in_memory_only_without_a_disk(tmp_path: Path) -> None:
    for url, has_keys in (("memory:", True), (f"sqlite:///{tmp_path}/x.db", False)):
        sizes = dict(parts(settings_with(store={"url": url})))
        assert bool(sizes["idempotency keys (store.max_keys)"]) is has_keys
        assert bool(sizes["waiting for the disk (store.max_pending_bytes)"]) is not has_keys


def test_bounds_that_pass_the_mark_of_overload_are_warned_of() -> None:
    whole = sum(size for _, size in parts(Settings()))
    mark = int(whole / 0.9) + 1
    assert examine_memory(Settings(), lambda: MemoryUsage(PROCESS, mark)).level == "ok"
    short = examine_memory(Settings(), lambda: MemoryUsage(PROCESS, mark - 2 * MIB))
    assert short.level == "warning"
    assert short.remedy is not None
    assert "backpressure.send_buffer" in short.remedy


def test_the_limit_of_the_settings_goes_before_the_machine_s() -> None:
    found = examine_memory(settings_with(overload={"memory_limit": 100 * MIB}))
    assert "of 100 MiB" in found.text
    assert found.level == "warning"
