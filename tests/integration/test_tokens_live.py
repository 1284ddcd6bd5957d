"""Rights that end or change while the socket is open."""

import asyncio
import time
from collections import Counter
from collections.abc import Collection
from typing import Any

import pytest
from live_server import LiveServer, claims_of, sign, token_of, until
from raw_socket import command

WITHIN = 1.0
"""Seconds in which a change must hold; what these tests allow on top is the machine's."""


def short(seconds: float, user: str = "u1", role: str = "doctor", **changed: Any) -> str:
    now = int(time.time())
    return sign(claims_of(user, role, iat=now - 10, exp=now + int(seconds), **changed))


async def revoke(server: LiveServer, **body: Any) -> dict[str, Any]:
    token = token_of("ops", "admin", scope="admin:write")
    answer = await server.http("POST", "/ws/revoke", body, token=token)
    assert answer.status == 200, answer
    return answer.json["data"]


# -- expiry


async def test_a_token_that_runs_out_is_announced_and_then_closes_with_4001(server: LiveServer) -> None:
    client = await server.connect(short(3))
    ends = int(time.time()) + 3
    assert (await client.receive())["type"] == "connected"
    assert (await client.ask("subscribe", topic="patient:1"))["type"] == "subscription_confirmed"
    warning = await client.receive()
    assert set(warning) == {"type", "expires_in"}
    assert warning["type"] == "token_expiring"
    assert 0 < warning["expires_in"] <= 3
    error, code = await client.refused()
    assert (error["code"], error["name"], code) == (1001, "authentication_failed", 4001)
    assert time.time() < ends + WITHIN + 1
    assert not server.manager.connections
    assert (await server.publish("patient/1", {}))["considered"] == 0


async def test_a_renewed_token_keeps_the_connection_and_loses_nothing(server: LiveServer) -> None:
    first_end = int(time.time()) + 2
    client = await server.connect(short(2))
    await client.receive()
    await client.ask("subscribe", topic="patient:1")
    assert (await client.receive())["type"] == "token_expiring"
    answer = await client.ask("auth", token=short(3600))
    assert answer["type"] == "authenticated"
    assert 3590 < answer["expires_in"] <= 3600
    sent = 0
    received: list[int] = []
    while time.time() < first_end + WITHIN:
        await server.publish("patient/1", {"n": sent})
        sent += 1
        # On a fast machine thousands are sent here, and a client that does not read is sent away.
        if sent % 200 == 0:
            received += [message["n"] for message in await client.published()]
    received += [message["n"] for message in await client.published()]
    assert received == list(range(sent))


async def test_the_leeway_judges_a_token_but_nobody_lives_on_it(server: LiveServer) -> None:
    client = await server.connect(sign(claims_of(exp=int(time.time()) - 1)))
    error, code = await client.refused()
    assert (error["code"], code) == (1001, 4001)


async def test_a_refused_renewal_leaves_the_connection_as_it_was(server: LiveServer) -> None:
    client = await server.enter("u1", "doctor", "patient:1")
    for token in ("rubbish", token_of("u1", exp=int(time.time()) - 100), token_of("u1", "surgeon")):
        answer = await client.ask("auth", token=token)
        assert (answer["type"], answer["code"]) == ("error", 1001)
    await server.publish("patient/1", {})
    assert len(await client.published()) == 1


async def test_commands_behind_a_renewal_are_judged_by_the_new_rights_in_order(server: LiveServer) -> None:
    narrow = token_of("u1", "nurse", patients=["1"])
    raw = await server.raw(narrow)
    assert (await raw.read_message())["type"] == "connected"
    await raw.send(
        command("auth", token=token_of("u1", "nurse", patients=["1", "2"]))
        + command("subscribe", topic="patient:2")
        + command("auth", token=narrow)
        + command("subscribe", topic="patient:2", request_id="late")
        + command("ping")
    )
    answers = [await raw.read_message() for _ in range(6)]
    kinds = [one["type"] for one in answers]
    assert kinds == ["authenticated", "subscription_confirmed", "error", "authenticated", "error", "pong"]
    assert "request_id" not in answers[2]
    assert answers[4]["request_id"] == "late"


async def test_another_users_token_is_refused_and_takes_nothing_over(server: LiveServer) -> None:
    client = await server.enter("u1", "nurse", patients=["1"])
    await client.send("auth", token=token_of("u2", "admin"))
    error, code = await client.refused()
    assert (error["code"], code) == (1001, 4501)
    await until(lambda: not server.manager.connections)
    assert not server.manager.limits.by_user


