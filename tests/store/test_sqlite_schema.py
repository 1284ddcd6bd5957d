"""Which files are taken, and what is seen to be wrong with them."""

from pathlib import Path

import apsw
import pytest

from wsserver.store import sqlite_schema
from wsserver.store.sqlite_schema import SchemaFault, create, find_damage, found_version


@pytest.fixture
def connection(tmp_path: Path) -> apsw.Connection:
    return apsw.Connection(str(tmp_path / "store.db"))


def filled(connection: apsw.Connection, *seqs: int, head: int) -> apsw.Connection:
    create(connection)
    for seq in seqs:
        connection.execute("INSERT INTO messages VALUES (?,'','',NULL,NULL,3,NULL,0,x'')", (seq,))
    connection.execute("UPDATE log SET head = ?", (head,))
    return connection


def test_an_empty_file_is_new_and_a_made_one_is_ours(connection: apsw.Connection) -> None:
    assert found_version(connection) == 0
    create(connection)
    assert found_version(connection) == sqlite_schema.VERSION == 1
    assert find_damage(connection) is None


def test_two_files_have_logs_of_different_names() -> None:
    names = set()
    for _ in range(50):
        connection = apsw.Connection(":memory:")
        create(connection)
        names.add(connection.execute("SELECT name FROM log").get)
    assert len(names) == 50


def test_a_newer_version_is_refused(connection: apsw.Connection) -> None:
    create(connection)
    connection.pragma("user_version", sqlite_schema.VERSION + 1)
    with pytest.raises(SchemaFault, match=r"newer version of wsserver \(format 2; this one knows 1\)"):
        found_version(connection)


def test_files_of_others_are_refused(connection: apsw.Connection) -> None:
    connection.execute("CREATE TABLE theirs (a)")
    with pytest.raises(SchemaFault, match="another program"):
        found_version(connection)
    connection.pragma("application_id", 5)
    with pytest.raises(SchemaFault, match="another program"):
        found_version(connection)
    connection.pragma("application_id", sqlite_schema.APPLICATION_ID)
    with pytest.raises(SchemaFault, match="its format 0 is unknown"):
        found_version(connection)


@pytest.mark.parametrize(
    ("seqs", "head", "damage"),
    [
        ((), 0, None),
        ((), 9, None),
        ((1, 2, 3), 3, None),
        ((7, 8), 8, None),
        ((7, 9), 9, "not the end of its log"),
        ((7, 8), 7, "not the end of its log"),
        ((0, 1), 1, "not the end of its log"),
        ((7, 8), 9, "the end of its log is missing"),
    ],
)
def test_a_log_with_a_hole_is_damaged(
    connection: apsw.Connection, seqs: tuple[int, ...], head: int, damage: str | None
) -> None:
    found = find_damage(filled(connection, *seqs, head=head))
    assert found is None if damage is None else damage in str(found)


def test_a_file_without_its_log_is_damaged(connection: apsw.Connection) -> None:
    create(connection)
    connection.execute("DELETE FROM log")
    assert find_damage(connection) == "it has no log"


def test_damage_inside_the_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    connection = apsw.Connection(str(path))
    filled(connection, *range(1, 2000), head=1999)
    connection.close()
    content = bytearray(path.read_bytes())
    content[3 * 4096 : 3 * 4096 + 100] = b"\xff" * 100
    path.write_bytes(content)
    assert find_damage(apsw.Connection(str(path))) is not None
