"""The newest records that somebody asks for, out of memory and then out of the files, within bounds."""

import asyncio
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from wsserver.audit.access_audit import AccessAudit
from wsserver.audit.chain import MAX_LINE, ChainFault, FileHead, read_line
from wsserver.audit.files import former_files, numbered
from wsserver.audit.record import AuditRecord
from wsserver.audit.wanted import Wanted

MOST_READ: Final = 16 * 1024 * 1024
"""Bytes of the files that one search looks at; whoever wants to see further asks on."""

BLOCK: Final = 256 * 1024
"""Bytes that are read at a time, more than a line has."""


_SEQ: Final = re.compile(rb'\{"seq":([0-9]{1,18}),')


class Page(NamedTuple):
    """Records, newest first."""

    records: list[AuditRecord]
    cursor: int | None
    """Everything from this ``seq`` on has been looked at: ask on from here. None if nothing is before."""


class AuditSearch:
    """Looks for records of one audit. Files are read in a thread, for one search at a time."""

    def __init__(self, audit: AccessAudit) -> None:
        self._audit = audit
        self._turn = asyncio.Semaphore(1)

    async def find(self, wanted: Wanted, limit: int, before: int | None = None) -> Page:
        """At most ``limit`` records that are wanted, newest first; only those before a ``seq``, if given."""
        found: list[AuditRecord] = []
        lowest = before
        for record in self._audit.latest(self._audit.kept):
            if before is not None and record.seq >= before:
                continue
            if len(found) == limit:
                return Page(found, lowest)
            lowest = record.seq
            if wanted.takes(record):
                found.append(record)
        path = self._audit.path
        if lowest == 1 or (path is None and lowest is not None):
            return Page(found, None)
        if path is None or len(found) == limit:
            return Page(found, lowest)
        async with self._turn:
            rest = await asyncio.to_thread(_search, path, wanted, limit - len(found), lowest)
        return Page(found + rest.records, rest.cursor)


def _search(path: Path, wanted: Wanted, limit: int, before: int | None) -> Page:
    found: list[AuditRecord] = []
    words = [word.encode() for word in (wanted.patient_id, wanted.user_id) if word is not None]
    lowest, left = before, MOST_READ
    for line in _lines_backwards(path, before):
        if len(found) == limit or left <= 0:
            return Page(found, lowest)
        number = _seq(line)
        if number is None or (lowest is not None and number >= lowest):
            continue
        lowest, left = number, left - len(line)
        # To look for a word is quicker than to read the line, which most need not be.
        record = _record(line) if all(word in line for word in words) else None
        if record is not None and wanted.takes(record):
            found.append(record)
    return Page(found, None)


def _seq(line: bytes) -> int | None:
    number = _SEQ.match(line)
    return None if number is None else int(number[1])


def _record(line: bytes) -> AuditRecord | None:
    """What a line says; None for a head, and for what is being written or was tampered with."""
    try:
        content = read_line(line).content
    except ChainFault:
        return None
    return content if isinstance(content, AuditRecord) else None


def _lines_backwards(path: Path, before: int | None) -> Iterator[bytes]:
    """The lines of a log before a ``seq``, the last first, from the file in use back to the first."""
    log, number, base = "", 0, path
    former = former_files(base)
    if former and not base.exists():
        # Between giving a full file its number and beginning the next.
        path = former[-1][1]
    while True:
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return
        with file:
            head = _head(file)
            if head is None or (log and (head.log, head.file) != (log, number)):
                return
            log, number = head.log, head.file - 1
            if before is None or head.first < before:
                yield from _backwards(file, _end(file, before))
        path = numbered(base, number)


def _end(file: BinaryIO, before: int | None) -> int:
    """Where the lines of a file end that are before a ``seq``, or a few lines behind."""
    low, high = 0, file.seek(0, os.SEEK_END)
    while before is not None and high - low > BLOCK:
        middle = (low + high) // 2
        file.seek(middle)
        file.readline(MAX_LINE + 2)
        number = _seq(file.readline(MAX_LINE + 2))
        if number is None or number >= before:
            high = middle
        else:
            low = middle
    return min(file.seek(0, os.SEEK_END), high + 2 * MAX_LINE)


def _head(file: BinaryIO) -> FileHead | None:
    try:
        content = read_line(file.readline(MAX_LINE + 2)).content
    except ChainFault:
        return None
    return content if isinstance(content, FileHead) else None


def _backwards(file: BinaryIO, end: int) -> Iterator[bytes]:
    """The whole lines before a place, the last first, and what is left of one there."""
    rest = b""
    while end > 0:
        start = max(0, end - BLOCK)
        file.seek(start)
        block = file.read(end - start) + rest
        lines = block.splitlines(keepends=True)
        rest = lines.pop(0) if start else b""
        yield from reversed(lines)
        end = start
        if len(rest) > MAX_LINE:
            # No line of ours: nothing before it can be told apart.
            return
