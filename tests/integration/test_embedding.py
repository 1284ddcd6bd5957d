"""As a part of somebody's application, and twice in one process."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from http_request import request
from live_server import ALL_SCOPES, LiveServer, settings_of, token_of, until
from ward_client import WardClient

import wsserver
from wsserver.connection_manager import ConnectionManager


async def test_it_lives_beside_the_routes_of_an_existing_application(start_server) -> None:
    seen: list[str] = []

    def prepare(app: web.Application) -> None:
        async def hello(request: web.Request) -> web.Response:
            return web.json_response({"hello": "ward"})

        @web.middleware
        async def count(request: web.Request, handler: Any) -> web.StreamResponse:
            seen.append(request.path)
            answer = await handler(request)
            answer.headers["X-Ours"] = "1"
            return answer

        app.router.add_get("/", hello)
        app.middlewares.append(count)

    server: LiveServer = await start_server(options={"prepare": prepare})
    assert (await server.http("GET", "/")).json == {"hello": "ward"}
    client = await server.enter("u", "doctor", "patient:1")
    report = await server.publish("patient/1", {"n": 1})
    assert report["delivered"] == 1
    assert len(await client.published()) == 1
    assert seen == ["/", "/ws/connect", "/ws/broadcast/patient/1"]


async def test_a_handler_of_the_application_publishes_and_reads_the_report(start_server) -> None:
    manager: list[ConnectionManager] = []

    def prepare(app: web.Application) -> None:
        async def measure(request: web.Request) -> web.Response:
            delivered = await manager[0].broadcast_to_patient(1, {"type": "ecg_data", "patient_id": 1})
            return web.json_response({"delivered": int(delivered)})

        app.router.add_post("/measure", measure)

    server: LiveServer = await start_server(options={"prepare": prepare})
    manager.append(server.manager)
    client = await server.enter("u", "doctor", "patient:1")
    assert (await server.http("POST", "/measure")).json == {"delivered": 1}
    assert [message["type"] for message in await client.published()] == ["ecg_data"]


@pytest.mark.parametrize("limit", [1 << 20, 3 << 20])
async def test_an_application_with_the_default_body_limit_takes_the_largest_message(limit: int) -> None:
    """The application's limit for bodies is a mebibyte; what may be published is this server's to say."""
    app = web.Application()
    settings = settings_of(broadcast={"max_message_size": limit}, backpressure={"max_queue_bytes": limit})
    manager = ConnectionManager(settings)
    wsserver.setup(app, settings, manager=manager)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        port = runner.addresses[0][1]
        body = b'{"a":"' + b"x" * (limit - 8) + b'"}'
        answer = await request(
            port, "POST", "/ws/broadcast/all", body, token=token_of("b", "service", scope=ALL_SCOPES)
        )
        assert answer.status == 200
    finally:
        await runner.cleanup()


async def test_two_servers_in_one_process_have_nothing_in_common(start_server) -> None:
    one: LiveServer = await start_server(connection={"max_connections_per_user": 1})
    two: LiveServer = await start_server(auth={"secret": "another-secret-" + "x" * 32})
    client = await one.enter("u", "doctor", "patient:1", "*")
    assert (await one.publish("patient/1", {"n": 1}))["delivered"] == 1
    foreign = await two.connect(token_of())
    assert (await foreign.refused())[1] == 4501
    assert await two.manager.broadcast_to_all({"n": 2}) == 0
    assert [message["n"] for message in await client.published()] == [1]
    assert (len(one.manager.connections), len(two.manager.connections)) == (1, 0)
    assert one.manager.broadcasts.logs.volatile.name != two.manager.broadcasts.logs.volatile.name


async def test_a_manager_goes_from_one_server_to_the_next() -> None:
    """An application that is stopped and started again, as tests of a backend do."""
    manager = ConnectionManager(settings_of())
    for round_ in range(2):
        app = web.Application()
        wsserver.setup(app, settings_of(), manager=manager)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        client = await WardClient.open(
            runner.addresses[0][1], headers={"Authorization": f"Bearer {token_of()}"}
        )
        assert (await client.receive())["type"] == "connected"
        await client.ask("subscribe", topic="patient:1")
        assert await manager.broadcast_to_patient(1, {"round": round_}) == 1
        assert [message["round"] for message in await client.published()] == [round_]
        await runner.cleanup()
        assert (await client.closing())[0] == 1001
        assert not manager.connections
    await until(lambda: manager.hub.open_count == 0)


async def test_a_subapplication_under_a_prefix(start_server) -> None:
    inner, outer = web.Application(), web.Application()
    settings = settings_of()
    wsserver.setup(inner, settings, manager=ConnectionManager(settings))
    outer.add_subapp("/live/", inner)
    runner = web.AppRunner(outer, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        port = runner.addresses[0][1]
        client = await WardClient.open(
            port, headers={"Authorization": f"Bearer {token_of()}"}, path="/live/ws/connect"
        )
        assert (await client.receive())["type"] == "connected"
        assert (await request(port, "GET", "/live/health")).status == 200
        await client.close()
    finally:
        await runner.cleanup()


async def test_the_application_stops_with_clients_on_it(start_server) -> None:
    server: LiveServer = await start_server()
    clients = [await server.enter(f"u{number}") for number in range(5)]
    stopping = asyncio.create_task(server.end())
    for client in clients:
        assert (await client.closing())[0] == 1001
    await stopping
