"""The Python client and the real server, with a proxy between them that treats connections badly."""

import asyncio
import time
from array import array
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from chaos_proxy import ChaosProxy, Ending, Fates
from live_server import LiveServer, StartServer, token_of, until
from self_signed import make_contexts

from wsserver.client import (
    AuthenticationFailed,
    ConnectionEnded,
    Gap,
    Message,
    ReconnectionConfig,
    RequestRefused,
    State,
    WebSocketClient,
)

QUICK = ReconnectionConfig(
    max_attempts=0, initial_delay=0.01, max_delay=0.05, heartbeat_interval=0.2, heartbeat_timeout=0.4,
    connection_timeout=2.0, min_uptime=0.0,
)  # fmt: skip


class Watcher:
    """A client and what its iteration gave."""

    def __init__(self, client: WebSocketClient) -> None:
        self.client = client
        self.numbers: list[int] = []
        self.gaps: list[Gap] = []
        self.keep: Callable[[Message], object] = lambda message: None
        self.end: ConnectionEnded | None = None
        self.task = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        try:
            async for item in self.client:
                if isinstance(item, Message):
                    self.keep(item)
                    self.numbers.append(item["n"])
                else:
                    self.gaps.append(item)
        except ConnectionEnded as end:
            self.end = end

    async def has(self, count: int) -> None:
        await until(lambda: len(self.numbers) >= count, f"{count} messages", patience=30)


@pytest.fixture
async def watch() -> AsyncIterator[Any]:
    """Connects a client to a port: ``await watch(port, "patient:1")``."""
    watchers: list[Watcher] = []

    async def start(port: int, *topics: str, **how: Any) -> Watcher:
        how = {"token": token_of(), "config": QUICK, **how}
        client = WebSocketClient(f"ws://127.0.0.1:{port}", subscriptions=topics, **how)
        await client.connect()
        watchers.append(Watcher(client))
        return watchers[-1]

    yield start
    for watcher in watchers:
        await watcher.client.disconnect()
        await watcher.task


async def test_what_is_published_arrives_with_its_filter_and_its_meta(server: LiveServer, watch) -> None:
    watcher = await watch(server.port)
    made = await watcher.client.subscribe("patient", 1, {"n": {"$gte": 2}})
    assert made.filters == {"n": {"$gte": 2}}
    for n in range(4):
        await server.publish("patient/1", {"n": n})
    await watcher.has(2)
    assert watcher.numbers == [2, 3]
    assert await watcher.client.unsubscribe("patient:1")
    assert not await watcher.client.unsubscribe("patient:1")


async def test_binary_frames_say_the_same(server: LiveServer, watch) -> None:
    samples = [n / 4 for n in range(64)]
    watchers = {
        codec: await watch(server.port, "patient:1", config=replace(QUICK, codec=codec))
        for codec in ("json", "binary", "auto")
    }
    seen: dict[str, dict[str, Any]] = {}
    for codec, watcher in watchers.items():
        watcher.keep = lambda message, codec=codec: seen.update({codec: dict(message)})
    await server.publish("patient/1", {"n": 1, "text": "é", "data": samples, "deep": {"a": [1, None, True]}})
    for watcher in watchers.values():
        await watcher.has(1)
    assert isinstance(seen["binary"]["data"], array)
    assert isinstance(seen["json"]["data"], list)
    for message in seen.values():
        message["data"] = list(message["data"])
    assert seen["json"] == seen["binary"] == seen["auto"]
    server.manager.broadcast_to_patient(1, {"n": 2, "text": "x" * 200_000})
    for watcher in watchers.values():
        await watcher.has(2)
        assert (await watcher.client.subscribe("patient:1", filters={"n": 3})).replaced
        with pytest.raises(RequestRefused, match="1008"):
            await watcher.client.subscribe("patient:1", filters={"$n": 3})


