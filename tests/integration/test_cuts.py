"""Connections that are cut anywhere: whoever comes back has everything, in order and once, or is told."""

import asyncio
from pathlib import Path

import pytest
from chaos_proxy import KIND, ChaosProxy, Ending, Fates
from delivery_ward import ROOMY, DeliveryWard, verdict
from laws.evidence import Evidence
from laws.laws import Terms, check
from laws.publisher import InnerPublisher
from live_server import LiveServer, StartServer

RETAINED = {"history": {"size": 1_000_000, "bytes": 1 << 30, "ttl": 3600.0, "max_total_bytes": 1 << 30}}
"""Nothing is let go of while the test runs, so nobody may be told of a loss."""


async def cut_often(
    server: LiveServer, folder: Path, *, clients: int, cuts: int, pace: float, most: int, quiet: float
) -> tuple[Evidence, ChaosProxy, DeliveryWard]:
    """So many clients, each of which loses so many connections, each within ``most`` bytes.

    A message is published every ``pace`` seconds.
    """
    fates = Fates(clients, most)
    async with ChaosProxy(server.port) as proxy:
        ward = DeliveryWard(folder, lambda: proxy.port, seed=clients)
        publisher = InnerPublisher("p", ward.journal("publisher"), server.manager)
        try:
            await ward.fill(clients, quiet=quiet)
            # From now on every connection has a fate; those that there are had none.
            proxy.fate = fates
            proxy.end_all()
            while len(fates.drawn) < clients * cuts:
                ward.publish(publisher)
                await asyncio.sleep(pace)
            proxy.fate = lambda: KIND
            for client in ward.clients:
                # From here on nobody is silent but for want of a processor.
                client.quiet = 30.0
            proxy.end_all(Ending.RESET)
            await ward.settle(publisher.heads, patience=60 + clients / 10)
            ward.write_outcomes(publisher)
        finally:
            await ward.stop()
            ward.close()
    return ward.evidence(), proxy, ward


@pytest.mark.parametrize(
    ("clients", "cuts", "pace", "most", "quiet"),
    [
        (20, 10, 0.005, 6_000, 0.3),
        pytest.param(1000, 20, 0.05, 6_000, 2.0, marks=[pytest.mark.long, pytest.mark.timeout(1800)]),
    ],
)
async def test_every_resume_after_a_cut_is_complete_and_in_order(
    start_server: StartServer, tmp_path: Path, clients: int, cuts: int, pace: float, most: int, quiet: float
) -> None:
    server = await start_server(**ROOMY, **RETAINED)
    evidence, proxy, ward = await cut_often(
        server, tmp_path / "journals", clients=clients, cuts=cuts, pace=pace, most=most, quiet=quiet
    )
    violations = check(evidence, Terms())
    assert not violations, verdict(violations)
    # Something was at stake: cuts of every kind, in handshakes as well, and much that had to be replayed.
    assert sum(client.dialed for client in ward.clients) >= clients * cuts
    assert all(proxy.met[ending] > cuts for ending in Ending)
    assert sum(client.dialed - client.connection for client in ward.clients) > clients // 4
    assert sum(client.replayed for client in ward.clients) > clients * cuts // 4
