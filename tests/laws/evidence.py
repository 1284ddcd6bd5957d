"""The lines of all journals, sorted by whom and what they are about."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from laws.journal import (
    Answer,
    Arrival,
    GapTold,
    Line,
    Opened,
    Outcome,
    Rest,
    Rights,
    Send,
    Stored,
    StoreRead,
    Watch,
    checksum,
)
from laws.model import Model


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message stands for good."""

    log: str
    seq: int
    id: str


class Publication:
    """One message, however often it was sent, and everything that was answered."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.sends: list[Send] = []
        self.answers: list[Answer] = []

    @property
    def topic(self) -> str:
        return self.sends[0].topic

    @property
    def patient(self) -> str | None:
        return self.sends[0].patient

    def settle(self) -> None:
        """Work out once what every law asks for."""
        self.sends.sort(key=lambda one: one.at)
        self.answers.sort(key=lambda one: one.at)
        self.crc = checksum(self.sends[0].body)
        self.places = {
            Place(one.report["log"], one.report["seq"], one.report["message_id"])
            for one in self.answers
            if one.status == 200 and one.report is not None
        }
        self.place = min(self.places, key=lambda one: (one.log, one.seq)) if self.places else None
        self.acked_at = min((one.at for one in self.answers if one.status == 200), default=None)
        self.durable = any(
            one.report is not None and one.report.get("durability") == "fsync" for one in self.answers
        )
        # A client's fault was found before anything was done; of all else the outcome is open.
        self.refused = bool(self.answers) and len(self.answers) == len(self.sends)
        self.refused = self.refused and all(400 <= one.status < 500 for one in self.answers)


@dataclass
class Client:
    """All that one client wrote."""

    name: str
    user: str = ""
    opened: list[Opened] = field(default_factory=list)
    watches: list[Watch] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    gaps: list[GapTold] = field(default_factory=list)
    rest: Rest | None = None


class Evidence:
    """What the laws judge."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self.publications: dict[str, Publication] = {}
        self.clients: dict[str, Client] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.stored: list[Stored] = []
        self.kept: dict[str, int] | None = None
        """For each log of the store the ``seq`` from which it keeps all; None when nobody looked."""
        rights: list[Rights] = []
        self.lines = 0
        for line in lines:
            self.lines += 1
            match line:
                case Send():
                    self._publication(line.key).sends.append(line)
                case Answer():
                    self._publication(line.key).answers.append(line)
                case Rights():
                    rights.append(line)
                case Opened():
                    client = self._client(line.client)
                    client.user = line.user
                    client.opened.append(line)
                case Watch():
                    self._client(line.client).watches.append(line)
                case Arrival():
                    self._client(line.client).arrivals.append(line)
                case GapTold():
                    self._client(line.client).gaps.append(line)
                case Rest():
                    self._client(line.client).rest = line
                case Outcome():
                    self.outcomes[line.id] = line
                case Stored():
                    self.stored.append(line)
                case StoreRead():
                    self.kept = line.logs
        for publication in self.publications.values():
            if not publication.sends:
                raise ValueError(f"{publication.key} was answered and never sent: the journals are not whole")
            publication.settle()
        self.model = Model(rights)

    def _publication(self, key: str) -> Publication:
        return self.publications.setdefault(key, Publication(key))

    def _client(self, name: str) -> Client:
        return self.clients.setdefault(name, Client(name))

    @property
    def acked(self) -> list[Publication]:
        """Messages that somebody was promised."""
        return [one for one in self.publications.values() if one.place is not None]