@pytest.mark.parametrize("ending", list(Ending), ids=lambda ending: ending.name.lower())
async def test_after_a_cut_of_any_kind_nothing_is_missing(server: LiveServer, watch, ending: Ending) -> None:
    async with ChaosProxy(server.port) as proxy:
        watcher = await watch(proxy.port, "patient:1", "type:ecg")
        for n in range(200):
            if n % 50 == 20:
                proxy.end_all(ending)
            server.manager.broadcast_to_patient(1, {"n": 2 * n})
            server.manager.broadcast_to_type("ecg", {"n": 2 * n + 1})
            await asyncio.sleep(0)
        await watcher.has(400)
        assert sorted(watcher.numbers) == list(range(400))
        assert watcher.numbers[::2] == sorted(watcher.numbers[::2]) or len(set(watcher.numbers)) == 400
        assert watcher.gaps == []
        assert watcher.client.get_metrics()["reconnects"] >= 1


async def test_cuts_within_every_frame_and_handshake_lose_nothing(server: LiveServer, watch) -> None:
    async with ChaosProxy(server.port) as proxy:
        watcher = await watch(proxy.port, "patient:1")
        proxy.fate = Fates(7, 3000)
        proxy.end_all()
        n = 0
        while len(proxy.fate.drawn) < 25:
            server.manager.broadcast_to_patient(1, {"n": n, "text": "x" * 200})
            n += 1
            await asyncio.sleep(0.005)
        proxy.fate = ChaosProxy(0).fate
        proxy.end_all(Ending.RESET)
        await watcher.has(n)
        assert watcher.numbers == list(range(n))
        assert watcher.gaps == []


async def test_a_frozen_line_is_noticed_by_its_silence(server: LiveServer, watch) -> None:
    async with ChaosProxy(server.port) as proxy:
        watcher = await watch(proxy.port, "patient:1")
        proxy.swallow()
        server.manager.broadcast_to_patient(1, {"n": 1})
        await watcher.has(1)
        assert watcher.client.get_metrics()["last_close_code"] == 1006


async def test_a_consumer_that_stands_still_stops_the_socket_and_loses_nothing_silently(
    start_server: StartServer,
) -> None:
    server = await start_server(backpressure={"send_buffer": 4096}, broadcast={"timeout": 0.2})
    config = ReconnectionConfig(max_pending_messages=10)
    async with WebSocketClient(
        f"ws://127.0.0.1:{server.port}", token=token_of(), subscriptions=["type:ecg"], config=config
    ) as client:
        server.manager.broadcast_to_type("ecg", {"n": 0})
        assert (await client.receive()) is not None
        for n in range(1, 400):
            server.manager.broadcast_to_type("ecg", {"type": "ecg_data", "n": n, "text": "x" * 4000})
        await until(lambda: bool(server.manager.hub.stalled_connections), "a full socket")
        assert client.get_metrics()["pending"] <= 10
        await until(lambda: server.manager.slow_connections() == 1, "a slow connection")
        server.manager.broadcast_to_type("ecg", {"type": "ecg_data", "n": 400, "text": "x"})
        seen, gaps = set(), []
        async with asyncio.timeout(20):
            async for item in client:
                if isinstance(item, Gap):
                    gaps.append(item)
                else:
                    seen.add(item["n"])
                if 400 in seen and len(seen) + sum(gap.count or 0 for gap in gaps) >= 400:
                    break
        assert len(seen) + sum(gap.count or 0 for gap in gaps) == 400
        assert {gap.reason for gap in gaps} == {"conflated"}


async def test_rights_that_end_are_told_in_the_iteration(server: LiveServer, watch) -> None:
    watcher = await watch(server.port, "patient:1", "patient:2", token=token_of("u1", patients=["1", "2"]))
    await server.service.revoke(user_id="u1", patients=["1"])
    await until(lambda: watcher.gaps, "word of it")
    assert watcher.gaps == [Gap("forbidden", topic="patient:1")]
    with pytest.raises(RequestRefused, match="1011"):
        await watcher.client.subscribe("patient:1")
    await server.publish("patient/2", {"n": 2})
    await watcher.has(1)


async def test_a_revoked_user_does_not_come_back(server: LiveServer, watch) -> None:
    watcher = await watch(server.port, "patient:1")
    await server.service.revoke(user_id="u1")
    await watcher.task
    assert watcher.end is not None
    assert watcher.end.code == 4511
    assert watcher.client.state is State.CLOSED


