"""A real nginx and a real HAProxy in front of a server: sockets work, and everybody keeps their address."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from deployment.proxies import TOOLS, running
from live_server import ALL_SCOPES, LiveServer, StartServer, token_of, until
from ward_client import WardClient
from websockets.exceptions import InvalidStatus


class Front:
    """A proxy, the server behind it, and clients of both."""

    def __init__(self, server: LiveServer, port: int, folder: Path) -> None:
        self.server, self.port, self.folder = server, port, folder
        self.tls = ssl.create_default_context(cafile=str(folder / "certificate.pem"))

    async def enter(self, user: str, *, source: str = "127.0.0.1", **headers: str) -> WardClient:
        """A client that comes from one of this machine's addresses."""
        client = await WardClient.open(
            self.port,
            headers={"Authorization": f"Bearer {token_of(user)}", **headers},
            tls=self.tls,
            local_addr=(source, 0),
        )
        self.server.clients.append(client)
        assert (await client.receive())["type"] == "connected"
        return client

    async def ask(self, path: str, *, source: str = "127.0.0.1", method: str = "GET") -> int:
        """The status of an answer to an operator."""
        token = token_of("ops", "admin", scope=ALL_SCOPES)
        connector = aiohttp.TCPConnector(ssl=self.tls, local_addr=(source, 0))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.request(
                method,
                f"https://127.0.0.1:{self.port}{path}",
                headers={"Authorization": f"Bearer {token}"},
                data=b'{"type":"vitals","hr":60}' if method == "POST" else None,
            ) as answer,
        ):
            await answer.read()
            return answer.status


@pytest.fixture(params=TOOLS)
async def front(
    request: pytest.FixtureRequest,
    start_server: StartServer,
    tmp_path: Path,
    require_tool: Callable[[bool, str], None],
) -> AsyncIterator[Front]:
    program, name = TOOLS[request.param]
    require_tool(program is not None, name)
    server = await start_server(
        server={"trusted_proxies": ("127.0.0.1",)}, connection={"max_per_ip": 1, "heartbeat_interval": 0.2}
    )
    # nginx's own user may be another than the one that runs the tests.
    tmp_path.chmod(0o755)
    async with running(request.param, tmp_path, server.port) as port:
        front = Front(server, port, tmp_path)
        async with asyncio.timeout(20):
            while await front.ask("/ws/metrics") != 200:
                await asyncio.sleep(0.05)
        yield front
        for client in server.clients:
            await client.abort()
        await until(lambda: not server.manager.connections)


async def test_a_socket_works_through_it(front: Front) -> None:
    client = await front.enter("d1")
    assert (await client.ask("subscribe", topic="patient:1"))["type"] == "subscription_confirmed"
    assert await front.ask("/ws/broadcast/patient/1", method="POST") == 200
    assert [message["hr"] for message in await client.published()] == [60]
    # The server's pings come through, and the answers back.
    pongs = front.server.service.health.get_health_metrics
    await until(lambda: pongs()["pongs"] > 1, "answered pings")


async def test_everybody_has_their_own_address_and_nobody_chooses_another(front: Front) -> None:
    await front.enter("d1", source="127.0.0.2")
    for headers in ({}, {"X-Forwarded-For": "192.0.2.7"}, {"X-Forwarded-For": "127.0.0.1, 127.0.0.1"}):
        with pytest.raises(InvalidStatus) as refused:
            await front.enter("d2", source="127.0.0.2", **headers)
        assert refused.value.response.status_code == 429
    await front.enter("d3", source="127.0.0.3")
    answer = await front.server.http(
        "GET", "/ws/connections", token=token_of("ops", "admin", scope="admin:read")
    )
    rows = answer.json["data"]["connections"]
    assert {row["user_id"]: row["address"] for row in rows} == {"d1": "127.0.0.2", "d3": "127.0.0.3"}


async def test_only_the_socket_and_the_clients_files_are_for_everybody(front: Front) -> None:
    assert await front.ask("/ws/client/index.js", source="127.0.0.2") == 200
    for path in ("/ws/metrics", "/metrics", "/ws/alerts", "/ws/status", "/ws/admin"):
        assert await front.ask(path, source="127.0.0.2") == 403, path
    assert await front.ask("/ws/broadcast/patient/1", source="127.0.0.2", method="POST") == 403
    for path in ("/ws/metrics", "/metrics", "/ws/alerts"):
        assert await front.ask(path) == 200, path
    for path in ("/health", "/ready", "/", "/demo"):
        assert await front.ask(path) == 404, path


async def test_no_log_of_the_proxy_has_a_query(front: Front) -> None:
    assert await front.ask("/metrics?token=canary") == 400
    assert await front.ask("/nowhere?token=canary") == 404
    texts = [path.read_text() for path in front.folder.glob("*.log")]
    assert any(" /metrics 400" in text for text in texts)
    assert not [text for text in texts if "canary" in text]
