"""Connections that have ended are gone at once, without the garbage collector: it seldom looks at them."""

import gc
from collections import Counter
from collections.abc import Iterator

import pytest
from live_server import LiveServer, StartServer, until

OF_A_CONNECTION = {
    "wsserver.connections.connection_metadata.ConnectionMetadata",
    "wsserver.access.principal.Principal",
    "wsserver.access.claims.Claims",
    "wsserver.subscriptions.subscription.Subscription",
    "wsserver_core.connection.Connection",
    "wsserver_core.scopes.Scope",
    "aiohttp.web_protocol.RequestHandler",
    "aiohttp.web_request.Request",
    "wsserver.web.gate.Pass",
}


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


async def visits(server: LiveServer, count: int) -> None:
    for number in range(count):
        client = await server.enter(f"u{number}", "doctor", "patient:1", "patient:2", patients=["1", "2"])
        await client.ask("subscribe", topic="type:ecg", filters={"severity": ["warning", f"x{number}"]})
        await server.manager.broadcast_to_patient("1", {"type": "ecg_data", "data": [1] * 50})
        if number % 2:
            await client.close()
        else:
            await client.abort()
    await until(lambda: not server.manager.connections)


async def test_a_connection_that_ends_leaves_no_cycles(start_server: StartServer, uncollected: None) -> None:
    # A session would keep some of it on purpose.
    server = await start_server(session={"ttl": 0})
    await visits(server, 2)
    before = there()
    await visits(server, 10)
    await until(lambda: not there() - before)
