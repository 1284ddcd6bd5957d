"""Out of file descriptors: who is inside goes on, who publishes is served, and it passes by itself."""

import asyncio
import contextlib
import os
import resource
import signal
import ssl
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from http_request import Answer, request
from live_server import ALL_SCOPES, token_of, until
from raw_socket import RawSocket, upgrade
from self_signed import make_certificate
from server_process import ServerProcess
from ward_client import WardClient

SETTINGS = """
[connection]
max_connections = 6000
max_connections_per_user = 6000
max_connections_per_role = "none"
max_unauthenticated = 1000
[logging]
format = "text"
"""


def room_for(soft: int) -> None:
    """Let this process hold the clients' ends."""
    now, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if now < soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, hard), hard))


class Starved:
    """A child whose limit is lowered while it runs, as an operator's ``prlimit`` does."""

    def __init__(self, child: ServerProcess, limit: int) -> None:
        self.child = child
        self.limit = limit
        self.pid = child.process.pid
        self.inside: list[RawSocket] = []
        self.others: list[RawSocket] = []

    async def starve(self) -> None:
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (self.limit, self.limit))
        # The limit is read once a second.
        await asyncio.sleep(1.2)

    async def knock(self) -> int:
        """Try to come in; returns the status of the answer."""
        raw = await RawSocket.dial(self.child.port)
        await raw.send(upgrade(self.child.port, token_of("u1", "doctor")))
        head = await raw.read_head()
        status = int(head.split(" ")[1])
        if status == 101:
            assert (await raw.read_message())["type"] == "connected"
            self.inside.append(raw)
        else:
            assert "Retry-After:" in head, head
            await raw.abort()
        return status

    async def knock_often(self, times: int, at_once: int = 20) -> list[int]:
        answers: list[int] = []
        for _ in range(0, times, at_once):
            answers += await asyncio.gather(*(self.knock() for _ in range(at_once)))
        return answers

    async def rest(self, method: str, target: str, body: Any = None) -> Answer:
        token = token_of("backend", "service", scope=ALL_SCOPES)
        return await request(self.child.port, method, target, body, token=token)

    async def everybody_hears(self) -> None:
        """A REST call on a new connection reaches each client that is inside."""
        answer = await self.rest("POST", "/ws/broadcast/all", {"n": 1})
        assert answer.status == 200
        assert answer.json["data"]["delivered"] == len(self.inside)
        for raw in self.inside:
            assert (await raw.read_message())["n"] == 1

    async def opens_files(self) -> None:
        """The settings are read from their file, which takes a descriptor, and found to need more of them."""
        before = self.child.log.count("settings are not reloaded")
        os.kill(self.pid, signal.SIGHUP)
        await until(lambda: self.child.log.count("settings are not reloaded") > before)
        assert "connection.max_connections needs" in self.child.log.splitlines()[-1]

    def cpu(self) -> float:
        times = psutil.Process(self.pid).cpu_times()
        return times.user + times.system

    @property
    def lines(self) -> int:
        return self.child.log.count("\n")

    async def end(self) -> None:
        for raw in self.inside + self.others:
            await raw.abort()


@pytest.fixture
async def starved(run):
    made: list[Starved] = []

    async def start(limit: int, settings: str = SETTINGS) -> Starved:
        child = await run(settings, "--port", "0")
        await child.listening()
        # What is said at the start must not count as said later.
        await until(lambda: "listening on" in child.log)
        made.append(Starved(child, limit))
        return made[-1]

    yield start
    for one in made:
        await one.end()


