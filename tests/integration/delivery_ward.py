"""A ward under observation: clients that come back, publishers, their journals, and the verdict."""

import asyncio
import itertools
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from laws.evidence import Evidence
from laws.journal import Cursor, Journal, Outcome, Rights, read_journals
from laws.laws import Terms, Violation, check
from laws.publisher import InnerPublisher
from laws.resuming_client import ResumingClient, Wanted
from live_server import token_of

PATIENTS = ["1", "2", "3", "4"]

WATCHES: list[tuple[list[str] | None, list[Wanted]]] = [
    (["1"], [Wanted("patient:1")]),
    (["1", "2"], [Wanted("patient:2", {"hr": {"$gte": 60}}), Wanted("type:ecg", {"lead": ["I", "II"]})]),
    (["1", "2"], [Wanted("patient:*")]),
    (None, [Wanted("*")]),
    (["3"], [Wanted("patient:3", {"hr": {"$gte": 95}})]),
    (["1", "4"], [Wanted("*", {"kind": "alert"})]),
]
"""Who may see what and asks for what, by turns: patients, filters, wildcards, a filter that skips most."""

AT_ONCE = 50
"""Clients that come in together."""

ROOMY = {
    "connection": {"max_connections_per_user": 50, "max_connections_per_role": None},
    "rate_limit": {"handshakes_per_ip": None},
    "session": {"ttl": 3600.0},
}
"""Settings under which nobody is refused for coming back often, or too late on a busy machine."""

Enrol = Callable[..., Any]


class DeliveryWard:
    """Everybody who writes a journal, and the folder that holds them."""

    def __init__(
        self, folder: Path, port: Callable[[], int], *, seed: int = 1, enrol: Enrol = ResumingClient
    ) -> None:
        """``enrol`` makes clients: the double that is the protocol read aloud, or the real ones."""
        folder.mkdir(exist_ok=True)
        self._enrol = enrol
        self.folder = folder
        self.port = port
        self.dice = random.Random(seed)
        self._waveform = random.Random(seed)
        self.clients: list[Any] = []
        self._journals: list[Journal] = []
        self._seen: dict[str, list[str] | None] = {}
        self._rights = self.journal("rights")
        self._numbers = itertools.count()

    def journal(self, name: str) -> Journal:
        journal = Journal(self.folder / f"{name}.journal")
        self._journals.append(journal)
        return journal

    # -- clients

    def client(
        self, patients: list[str] | None, wanted: list[Wanted], *, name: str | None = None, **how: Any
    ) -> Any:
        """A client of a user of its own, who may see these patients (None: all)."""
        name = name or f"c{len(self.clients)}"
        self.grant(name, patients)
        # One token for all its connections: one of today would outlive what was revoked yesterday.
        token = token_of(name, "doctor", patients="*" if patients is None else patients)
        client = self._enrol(
            name,
            lambda: token,
            self.port,
            wanted,
            self.journal(f"client-{name}"),
            **how,
        )
        self.clients.append(client)
        return client

    def patients_of(self, user: str) -> list[str]:
        """Whom a user may see by what was written down last; none for one who may see all."""
        return self._seen[user] or []

    def grant(self, user: str, patients: list[str] | None, asked: float | None = None) -> None:
        """Write down what a user may see from now on; ``asked`` is when the change was asked for."""
        self._seen[user] = patients
        now = time.monotonic()
        self._rights.write(
            Rights(user=user, patients=patients, asked=now if asked is None else asked, held=now)
        )

    def take_away(self, client: Any, left: list[str]) -> None:
        """From its next token on a client may see these patients only."""
        token = token_of(client.user, "doctor", patients=left)
        client.token = lambda: token
        self.grant(client.user, left)

    async def fill(self, count: int, **how: Any) -> None:
        """Start clients of every kind in turn, and wait until all of them watch.

        Not all at once: on a busy machine a thousand give up before they are in, and begin again.
        """
        for number in range(count):
            patients, wanted = WATCHES[number % len(WATCHES)]
            self.client(patients, wanted, **how).start()
            if number % AT_ONCE == AT_ONCE - 1 or number == count - 1:
                await asyncio.gather(*(client.watching() for client in self.clients[-AT_ONCE:]))

    async def settle(self, heads: Cursor, patience: float = 30.0) -> None:
        """Wait until every client has come as far as the publishers were answered."""
        await asyncio.gather(*(client.settle(heads, patience) for client in self.clients))

    async def stop(self) -> None:
        await asyncio.gather(*(client.stop() for client in self.clients))

    # -- publishing

    def draw(self) -> tuple[str, dict[str, Any]]:
        """A topic and a message for it: patients' vital signs and alerts, waveforms, announcements."""
        dice = self.dice
        number = next(self._numbers)
        body: dict[str, Any] = {"n": number, "kind": "data", "type": "vitals", "hr": dice.randrange(40, 100)}
        match dice.randrange(10):
            case 0:
                lead = dice.choice(["I", "II", "V1"])
                return "ecg:*", {"n": number, "type": "ecg_data", "lead": lead, "data": self._samples()}
            case 1:
                samples = self._samples()
                return "ecg:*", {**body, "patient_id": dice.choice(PATIENTS), "lead": "I", "data": samples}
            case 2:
                return "*", {"n": number, "kind": "announcement", "text": "tea " * dice.randrange(400)}
            case 3:
                body = {**body, "kind": "alert", "type": "alert"}
        return f"patient:{dice.choice(PATIENTS)}", body

    def _samples(self) -> list[int]:
        """Some that fit the narrowest type of the binary protocol, some that do not, some too few for it."""
        dice = self._waveform
        most = dice.choice([500, 100_000])
        return [dice.randrange(-most, most) for _ in range(dice.choice([4, 16, 50]))]

    def publish(self, publisher: InnerPublisher, count: int = 1) -> None:
        """Publish so many drawn messages at once."""
        for _ in range(count):
            publisher.publish(*self.draw())

    # -- the verdict

    def judge(self, terms: Terms) -> list[Violation]:
        """All violations of the laws up to now."""
        return check(self.evidence(), terms)

    def evidence(self) -> Evidence:
        return Evidence(read_journals(self.folder))

    def write_outcomes(self, publisher: InnerPublisher) -> None:
        """Write down what the server's own counters say of every message of this publisher."""
        journal = self.journal(f"outcomes-{publisher.name}")
        for report in publisher.reports:
            outcome = report.outcome()
            journal.write(
                Outcome(
                    id=report.message_id,
                    written=outcome["written"],
                    queued=outcome["queued"],
                    dropped=outcome["dropped"],
                    replayed=outcome.get("replayed"),
                )
            )

    def close(self) -> None:
        for journal in self._journals:
            journal.close()


def verdict(violations: list[Violation]) -> str:
    """The first few, and how many there are."""
    return "\n".join([f"{len(violations)} violations:", *map(str, violations[:12])])
