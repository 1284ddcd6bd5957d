"""C14: at the high mark of memory publishers wait, at the low one they go on, and nobody is killed."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from http_request import Answer, request
from live_server import ALL_SCOPES, LiveServer, StartServer, token_of, until
from raw_socket import RawSocket, command
from server_process import ServerProcess

from wsserver.settings import RoleSettings

DOCTOR = RoleSettings(subscribe=("*",), publish=("patient",), publish_types=("note",))
HOUSE_LINE = "wsserver.overload: system overload (memory): no new connections, less at a time"


async def set_share(server: LiveServer, share: float) -> None:
    """Reload the limit of memory so that this process takes that share of it."""
    limit = int(psutil.Process().memory_info().rss / share)
    overload = msgspec.structs.replace(server.service.settings.overload, memory_limit=limit)
    await server.service.reconfigure(msgspec.structs.replace(server.service.settings, overload=overload))


@pytest.fixture
async def server(start_server: StartServer) -> LiveServer:
    server = await start_server(
        overload={"memory_limit": 1 << 40},
        access={"roles": {"doctor": DOCTOR}},
    )
    # What this process has freed belongs to other tests, and giving it back would change the share.
    server.service.overload._give_back = lambda: None
    return server


async def post(server: LiveServer, message: Any) -> Answer:
    token = token_of("backend", "doctor", scope=ALL_SCOPES)
    return await server.http("POST", "/ws/broadcast/patient/1", message, token=token)


async def test_publishers_wait_at_the_high_mark_and_go_on_at_the_low_one(server: LiveServer) -> None:
    client = await server.enter("d1", "doctor", "patient:1")
    note = {"target_type": "patient", "target_id": "1", "message": {"type": "note", "n": 1}}
    assert (await client.ask("broadcast", **note))["type"] == "broadcast_ack"
    await set_share(server, 0.97)
    await until(lambda: server.service.overload.active)
    answer = await post(server, {"type": "vitals"})
    assert (answer.status, answer.error["code"]) == (503, 1005)
    assert int(answer.headers["retry-after"]) >= 1
    refused = await client.ask("broadcast", **note)
    assert (refused["type"], refused["code"]) == ("error", 1005)
    assert refused["retry_after_ms"] > 0
    # Those who only listen go on, and what matters is still sent.
    answer = await post(server, {"type": "alarm", "severity": "critical"})
    assert answer.json["data"]["delivered"] == 1
    assert (await client.published())[-1]["type"] == "alarm"
    await set_share(server, 0.75)
    await asyncio.sleep(1.2)
    assert server.service.overload.active, "between the marks it stays"
    await set_share(server, 0.5)
    await until(lambda: not server.service.overload.active)
    assert (await post(server, {"type": "vitals"})).status == 200
    assert (await client.ask("broadcast", **note))["type"] == "broadcast_ack"
    server.faults.seen.remove(HOUSE_LINE)


# -- in a container


class Group:
    """A control group of a test's own with a limit of memory, v1 or v2."""

    def __init__(self, directory: Path, limit: int, *, unified: bool) -> None:
        self.directory = directory
        self._oom = "memory.events" if unified else "memory.oom_control"
        directory.mkdir()
        (directory / ("memory.max" if unified else "memory.limit_in_bytes")).write_text(str(limit))

    def take(self, pid: int) -> None:
        (self.directory / "cgroup.procs").write_text(str(pid))

    @property
    def killed(self) -> int:
        for line in (self.directory / self._oom).read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
        return 0

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            self.directory.rmdir()


@pytest.fixture
def group(require_tool) -> Any:
    made: list[Group] = []

    def make(limit: int) -> Group:
        name = f"wsserver-test-{os.getpid()}"
        for base, unified in ((Path("/sys/fs/cgroup"), True), (Path("/sys/fs/cgroup/memory"), False)):
            if not (base / ("cgroup.controllers" if unified else "memory.limit_in_bytes")).exists():
                continue
            with contextlib.suppress(OSError):
                made.append(Group(base / name, limit, unified=unified))
                return made[-1]
        require_tool(False, "a control group that may be written to")
        raise AssertionError

    yield make
    for one in made:
        one.remove()


SETTINGS = """
[connection]
max_connections = 2000
max_connections_per_user = 2000
max_connections_per_role = "none"
[broadcast]
timeout = "1h"
[backpressure]
max_total_bytes = "4GiB"
slow_timeout = "2h"
[logging]
format = "text"
"""


@pytest.fixture
async def stalled() -> AsyncIterator[list[RawSocket]]:
    sockets: list[RawSocket] = []
    yield sockets
    for one in sockets:
        await one.abort()


async def drain(raw: RawSocket) -> None:
    with contextlib.suppress(OSError, AssertionError, TimeoutError):
        while await raw.read_frame() is not None:
            pass


@pytest.mark.long
async def test_in_a_container_publishers_wait_before_the_kernel_kills(run, group, stalled) -> None:
    """400 clients that do not read, each with messages of its own, and a limit of 256 MiB."""
    child: ServerProcess = await run(SETTINGS, "--port", "0")
    await child.listening()
    container = group(256 << 20)
    container.take(child.process.pid)
    for number in range(400):
        raw = await RawSocket.open(child.port, token_of(f"u{number}", "doctor"), receive_buffer=4096)
        stalled.append(raw)
        await raw.send(command("subscribe", topic=f"patient:{number}"))
        while (await raw.read_message())["type"] != "subscription_confirmed":
            pass
    token = token_of("backend", "service", scope=ALL_SCOPES)

    async def post(number: int) -> int:
        body = {"type": "note", "text": "x" * 60_000, "n": number}
        target = f"/ws/broadcast/patient/{number % 400}"
        return (await request(child.port, "POST", target, body, token=token)).status

    async with asyncio.timeout(120):
        number, statuses = 0, [200]
        while 503 not in statuses:
            statuses = await asyncio.gather(*(post(number + one) for one in range(16)))
            number += 16
    await until(lambda: "system overload (memory)" in child.log, patience=5)
    # The publisher does not give up, and goes on being refused while nobody reads.
    for _ in range(20):
        assert set(await asyncio.gather(*(post(one) for one in range(16)))) <= {200, 503}
    assert child.process.returncode is None
    assert container.killed == 0
    readers = [asyncio.create_task(drain(raw)) for raw in stalled]
    await until(lambda: "system overload is over" in child.log, patience=60)
    assert await post(0) == 200
    assert container.killed == 0
    for reader in readers:
        reader.cancel()
    await asyncio.wait(readers)
