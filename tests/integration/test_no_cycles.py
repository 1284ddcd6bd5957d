"""Connections that have ended are gone at once, without the garbage collector: it seldom looks at them."""

import asyncio
import gc
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live_server import ALL_SCOPES, LiveServer, StartServer, token_of, until
from raw_socket import upgrade
from self_signed import make_contexts

from wsserver.web.responses import answer_in_json

OF_A_CONNECTION = {
    "wsserver.connections.connection_metadata.ConnectionMetadata",
    "wsserver.connections.newcomer.Newcomer",
    "wsserver.access.principal.Principal",
    "wsserver.access.claims.Claims",
    "wsserver.access.refusal.AuthenticationFailed",
    "wsserver.errors.ServerError",
    "wsserver.subscriptions.subscription.Subscription",
    "wsserver_core.connection.Connection",
    "wsserver_core.scopes.Scope",
    "aiohttp.web_protocol.RequestHandler",
    "aiohttp.web_request.Request",
    "uvloop.loop.SSLProtocol",
    "wsserver.web.gate.Pass",
    "wsserver.web.refusal.HandshakeRefused",
}

Visit = Callable[[LiveServer, int], Awaitable[None]]


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def there() -> Counter[str]:
    names = (f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())
    return Counter(name for name in names if name in OF_A_CONNECTION)


async def assert_nothing_stays(server: LiveServer, visit: Visit) -> None:
    """After ten visits there is no more than after two, for which something may have been made to stay."""
    for number in range(2):
        await visit(server, number)
    await until(lambda: not server.manager.hub.open_count)
    before = there()
    for number in range(2, 12):
        await visit(server, number)
    try:
        await until(lambda: not there() - before)
    except TimeoutError:
        pytest.fail(f"{there() - before} are left")


async def comes_and_goes(server: LiveServer, number: int, **how: Any) -> None:
    client = await server.connect(token_of(f"u{number}", patients=["1", "2"]), **how)
    assert (await client.receive())["type"] == "connected"
    for topic in ("patient:1", "patient:2"):
        assert (await client.ask("subscribe", topic=topic))["type"] == "subscription_confirmed"
    await client.ask("subscribe", topic="type:ecg", filters={"severity": ["warning", f"x{number}"]})
    assert (await client.ask("subscribe", topic="patient:3"))["code"] == 1011
    await server.manager.broadcast_to_patient("1", {"type": "ecg_data", "data": [1] * 50})
    if number % 2:
        await client.close()
    else:
        await client.abort()
    await until(lambda: not server.manager.connections)


async def is_refused_by_its_token(server: LiveServer, number: int) -> None:
    client = await server.connect("rubbish")
    assert (await client.refused())[1] == 4501
    client = await server.connect()
    await client.send("connect", token="rubbish" if number % 2 else token_of(role="stranger"))
    assert (await client.refused())[1] == 4501
    client = await server.connect(token_of(f"u{number}"), query="?user_id=else")
    assert (await client.refused())[1] == 4501


async def is_refused_at_the_handshake(server: LiveServer, number: int) -> None:
    raw = await server.dial()
    await raw.send(upgrade(server.port, token_of(f"u{number}"), extra="Origin: https://evil.example\r\n"))
    assert (await raw.read_head()).startswith("HTTP/1.1 403 ")
    await raw.abort()


async def asks_over_rest(server: LiveServer, number: int) -> None:
    raw = await server.dial()
    for path, token, status in (
        ("/ws/metrics", token_of("ops", "admin", scope=ALL_SCOPES), 200),
        ("/ws/metrics", token_of("ops", "admin"), 403),
        ("/ws/metrics", "rubbish", 401),
        ("/nowhere", "rubbish", 404),
    ):
        lines = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        await raw.send(lines.encode())
        head = await raw.read_head()
        assert head.startswith(f"HTTP/1.1 {status} ")
        await raw._take(int(head.lower().split("content-length: ")[1].split("\r\n")[0]))
    await raw.abort()


@pytest.mark.parametrize(
    "visit", [comes_and_goes, is_refused_by_its_token, is_refused_at_the_handshake, asks_over_rest]
)
async def test_a_connection_that_ends_leaves_no_cycles(
    start_server: StartServer, uncollected: None, visit: Visit
) -> None:
    # A session would keep some of it on purpose.
    server = await start_server(
        session={"ttl": 0}, options={"prepare": lambda app: app.middlewares.append(answer_in_json)}
    )
    await assert_nothing_stays(server, visit)


async def test_one_over_tls_leaves_none_either(
    start_server: StartServer, uncollected: None, tmp_path: Path
) -> None:
    its_own, trusting = make_contexts(tmp_path)
    server = await start_server(session={"ttl": 0}, options={"tls": its_own})

    async def visit(server: LiveServer, number: int) -> None:
        await comes_and_goes(server, number, tls=trusting)
        # The client's end of TLS is of the same class as the server's.
        server.clients.clear()

    await assert_nothing_stays(server, visit)


async def test_nor_does_one_whose_rights_cannot_be_found_out(
    start_server: StartServer, uncollected: None
) -> None:
    class Broken:
        async def patients(self, user_id: str, role: str, claims: Any) -> list[str]:
            await asyncio.sleep(0)
            raise ConnectionError("no database")

    async def visit(server: LiveServer, number: int) -> None:
        client = await server.connect(token_of(f"u{number}", patients=["1"]))
        assert (await client.receive())["type"] == "connected"
        assert (await client.ask("subscribe", topic="patient:1"))["code"] == 1011
        await client.close()
        await until(lambda: not server.manager.connections)

    server = await start_server(session={"ttl": 0}, options={"provider": Broken()})
    await assert_nothing_stays(server, visit)
