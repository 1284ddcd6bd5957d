"""The newest records out of memory and files: every one once, in order, within bounds."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fake_clock import FakeClock

from wsserver.audit import search as search_module
from wsserver.audit.access_audit import KEPT, AccessAudit
from wsserver.audit.search import AuditSearch, Page
from wsserver.audit.wanted import Wanted
from wsserver.settings import AuditSettings


async def audit_in(folder: Path | None, **settings: Any) -> AccessAudit:
    path = None if folder is None else str(folder / "audit.jsonl")
    audit = AccessAudit(AuditSettings(path=path, **settings), FakeClock())
    await audit.open()
    return audit


def fill(audit: AccessAudit, count: int) -> None:
    for number in range(count):
        audit.note("subscribe", actor=f"u{number % 3}", patient_id=f"p{number % 7}")


async def settle(audit: AccessAudit) -> None:
    async with asyncio.timeout(20):
        while audit.get_metrics()["pending"]:
            await asyncio.sleep(0.005)


async def all_pages(search: AuditSearch, wanted: Wanted, limit: int) -> list[int]:
    """The numbers of all records, page by page."""
    found: list[int] = []
    page = Page([], None)
    for _ in range(10_000):
        page = await search.find(wanted, limit, page.cursor)
        assert len(page.records) <= limit
        found += [record.seq for record in page.records]
        if page.cursor is None:
            return found
    raise AssertionError("it does not end")


async def test_in_memory_the_newest_come_first_and_pages_go_on() -> None:
    audit = await audit_in(None)
    fill(audit, 10)
    search = AuditSearch(audit)
    page = await search.find(Wanted(), 4)
    assert [one.seq for one in page.records] == [11, 10, 9, 8]
    assert page.cursor == 8
    assert await all_pages(search, Wanted(), 4) == list(range(11, 0, -1))
    assert await all_pages(search, Wanted(patient_id="p3", user_id="u0"), 3) == [5]
    assert await all_pages(search, Wanted(action="nothing"), 3) == []


@pytest.mark.parametrize("limit", [7, 1000])
async def test_beyond_memory_it_goes_on_in_the_files(tmp_path: Path, limit: int) -> None:
    audit = await audit_in(tmp_path, max_bytes=65_536)
    fill(audit, 2 * KEPT)
    await settle(audit)
    assert len(list(tmp_path.glob("audit.jsonl.0*"))) > 5
    search = AuditSearch(audit)
    wanted = Wanted(user_id="u1") if limit == 7 else Wanted()
    expected = [seq for seq in range(2 * KEPT + 1, 0, -1) if limit != 7 or seq % 3 == 0]
    assert await all_pages(search, wanted, limit) == expected
    await audit.close()


async def test_records_of_an_earlier_run_are_found(tmp_path: Path) -> None:
    audit = await audit_in(tmp_path)
    fill(audit, 5)
    await audit.close()
    again = await audit_in(tmp_path)
    fill(again, 2)
    assert await all_pages(AuditSearch(again), Wanted(), 3) == list(range(10, 0, -1))
    await again.close()


async def test_one_search_looks_at_so_much_and_says_where_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = await audit_in(tmp_path)
    fill(audit, 5 * KEPT)
    await settle(audit)
    monkeypatch.setattr(search_module, "MOST_READ", 20_000)
    monkeypatch.setattr(search_module, "BLOCK", 4_096)
    search = AuditSearch(audit)
    page = await search.find(Wanted(action="nothing"), 10)
    assert page.records == []
    assert page.cursor is not None
    # What is in memory stands in the file as well, and is not read once more.
    assert 3 * KEPT < page.cursor < 4 * KEPT
    assert await all_pages(search, Wanted(patient_id="p1", user_id="u1"), 100) == [
        seq for seq in range(5 * KEPT + 1, 1, -1) if (seq - 2) % 21 == 1
    ]
    await audit.close()


async def test_a_line_that_was_tampered_with_is_left_out(tmp_path: Path) -> None:
    audit = await audit_in(tmp_path)
    fill(audit, KEPT + 50)
    await settle(audit)
    path = tmp_path / "audit.jsonl"
    content = path.read_bytes().splitlines(keepends=True)
    content[10] = content[10].replace(b"subscribe", b"unwatched")
    path.write_bytes(b"".join(content))
    found = await all_pages(AuditSearch(audit), Wanted(), 500)
    assert found == [seq for seq in range(KEPT + 51, 0, -1) if seq != 10]
    await audit.close()


async def test_between_two_files_the_last_one_is_found(tmp_path: Path) -> None:
    audit = await audit_in(tmp_path)
    fill(audit, KEPT + 50)
    await settle(audit)
    (tmp_path / "audit.jsonl").rename(tmp_path / "audit.jsonl.000001")
    assert await all_pages(AuditSearch(audit), Wanted(), 500) == list(range(KEPT + 51, 0, -1))
    await audit.close()