async def test_a_lower_role_loses_its_subscriptions_and_is_told_which(server: LiveServer) -> None:
    client = await server.enter("u1", "doctor", "patient:1", "patient:2", "patient:*", "*", "type:billing")
    answer = await client.ask("auth", token=token_of("u1", "technician", patients=["1"]))
    assert answer["type"] == "authenticated"
    told = client.waiting[:]
    client.waiting.clear()
    assert {one["code"] for one in told} == {1011}
    lost = {(one["details"]["subscription_type"], one["details"]["target_id"]) for one in told}
    assert lost == {("patient", "2"), ("patient", "*"), ("*", "*"), ("billing", "*")}
    for door in ("patient/1", "patient/2", "type/billing", "type/patient"):
        await server.publish(door, {"door": door})
    assert [message["door"] for message in await client.published()] == ["patient/1", "type/patient"]
    assert (await server.manager.broadcast_to_all({"patient_id": 2})) == 0
    (metadata,) = server.manager.connections.values()
    assert metadata.role == "technician"
    assert dict(server.manager.limits.by_role) == {"technician": 1}


async def test_fewer_patients_in_the_new_token_narrow_a_wildcard_at_once(server: LiveServer) -> None:
    client = await server.enter("u1", "nurse", "patient:*", patients=["1", "2"])
    await client.ask("auth", token=token_of("u1", "nurse", patients=["2"]))
    for patient in (1, 2):
        await server.publish(f"patient/{patient}", {"n": patient})
    assert [message["n"] for message in await client.published()] == [2]
    await client.ask("auth", token=token_of("u1", "nurse", patients=["1", "2"]))
    await server.publish("patient/1", {"n": 1})
    assert len(await client.published()) == 1


# -- revocation


async def test_revoking_a_user_closes_all_its_connections_and_nobody_elses(server: LiveServer) -> None:
    clients = [await server.enter("bad", "doctor", "patient:1") for _ in range(3)]
    other = await server.enter("good", "doctor", "patient:1")
    started = time.monotonic()
    assert (await revoke(server, user="bad"))["connections"] == 3
    report = await server.publish("patient/1", {})
    assert (report["matched"], report["delivered"]) == (1, 1)
    for client in clients:
        assert (await client.closing())[0] == 4511
        assert [message["code"] for message in client.waiting if message["type"] == "error"] == [1011]
        assert not [message for message in client.waiting if "_meta" in message]
    assert time.monotonic() - started < WITHIN + 1
    assert len(await other.published()) == 1
    again = await server.connect(token_of("bad", iat=int(time.time()) - 5))
    assert (await again.refused())[1] == 4501


async def test_a_revoked_users_newer_token_counts(server: LiveServer) -> None:
    await revoke(server, user="bad")
    client = await server.connect(token_of("bad", iat=int(time.time()) + 2))
    assert (await client.receive())["type"] == "connected"


async def test_revoking_a_token_closes_that_one_only(server: LiveServer) -> None:
    one = await server.enter("u1", "doctor", jti="t-1")
    two = await server.enter("u1", "doctor", jti="t-2")
    assert (await revoke(server, token_id="t-1"))["connections"] == 1
    assert (await one.closing())[0] == 4511
    assert await two.everything() == []
    for door in ("socket", "renewal", "rest"):
        revoked = token_of("u1", jti="t-1", scope="metrics:read")
        if door == "socket":
            assert (await (await server.connect(revoked)).refused())[1] == 4501
        elif door == "renewal":
            assert (await two.ask("auth", token=revoked))["code"] == 1001
        else:
            assert (await server.http("GET", "/ws/metrics", token=revoked)).status == 401


async def test_a_connection_renewed_out_of_a_revoked_token_stays(server: LiveServer) -> None:
    client = await server.enter("u1", "doctor", jti="old")
    await client.ask("auth", token=token_of("u1", jti="new"))
    assert (await revoke(server, token_id="old"))["connections"] == 0
    assert await client.everything() == []


async def test_revoking_patients_takes_them_away_and_leaves_the_rest(server: LiveServer) -> None:
    client = await server.enter("u1", "nurse", "patient:1", "patient:2", "patient:*", patients=["1", "2"])
    assert (await revoke(server, user="u1", patients=["1"]))["connections"] == 1
    told = await client.everything()
    assert [(one["type"], one["code"], one["details"]["target_id"]) for one in told] == [("error", 1011, "1")]
    for patient in (1, 2):
        await server.publish(f"patient/{patient}", {"n": patient})
        await server.publish("all", {"n": patient, "patient_id": patient})
    assert [message["n"] for message in await client.published()] == [2, 2]
    assert (await client.ask("subscribe", topic="patient:1"))["code"] == 1011
    again = await server.enter("u1", "nurse", patients=["1", "2"], iat=int(time.time()) - 5)
    assert (await again.ask("subscribe", topic="patient:1"))["code"] == 1011