async def show(starved: Starved, size: int) -> None:
    """C13: a limit of ``size`` + 50, and twice ``size`` that want to come in."""
    await starved.starve()
    lines, started = starved.lines, time.monotonic()
    answers = await starved.knock_often(2 * size)
    assert set(answers) == {101, 503}
    # A quarter of a small limit is kept back, 256 of a large one; some twenty are the server's own.
    expected = starved.limit - min(256, starved.limit // 4)
    assert expected - 30 <= len(starved.inside) <= expected
    await starved.everybody_hears()
    await starved.opens_files()
    assert (await starved.rest("GET", "/ws/metrics")).status == 200
    assert (await starved.rest("GET", "/health")).status == 200
    told = starved.lines - lines - 1
    assert told <= 1 + (time.monotonic() - started), starved.child.log
    await refuse_without_spinning(starved)
    # Room is there again as soon as somebody leaves.
    for _ in range(10):
        await starved.inside.pop().abort()
    started = time.monotonic()
    async with asyncio.timeout(5):
        while await starved.knock() != 101:
            await asyncio.sleep(0.02)
    if starved.limit > 1000:
        assert time.monotonic() - started < 1
    await starved.everybody_hears()


async def refuse_without_spinning(starved: Starved) -> None:
    """Whoever holds connections open without a word costs nothing while they wait."""
    starved.others += [await RawSocket.dial(starved.child.port) for _ in range(50)]
    await asyncio.sleep(0.2)
    before = starved.cpu()
    await asyncio.sleep(1.0)
    # To spin is to use all of it.
    assert starved.cpu() - before < 0.5
    await starved.everybody_hears()


async def test_clients_are_refused_before_descriptors_run_out(starved) -> None:
    await show(await starved(200), 150)


@pytest.mark.long
async def test_clients_are_refused_before_descriptors_run_out_with_thousands(starved) -> None:
    room_for(14_000)
    await show(await starved(5050), 5000)


async def test_connections_that_never_ask_make_room_for_those_that_do(starved) -> None:
    server = await starved(200)
    await server.starve()
    for _ in range(50):
        assert await server.knock() == 101
    # A header that never ends, from four times as many as there are descriptors.
    for _ in range(800):
        raw = await RawSocket.dial(server.child.port)
        server.others.append(raw)
        with contextlib.suppress(ConnectionError):
            await raw.send(b"GET /ws/connect HTTP/1.1\r\nHost: x\r\n")
    await server.everybody_hears()
    assert (await server.rest("GET", "/ws/metrics")).status == 200
    await server.opens_files()
    alerts = (await server.rest("GET", "/ws/alerts")).json["data"]["current"]["descriptors"]
    assert alerts["value"] <= 100 * 200 / 150
    assert "Traceback" not in server.child.log
    for raw in server.others:
        await raw.abort()
    async with asyncio.timeout(1):
        while await server.knock() != 101:
            await asyncio.sleep(0.02)


async def test_handshakes_of_tls_that_never_end_leave_files_and_clients_alone(
    starved, tmp_path: Path
) -> None:
    certificate, key = make_certificate(tmp_path)
    server = await starved(200, f'[server]\ntls_certificate = "{certificate}"\ntls_key = "{key}"\n{SETTINGS}')
    trusting = ssl.create_default_context(cafile=str(certificate))

    async def enter(user: str) -> WardClient:
        headers = {"Authorization": f"Bearer {token_of(user)}"}
        client = await WardClient.open(server.child.port, headers=headers, tls=trusting)
        assert (await client.receive())["type"] == "connected"
        return client

    client = await enter("u1")
    await server.starve()
    lines = server.lines
    for _ in range(600):
        server.others.append(await RawSocket.dial(server.child.port))
    await asyncio.sleep(0.2)
    before = server.cpu()
    assert (await client.ask("ping"))["type"] == "pong"
    await server.opens_files()
    await asyncio.sleep(1.0)
    # They wait in the kernel, and it is looked 20 times a second whether there is room.
    assert server.cpu() - before < 0.5
    assert server.lines - lines <= 3, server.child.log
    for raw in server.others:
        await raw.abort()
    other = await enter("u2")
    assert "Traceback" not in server.child.log
    await client.abort()
    await other.abort()


async def test_nonsense_instead_of_tls_ends_quietly(starved, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    server = await starved(200, f'[server]\ntls_certificate = "{certificate}"\ntls_key = "{key}"\n{SETTINGS}')
    lines = server.lines
    for _ in range(5):
        raw = await RawSocket.dial(server.child.port)
        await raw.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await raw.hung_up()
        await raw.abort()
    raw = await RawSocket.dial(server.child.port)
    await raw.abort()
    trusting = ssl.create_default_context(cafile=str(certificate))
    client = await WardClient.open(
        server.child.port, headers={"Authorization": f"Bearer {token_of()}"}, tls=trusting
    )
    assert (await client.receive())["type"] == "connected"
    assert server.lines == lines, server.child.log
    await client.abort()
