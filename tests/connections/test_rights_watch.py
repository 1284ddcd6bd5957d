"""Rights that change while connections are open."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from far_end import FarEnd
from workbench import Workbench

from wsserver.access.claims import Claims
from wsserver.access.principal import Principal
from wsserver.connections import rights_watch


class Table:
    """An access provider whose answers a test changes."""

    def __init__(self) -> None:
        self.seen: dict[str, list[str]] = {}
        self.asked = 0

    async def patients(self, user_id: str, role: str, claims: Claims) -> list[str]:
        self.asked += 1
        return self.seen.get(user_id, [])


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
async def bench(table: Table) -> Workbench:
    return await Workbench(provider=table).start()


async def doctor(bench: Workbench, table: Table, user_id: str = "u1") -> FarEnd:
    table.seen[user_id] = ["1", "2"]
    far_end = await bench.client(user_id)
    for topic in ("patient:1", "patient:2", "patient:*"):
        await bench.ask(far_end, type="subscribe", topic=topic)
    return far_end


def later(bench: Workbench) -> None:
    """Past what the provider's cache may remember."""
    bench.clock.advance(1.01)


async def test_a_patient_taken_away_ends_its_subscription_and_the_client_is_told(
    bench: Workbench, table: Table
) -> None:
    far_end = await doctor(bench, table)
    table.seen["u1"] = ["2", "3"]
    later(bench)
    assert await bench.service.rights.refresh_user("u1") == 1
    bench.loop.run()
    (answer,) = far_end.take()
    assert (answer["code"], answer["details"]) == (1011, {"subscription_type": "patient", "target_id": "1"})
    assert bench.manager.broadcast_to_patient(1, {}) == 0
    assert bench.manager.broadcast_to_patient(2, {}) == 1
    assert bench.manager.broadcast_to_patient(3, {}) == 1
    assert far_end.close_code is None


async def test_rights_that_have_not_changed_touch_nothing(bench: Workbench, table: Table) -> None:
    far_end = await doctor(bench, table)
    principal = bench.owner(far_end).principal
    later(bench)
    await bench.service.rights.refresh(list(bench.manager.connections.values()))
    assert bench.owner(far_end).principal is principal
    assert far_end.take() == []


async def test_a_revoked_user_is_closed_with_4511_and_others_stay(bench: Workbench, table: Table) -> None:
    one, other = await doctor(bench, table), await doctor(bench, table, "u2")
    assert await bench.service.revoke(user_id="u1") == 1
    bench.loop.run()
    assert (one.close_code, other.close_code) == (4511, None)
    assert [metadata.user_id for metadata in bench.manager.connections.values()] == ["u2"]


async def test_a_revoked_token_closes_its_connections_only(bench: Workbench, table: Table) -> None:
    table.seen["u1"] = ["1"]
    one = await bench.client("u1", token_id="t1")
    other = await bench.client("u1", token_id="t2")
    assert await bench.service.revoke(token_id="t1") == 1
    bench.loop.run()
    assert (one.close_code, other.close_code) == (4511, None)


async def test_a_revoked_patient_is_withheld_without_closing(bench: Workbench, table: Table) -> None:
    far_end = await doctor(bench, table)
    assert await bench.service.revoke(user_id="u1", patients=["1"]) == 1
    bench.loop.run()
    assert far_end.close_code is None
    assert bench.manager.broadcast_to_patient(1, {}) == 0
    assert bench.manager.broadcast_to_patient(2, {}) == 1


def while_asked(bench: Workbench, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], None]) -> None:
    """Have something happen while the rights of a principal are read again."""
    refresh: Callable[[Principal], Awaitable[Principal]] = bench.service.authenticator.refresh

    async def slow(principal: Principal) -> Principal:
        meanwhile()
        return await refresh(principal)

    monkeypatch.setattr(bench.service.authenticator, "refresh", slow)


@pytest.mark.parametrize("outcome", ["revoked", "changed"])
async def test_a_token_renewed_meanwhile_keeps_the_rights_of_its_own(
    bench: Workbench, table: Table, monkeypatch: pytest.MonkeyPatch, outcome: str
) -> None:
    far_end = await doctor(bench, table)
    metadata = bench.owner(far_end)
    renewed = await bench.service.authenticator.authenticate(bench.token("u1", "nurse", token_id="new"))
    while_asked(bench, monkeypatch, lambda: bench.manager.replace_principal(metadata, renewed) and None)
    if outcome == "revoked":
        bench.service.revocations.revoke_token(metadata.principal.token_id or "")
    else:
        table.seen["u1"] = []
    later(bench)
    await bench.service.rights.refresh([metadata])
    bench.loop.run()
    assert metadata.principal is renewed
    assert far_end.close_code is None


async def test_a_connection_that_left_meanwhile_is_left_alone(
    bench: Workbench, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = bench.owner(await doctor(bench, table))
    principal = metadata.principal
    while_asked(bench, monkeypatch, lambda: bench.manager.disconnect(metadata.connection_id) and None)
    table.seen["u1"] = []
    later(bench)
    await bench.service.rights.refresh([metadata])
    assert metadata.principal is principal
    assert bench.manager.limits.total == 0


async def test_the_watch_asks_again_and_again_and_survives_a_failing_round(
    bench: Workbench, table: Table, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    far_end = await doctor(bench, table)
    rounds = 0
    periods = []
    third = asyncio.Event()

    class Time:
        @staticmethod
        async def sleep(seconds: float) -> None:
            nonlocal rounds
            periods.append(seconds)
            rounds += 1
            later(bench)
            if rounds == 3:
                third.set()
                await asyncio.Event().wait()

        def __getattr__(self, name: str) -> Any:
            return getattr(asyncio, name)

    refresh = bench.service.rights.refresh
    failures = [RuntimeError()]

    async def sometimes(connections: Any) -> None:
        if failures:
            raise failures.pop()
        await refresh(connections)

    monkeypatch.setattr(rights_watch, "asyncio", Time())
    monkeypatch.setattr(bench.service.rights, "refresh", sometimes)
    table.seen["u1"] = []
    with caplog.at_level(logging.ERROR):
        bench.service.rights.start()
        await third.wait()
    await bench.service.rights.close()
    assert periods == [rights_watch.PERIOD] * 3
    assert rights_watch.PERIOD <= 0.5
    assert bench.owner(far_end).principal.patients == frozenset()
    assert len(caplog.records) == 1


async def test_a_watch_that_never_began_can_be_closed(bench: Workbench) -> None:
    await bench.service.rights.close()
