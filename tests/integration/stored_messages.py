"""What a SQLite store holds, read by another library and without the server."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from laws.journal import Line, Stored, StoreRead, checksum


def stored_messages(file: Path) -> Iterator[Line]:
    """Every message of the file, whose log must be sound and whole from its beginning."""
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        [(log,)] = connection.execute("SELECT name FROM log").fetchall()
        yield StoreRead(logs={log: 1})
        for seq, name, topic, members in connection.execute("SELECT seq, id, topic, members FROM messages"):
            body = json.loads(b"{" + members.removeprefix(b","))
            yield Stored(log=log, seq=seq, id=name, topic=topic, key=body["key"], crc=checksum(body))
    finally:
        connection.close()
