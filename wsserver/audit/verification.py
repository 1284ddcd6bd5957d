"""Whether a log is whole, as far as its chain can tell."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wsserver.audit.chain import GENESIS, Chain, ChainFault, FileHead
from wsserver.audit.reading import BrokenLine, entries, in_order
from wsserver.audit.record import AuditRecord


class AnchorMissing(Exception):
    """No line has the hash that was noted elsewhere: what stood there was changed, or cut off."""


@dataclass(slots=True)
class Verified:
    """What was found whole."""

    log: str = ""
    files: int = 0
    records: int = 0
    first: int = 0
    """``seq`` of the first record that there may be."""
    last: int = 0
    digest: str = GENESIS
    """The hash of the last line: what to keep elsewhere."""
    follows: str = GENESIS
    """The hash that the first line continues: what stood before is not proved unless it is GENESIS."""
    anchored_at: int | None = None
    """The last ``seq`` that the anchor covers; None without one."""


def is_hash(text: str) -> bool:
    """Whether this may be the hash of a line."""
    return re.fullmatch("[0-9a-f]{64}", text) is not None


def verify(paths: Sequence[Path], anchor: str | None = None) -> Verified:
    """Go through the files of one log, in whatever order they are given.

    Raises BrokenLine for the first line that does not fit, AnchorMissing when the chain does not contain
    the line with this hash, and OSError.
    """
    chain, found = Chain(), Verified()
    for path in in_order(paths):
        found.files += 1
        for number, entry in entries(path):
            try:
                if isinstance(entry, ChainFault):
                    raise entry
                if number > 1 and isinstance(entry.content, FileHead):
                    raise ChainFault("begins another file in the middle of this one")
                chain.take(entry)
            except ChainFault as fault:
                raise BrokenLine(path, number, str(fault)) from None
            if isinstance(entry.content, AuditRecord):
                found.records += 1
            elif found.files == 1:
                found.log, found.first, found.follows = entry.content.log, entry.content.first, entry.previous
            if entry.digest == anchor:
                found.anchored_at = chain.seq
    if anchor is not None and found.anchored_at is None:
        raise AnchorMissing
    found.last, found.digest = chain.seq, chain.digest
    return found