async def test_revoking_a_patient_of_one_who_sees_all_takes_all(server: LiveServer) -> None:
    client = await server.enter("u1", "doctor", "patient:2", patients="*")
    await revoke(server, user="u1", patients=[1])
    assert [one["code"] for one in await client.everything()] == [1011]
    await server.publish("patient/2", {})
    assert await client.published() == []


class SlowProvider:
    """Thinks until it is told to go on."""

    def __init__(self) -> None:
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def patients(self, user_id: str, role: str, claims: Any) -> str:
        self.asked.set()
        await self.go_on.wait()
        return "*"


@pytest.mark.parametrize("way", ["header", "first frame", "renewal", "rest"])
async def test_a_revocation_in_the_middle_of_a_login_is_not_missed(start_server, way: str) -> None:
    provider = SlowProvider()
    server = await start_server(options={"provider": provider})
    revoked = token_of("u1", jti="t-1", scope="metrics:read")
    if way == "renewal":
        provider.go_on.set()
        client = await server.enter("u1", jti="t-2")
        provider.go_on.clear()
        provider.asked.clear()
        work = asyncio.create_task(client.ask("auth", token=revoked))
    elif way == "rest":
        work = asyncio.create_task(server.http("GET", "/ws/metrics", token=revoked))
    elif way == "header":
        work = asyncio.create_task(server.connect(revoked))
    else:
        client = await server.connect()
        work = asyncio.create_task(client.ask("connect", token=revoked))
    await provider.asked.wait()
    await asyncio.sleep(0)
    revoking = asyncio.create_task(server.service.revoke(token_id="t-1"))
    await asyncio.sleep(0)
    provider.go_on.set()
    await revoking
    outcome = await work
    if way == "rest":
        assert outcome.status == 401
    else:
        answer = await outcome.receive() if way == "header" else outcome
        assert (answer["type"], answer["code"]) == ("error", 1001)


# -- an access provider


class Ward:
    """Who sees whom, changed by the test as a backend would change it."""

    def __init__(self) -> None:
        self.patients_of: dict[str, Collection[str | int] | str | None] = {}
        self.failing = False
        self.asked = 0
        self.asked_for: Counter[str] = Counter()
        self.answers: asyncio.Event | None = None

    async def patients(self, user_id: str, role: str, claims: Any) -> Any:
        self.asked += 1
        self.asked_for[user_id] += 1
        await asyncio.sleep(0)
        if self.answers is not None and user_id == "n1":
            await self.answers.wait()
        if self.failing:
            raise RuntimeError("the backend's database is away")
        return self.patients_of.get(user_id)


async def until_seen(server: LiveServer, client: Any, patient: int, wanted: bool) -> float:
    """Publish until the client does, or does not, get it any more; returns the seconds that took."""
    started = time.monotonic()
    async with asyncio.timeout(10):
        while True:
            await server.manager.broadcast_to_patient(patient, {"n": patient})
            if bool(await client.published()) == wanted:
                return time.monotonic() - started
            await asyncio.sleep(0.02)


async def test_a_providers_change_holds_within_a_second_without_a_new_token(start_server) -> None:
    ward = Ward()
    ward.patients_of = {"n1": [1, "2"], "n2": ["1"]}
    server = await start_server(options={"provider": ward}, rate_limit={"burst": 10_000})
    client = await server.enter("n1", "nurse", "patient:*", "patient:1", patients="*")
    other = await server.enter("n2", "nurse", "patient:1", patients=None)
    await until_seen(server, client, 1, True)
    ward.patients_of["n1"] = ["2"]
    assert await until_seen(server, client, 1, False) < WITHIN + 0.5
    assert await until_seen(server, other, 1, True) < WITHIN
    ward.patients_of["n1"] = ["1", "2"]
    assert await until_seen(server, client, 1, True) < WITHIN + 0.5


