"""The access audit of a server with real clients: who asked for what is in the file, and over HTTP."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest
from live_server import LiveServer, StartServer, token_of, until
from operator_accounts import ACCOUNTS
from operator_page import OperatorPage

from wsserver.audit.reading import records
from wsserver.audit.record import AuditRecord
from wsserver.audit.verification import verify
from wsserver.audit.watches import Watches
from wsserver.client import Gap, Message, ReconnectionConfig, RequestRefused, WebSocketClient
from wsserver.settings import RoleSettings

ROLES = {
    "doctor": RoleSettings(subscribe=("*",), wildcard=True, break_glass=True),
    "nurse": RoleSettings(subscribe=("*",), wildcard=True),
    "service": RoleSettings(publish=("patient", "type", "all"), publish_types=("*",)),
    "admin": RoleSettings(subscribe=("*",), wildcard=True),
}
REASON = "ward doctor cannot be reached"


def files_of(path: Path) -> list[Path]:
    return [one for one in path.parent.glob(f"{path.name}*") if one.suffix != ".lock"]


def read(path: Path) -> list[AuditRecord]:
    """All records of a log whose chain holds."""
    paths = files_of(path)
    verify(paths)
    return list(records(paths, lambda broken: pytest.fail(str(broken))))


async def settle(server: LiveServer) -> None:
    await until(lambda: not server.service.audit.get_metrics()["pending"])


async def asked(server: LiveServer, query: str = "", **claims: Any) -> Any:
    token = token_of("auditor", "admin", **{"scope": "audit:read", **claims})
    return await server.http("GET", f"/ws/audit{query}", token=token)


async def test_what_clients_and_operators_do_is_in_a_file_that_verifies(
    start_server: StartServer, tmp_path: Path
) -> None:
    path = tmp_path / "audit.jsonl"
    server = await start_server(
        audit={"path": str(path), "fsync": "always"},
        access={"roles": ROLES},
        operators={"accounts": ACCOUNTS},
    )
    nurse = await server.enter("n1", "nurse", "patient:1", "patient:*", patients=["1", "2"])
    assert (await nurse.ask("subscribe", topic="patient:9"))["code"] == 1011
    doctor = await server.enter("d1", "doctor", patients=["1"])
    told = await doctor.ask("subscribe", topic="patient:9", break_glass=REASON)
    assert told["break_glass"] is True
    await server.publish("patient/9", {"type": "vitals"}, patients="*")
    assert (await doctor.receive())["type"] == "vitals"
    refused = await server.http(
        "POST",
        "/ws/broadcast/patient/7",
        {"type": "note", "text": "canary-payload"},
        token=token_of("backend", "service", scope="broadcast:patient", patients=["1"]),
    )
    assert refused.status == 403
    page = await OperatorPage.sign_in(server)
    assert page.told["role"] == "operator"
    await nurse.abort()
    await until(lambda: len(server.manager.connections) == 1)
    await server.end()
    log = read(path)
    kinds = [(one.action, one.actor, one.patient_id or one.topic, one.right) for one in log]
    for expected in (
        ("subscribe", "n1", "1", "token"),
        ("subscribe", "n1", "patient:*", "token"),
        ("subscribe", "n1", "9", "patients"),
        ("subscribe", "d1", "9", "break_glass"),
        ("publish", "backend", "7", "patients"),
        ("sign_in", "olga", None, "password"),
        ("disconnect", "n1", None, None),
    ):
        assert expected in kinds, kinds
    assert (kinds[0][0], kinds[-1][0]) == ("server_start", "server_stop")
    content = path.read_bytes()
    assert b"canary-payload" not in content
    assert b"eyJ" not in content
    watches = Watches("1")
    watches.read(log)
    assert [(one.user_id, one.could_see, one.ended_by) for one in watches.found] == [
        ("n1", False, "disconnected"),
        ("n1", True, "disconnected"),
    ]


async def test_the_audit_is_asked_over_http_page_by_page(start_server: StartServer, tmp_path: Path) -> None:
    server = await start_server(audit={"path": str(tmp_path / "audit.jsonl")})
    for number in range(5):
        await server.enter(f"u{number}", "doctor", "patient:1", patients=["1"])
    await settle(server)
    first = (await asked(server, "?patient_id=1&limit=3")).json["data"]
    assert [one["actor"] for one in first["records"]] == ["u4", "u3", "u2"]
    assert first["head"] == server.service.audit.head
    rest = (await asked(server, f"?patient_id=1&limit=3&cursor={first['cursor']}")).json["data"]
    assert [one["actor"] for one in rest["records"]] == ["u1", "u0"]
    assert rest["cursor"] is None
    assert (await asked(server, "?user_id=u3&action=subscribe")).json["data"]["records"][0][
        "patient_id"
    ] == "1"
    at = first["records"][0]["at"]
    late = (await asked(server, f"?from={at}&action=subscribe")).json["data"]["records"]
    assert {one["actor"] for one in late} <= {"u4", "u3"}


@pytest.mark.parametrize(
    "query",
    [
        "?patient_id=a%20b",
        "?cursor=0",
        "?cursor=x",
        "?cursor=99999999999999999",
        "?from=yesterday",
        "?action=A%0A",
        "?limit=0",
        "?what=1",
        "?to=2026-01-01&to=2026-01-02",
        "?reveal=yes",
    ],
)
async def test_a_query_that_is_none_is_refused(server: LiveServer, query: str) -> None:
    answer = await asked(server, query)
    assert (answer.status, answer.json["error"]["code"]) == (400, 1003)


async def test_it_takes_the_scope(server: LiveServer) -> None:
    assert (await server.http("GET", "/ws/audit")).status == 401
    answer = await asked(server, scope="admin:read admin:write")
    assert (answer.status, answer.json["error"]["details"]) == (403, {"scope": "audit:read"})


async def test_a_signed_in_operator_sees_no_ids_unless_they_are_revealed(start_server: StartServer) -> None:
    server = await start_server(access={"roles": ROLES}, operators={"accounts": ACCOUNTS})
    doctor = await server.enter("doctor-canary", "doctor", "ecg:*", patients=["patient-canary"])
    await doctor.ask("subscribe", topic="patient:patient-canary")
    await doctor.ask("subscribe", topic="patient:other-canary", break_glass="canary is unresponsive")
    page = await OperatorPage.sign_in(server)
    answer = await page.get("/ws/audit")
    assert answer.status == 200
    assert "canary" not in answer.body.decode()
    assert {one["actor"] for one in answer.json["data"]["records"]} >= {"olga", "server"}
    whole = await page.get("/ws/audit?reveal=true")
    assert "canary is unresponsive" in whole.body.decode()
    assert server.service.audit.latest(1)[0].action == "reveal"
    viewer = await OperatorPage.sign_in(server, "vera")
    assert (await viewer.get("/ws/audit")).status == 403


async def test_a_signed_in_operator_sees_no_ids_in_what_operators_did(start_server: StartServer) -> None:
    server = await start_server(access={"roles": ROLES}, operators={"accounts": ACCOUNTS})
    doctor = await server.enter("doctor-canary", "doctor", patients=["patient-canary"])
    await doctor.ask("subscribe", topic="patient:other-canary", break_glass="canary-unresponsive")
    page = await OperatorPage.sign_in(server)
    for order in ({"user_id": "doctor-canary"}, {"topic": "patient:patient-canary"}):
        assert (await page.post("/ws/traces", order)).status == 200
    patients = ["patient-canary", "other-canary"]
    assert (await page.post("/ws/revoke", {"user": "doctor-canary", "patients": patients})).status == 200
    one = f"/ws/connections/{next(iter(server.manager.connections))}/disconnect"
    assert (await page.post(one, {"reason": "canary"})).status == 200
    second = await server.enter("doctor-canary", "doctor")
    assert (await page.post("/ws/users/doctor-canary/disconnect", {"reason": "canary"})).status == 200
    assert await second.closing()
    answer = await page.get("/ws/audit")
    assert "canary" not in answer.body.decode()
    whole = (await page.get("/ws/audit?reveal=true")).json["data"]["records"]
    did = {one["action"]: one for one in answer.json["data"]["records"]}
    assert did["disconnect_connection"]["actor"] == "olga"
    assert did["disconnect_user"]["details"]["user"] == "•••ry"
    assert did["end"]["details"] == {"reason": "revoked"}
    told = {one["action"]: one for one in whole}
    assert told["revoke"]["details"]["first_patients"] == patients
    assert told["disconnect_user"]["details"]["reason"] == "canary"


async def test_the_python_client_breaks_the_glass_and_does_not_do_it_again(start_server: StartServer) -> None:
    server = await start_server(access={"roles": ROLES})
    config = ReconnectionConfig(max_attempts=0, initial_delay=0.01, max_delay=0.05, min_uptime=0.0)
    token = token_of("d1", "doctor", patients=["1"])
    address = f"ws://127.0.0.1:{server.port}/ws/connect"
    async with WebSocketClient(address, token=token, subscriptions=["patient:1"], config=config) as client:
        made = await client.subscribe("patient", "9", break_glass=REASON)
        assert made.break_glass is True
        with pytest.raises(RequestRefused):
            await client.subscribe("patient", "8")
        server.manager.broadcast_to_patient("9", {"n": 1})
        got = await client.receive()
        assert isinstance(got, Message)
        assert got["n"] == 1
        (metadata,) = server.manager.connections.values()
        metadata.link.abort()
        gap = await client.receive()
        assert gap == Gap("forbidden", topic="patient:9")
        await until(
            lambda: metadata not in server.manager.connections.values() and server.manager.connections
        )
        server.manager.broadcast_to_patient("9", {"n": 2})
        server.manager.broadcast_to_patient("1", {"n": 3})
        items = []
        while not (items and isinstance(items[-1], Message)):
            items.append(await client.receive())
        assert items[-1]["n"] == 3
    asked = [one for one in server.service.audit.latest(100) if one.right == "break_glass"]
    assert len(asked) == 1


async def test_a_server_that_is_killed_while_it_writes_leaves_a_log_that_goes_on(
    run: Any, tmp_path: Path
) -> None:
    path = tmp_path / "audit.jsonl"
    settings = f'[audit]\npath = "{path}"\nmax_bytes = "64KiB"\n[rate_limit]\nsubscribe_burst = 1000000\n'
    settings += "subscribes_per_second = 100000\nburst = 1000000\nmessages_per_second = 100000\n"
    settings += "user_subscribes_per_second = 100000\nuser_subscribe_burst = 1000000\n"
    settings += "user_messages_per_second = 100000\nuser_burst = 1000000\n"
    answered = 0
    for round_number in range(3):
        server = await run(settings, "--port", "0")
        await server.listening()
        client = await server.enter("u1")

        async def ask(client: Any = client) -> None:
            nonlocal answered
            while True:
                await client.ask("subscribe", topic="patient:1")
                answered += 1

        asking = asyncio.ensure_future(ask())
        enough = answered + 400 + 150 * round_number
        await until(lambda enough=enough: answered > enough)
        server.process.send_signal(signal.SIGKILL)
        await server.ended()
        asking.cancel()
        await asyncio.wait([asking])
        await client.abort()
    # The last one was killed as well: what it had begun to write is kept aside by the next start.
    server = await run(settings, "--port", "0")
    await server.listening()
    server.process.send_signal(signal.SIGTERM)
    assert await server.ended() == 0
    paths = [one for one in files_of(path) if ".torn-" not in one.name]
    found = verify(paths)
    log = list(records(paths, lambda broken: pytest.fail(str(broken))))
    assert found.records == len(log)
    assert [one.action for one in log].count("server_start") == 4
    assert not list(tmp_path.glob("*.broken-*"))
    # A group waits two hundredths of a second: more than that cannot be missing.
    noted = sum(one.action == "subscribe" for one in log)
    assert answered * 0.5 < noted <= answered + 3
    assert len(paths) > 1
