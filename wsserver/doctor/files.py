"""The files that the settings name: the store's, and those of TLS."""

import shutil
import ssl
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import apsw
from cryptography import x509

from wsserver.doctor.finding import Finding, fault, ok, skipped, warning
from wsserver.settings import Settings
from wsserver.settings.store_url import store_path
from wsserver.store.file_lock import is_locked
from wsserver.store.store_place import find_place_fault

ROOM_FACTOR: Final = 1.5
"""A file of messages is larger than they are, and has its log beside it."""

SOON: Final = timedelta(days=30)
"""Before its end a certificate is warned of for so long."""


def examine_user(user_id: int) -> Finding:
    """Whether what may be read and written here says anything of the server's user."""
    if user_id == 0:
        return warning(
            "user",
            "this runs as root, who may read and write everything",
            "run it as the user of the server to learn what that one may",
        )
    return ok("user", f"this runs as user {user_id}")


def examine_store(settings: Settings) -> Iterator[Finding]:
    """Whether the store can be there, and whether its file is whole. What is in use is left alone."""
    path = store_path(settings.store.url)
    if path is None:
        yield ok("store", "messages and sessions are kept in memory and end with the process")
        return
    problem = find_place_fault(path)
    if problem is not None:
        yield fault("store", problem, "make the folder and give it to the server's user, or set store.url")
        return
    yield ok("store", f"{path} can be written to")
    yield _integrity(path)
    yield _room(path, settings.store.max_bytes)


def _integrity(path: Path) -> Finding:
    name = "store_integrity"
    if not path.exists():
        return ok(name, f"{path} is yet to be made")
    if is_locked(path):
        return skipped(name, f"{path} is in use by a server, which has checked it")
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size:
        # To read them as one would make files here that belong to the wrong user.
        return skipped(name, f"what was committed last still waits in {log.name}: the server checks both")
    try:
        connection = apsw.Connection(
            f"{path.absolute().as_uri()}?immutable=1",
            flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI,
        )
        try:
            told = [str(row[0]) for row in connection.execute("PRAGMA quick_check(1)")]
        finally:
            connection.close()
    except apsw.Error as problem:
        told = [type(problem).__name__]
    if told != ["ok"]:
        return fault(
            name,
            f"{path} is damaged ({told[0] if told else 'empty'})",
            "move it aside with its -wal and -shm, or restore a backup",
        )
    return ok(name, f"{path} is whole")


def _room(path: Path, most: int) -> Finding:
    free, there = free_bytes(path.parent), path.stat().st_size if path.exists() else 0
    if free + there < ROOM_FACTOR * most:
        return warning(
            "store_room",
            f"the store may grow to {most / 2**20:.0f} MiB and more, and {(free + there) / 2**20:.0f} MiB "
            "are there for it",
            "make room, or lower store.max_bytes",
        )
    return ok("store_room", f"{free / 2**20:.0f} MiB are free")


def free_bytes(folder: Path) -> int:
    """What may still be written there."""
    return shutil.disk_usage(folder).free


def examine_tls(settings: Settings, now: datetime | None = None) -> Iterator[Finding]:
    """Whether certificate and key go together, and for how long yet."""
    certificate, key = settings.server.tls_certificate, settings.server.tls_key
    if certificate is None or key is None:
        yield ok("tls", "the server itself speaks no TLS")
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "reason", None) or type(problem).__name__
        yield fault("tls", f"certificate and key cannot be used: {reason}", "look at both files")
        return
    yield ok("tls", "certificate and key go together")
    yield _expiry(Path(certificate), now or datetime.now(UTC))
    if Path(key).stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
        yield warning("tls_key", f"every user of this machine may read or write {key}", f"chmod 600 {key}")
    else:
        yield ok("tls_key", "the key is not for everybody")


def _expiry(path: Path, now: datetime) -> Finding:
    ends = min(one.not_valid_after_utc for one in x509.load_pem_x509_certificates(path.read_bytes()))
    begins = max(one.not_valid_before_utc for one in x509.load_pem_x509_certificates(path.read_bytes()))
    renew = "renew it, and restart the server: it is read at the start only"
    if now >= ends:
        return fault("tls_expiry", f"the certificate has ended ({ends:%Y-%m-%d})", renew)
    if now < begins:
        return fault(
            "tls_expiry", f"the certificate begins on {begins:%Y-%m-%d}", "look at the clock of this machine"
        )
    if ends - now < SOON:
        return warning("tls_expiry", f"the certificate ends in {(ends - now).days} days", renew)
    return ok("tls_expiry", f"the certificate ends on {ends:%Y-%m-%d}")
