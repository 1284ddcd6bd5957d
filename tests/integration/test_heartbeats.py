"""Half-open clients end in time and give back what they held; our own stalls end nobody."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from chaos_proxy import ChaosProxy
from live_server import SECRET, LiveServer, claims_of, sign, token_of, until
from two_hosts import TwoHosts
from ward_client import WardClient

ROOT = Path(__file__).parents[2]
QUICK = {"heartbeat_interval": 0.5, "timeout": 1.5}
CROWD = {"max_connections_per_user": 2000, "max_connections_per_role": 2000}
NO_RATE = {"handshakes_per_ip": 10_000.0, "handshake_burst": 10_000}


def descriptors(pid: int | str = "self") -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


async def enter(port: int, number: int) -> WardClient:
    client = await WardClient.open(port, headers={"Authorization": f"Bearer {token_of(f'u{number}')}"})
    assert (await client.receive())["type"] == "connected"
    return client


# -- clients that are not there any more


@pytest.mark.parametrize(
    ("count", "interval", "timeout"),
    [
        (40, 0.5, 1.5),
        # What holds by default: 90 seconds from the last sign of life.
        pytest.param(1000, 30.0, 90.0, marks=[pytest.mark.long, pytest.mark.timeout(400)]),
    ],
)
async def test_half_open_clients_are_gone_after_the_timeout_and_their_sockets_with_them(
    start_server, count: int, interval: float, timeout: float
) -> None:
    server: LiveServer = await start_server(
        connection={"heartbeat_interval": interval, "timeout": timeout, **CROWD}, rate_limit=NO_RATE
    )
    server.service.inlet.close_timeout = 0.5
    manager = server.manager
    there = [await server.enter(f"here{number}") for number in range(3)]
    async with ChaosProxy(server.port) as proxy:
        cut_off = [await enter(proxy.port, number) for number in range(count)]
        assert len(manager.connections) == count + 3
        before = descriptors()
        proxy.swallow()
        began = time.monotonic()
        await until(lambda: len(manager.connections) == 3, patience=timeout + 10)
        assert time.monotonic() - began <= timeout + 2
        await until(lambda: manager.hub.open_count == 3)
        await until(lambda: descriptors() == before - count)
        assert manager.health_monitor.closed == count
        for client in there:
            assert (await client.ask("ping"))["type"] == "pong"
        for client in cut_off:
            await client.abort()


async def test_clients_whose_host_has_left_the_network_are_gone_after_the_timeout(
    require_tool, tmp_path: Path
) -> None:
    require_tool(TwoHosts.possible(), "unshare with network namespaces")
    settings = tmp_path / "settings.toml"
    settings.write_text(
        "[connection]\nheartbeat_interval = 0.5\ntimeout = 1.5\nmax_connections = 200\n"
        "max_connections_per_user = 200\nmax_connections_per_role = 200\n[logging]\nformat = 'text'\n"
    )
    environment = {**os.environ, "WSSERVER_AUTH__SECRET": SECRET, "PYTHONPATH": str(ROOT)}
    with TwoHosts() as hosts:
        server = await asyncio.create_subprocess_exec(
            *hosts.on_server(), sys.executable, "-m", "wsserver", "run", "--config", str(settings),
            "--host", hosts.SERVER, "--port", "8000",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, env=environment,
        )  # fmt: skip
        assert server.stdout is not None
        async with asyncio.timeout(30):
            assert b"listening" in await server.stdout.readline()
        idle = descriptors(server.pid)
        clients = await asyncio.create_subprocess_exec(
            *hosts.on_client(), sys.executable, str(Path(__file__).with_name("idle_clients.py")),
            hosts.SERVER, "8000", token_of(), "50", stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert clients.stdout is not None
        try:
            async with asyncio.timeout(30):
                assert await clients.stdout.readline() == b"connected\n"
            assert descriptors(server.pid) >= idle + 50
            hosts.pull_the_plug()
            began = time.monotonic()
            # The close frames find nobody, and are waited for five seconds.
            await until(lambda: descriptors(server.pid) <= idle, patience=20)
            assert time.monotonic() - began <= QUICK["timeout"] + 5 + 2
            assert server.returncode is None
        finally:
            for process in (clients, server):
                process.kill()
                await process.wait()


# -- times in which we were not there ourselves


async def test_a_loop_that_was_blocked_ends_nobody(start_server) -> None:
    server: LiveServer = await start_server(connection=QUICK)
    clients = [await server.enter(f"u{number}") for number in range(10)]
    health = server.service.health
    for stalls in (1, 2):
        asyncio.get_running_loop().call_soon(time.sleep, 2.0)
        await until(lambda: health.get_health_metrics()["own_stalls"] == stalls)  # noqa: B023 - awaited at once
        for client in clients:
            assert (await client.ask("ping"))["type"] == "pong"
    figures = health.get_health_metrics()
    assert figures["own_stall_seconds"] >= 3
    assert figures["timed_out"] == 0


@pytest.mark.parametrize(
    ("stop", "interval", "timeout"),
    [(3.0, 0.5, 1.5), pytest.param(120.0, 30.0, 90.0, marks=[pytest.mark.long, pytest.mark.timeout(400)])],
)
async def test_a_process_that_was_stopped_ends_nobody(
    run: Any, stop: float, interval: float, timeout: float
) -> None:
    child = await run(
        f"[connection]\nheartbeat_interval = {interval}\ntimeout = {timeout}\nmax_connections = 100\n"
        "max_connections_per_role = 100\n[logging]\nformat = 'text'\n"
    )
    await child.listening()
    clients = [await child.enter(f"u{number}") for number in range(20)]
    child.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(stop)
    child.process.send_signal(signal.SIGCONT)
    # Silent until now: this is a timeout, and nobody has said anything since before the stop.
    await asyncio.sleep(interval)
    for client in clients:
        assert (await client.ask("ping"))["type"] == "pong"
    for client in clients:
        await client.close()
    assert "stood still" in child.log


async def test_what_came_while_we_were_stopped_counts_before_deadlines_do(run: Any) -> None:
    child = await run(
        "[connection]\nmax_connections = 100\n[auth]\ntimeout = '1s'\n[inbound]\nmessage_deadline = '1s'\n"
        "[logging]\nformat = 'text'\n"
    )
    await child.listening()
    newcomer = await WardClient.open(child.port)
    known = await child.enter("u1")
    child.process.send_signal(signal.SIGSTOP)
    await newcomer.send("connect", token=sign(claims_of("u2")))
    await asyncio.sleep(2.0)
    child.process.send_signal(signal.SIGCONT)
    assert (await newcomer.receive())["type"] == "connected"
    assert (await known.ask("ping"))["type"] == "pong"
    for client in (newcomer, known):
        await client.close()
