"""Small logs to read and to tamper with."""

from pathlib import Path

from wsserver.audit.chain import GENESIS, FileHead, seal
from wsserver.audit.record import AuditRecord

AT = "2026-01-01T00:00:00.000Z"


def record(seq: int, **members: object) -> AuditRecord:
    """A record that says no more than it has to."""
    facts = {"at": AT, "action": "subscribe", "actor": f"u{seq % 7}", "patient_id": f"p{seq % 5}"}
    return AuditRecord(**{**facts, **members, "seq": seq})


def lines(
    count: int, *, file: int = 1, first: int = 1, log: str = "log_1", previous: str = GENESIS
) -> list[bytes]:
    """The lines of a file with so many records."""
    texts = [FileHead(log=log, file=file, first=first, at=AT).encode()]
    texts += [record(seq).encode() for seq in range(first, first + count)]
    return sealed(texts, previous)


def sealed(texts: list[bytes], previous: str = GENESIS) -> list[bytes]:
    """Lines for canonical JSON, each continuing the one before."""
    out = []
    for text in texts:
        line, previous = seal(text, previous)
        out.append(line)
    return out


def digest(line: bytes) -> str:
    """The hash that a line carries."""
    return line[-67:-3].decode()


def write(path: Path, *parts: list[bytes]) -> Path:
    """A file of these lines."""
    path.write_bytes(b"".join(line for part in parts for line in part))
    return path
