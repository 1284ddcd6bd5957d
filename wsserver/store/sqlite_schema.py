"""What the file of a SQLite store looks like, and which files are ours."""

import secrets
from typing import Final

import apsw

APPLICATION_ID: Final = 0x77737372
"""``wssr``: in the header of every file of ours, so that nobody else's is taken for one."""

VERSION: Final = 1
"""Of the schema. A file of a later version is refused; one of an earlier would be changed at opening."""

_TABLES: Final = f"""
CREATE TABLE log (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    name TEXT NOT NULL,
    head INTEGER NOT NULL,
    probes INTEGER NOT NULL
) STRICT;
CREATE TABLE messages (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    topic TEXT NOT NULL,
    type TEXT,
    patient_id TEXT,
    importance INTEGER NOT NULL,
    stream TEXT,
    at REAL NOT NULL,
    members BLOB NOT NULL
) STRICT;
CREATE TABLE sessions (
    key BLOB PRIMARY KEY,
    expires_at REAL NOT NULL,
    state BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_end ON sessions (expires_at);
CREATE TABLE keys (
    key BLOB PRIMARY KEY,
    digest BLOB NOT NULL,
    created_at REAL NOT NULL,
    seq INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    answer BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_by_age ON keys (created_at);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
"""


class SchemaFault(Exception):
    """The file is not one that this version can use; the text says why."""


def found_version(connection: apsw.Connection) -> int:
    """The version of the schema in the file, 0 for an empty file. Raises SchemaFault."""
    application = connection.pragma("application_id")
    version = connection.pragma("user_version")
    if application == 0 and version == 0 and not connection.execute("SELECT 1 FROM sqlite_schema").get:
        return 0
    if application != APPLICATION_ID:
        raise SchemaFault("it is a database of another program")
    if version > VERSION:
        raise SchemaFault(
            f"it was written by a newer version of wsserver (format {version}; this one knows {VERSION})"
        )
    if version < 1:
        raise SchemaFault(f"its format {version} is unknown")
    return int(version)


def create(connection: apsw.Connection) -> None:
    """Fill an empty file, within the caller's transaction; its log has a name that no other has."""
    connection.execute(_TABLES)
    connection.execute("INSERT INTO log VALUES (1, ?, 0, 0)", (f"{secrets.token_hex(4)}d",))


def find_damage(connection: apsw.Connection) -> str | None:
    """What is wrong with the content of a file, None if nothing is. Reads all of it."""
    try:
        verdict = connection.pragma("quick_check")
    except apsw.CorruptError:
        return "it cannot be read to its end"
    if verdict != "ok":
        return str(verdict).splitlines()[0]
    logs = connection.execute("SELECT name, head FROM log").fetchall()
    if len(logs) != 1:
        return "it has no log" if not logs else "it has several logs"
    head = logs[0][1]
    first, last, count = connection.execute("SELECT min(seq), max(seq), count(*) FROM messages").get
    if count and (first < 1 or last > head or count != last - first + 1):
        return "its messages are not the end of its log"
    if count and last != head:
        return "the end of its log is missing"
    return None