async def test_what_a_provider_takes_is_told_to_the_client(start_server) -> None:
    ward = Ward()
    ward.patients_of = {"n1": ["1", "2"]}
    server = await start_server(options={"provider": ward})
    client = await server.enter("n1", "nurse", "patient:1", "patient:2", patients=None)
    ward.patients_of["n1"] = ["2"]
    told = await client.receive()
    assert (told["type"], told["code"], told["details"]) == (
        "error", 1011, {"subscription_type": "patient", "target_id": "1"},
    )  # fmt: skip


async def test_a_provider_that_fails_denies_the_new_and_keeps_those_who_are_there(start_server) -> None:
    ward = Ward()
    ward.patients_of = {"n1": "*", "n2": "*"}
    server = await start_server(options={"provider": ward}, rate_limit={"burst": 10_000})
    client = await server.enter("n1", "nurse", "patient:*", patients=None)
    await until_seen(server, client, 1, True)
    ward.failing = True
    asked = ward.asked
    await until(lambda: ward.asked > asked + 1)
    newcomer = await server.enter("n2", "nurse", patients=None)
    assert (await newcomer.ask("subscribe", topic="patient:1"))["code"] == 1011
    await until_seen(server, client, 1, True)
    ward.failing = False
    await until_seen(server, newcomer, 1, False)


async def test_a_token_narrows_what_a_provider_grants(start_server) -> None:
    ward = Ward()
    ward.patients_of = {"n1": ["1", "2"]}
    server = await start_server(options={"provider": ward})
    client = await server.enter("n1", "nurse", patients=["2", "3"])
    codes = [(await client.ask("subscribe", topic=f"patient:{one}")).get("code") for one in (1, 2, 3)]
    assert codes == [1011, None, 1011]


async def test_rest_publishers_are_held_to_the_provider_too(start_server) -> None:
    ward = Ward()
    ward.patients_of = {"gw": ["1"]}
    server = await start_server(options={"provider": ward})
    token = token_of("gw", "service", scope="broadcast:patient", patients=None)
    for patient, status in ((1, 200), (2, 403)):
        assert (
            await server.http("POST", f"/ws/broadcast/patient/{patient}", {}, token=token)
        ).status == status


@pytest.mark.parametrize("answer", ["1", b"1", 7, object(), ["a b"], [True], {"1": "x"}])
async def test_a_provider_that_answers_nonsense_shows_nobody(start_server, answer: Any) -> None:
    ward = Ward()
    ward.patients_of = {"n1": answer}
    server = await start_server(options={"provider": ward})
    client = await server.enter("n1", "nurse", patients=None)
    for patient in ("7", "2"):
        assert (await client.ask("subscribe", topic=f"patient:{patient}"))["code"] == 1011


async def test_what_waits_for_a_slow_reader_does_not_survive_its_right(start_server) -> None:
    server = await start_server(backpressure={"send_buffer": 8192})
    slow = await server.raw(token_of("u1", "doctor", patients=["1", "2"]), receive_buffer=32_768)
    await slow.send(command("subscribe", topic="patient:1") + command("subscribe", topic="patient:2"))
    await until(lambda: len(server.manager.subscription_manager) == 2)
    filler = "x" * 20_000
    # Enough of patient 2 to fill the socket, then what is taken back before it can leave.
    for _ in range(10):
        await server.publish("patient/2", {"filler": filler})
    for _ in range(5):
        await server.publish("patient/1", {"secret": "canary"})
    assert (await revoke(server, user="u1", patients=["1"]))["connections"] == 1
    seen = []
    while not seen or seen[-1].get("type") != "pong":
        if len(seen) == 1:
            await slow.send(command("ping"))
        seen.append(await slow.read_message())
    assert sum("filler" in message for message in seen) == 10
    assert not [message for message in seen if "secret" in message]


async def test_a_withdrawn_patient_does_not_wait_for_a_slow_provider(start_server) -> None:
    ward = Ward()
    ward.patients_of = {"n1": ["1", "2"], "backend": "*"}
    server = await start_server(options={"provider": ward})
    client = await server.enter("n1", "nurse", "patient:1", "patient:2", patients=None)
    ward.answers = asyncio.Event()
    asked = ward.asked_for["n1"]
    await until(lambda: ward.asked_for["n1"] > asked)
    revoking = asyncio.ensure_future(revoke(server, user="n1", patients=["1"]))
    started = time.monotonic()
    assert (await client.receive())["code"] == 1011
    assert time.monotonic() - started < WITHIN
    assert not revoking.done()
    await server.publish("patient/2", {"n": 2})
    assert (await server.publish("patient/1", {"n": 1}))["matched"] == 0
    ward.answers.set()
    await revoking
    assert [message["n"] for message in await client.published()] == [2]