async def test_a_token_that_ends_is_renewed_without_a_break(server: LiveServer, watch) -> None:
    asked: list[str] = []

    def get_token(reason: str) -> str:
        asked.append(reason)
        return token_of("u1", exp=int(time.time()) + (3 if reason == "first" else 3600))

    watcher = await watch(server.port, "patient:1", token=None, get_token=get_token)
    await until(lambda: asked == ["first", "expiring"], "a new token")
    await asyncio.sleep(0)
    assert watcher.client.get_metrics()["reconnects"] == 0


async def test_a_token_that_does_not_count_is_told_at_once(server: LiveServer) -> None:
    client = WebSocketClient(f"ws://127.0.0.1:{server.port}", token="canary", config=QUICK)
    with pytest.raises(AuthenticationFailed) as failed:
        await client.connect()
    assert "canary" not in str(failed.value)


async def test_a_redirect_is_not_followed_with_the_token(aiohttp_server) -> None:
    seen: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    url = str((await aiohttp_server(app)).make_url("/"))
    with pytest.raises(ConnectionEnded):
        await WebSocketClient(url, token="t", config=QUICK).connect()
    assert seen == ["/ws/connect"]


async def test_tls_is_checked_and_used(start_server: StartServer, tmp_path: Path) -> None:
    server_side, trusting = make_contexts(tmp_path)
    server = await start_server(options={"tls": server_side})
    url = f"wss://127.0.0.1:{server.port}"
    with pytest.raises(ConnectionEnded):
        await WebSocketClient(url, token=token_of()).connect()
    async with WebSocketClient(url, token=token_of(), ssl=trusting, subscriptions=["patient:1"]) as client:
        server.manager.broadcast_to_patient(1, {"n": 1})
        item = await client.receive()
        assert isinstance(item, Message)
        assert item["n"] == 1


class TestServerThatGoesAndComes:
    async def test_after_a_restart_what_was_stored_meanwhile_is_there(
        self, start_server: StartServer, tmp_path: Path, watch
    ) -> None:
        stored = {"store": {"url": f"sqlite:///{tmp_path}/store.db"}}
        first = await start_server(**stored)
        async with ChaosProxy(first.port) as proxy:
            watcher = await watch(proxy.port, "patient:1")
            await first.publish("patient/1", {"type": "note", "n": 0})
            await watcher.has(1)
            await first.end()
            second = await start_server(**stored)
            await second.publish("patient/1", {"type": "note", "n": 1})
            proxy.target = second.port
            await watcher.has(2)
            await second.publish("patient/1", {"type": "note", "n": 2})
            await watcher.has(3)
            assert watcher.numbers == [0, 1, 2]
            # The volatile log alone began anew.
            assert {gap.reason for gap in watcher.gaps} <= {"restart"}

    async def test_after_a_kill_it_finds_the_next_server(self, run, watch, unused_tcp_port: int) -> None:
        first = await run("", "--port", str(unused_tcp_port))
        await first.listening()
        watcher = await watch(unused_tcp_port, "patient:1")
        first.process.kill()
        await first.ended()
        await until(lambda: watcher.client.state is State.RECONNECTING, "the end")
        second = await run("", "--port", str(unused_tcp_port))
        await second.listening()
        await until(lambda: watcher.client.state is State.CONNECTED, "the return", patience=30)
        assert watcher.client.get_metrics()["subscriptions"] == 1
        # In memory nothing outlives a process: both logs are gone, and that is told.
        await until(lambda: len(watcher.gaps) == 2, "word of it")
        assert {gap.reason for gap in watcher.gaps} == {"restart"}

    async def test_a_drain_gives_a_slot_which_is_kept(self, run, watch) -> None:
        child = await run("[shutdown]\ntimeout = 5\nrestart_time = 2\n")
        await child.listening()
        watcher = await watch(child.port, "patient:1")
        told: list[Any] = []
        for event in ("server_shutdown", "disconnected", "reconnecting"):
            watcher.client.on(event, told.append)
        child.process.terminate()
        await until(lambda: len(told) >= 3, "the close", patience=20)
        notice, end, next_attempt = told[:3]
        assert end.code == 4020
        assert next_attempt.advised
        assert next_attempt.delay == notice.reconnect_in > 2
        await child.ended()
