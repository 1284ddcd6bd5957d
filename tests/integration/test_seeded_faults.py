"""The laws are proved on the real server too: whatever is broken in it, the law for that says so."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from delivery_ward import ROOMY, DeliveryWard, verdict
from laws.laws import Terms, Violation
from laws.publisher import InnerPublisher
from live_server import LiveServer, StartServer, settings_of
from seeded_faults import FAULTS

TERMS = Terms(gaps=frozenset({"not_resumed"}))


async def morning(server: LiveServer, folder: Path) -> list[Violation]:
    """Clients of every kind, messages, a cut for all of them, messages meanwhile and messages after."""
    ward = DeliveryWard(folder, lambda: server.port)
    publisher = InnerPublisher("p", ward.journal("publisher"), server.manager)
    try:
        await ward.fill(6)
        for _ in range(12):
            ward.publish(publisher, 5)
            await ward.settle(publisher.heads)
        for client in ward.clients:
            client.cut()
        ward.publish(publisher, 40)
        await ward.settle(publisher.heads)
        ward.publish(publisher, 10)
        await ward.settle(publisher.heads)
        ward.write_outcomes(publisher)
    finally:
        await ward.stop()
        ward.close()
    return ward.judge(TERMS)


async def test_a_server_without_a_fault_breaks_no_law(start_server: StartServer, tmp_path: Path) -> None:
    server = await start_server(**ROOMY)
    violations = await morning(server, tmp_path / "journals")
    assert not violations, verdict(violations)


@asynccontextmanager
async def broken_server() -> AsyncIterator[LiveServer]:
    """A server whose own sums nobody looks at when it ends: with a fault in it they may be wrong too."""
    server = LiveServer(settings_of(**ROOMY))
    await server.start()
    try:
        yield server
    finally:
        await server.end()
        logging.getLogger().removeHandler(server.faults)


@pytest.mark.parametrize(("fault", "law"), FAULTS.items(), ids=[fault.__name__ for fault in FAULTS])
async def test_a_fault_in_the_server_is_caught_by_the_law_that_it_breaks(
    tmp_path: Path, fault: Callable[[LiveServer], None], law: str
) -> None:
    async with broken_server() as server:
        fault(server)
        violations = await morning(server, tmp_path / "journals")
    assert law in {violation.law for violation in violations}, verdict(violations)
