"""Rights that end between the end of a connection and its resume: nothing forbidden is replayed."""

import time
from pathlib import Path

import pytest
from delivery_ward import ROOMY, DeliveryWard, verdict
from laws.laws import Terms
from laws.publisher import InnerPublisher
from laws.resuming_client import Wanted
from live_server import LiveServer, StartServer, token_of

TERMS = Terms(gaps=frozenset({"forbidden"}))

ASKING = [[Wanted("patient:1")], [Wanted("patient:*")], [Wanted("*")], [Wanted("*", {"hr": {"$gte": 60}})]]


async def revoke(server: LiveServer, ward: DeliveryWard, user: str, patients: list[str]) -> None:
    """Take the right to see patient 1 away, by the operator's door."""
    asked = time.monotonic()
    token = token_of("ops", "admin", scope="admin:write")
    answer = await server.http("POST", "/ws/revoke", {"user": user, "patients": patients}, token=token)
    assert answer.status == 200
    ward.grant(user, ["2"], asked)


async def other_token(server: LiveServer, ward: DeliveryWard, user: str, patients: list[str]) -> None:
    """The next token names fewer patients."""
    ward.take_away(next(client for client in ward.clients if client.name == user), ["2"])


@pytest.mark.parametrize("take_away", [revoke, other_token])
async def test_nothing_of_a_patient_is_replayed_once_the_right_to_see_it_has_ended(
    start_server: StartServer, tmp_path: Path, take_away
) -> None:
    server = await start_server(**ROOMY)
    ward = DeliveryWard(tmp_path / "journals", lambda: server.port)
    publisher = InnerPublisher("p", ward.journal("publisher"), server.manager)
    for wanted in ASKING:
        ward.client(["1", "2"], wanted).start()
    for client in ward.clients:
        await client.watching()
    ward.publish(publisher, 40)
    await ward.settle(publisher.heads)
    await ward.stop()
    ward.publish(publisher, 100)
    for client in ward.clients:
        await take_away(server, ward, client.name, ["1"])
    ward.publish(publisher, 20)
    for client in ward.clients:
        client.start()
    await ward.settle(publisher.heads)
    await ward.stop()
    ward.close()
    evidence = ward.evidence()
    violations = ward.judge(TERMS)
    assert not violations, verdict(violations)
    for client in evidence.clients.values():
        of_patient = [evidence.publications[one.key].patient for one in client.arrivals if one.connection > 1]
        assert "1" not in of_patient
        assert client.opened[-1].resumed
        # Whoever asked for this patient by name hears that it may not any more.
        if client.name == "c0":
            assert {gap.reason for gap in client.gaps} == {"forbidden"} or not client.gaps
