"""The files of store and TLS: whole or not, and nothing of them is changed."""

import fcntl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw
import pytest
from cryptography import x509
from self_signed import make_certificate
from workbench import settings_with

from wsserver.doctor import files
from wsserver.doctor.files import examine_store, examine_tls, examine_user
from wsserver.doctor.finding import Finding
from wsserver.settings import Settings


def by_check(found: list[Finding]) -> dict[str, str]:
    return {one.check: one.level for one in found}


def stored(path: Path) -> list[Finding]:
    before = sorted(entry.name for entry in path.parent.iterdir()) if path.parent.is_dir() else None
    found = list(examine_store(settings_with(store={"url": f"sqlite:///{path}"})))
    if before is not None:
        assert sorted(entry.name for entry in path.parent.iterdir()) == before
    return found


def make_store(path: Path) -> None:
    connection = apsw.Connection(str(path))
    for step in ("PRAGMA journal_mode=WAL", "CREATE TABLE t(x)", "INSERT INTO t VALUES (zeroblob(20000))"):
        list(connection.execute(step))
    connection.close()


def test_a_store_in_memory_and_one_yet_to_be_made_are_good(tmp_path: Path) -> None:
    assert by_check(list(examine_store(Settings()))) == {"store": "ok"}
    assert by_check(stored(tmp_path / "store.db")) == {
        "store": "ok", "store_integrity": "ok", "store_room": "ok",
    }  # fmt: skip


def test_a_place_that_is_none_is_a_fault(tmp_path: Path) -> None:
    (problem,) = stored(tmp_path / "none" / "store.db")
    assert (problem.level, problem.remedy is not None) == ("fault", True)


def test_a_whole_file_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    make_store(path)
    assert by_check(stored(path))["store_integrity"] == "ok"
    data = bytearray(path.read_bytes())
    data[4096:8192] = bytes(4096)
    path.write_bytes(data)
    assert by_check(stored(path))["store_integrity"] == "fault"
    path.write_bytes(b"no database at all" * 100)
    assert by_check(stored(path))["store_integrity"] == "fault"


def test_a_store_in_use_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    make_store(path)
    with (tmp_path / "store.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert by_check(stored(path))["store_integrity"] == "skipped"
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert by_check(stored(path))["store_integrity"] == "ok"


def test_what_still_waits_beside_the_file_is_for_the_server(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    make_store(path)
    (tmp_path / "store.db-wal").write_bytes(b"x")
    assert by_check(stored(path))["store_integrity"] == "skipped"


def test_the_store_needs_room_to_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, most = tmp_path / "store.db", Settings().store.max_bytes
    for free, level in ((int(1.5 * most), "ok"), (int(1.5 * most) - 1, "warning")):
        monkeypatch.setattr(files, "free_bytes", lambda folder, free=free: free)
        assert by_check(stored(path))["store_room"] == level
    # What it has already it need not find again.
    path.write_bytes(b"x" * 10)
    assert by_check(stored(path))["store_room"] == "ok"


def test_root_is_told_that_it_proves_little() -> None:
    assert examine_user(0).level == "warning"
    assert examine_user(1000).level == "ok"


@pytest.fixture
def tls(tmp_path: Path) -> Settings:
    certificate, key = make_certificate(tmp_path, timedelta(days=60))
    Path(key).chmod(0o600)
    return settings_with(server={"tls_certificate": str(certificate), "tls_key": str(key)})


def ends(settings: Settings) -> datetime:
    data = Path(str(settings.server.tls_certificate)).read_bytes()
    return x509.load_pem_x509_certificate(data).not_valid_after_utc


def test_no_tls_is_said_so() -> None:
    assert by_check(list(examine_tls(Settings()))) == {"tls": "ok"}


def test_a_certificate_is_good_until_it_is_about_to_end(tls: Settings) -> None:
    end = ends(tls)
    for now, level in (
        (end - timedelta(days=30), "ok"),
        (end - timedelta(days=29, hours=23), "warning"),
        (end - timedelta(seconds=1), "warning"),
        (end, "fault"),
        (datetime(2020, 1, 1, tzinfo=UTC), "fault"),
    ):
        assert by_check(list(examine_tls(tls, now))) == {
            "tls": "ok", "tls_expiry": level, "tls_key": "ok",
        }, now  # fmt: skip


def test_a_key_of_another_certificate_and_one_for_everybody_are_told(tls: Settings, tmp_path: Path) -> None:
    Path(str(tls.server.tls_key)).chmod(0o644)
    assert by_check(list(examine_tls(tls)))["tls_key"] == "warning"
    other = tmp_path / "other"
    other.mkdir()
    _, key = make_certificate(other)
    mixed = settings_with(server={"tls_certificate": tls.server.tls_certificate, "tls_key": str(key)})
    (problem,) = examine_tls(mixed)
    assert problem.level == "fault"
    assert "BEGIN" not in problem.text
