"""The access audit: whether it is kept, whole, and has room."""

from collections.abc import Iterator
from pathlib import Path

from wsserver.audit.audit_file import verify_tail
from wsserver.audit.chain import ChainFault
from wsserver.doctor.files import free_bytes
from wsserver.doctor.finding import Finding, fault, ok, skipped, warning
from wsserver.settings import Settings
from wsserver.settings.units import format_size
from wsserver.store.file_lock import is_locked
from wsserver.store.store_place import find_place_fault


def examine_audit(settings: Settings) -> Iterator[Finding]:
    """Who watched which patient has to be answered for longer than a process lives. Changes nothing."""
    audit = settings.audit
    if audit.path is None:
        yield warning(
            "audit",
            "who watched which patient is kept in memory only, the newest 1,000 records",
            "set audit.path",
        )
        return
    path = Path(audit.path)
    problem = find_place_fault(path)
    if problem is not None:
        yield fault("audit", problem, "make the folder and give it to the server's user, or set audit.path")
        return
    yield ok("audit", f"{path} can be written to")
    yield _chain(path)
    free = free_bytes(path.parent)
    if free < 2 * audit.max_bytes:
        yield warning(
            "audit_room",
            f"{free / 2**20:.0f} MiB are free for files of {format_size(audit.max_bytes)}",
            "make room, or set audit.files and lower audit.max_bytes",
        )
    else:
        yield ok("audit_room", f"{free / 2**20:.0f} MiB are free")


def _chain(path: Path) -> Finding:
    name = "audit_chain"
    if not path.exists():
        return ok(name, f"{path} is yet to be made")
    if is_locked(path):
        return skipped(name, f"{path} is being written by a server: wsserver audit verify reads it")
    try:
        verify_tail(path)
    except ChainFault as problem:
        return fault(
            name, f"the end of {path} {problem}", "keep it as evidence; the server sets it aside by itself"
        )
    except OSError as problem:
        return fault(name, f"{path} cannot be read: {problem.strerror}", "give it to the server's user")
    return ok(name, f"the chain at the end of {path} holds")
