"""Connections that are cut anywhere: whoever comes back has everything, in order and once, or is told."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from chaos_proxy import KIND, ChaosProxy, Ending, Fates
from delivery_ward import ROOMY, DeliveryWard, Enrol, verdict
from laws.evidence import Evidence
from laws.laws import Terms, check
from laws.model import reaches
from laws.publisher import InnerPublisher
from laws.resuming_client import ResumingClient
from live_server import LiveServer, StartServer

RETAINED = {"history": {"size": 1_000_000, "bytes": 1 << 30, "ttl": 3600.0, "max_total_bytes": 1 << 30}}
"""Nothing is let go of while the test runs, so nobody may be told of a loss."""


@dataclass(frozen=True)
class Size:
    """So many clients, which lose so many connections each on the average, each within ``most`` bytes."""

    clients: int
    cuts: int
    pace: float
    """Seconds between two messages."""
    quiet: float
    """Seconds of silence after which a client asks."""
    most: int = 6_000

    def __str__(self) -> str:
        return f"{self.clients}x{self.cuts}"


SMALL = Size(20, 10, pace=0.005, quiet=0.3)
LARGE = Size(1000, 20, pace=0.05, quiet=8.0)
SIZES = [SMALL, pytest.param(LARGE, marks=[pytest.mark.long, pytest.mark.timeout(1800)])]
FEW = Size(20, 5, pace=0.005, quiet=0.3)
MANY = Size(200, 20, pace=0.02, quiet=4.0)
OTHER_SIZES = [FEW, pytest.param(MANY, marks=[pytest.mark.long, pytest.mark.timeout(900)])]


async def cut_often(
    server: LiveServer,
    folder: Path,
    size: Size,
    meanwhile: Callable[[DeliveryWard], Awaitable[object]] | None = None,
    enrol: Enrol = ResumingClient,
) -> tuple[Evidence, ChaosProxy, DeliveryWard]:
    """The journals of such a ward; ``meanwhile`` is called before each message."""
    fates = Fates(size.clients, size.most)
    async with ChaosProxy(server.port) as proxy:
        ward = DeliveryWard(folder, lambda: proxy.port, seed=size.clients, enrol=enrol)
        publisher = InnerPublisher("p", ward.journal("publisher"), server.manager)
        try:
            await ward.fill(size.clients, quiet=size.quiet)
            # From now on every connection has a fate; those that there are had none.
            proxy.fate = fates
            proxy.end_all()
            before = sum(proxy.met.values())
            while sum(proxy.met.values()) - before < size.clients * size.cuts:
                if meanwhile is not None:
                    await meanwhile(ward)
                ward.publish(publisher)
                await asyncio.sleep(size.pace)
            proxy.fate = lambda: KIND
            for client in ward.clients:
                # From here on nobody is silent but for want of a processor.
                client.quiet = 30.0
            proxy.end_all(Ending.RESET)
            await ward.settle(publisher.heads, patience=60 + size.clients / 10)
            ward.write_outcomes(publisher)
        finally:
            await ward.stop()
            ward.close()
    return ward.evidence(), proxy, ward


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_every_resume_after_a_cut_is_complete_and_in_order(
    start_server: StartServer, tmp_path: Path, size: Size, enrol: Enrol
) -> None:
    server = await start_server(**ROOMY, **RETAINED)
    evidence, proxy, ward = await cut_often(server, tmp_path / "journals", size, enrol=enrol)
    violations = check(evidence, Terms())
    assert not violations, verdict(violations)
    # Something was at stake: cuts of every kind, in handshakes as well, and much that had to be replayed.
    assert sum(client.dialed for client in ward.clients) >= size.clients * size.cuts
    assert all(proxy.met[ending] > size.cuts for ending in Ending)
    assert sum(client.dialed - client.connection for client in ward.clients) > size.clients // 4
    assert sum(client.replayed for client in ward.clients) > size.clients * size.cuts // 4


@pytest.mark.parametrize("size", OTHER_SIZES, ids=str)
async def test_what_a_short_history_has_let_go_of_is_told(
    start_server: StartServer, tmp_path: Path, size: Size
) -> None:
    server = await start_server(**ROOMY, history={"size": 3})
    evidence, _, _ = await cut_often(server, tmp_path / "journals", size)
    violations = check(evidence, Terms(gaps=frozenset({"trimmed"})))
    assert not violations, verdict(violations)
    gaps = [gap for client in evidence.clients.values() for gap in client.gaps]
    assert len(gaps) > size.clients
    # Who wants most of what there is has lost something; nobody is told of what it could not have had.
    asked = {name: {watch.topic for watch in client.watches} for name, client in evidence.clients.items()}
    for gap in gaps:
        assert gap.topic in {"*", "ecg:*", None} or any(
            reaches(gap.topic or "", topic) for topic in asked[gap.client]
        ), gap


@pytest.mark.parametrize("size", OTHER_SIZES, ids=str)
async def test_rights_end_while_clients_come_and_go(
    start_server: StartServer, tmp_path: Path, size: Size
) -> None:
    server = await start_server(**ROOMY, **RETAINED)
    dice = random.Random(size.clients)

    async def take_a_right_away(ward: DeliveryWard) -> None:
        client = dice.choice(ward.clients)
        seen = left.setdefault(client.user, list(ward.patients_of(client.user)))
        if not seen or dice.random() < 0.9:
            return
        asked = time.monotonic()
        await server.service.revoke(user_id=client.user, patients=[seen.pop()])
        ward.grant(client.user, list(seen), asked)

    left: dict[str, list[str]] = {}
    evidence, _, _ = await cut_often(server, tmp_path / "journals", size, take_a_right_away)
    violations = check(evidence, Terms(gaps=frozenset({"forbidden"})))
    assert not violations, verdict(violations)
    assert len(left) >= size.clients // 2
    assert sum(not patients for patients in left.values()) > 2
