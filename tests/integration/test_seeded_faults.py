"""The laws are proved on the real server too: whatever is broken in it, the law for that says so."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from delivery_ward import ROOMY, DeliveryWard, verdict
from laws.laws import Terms, Violation, check
from laws.publisher import InnerPublisher
from live_server import LiveServer, StartServer, settings_of
from seeded_faults import FAULTS, STORE_FAULTS, TRIMMING_FAULTS
from stored_messages import stored_messages

TERMS = Terms(gaps=frozenset({"forbidden"}))
"""Nothing is lost within the history; one client has lost the right to one patient."""

SHORT = {"history": {"size": 4}}
TRIMMED = Terms(gaps=frozenset({"forbidden", "trimmed"}))


async def morning(server: LiveServer, folder: Path, terms: Terms = TERMS) -> list[Violation]:
    """Clients of every kind, messages, a cut for all of them, messages meanwhile and messages after.

    One of them has fewer rights when it comes back.
    """
    ward = DeliveryWard(folder, lambda: server.port)
    publisher = InnerPublisher("p", ward.journal("publisher"), server.manager)
    try:
        await ward.fill(6)
        for _ in range(12):
            ward.publish(publisher, 5)
            await ward.settle(publisher.heads)
        for _ in range(2):
            for client in ward.clients:
                await client.stop()
            ward.publish(publisher, 40)
            ward.take_away(ward.clients[2], ["2"])
            for client in ward.clients:
                client.start()
            for _ in range(30):
                ward.publish(publisher)
                await asyncio.sleep(0.002)
            await ward.settle(publisher.heads)
        ward.write_outcomes(publisher)
    finally:
        await ward.stop()
        ward.close()
    return ward.judge(terms)


@asynccontextmanager
async def broken_server(**sections: Any) -> AsyncIterator[LiveServer]:
    """A server whose own sums nobody looks at when it ends: with a fault in it they may be wrong too."""
    server = LiveServer(settings_of(**ROOMY, **sections))
    await server.start()
    try:
        yield server
    finally:
        await server.end()
        logging.getLogger().removeHandler(server.faults)


@pytest.mark.parametrize(("history", "terms"), [({}, TERMS), (SHORT, TRIMMED)], ids=["long", "short"])
async def test_a_server_without_a_fault_breaks_no_law(
    start_server: StartServer, tmp_path: Path, history: dict[str, Any], terms: Terms
) -> None:
    server = await start_server(**ROOMY, **history)
    violations = await morning(server, tmp_path / "journals", terms)
    assert not violations, verdict(violations)


@pytest.mark.parametrize(("fault", "law"), FAULTS.items(), ids=[fault.__name__ for fault in FAULTS])
async def test_a_fault_in_the_server_is_caught_by_the_law_that_it_breaks(
    tmp_path: Path, fault: Callable[[LiveServer], None], law: str
) -> None:
    async with broken_server() as server:
        fault(server)
        violations = await morning(server, tmp_path / "journals")
    assert law in {violation.law for violation in violations}, verdict(violations)


@pytest.mark.parametrize(
    ("fault", "law"), TRIMMING_FAULTS.items(), ids=[fault.__name__ for fault in TRIMMING_FAULTS]
)
async def test_a_loss_that_is_not_told_as_it_was_is_caught(
    tmp_path: Path, fault: Callable[[LiveServer], None], law: str
) -> None:
    async with broken_server(**SHORT) as server:
        fault(server)
        violations = await morning(server, tmp_path / "journals", TRIMMED)
    assert law in {violation.law for violation in violations}, verdict(violations)


async def on_disk(folder: Path, fault: Callable[[LiveServer], None] | None) -> list[Violation]:
    """Publishers that wait for the disk, and what is found there when the server has ended."""
    file = folder / "store.db"
    ward = DeliveryWard(folder / "journals", lambda: server.port)
    async with broken_server(store={"url": f"sqlite:///{file}"}) as server:
        if fault is not None:
            fault(server)
        publisher = InnerPublisher("p", ward.journal("publisher"), server.manager)
        try:
            await ward.fill(4)
            for _ in range(60):
                await publisher.publish_and_wait(*ward.draw())
            await ward.settle(publisher.heads)
        finally:
            await ward.stop()
    with ward.journal("store") as journal:
        for line in stored_messages(file):
            journal.write(line)
    ward.close()
    evidence = ward.evidence()
    assert any(one.durable for one in evidence.acked)
    return check(evidence, Terms())


async def test_a_store_without_a_fault_breaks_no_law(tmp_path: Path) -> None:
    violations = await on_disk(tmp_path, None)
    assert not violations, verdict(violations)


@pytest.mark.parametrize(
    ("fault", "law"), STORE_FAULTS.items(), ids=[fault.__name__ for fault in STORE_FAULTS]
)
async def test_a_fault_of_the_store_is_caught(
    tmp_path: Path, fault: Callable[[LiveServer], None], law: str
) -> None:
    violations = await on_disk(tmp_path, fault)
    assert law in {violation.law for violation in violations}, verdict(violations)
