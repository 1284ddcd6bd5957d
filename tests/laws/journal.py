"""What publishers and clients write down: one line of JSON each, appended and never changed.

The processes that write are never the one that is killed, so a line that has been handed to the
kernel is safe; nothing waits for the disk. All moments are ``time.monotonic()`` of one machine.
"""

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import msgspec

Cursor = dict[str, int]


class Line(msgspec.Struct, tag_field="line", forbid_unknown_fields=True, kw_only=True):
    """One line of a journal."""


class Send(Line, tag="send"):
    """A publisher is about to send a message, for the first time or again; written before it does."""

    key: str
    """Names the message; it stands in the body too, so it is found again wherever that arrives."""
    publisher: str
    topic: str
    patient: str | None
    """Whose message it is, whichever door it goes through."""
    body: dict[str, Any]
    at: float


class Answer(Line, tag="answer"):
    """What a publisher was told of a message; written before anything else is done."""

    key: str
    at: float
    status: int
    """Of HTTP; 0 when no answer came, which leaves open what became of the message."""
    report: dict[str, Any] | None = None


class Rights(Line, tag="rights"):
    """From now on a user may see these patients: asked for at ``asked``, answered at ``held``."""

    user: str
    patients: list[str] | None
    """None is all of them."""
    asked: float
    held: float


class Opened(Line, tag="opened"):
    """A client was told ``connected``."""

    client: str
    user: str
    connection: int
    """Counts the connections of this client."""
    dialed: float
    """When it began to connect: rights that ended before do not hold on this connection."""
    at: float
    given: Cursor | None
    """Where it was when it came back; None on its first connection."""
    resumed: bool
    cursor: Cursor
    """The server's position for it, as told in ``connected``."""


class Watch(Line, tag="watch"):
    """A subscription holds: every message beyond ``position`` is due, earlier ones may come as well."""

    client: str
    topic: str
    filters: dict[str, Any]
    at: float
    position: Cursor


class Arrival(Line, tag="arrival"):
    """A published message reached a client, as it stands on the wire."""

    client: str
    connection: int
    at: float
    log: str
    seq: int
    id: str
    topic: str
    key: str
    crc: int
    handled: bool
    """Whether its handler was called; False for one that the cursor is beyond of already."""


class GapTold(Line, tag="gap"):
    """A client was told that it lost something, by ``gap`` or in ``connected``."""

    client: str
    connection: int
    at: float
    reason: str
    log: str | None = None
    topic: str | None = None
    first: int | None = None
    last: int | None = None
    count: int | None = None


class Rest(Line, tag="rest"):
    """A client has heard everything: all answered before ``asked`` was due to be here by ``at``."""

    client: str
    asked: float
    at: float
    cursor: Cursor


class Outcome(Line, tag="outcome"):
    """What became of a message in the server's queues, when everything had come to rest."""

    id: str
    written: int
    queued: int
    dropped: dict[str, int]
    replayed: int | None = None


class Stored(Line, tag="stored"):
    """A message as the store holds it."""

    log: str
    seq: int
    id: str
    topic: str
    key: str
    crc: int


class StoreRead(Line, tag="store_read"):
    """The store was read: which logs it keeps, and from which ``seq`` on it keeps all of each."""

    logs: Cursor


AnyLine = Send | Answer | Rights | Opened | Watch | Arrival | GapTold | Rest | Outcome | Stored | StoreRead

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(AnyLine)


class Journal:
    """Appends lines to one file; keeps nothing in memory."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._file = file.open("ab", buffering=0)

    def write(self, line: Line) -> None:
        """Append a line and hand it to the kernel."""
        self._file.write(_encoder.encode(line) + b"\n")

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        self.close()


def read_journals(folder: Path) -> Iterator[Line]:
    """The lines of every ``*.journal`` of a folder, file by file. A last line that is torn is an error."""
    for file in sorted(folder.glob("*.journal")):
        with file.open("rb") as lines:
            for line in lines:
                yield _decoder.decode(line)


def checksum(body: dict[str, Any]) -> int:
    """Of a message without ``_meta``, whatever the order of its members."""
    return zlib.crc32(json.dumps(body, sort_keys=True, separators=(",", ":")).encode())
