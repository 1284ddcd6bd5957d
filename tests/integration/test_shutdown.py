"""Going down, and going on with new settings: in this process, and as a process of its own."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import websockets
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from http_request import request
from live_server import LiveServer, claims_of, sign, token_of, until
from raw_socket import command
from ward_client import WardClient

from wsserver.web.server import HTTP_GRACE

ROOT = Path(__file__).parents[2]


# -- in this process


async def test_draining_tells_everybody_and_closes_with_4020(start_server) -> None:
    server = await start_server(shutdown={"timeout": 2.0, "notice": 0.0})
    clients = [await server.enter(f"u{number}", "doctor", "patient:1") for number in range(20)]
    await server.manager.broadcast_to_patient(1, {"n": 1})
    drained = asyncio.create_task(server.service.drain())
    moments = set()
    for client in clients:
        code, _ = await client.closing()
        assert code == 4020
        kinds = [message.get("type") for message in client.waiting]
        assert kinds == [None, "system_shutdown"], "what was queued before comes first"
        notice = client.waiting[-1]
        assert set(notice) == {"type", "message", "reconnect_after_ms"}
        moments.add(notice["reconnect_after_ms"])
    assert len(moments) == 20, "each has a time of its own to come back"
    assert await drained == 20
    assert not server.manager.connections
    assert len(server.manager.index) == 0


async def test_draining_ends_as_soon_as_all_have_left(start_server) -> None:
    server = await start_server(shutdown={"timeout": 20.0, "notice": 0.0})
    client = await server.enter()
    started = time.monotonic()
    drained = asyncio.create_task(server.service.drain())
    await client.closing()
    await drained
    assert time.monotonic() - started < 3


async def test_nobody_comes_in_while_draining(start_server) -> None:
    server = await start_server(shutdown={"timeout": 1.0, "notice": 0.0})
    drained = asyncio.create_task(server.service.drain())
    await until(lambda: server.manager.draining)
    with pytest.raises(websockets.InvalidStatus) as refused:
        await server.connect(token_of())
    assert refused.value.response.status_code == 503
    assert json.loads(refused.value.response.body)["error"]["code"] == 1013
    assert int(refused.value.response.headers["Retry-After"]) >= 1
    await drained


async def test_those_who_have_not_said_who_they_are_are_sent_away_and_hold_nothing_up(start_server) -> None:
    server = await start_server(shutdown={"timeout": 20.0}, options={"dev": True})
    newcomer = await server.connect()
    await server.connect(path="/ws/echo")
    started = time.monotonic()
    drained = asyncio.create_task(server.service.drain())
    error, code = await newcomer.refused()
    assert (error["code"], code) == (1013, 4020)
    await drained
    assert time.monotonic() - started < 3


async def test_a_login_under_way_is_ended_by_the_drain(start_server) -> None:
    class SlowProvider:
        async def patients(self, user_id: str, role: str, claims: Any) -> str:
            asked.set()
            await go_on.wait()
            return "*"

    asked, go_on = asyncio.Event(), asyncio.Event()
    server = await start_server(shutdown={"timeout": 2.0}, options={"provider": SlowProvider()})
    upgraded = await server.raw(behind=command("connect", token=token_of()))
    await asked.wait()
    drained = asyncio.create_task(server.service.drain())
    await until(lambda: server.manager.draining)
    go_on.set()
    code, before = await upgraded.read_close()
    assert (before[-1].json["code"], code) == (1013, 4020)
    await upgraded.abort()
    await drained


async def test_a_client_that_does_not_answer_the_close_holds_nothing_up(start_server) -> None:
    server = await start_server(shutdown={"timeout": 1.0, "notice": 0.0})
    server.service.inlet.close_timeout = 0.3
    await server.raw(token_of())
    await until(lambda: server.manager.connections)
    started = time.monotonic()
    await server.service.drain()
    assert time.monotonic() - started < 3
    await until(lambda: server.manager.hub.open_count == 0)


async def test_stopping_without_a_drain_closes_what_is_open(server: LiveServer) -> None:
    client = await server.enter()
    silent = await server.raw()
    await server.service.stop()
    assert (await client.closing())[0] == 1001
    assert (await silent.read_close())[0] in (4020, 1006)
    assert server.manager.hub.open_count == 0
    await server.service.stop()


# -- as a process


async def test_a_log_that_nobody_reads_holds_nothing_up(run) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 65536)
    os.set_blocking(writing, True)
    child = await run(LOWER, log=writing)
    await child.listening()
    run.file.write_text("[nonsense]\n")
    for _ in range(20):
        child.process.send_signal(signal.SIGHUP)
        assert (await request(child.port, "GET", "/health")).status == 200
    client = await child.enter()
    child.process.send_signal(signal.SIGTERM)
    assert (await client.closing())[0] == 4020
    started = time.monotonic()
    assert await child.ended() == 0
    # The last lines are waited for, but for two seconds only.
    assert time.monotonic() - started < 10
    os.close(reading)
    os.close(writing)


async def test_a_request_that_does_not_end_holds_up_the_end_for_a_moment_only(run) -> None:
    child = await run(LOWER)
    await child.listening()
    token = sign(claims_of("b", "service", scope="broadcast:all"))
    reader, writer = await asyncio.open_connection("127.0.0.1", child.port)
    writer.write(
        f"POST /ws/broadcast/all HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        "Content-Length: 100\r\n\r\n{".encode()
    )
    assert (await request(child.port, "GET", "/health")).status == 200
    child.process.send_signal(signal.SIGTERM)
    started = time.monotonic()
    assert await child.ended() == 0
    assert time.monotonic() - started < HTTP_GRACE + 2
    await reader.read()
    writer.close()


LOWER = "[connection]\nmax_connections = 50\nmax_connections_per_role = 50\n[logging]\nformat = 'text'\n"


async def test_term_drains_and_ends_with_0(run) -> None:
    child = await run(LOWER)
    await child.listening()
    client = await child.enter()
    child.process.send_signal(signal.SIGTERM)
    assert (await client.closing())[0] == 4020
    assert client.waiting[-1]["type"] == "system_shutdown"
    assert await child.ended() == 0
    assert "Traceback" not in child.log + child.output


async def test_a_second_term_ends_now(run) -> None:
    child = await run(LOWER + "[shutdown]\ntimeout = 600\nreturn_rate = 10\nrestart_time = 'none'\n")
    await child.listening()
    clients = [await child.enter(f"u{number}") for number in range(3)]
    # One that never answers the close frame keeps the drain going.
    clients[0].socket.transport.pause_reading()
    child.process.send_signal(signal.SIGINT)
    assert (await clients[1].closing())[0] == 4020
    child.process.send_signal(signal.SIGTERM)
    started = time.monotonic()
    assert await child.ended() == 0
    # Its close times out after five seconds.
    assert time.monotonic() - started < 3
    await clients[0].abort()


async def test_a_port_in_use_ends_with_3_and_says_so(run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        child = await run(LOWER, "--port", str(taken.getsockname()[1]))
        assert await child.ended() == 3
    assert "cannot listen on 127.0.0.1:" in child.log
    assert "Traceback" not in child.log


async def test_wrong_settings_end_with_2_and_are_all_listed(run) -> None:
    child = await run("[conection]\nx = 1\n[broadcast]\nbatch_size = 'many'\n")
    assert await child.ended() == 2
    assert "connection" in child.log
    assert "broadcast.batch_size" in child.log


async def test_hup_takes_new_limits_and_keeps_the_old_ones_for_a_bad_file(run) -> None:
    child = await run(LOWER + "[rate_limit]\nburst = 200\n")
    await child.listening()
    client = await child.enter()
    narrow = LOWER.replace("max_connections = 50", "max_connections = 50\nmax_connections_per_user = 1")
    run.file.write_text(narrow)
    child.process.send_signal(signal.SIGHUP)
    await until(lambda: "settings are reloaded" in child.log)
    token = sign(claims_of("u1"))
    second = await WardClient.open(child.port, headers={"Authorization": f"Bearer {token}"})
    error, code = await second.refused()
    assert (error["code"], error["details"], code) == (1002, {"scope": "user"}, 4102)
    run.file.write_text("[connection]\nmax_connections = 'many'\nunknown = 1\n")
    child.process.send_signal(signal.SIGHUP)
    await until(lambda: "not reloaded" in child.log)
    third = await WardClient.open(child.port, headers={"Authorization": f"Bearer {token}"})
    assert (await third.refused())[0]["details"] == {"scope": "user"}
    assert await client.everything() == []
    assert (await request(child.port, "GET", "/health")).status == 200
    child.process.send_signal(signal.SIGTERM)
    await client.closing()
    assert await child.ended() == 0


async def test_hup_takes_the_level_of_the_log_its_format_and_the_origins_of_pages(run) -> None:
    child = await run(LOWER.replace("'text'", "'text'\nlevel = 'error'"))
    await child.listening()
    headers = {"Origin": "https://ward.example", "Authorization": f"Bearer {sign(claims_of('u1'))}"}
    with pytest.raises(websockets.InvalidStatus) as refused:
        await WardClient.open(child.port, headers=headers)
    assert refused.value.response.status_code == 403
    run.file.write_text(
        LOWER.replace("'text'", "'json'") + "[server]\nallowed_origins = ['https://ward.example']\n"
    )
    child.process.send_signal(signal.SIGHUP)
    # At level error this line would not be there, and as text it would not be JSON.
    await until(lambda: '"event": "settings are reloaded"' in child.log)
    client = await WardClient.open(child.port, headers=headers)
    assert (await client.receive())["type"] == "connected"
    child.process.send_signal(signal.SIGTERM)
    await client.closing()
    assert await child.ended() == 0
    assert "needs a restart" not in child.log


async def test_hup_names_what_needs_a_restart_and_every_fault(run) -> None:
    child = await run(LOWER)
    await child.listening()
    run.file.write_text(LOWER + "[store]\nurl = 'memory:'\n[server]\nhost = '127.0.0.2'\n")
    child.process.send_signal(signal.SIGHUP)
    await until(lambda: "server.host has changed and needs a restart" in child.log)
    assert child.log.count("needs a restart") == 1
    run.file.write_text(LOWER + "[broadcast]\nbatch_size = 0\n[shutdown]\ntimeout = 'soon'\n")
    child.process.send_signal(signal.SIGHUP)
    await until(lambda: "not reloaded" in child.log)
    (line,) = [line for line in child.log.splitlines() if "not reloaded" in line]
    assert "WARNING" in line
    assert "broadcast.batch_size" in line
    assert "shutdown.timeout" in line
    child.process.send_signal(signal.SIGTERM)
    assert await child.ended() == 0


async def test_hup_takes_rights_from_open_connections(run) -> None:
    child = await run(LOWER)
    await child.listening()
    nurse, doctor = await child.enter("n", "nurse"), await child.enter("d", "doctor")
    for client in (nurse, doctor):
        assert (await client.ask("subscribe", topic="patient:*"))["type"] == "subscription_confirmed"
    run.file.write_text(
        LOWER + "[access.roles.nurse]\nsubscribe = ['patient']\n[access.roles.service]\npublish = ['all']\n"
        "publish_types = ['*']\n"
    )
    child.process.send_signal(signal.SIGHUP)
    told = await nurse.receive()
    assert (told["type"], told["code"], told["details"]["target_id"]) == ("error", 1011, "*")
    assert (await doctor.closing())[0] == 4511, "its role is gone"
    for client in (nurse, doctor):
        await client.abort()
    child.process.send_signal(signal.SIGTERM)
    assert await child.ended() == 0


async def test_hup_takes_a_new_key_from_the_same_file(run, tmp_path: Path) -> None:
    """Rotation by file: the settings are the same, what they point to is not."""
    keys = [ed25519.Ed25519PrivateKey.generate() for _ in range(2)]
    file = tmp_path / "public.pem"

    def publish(key: ed25519.Ed25519PrivateKey) -> None:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        file.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))

    async def outcome(key: ed25519.Ed25519PrivateKey) -> str:
        token = sign(claims_of(), key, "EdDSA")
        client = await WardClient.open(child.port, headers={"Authorization": f"Bearer {token}"})
        kind = (await client.receive())["type"]
        await client.abort()
        return kind

    publish(keys[0])
    child = await run(LOWER + f"[auth]\nalgorithms = ['EdDSA']\npublic_key = '{file}'\n", secret=None)
    await child.listening()
    assert [await outcome(key) for key in keys] == ["connected", "error"]
    publish(keys[1])
    child.process.send_signal(signal.SIGHUP)
    await until(lambda: "settings are reloaded" in child.log)
    assert [await outcome(key) for key in keys] == ["error", "connected"]
    file.write_text("no key at all")
    child.process.send_signal(signal.SIGHUP)
    await until(lambda: "not reloaded" in child.log)
    assert [await outcome(key) for key in keys] == ["error", "connected"]
    child.process.send_signal(signal.SIGTERM)
    assert await child.ended() == 0


async def test_hup_takes_rates_for_open_connections(run) -> None:
    child = await run(LOWER)
    await child.listening()
    client = await child.enter()
    run.file.write_text(LOWER + "[rate_limit]\nburst = 1\nmessages_per_second = 0.01\n")
    child.process.send_signal(signal.SIGHUP)
    await until(lambda: "settings are reloaded" in child.log)
    refusals = 0
    async with asyncio.timeout(10):
        while not refusals:
            await client.send("ping")
            refusals += (await client.receive()).get("code") == 1010
    await client.abort()
    child.process.send_signal(signal.SIGTERM)
    assert await child.ended() == 0
