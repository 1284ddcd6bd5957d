"""http.md: the routes are the application's, and its curl examples are run."""

import asyncio
import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest
from aiohttp import ClientSession, web
from documents import DOCS, bare, blocks, table
from hand_store import HandStore
from live import AUTH, SCOPES, client, serving, stable, token

from wsserver.cli.armed_trace import message_text
from wsserver.connection_manager import ConnectionManager
from wsserver.observe.message_trail import STAGES
from wsserver.overload import Cause
from wsserver.service import Service
from wsserver.settings import Settings
from wsserver.web.app import setup
from wsserver.web.responses import answer_in_json
from wsserver.web.routes.tracing import TracedMessage

HTTP = DOCS / "http.md"
CURLS = [block for block in blocks(HTTP, "sh") if block.text.startswith("curl ")]
ROUTES = table(HTTP, "method", "path")


class Running:
    """A server with what the examples expect: somebody who watches, somebody who may not."""

    def __init__(self) -> None:
        settings = Settings(auth=AUTH)
        self.app, self.manager = web.Application(), ConnectionManager(settings)
        self.service: Service = setup(self.app, settings, manager=self.manager)
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    server = Running()
    async with serving(server.app) as server.port:
        yield server


def test_every_route_is_described_and_no_other():
    app = web.Application()
    setup(app, Settings(auth=AUTH), manager=ConnectionManager(), dev=True, demo=True)
    served = {
        ("GET" if route.method == "*" else route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    page = {(method, path) for method, path in served if path.startswith("/demo")}
    described = {(bare(method), bare(path)) for method, path, *_ in ROUTES}
    assert ("GET", "/demo") in page
    assert described - {("GET", "/demo and /demo/*")} == served - page


async def test_each_route_asks_for_the_scopes_that_are_described(running: Running):
    async with ClientSession(running.url) as session:
        for method, path, scope, *_ in ROUTES:
            if not re.fullmatch(r"`[a-z]+:[a-z]+`", scope):
                continue
            route = re.sub(r"\{\w+\}", "123", bare(path))
            headers = {"Authorization": f"Bearer {token(scope='health:read')}"}
            async with session.request(bare(method), route, headers=headers, data=b"{}") as answer:
                assert answer.status == 403, path
                assert (await answer.json())["error"]["details"] == {"scope": bare(scope)}, path
            async with session.request(bare(method), route, data=b"{}") as answer:
                assert answer.status == 401, path


async def test_routes_without_a_scope_answer_anybody(running: Running):
    async with ClientSession(running.url) as session:
        for path in ("/health", "/ready"):
            async with session.get(path) as answer:
                assert answer.status == 200
                assert await answer.json() in [json.loads(block.text) for block in blocks(HTTP, "json")] + [
                    {"status": "ok"}
                ]


@pytest.mark.parametrize("curl", CURLS, ids=lambda block: f"line {block.line}")
async def test_curl_examples_answer_as_the_document_shows(running: Running, curl, require_tool: Callable):
    require_tool(shutil.which("curl") is not None, "curl")
    everything = blocks(HTTP, "json") + CURLS
    later = sorted((block for block in everything if block.line > curl.line), key=lambda block: block.line)
    shown = json.loads(later[0].text) if later and later[0].language == "json" else None
    watcher = token("dr1", patients=["123"])
    stranger = token("dr2", patients=["999"])
    async with client(running.port, watcher) as first, client(running.port, stranger) as second:
        for socket, topic in ((first, "patient:123"), (second, "patient:*")):
            await socket.recv()
            explains = "/ws/trace" in curl.text or "/ws/explain" in curl.text
            filters = {"vitals.hr": {"$gt": 140}} if explains else None
            await socket.send(json.dumps({"type": "subscribe", "topic": topic, "filters": filters}))
            await socket.recv()
        command = curl.text.replace("http://127.0.0.1:8000", running.url)
        if "/ws/explain" in command:
            report = running.manager.broadcast_to_patient(123, {"type": "vitals", "vitals": {"hr": 135}})
            command = re.sub(r"m_\w+", report.message_id, command)
        if "/ws/explain" in command or "/ws/connections/" in command:
            command = re.sub(r"c_[0-9a-f]+", next(iter(running.manager.connections)), command)
        answer = await run(command)
    if shown is None:
        assert answer["status"] == "success"
    elif any(
        f"/ws/{route}" in curl.text
        for route in ("metrics", "health", "connections?", "subscriptions", "alerts", "audit", "settings")
    ):
        assert shape(answer) == shape(shown)
    else:
        assert stable(answer) == stable(shown)


async def run(command: str) -> dict:
    service = token("monitor7", "service", patients=["123"], scope=SCOPES)
    process = await asyncio.create_subprocess_shell(
        command.replace("curl -i", "curl").replace("curl ", "curl -s ", 1),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "TOKEN": service, "no_proxy": "*"},
    )
    output, _ = await asyncio.wait_for(process.communicate(), 20)
    return json.loads(output)


def shape(value: object) -> object:
    return {name: shape(member) for name, member in value.items()} if isinstance(value, dict) else None


def test_the_traced_message_is_one_and_its_stages_are_those_of_the_table():
    (shown,) = [json.loads(one.text) for one in blocks(HTTP, "json") if one.text.startswith('{"trace_id"')]
    msgspec.convert(shown, TracedMessage, strict=True)
    assert set(shown) == set(TracedMessage.__struct_fields__)
    (printed,) = [one.text for one in blocks(HTTP, "") if "--follow" in one.text]
    assert message_text(shown) in printed
    assert [bare(row[0]) for row in table(HTTP, "stage", "reached when")] == list(STAGES)


async def test_the_figures_of_the_table_are_in_the_document_of_metrics(running: Running):
    headers = {"Authorization": f"Bearer {token(scope='metrics:read')}"}
    async with ClientSession(running.url) as session, session.get("/ws/metrics", headers=headers) as answer:
        data = (await answer.json())["data"]
    for figures, _ in table(HTTP, "figure", "meaning"):
        section = ""
        for figure in re.findall(r"`([\w.]+)`", figures):
            *path, name = figure.split(".")
            section = path[0] if path else section
            assert name in data[section], figure


async def test_ready_gives_every_reason_of_the_table(running: Running):
    async def reason() -> str | None:
        async with session.get("/ready") as answer:
            document = await answer.json()
            assert answer.status == (200 if document["status"] == "ready" else 503)
            return document.get("reason")

    service, seen = running.service, set()
    async with ClientSession(running.url) as session:
        assert await reason() is None
        service.running = False
        seen.add(await reason())
        service.running = True
        service.overload.enter(Cause.OPERATOR)
        seen.add(await reason())
        service.overload.leave_by_hand()
        service.manager.set_accept_connections(False)
        seen.add(await reason())
        service.manager.set_accept_connections(False, cause="drain")
        seen.add(await reason())
        service.manager.set_accept_connections(True, cause="drain")
        service.manager.set_accept_connections(True)
        store = service.manager.broadcasts.store
        service.manager.broadcasts.store = HandStore(fault="disk_full")
        seen.add(await reason())
        service.manager.broadcasts.store = store
        service.manager.limits.max_connections = 0
        seen.add(await reason())
    assert seen == {bare(row[0]) for row in table(HTTP, "reason", "meaning")}


@pytest.mark.parametrize("body", [bare(row[0]) for row in table(HTTP, "body", "effect")])
async def test_the_bodies_of_revoke_are_taken(running: Running, body: str):
    headers = {"Authorization": f"Bearer {token('ops', 'admin', scope='admin:write')}"}
    async with (
        ClientSession(running.url) as session,
        session.post("/ws/revoke", headers=headers, data=body) as answer,
    ):
        assert (await answer.json())["data"]["connections"] == 0


@pytest.mark.parametrize(
    ("middlewares", "content_type"), [([answer_in_json], "application/json"), ([], "text/plain")]
)
async def test_unknown_paths_and_methods_answer_as_described(middlewares, content_type: str):
    app = web.Application(middlewares=middlewares)
    setup(app, Settings(auth=AUTH), manager=ConnectionManager())
    async with serving(app) as port, ClientSession(f"http://127.0.0.1:{port}") as session:
        async with session.get("/nothing") as answer:
            assert (answer.status, answer.content_type) == (404, content_type)
        async with session.get("/ws/revoke") as answer:
            assert (answer.status, answer.content_type) == (405, content_type)


async def test_handshakes_are_refused_with_the_statuses_of_the_table(running: Running):
    described = {int(row[0]) for row in table(HTTP, "status", "why")}
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    key = {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    seen = set()
    async with ClientSession(running.url) as session:
        for method, headers in (
            ("POST", {}),
            ("GET", {}),
            ("GET", {**upgrade}),
            ("GET", {**upgrade, **key, "Origin": "https://elsewhere.example"}),
        ):
            async with session.request(method, "/ws/connect", headers=headers) as answer:
                assert (await answer.json())["status"] == "error"
                seen.add(answer.status)
        running.manager.set_accept_connections(False)
        async with session.get("/ws/connect", headers={**upgrade, **key}) as answer:
            assert answer.headers["Retry-After"]
            seen.add(answer.status)
    assert seen == described - {429}
