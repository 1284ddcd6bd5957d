"""The records in files of a log, from the first to the last."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from wsserver.audit.chain import MAX_LINE, ChainFault, Entry, FileHead, read_line
from wsserver.audit.record import AuditRecord

_LONGEST: Final = MAX_LINE + 2


class BrokenLine(Exception):
    """A line that is no part of the chain: which one, and why."""

    def __init__(self, path: Path, number: int, why: str) -> None:
        super().__init__(f"{path}:{number}: {why}")
        self.path = path
        self.number = number
        """Counted from 1."""
        self.why = why


def in_order(paths: Sequence[Path]) -> list[Path]:
    """Files as they follow each other, one log after the other.

    Raises BrokenLine for one that does not begin as a log does.
    """
    heads = {path: _head(path) for path in paths}
    begun: dict[str, str] = {}
    for head in heads.values():
        begun[head.log] = min(head.at, begun.get(head.log, head.at))
    return sorted(heads, key=lambda path: (begun[heads[path].log], heads[path].log, heads[path].file))


def _head(path: Path) -> FileHead:
    with path.open("rb") as file:
        try:
            head = read_line(file.readline(_LONGEST)).content
            if not isinstance(head, FileHead):
                raise ChainFault("is a record, and no file begins with one")
        except ChainFault as fault:
            raise BrokenLine(path, 1, str(fault)) from None
    return head


def entries(path: Path) -> Iterator[tuple[int, Entry | ChainFault]]:
    """Each line of a file with its number, or why it cannot be read."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(_LONGEST):
            number += 1
            try:
                yield number, read_line(line)
            except ChainFault as fault:
                yield number, fault


def records(paths: Sequence[Path], amiss: Callable[[BrokenLine], object]) -> Iterator[AuditRecord]:
    """All records of some files in their order; ``amiss`` is called for each line that cannot be believed."""
    for path in in_order(paths):
        for number, entry in entries(path):
            if isinstance(entry, ChainFault):
                amiss(BrokenLine(path, number, str(entry)))
            elif isinstance(entry.content, AuditRecord):
                yield entry.content
