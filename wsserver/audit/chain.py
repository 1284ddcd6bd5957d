"""Lines that depend on each other: each carries the hash of the one before it, and its own.

What a chain can prove: that nothing was changed, taken out, put in or moved before a line whose hash
somebody else knows. By itself it only shows that the lines fit together: whoever may write the file
can compute a whole new chain, and what was cut off at the end leaves no gap.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import msgspec

from wsserver.audit.record import AuditRecord

GENESIS: Final = "0" * 64
"""What stands for the hash before the first line of a log."""

FIRST_BYTES: Final = b'{"log":"'
"""What every file begins with."""

MAX_LINE: Final = 64 * 1024
"""Bytes of a line; longer ones are none of ours."""

_SEAL: Final = re.compile(rb',"prev":"([0-9a-f]{64})","hash":"([0-9a-f]{64})"\}')
_SEAL_SIZE: Final = len(',"prev":"",') + len('"hash":""}') + 128
_HASH_SIZE: Final = len(',"hash":""}') + 64


class ChainFault(Exception):
    """Why a line is no part of the chain. The text names places and rules, never what is in a record."""


class FileHead(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line of a file: which log it belongs to, and where it continues."""

    log: str
    """The name of the log, the same in all its files."""
    file: int
    """The number of this file; the first is 1."""
    first: int
    """``seq`` of its first record."""
    at: str
    """When it was begun."""

    def encode(self) -> bytes:
        """Its canonical JSON."""
        return msgspec.json.encode(self)


@dataclass(frozen=True, slots=True, repr=False)
class Entry:
    """One line as it was read, its own hash checked. No repr: it would name patients."""

    content: FileHead | AuditRecord
    previous: str
    digest: str


def seal(text: bytes, previous: str) -> tuple[bytes, str]:
    """The line for a canonical JSON object, and its hash.

    The hash (SHA-256) is over the line without its member ``hash``, and so over ``prev`` as well.
    """
    hashed = b'%b,"prev":"%b"}' % (text[:-1], previous.encode())
    digest = sha256(hashed).hexdigest()
    return b'%b,"hash":"%b"}\n' % (hashed[:-1], digest.encode()), digest


def read_line(line: bytes) -> Entry:
    """What a line says. Raises ChainFault for one that was changed, or that none of ours ever was."""
    if not line.endswith(b"\n"):
        raise ChainFault("is incomplete: cut off, or being written when the server died")
    line = line[:-1]
    if len(line) > MAX_LINE:
        raise ChainFault(f"is longer than {MAX_LINE} bytes")
    found = _SEAL.fullmatch(line[-_SEAL_SIZE:])
    if found is None:
        raise ChainFault("does not end with prev and hash: it is no line of an audit log")
    digest = found[2].decode()
    if sha256(line[:-_HASH_SIZE] + b"}").hexdigest() != digest:
        raise ChainFault("was changed: its hash is not the one it carries")
    text = line[:-_SEAL_SIZE] + b"}"
    try:
        content: FileHead | AuditRecord = (_heads if text.startswith(FIRST_BYTES) else _records).decode(text)
        is_canonical = content.encode() == text
    except (msgspec.DecodeError, UnicodeError, RecursionError, OverflowError):
        is_canonical = False
    if not is_canonical:
        raise ChainFault("is not as this server spells a record")
    return Entry(content, found[1].decode(), digest)


class Chain:
    """Where a chain stands: what the next line must continue."""

    __slots__ = ("digest", "file", "log", "seq")

    def __init__(self) -> None:
        self.log: str | None = None
        """The name of the log; None before the first head."""
        self.file = 0
        """The number of the file that the last line was in."""
        self.seq = 0
        """That of the last record."""
        self.digest = GENESIS
        """The hash of the last line."""

    def take(self, entry: Entry) -> None:
        """Go on with a line, the first of which must be a head. Raises ChainFault, and stays where it is."""
        content = entry.content
        if isinstance(content, FileHead):
            self._take_head(content, entry)
        else:
            self._take_record(content, entry)
        self.digest = entry.digest

    def _take_head(self, head: FileHead, entry: Entry) -> None:
        if self.log is not None:
            if head.log != self.log:
                raise ChainFault("begins another log")
            if head.file != self.file + 1:
                raise ChainFault(f"begins file {head.file}, after file {self.file}")
            if head.first != self.seq + 1:
                raise ChainFault(f"begins with record {head.first}, after record {self.seq}")
            self._check_previous(entry)
        elif head.first > 1 and entry.previous == GENESIS:
            raise ChainFault("continues a log, and says that nothing was before it")
        self.log, self.file, self.seq = head.log, head.file, head.first - 1

    def _take_record(self, record: AuditRecord, entry: Entry) -> None:
        if self.log is None:
            raise ChainFault("is a record, and no file begins with one")
        if record.seq != self.seq + 1:
            raise ChainFault(f"is record {record.seq}, after record {self.seq}")
        self._check_previous(entry)
        self.seq = record.seq

    def _check_previous(self, entry: Entry) -> None:
        if entry.previous != self.digest:
            raise ChainFault("does not continue the line before it")


_heads: Final = msgspec.json.Decoder(FileHead)
_records: Final = msgspec.json.Decoder(AuditRecord)
