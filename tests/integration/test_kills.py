"""A server with a disk store that is killed at random moments, under load: what it promised holds."""

import asyncio
import itertools
import random
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from delivery_ward import DeliveryWard, Enrol, verdict
from laws.evidence import Client, Evidence
from laws.journal import Cursor
from laws.laws import Terms, check
from laws.publisher import HttpPublisher
from laws.resuming_client import ResumingClient
from live_server import ALL_SCOPES, token_of, until
from server_process import ServerProcess
from stored_messages import stored_messages

SETTINGS = """
[store]
url = "sqlite:///{file}"
[connection]
max_connections_per_role = "none"
[rate_limit]
handshakes_per_ip = "none"
[session]
ttl = 600
[history]
size = 1000000
bytes = "256MiB"
ttl = 3600
max_total_bytes = "512MiB"
"""

TERMS = Terms(gaps=frozenset({"restart", "not_resumed", "limit"}))
"""The volatile log ends with each server; a session may end with it that had no time to be written."""

MOMENT = 0.25
"""Seconds within which a session must have been written."""


class MortalServer:
    """One server after the other on one port and one file."""

    def __init__(self, run: Any, file: Path) -> None:
        self._run = run
        self._settings = SETTINGS.format(file=file)
        self.port = 0
        self.server: ServerProcess | None = None
        self.kills: list[float] = []

    async def begin(self) -> ServerProcess:
        """Start one; it need not listen yet."""
        self.server = await self._run(self._settings, "--port", str(self.port))
        return self.server

    async def start(self) -> None:
        server = await self.begin()
        await server.listening()
        self.port = server.port

    async def kill(self) -> None:
        assert self.server is not None
        self.kills.append(time.monotonic())
        self.server.process.kill()
        await self.server.ended()

    async def heads(self) -> Cursor:
        """How far the logs of the server that lives now have come."""
        assert self.server is not None
        client = await self.server.enter()
        cursor: Cursor = (await client.ask("ping"))["cursor"]
        await client.close()
        return cursor

    async def stop(self) -> None:
        """End it as an operator does."""
        assert self.server is not None
        self.server.process.send_signal(signal.SIGTERM)
        await self.server.ended()


@asynccontextmanager
async def publishing(ward: DeliveryWard, publishers: list[HttpPublisher]) -> AsyncIterator[None]:
    """Publishers that go on, each one message after the other, until the end of the block."""
    over = asyncio.Event()

    async def go_on(publisher: HttpPublisher) -> None:
        while not over.is_set():
            topic, body = ward.draw()
            durable = topic.startswith("patient:") or "patient_id" in body
            await publisher.publish(topic, body, insist=durable)

    tasks = [asyncio.create_task(go_on(publisher)) for publisher in publishers]
    try:
        yield
    finally:
        over.set()
        await asyncio.gather(*tasks)


async def run_rounds(
    run: Any, folder: Path, enrol: Enrol, *, rounds: int, acks: int, clients: int, seed: int
) -> Evidence:
    dice = random.Random(seed)
    file = folder / "messages.db"
    mortal = MortalServer(run, file)
    await mortal.start()
    ward = DeliveryWard(folder / "journals", lambda: mortal.port, seed=seed, enrol=enrol)
    token = token_of("backend", "service", scope=ALL_SCOPES)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        publishers = [
            HttpPublisher(
                f"p{number}", ward.journal(f"publisher-{number}"), session, lambda: mortal.port, token
            )
            for number in range(8)
        ]

        async def acknowledged(more: int) -> None:
            goal = sum(publisher.acked for publisher in publishers) + more
            await until(
                lambda: sum(publisher.acked for publisher in publishers) >= goal, f"{goal} acks", patience=120
            )

        try:
            await ward.fill(clients, pause=0.05, quiet=1.0)
            async with publishing(ward, publishers):
                for _ in range(rounds):
                    await acknowledged(dice.randrange(acks // 2, acks * 3 // 2))
                    await asyncio.sleep(dice.random() * 0.02)
                    await mortal.kill()
                    if dice.random() < 0.15:
                        # Again, in the middle of its start.
                        await mortal.begin()
                        await asyncio.sleep(dice.random())
                        await mortal.kill()
                    await mortal.start()
            await ward.settle(await mortal.heads(), patience=60)
        finally:
            await ward.stop()
        await mortal.stop()
    with ward.journal("store") as journal:
        for line in stored_messages(file):
            journal.write(line)
    ward.close()
    evidence = ward.evidence()
    violations = check(evidence, TERMS)
    assert not violations, verdict(violations)
    for client in evidence.clients.values():
        assert_only_fresh_sessions_ended(client, mortal.kills)
    return evidence


def assert_only_fresh_sessions_ended(client: Client, kills: list[float]) -> None:
    """Whoever had been connected for a moment when the server died was resumed."""
    anew = {1}
    for before, opened in itertools.pairwise(client.opened):
        if not opened.resumed:
            killed = next(kill for kill in kills if kill > before.at)
            assert killed - before.at < MOMENT, f"{client.name} was not resumed: {before} {opened} {killed}"
            anew.add(opened.connection)
    assert all(gap.reason == "restart" or gap.connection in anew for gap in client.gaps)


@pytest.mark.parametrize(
    ("rounds", "acks", "clients"),
    [
        pytest.param(10, 60, 6, marks=pytest.mark.timeout(300)),
        pytest.param(100, 1450, 12, marks=[pytest.mark.long, pytest.mark.timeout(3600)]),
    ],
)
async def test_what_was_acknowledged_outlives_the_server(
    run: Any, tmp_path: Path, enrol: Enrol, rounds: int, acks: int, clients: int
) -> None:
    if rounds == 10 and enrol is not ResumingClient:
        # Whoever the clients are, the server is the same: the double has all the rounds.
        rounds = 4
    evidence = await run_rounds(run, tmp_path, enrol, rounds=rounds, acks=acks, clients=clients, seed=rounds)
    durable = [one for one in evidence.acked if one.durable]
    assert len(durable) >= (100_000 if rounds == 100 else rounds * acks // 4)
    # Only what lived in memory alone may have been lost on those who were resumed.
    gaps = [gap for client in evidence.clients.values() for gap in client.gaps]
    assert all((gap.log or "").endswith("v") for gap in gaps if gap.reason == "restart")
    # Something was at stake: sessions were resumed, and some answers never came.
    assert sum(one.resumed for client in evidence.clients.values() for one in client.opened) >= rounds
    statuses = {answer.status for one in evidence.publications.values() for answer in one.answers}
    assert 0 in statuses
