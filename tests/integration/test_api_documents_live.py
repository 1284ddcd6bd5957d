"""The documents as they are served, and their examples as requests to a running server."""

import asyncio
import json
import re
from typing import Any

import pytest
from documented import check_message, rest_document
from http_request import Answer
from live_server import ALL_SCOPES, LiveServer, StartServer, token_of
from operator_accounts import ACCOUNTS, OPERATOR_PASSWORD
from operator_page import OperatorPage
from ward_client import WardClient

from wsserver.api_documents.asyncapi import asyncapi
from wsserver.api_documents.message_examples import COMMAND_EXAMPLES
from wsserver.api_documents.spoken import ANSWERS
from wsserver.web.openapi import openapi
from wsserver.web.route import Door, Route
from wsserver.web.routes import routes_of

DOCUMENTS = ("/ws/openapi.json", "/ws/asyncapi.json")


@pytest.mark.parametrize("path", DOCUMENTS)
async def test_a_document_is_given_to_anybody_and_kept(server: LiveServer, path: str) -> None:
    first = await server.http("GET", path)
    assert (first.status, first.headers["content-type"]) == (200, "application/json")
    assert first.headers["access-control-allow-origin"] == "*"
    tag = first.headers["etag"]
    known = await server.http("GET", path, headers={"If-None-Match": tag})
    assert (known.status, known.body) == (304, b"")
    assert (await server.http("GET", path, headers={"If-None-Match": '"another"'})).body == first.body
    head = await server.http("HEAD", path)
    assert head.headers["etag"] == tag


@pytest.mark.parametrize("dev", [False, True])
async def test_the_document_is_of_what_is_served(start_server: StartServer, dev: bool) -> None:
    server = await start_server(options={"dev": dev})
    served = (await server.http("GET", "/ws/openapi.json")).json
    assert served == json.loads(json.dumps(openapi(routes_of(dev=dev))))
    assert ("/ws/echo" in served["paths"]) is dev
    assert (await server.http("GET", "/ws/asyncapi.json")).json == json.loads(json.dumps(asyncapi()))


async def test_many_who_ask_at_once_get_the_same(server: LiveServer) -> None:
    answers = await asyncio.gather(*(server.http("GET", "/ws/openapi.json") for _ in range(20)))
    assert (
        len({answer.body for answer in answers}) == len({answer.headers["etag"] for answer in answers}) == 1
    )


# -- examples of requests


async def sent(server: LiveServer, route: Route) -> Answer:
    """The answer to the request that the document shows, from somebody who may ask."""
    operation = rest_document()["paths"][route.shown_path][route.shown_method.lower()]
    path, headers, asked = route.shown_path, {}, []
    for parameter in operation.get("parameters", ()):
        name, example = parameter["name"], parameter.get("example")
        if parameter["in"] == "path":
            path = path.replace(f"{{{name}}}", example)
        elif parameter["in"] == "header":
            headers[name] = example
        elif "examples" in parameter["schema"]:
            asked.append(f"{name}={parameter['schema']['examples'][0]}")
    target = "?".join([await there(server, path), "&".join(asked)]).rstrip("?")
    body = None
    if "requestBody" in operation:
        body = operation["requestBody"]["content"]["application/json"]["examples"]["example"]["value"]
    if route.door is Door.SIGN_IN:
        page = await OperatorPage.sign_in(server)
        secrets = {"password": OPERATOR_PASSWORD}
        if body is not None:
            body = {name: secrets.get(name, value) for name, value in body.items()}
        return await page.send(route.shown_method, target, body)
    token = token_of("gateway", "service", scope=f"{ALL_SCOPES} audit:read")
    return await server.http(route.shown_method, target, body, token=token, headers=headers)


async def there(server: LiveServer, path: str) -> str:
    """The path with ids of this server, instead of those of the one that the examples are from."""
    await server.enter("nurse7", "nurse", "patient:123")
    report = await server.publish("patient/123", {"type": "vitals", "vitals": {"hr": 135}})
    (connection_id,) = server.manager.connections
    server.service.alerts.observe("latency", 9_999.0)
    armed = await server.http(
        "POST", "/ws/traces", {"type": "ecg"}, token=token_of("ops", "admin", scope="admin:write")
    )
    given = {"m": report["message_id"], "c": connection_id, "t": armed.json["data"]["trace"]["trace_id"]}
    return re.sub(r"\b([mct])_[0-9a-f]+", lambda found: given[found[1]], path)


ASKED = [route for route in routes_of() if 101 not in route.statuses()]


@pytest.mark.parametrize("route", ASKED, ids=lambda route: route.name)
async def test_the_example_of_a_request_is_accepted(start_server: StartServer, route: Route) -> None:
    server = await start_server(operators={"accounts": ACCOUNTS})
    answer = await sent(server, route)
    assert answer.status in {one.status for one in route.answers}
    assert answer.status < 300
    # The emergency is one, and is told as such.
    server.faults.seen[:] = [fault for fault in server.faults.seen if "overload (operator)" not in fault]


FOR_OPERATORS = [route for route in ASKED if route.door is Door.OPERATOR]


@pytest.mark.parametrize("route", FOR_OPERATORS, ids=lambda route: route.name)
async def test_the_query_parameters_are_those_that_are_known(server: LiveServer, route: Route) -> None:
    token = token_of("ops", "admin", scope=f"{ALL_SCOPES} audit:read")
    path = re.sub(r"\{(\w+)\}", lambda found: route.place[found[1]].example, route.shown_path)
    unknown = await server.http(route.method, f"{path}?nonsense=1", token=token)
    assert (unknown.status, unknown.error["code"]) == (400, 1003)
    assert "unknown query parameter" in unknown.error["message"]
    operation = rest_document()["paths"][route.shown_path][route.shown_method.lower()]
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "query":
            # Not one of them takes this, but whoever knows the name complains of something else.
            answer = await server.http(route.method, f"{path}?{parameter['name']}=%00", token=token)
            assert b"unknown query parameter" not in answer.body, parameter["name"]


# -- examples of commands


SAID = [(name, number) for name, some in COMMAND_EXAMPLES.items() for number in range(len(some))]


async def fresh(client: WardClient, example: dict[str, Any], token: str) -> dict[str, Any]:
    """The example with what this server gave out in the place of what another one did."""
    given = {"token": token}
    if "subscription_id" in example:
        answer = await client.ask("subscribe", topic="patient:123")
        given["subscription_id"] = answer["subscription_id"]
    return {name: given.get(name, value) for name, value in example.items()}


@pytest.mark.parametrize("protocol", ["wsserver.v1.json", "wsserver.v1.bin"])
@pytest.mark.parametrize(
    ("name", "number"),
    [(name, number) for name, some in COMMAND_EXAMPLES.items() for number in range(len(some))],
)
async def test_the_example_of_a_command_is_accepted(
    server: LiveServer, name: str, number: int, protocol: str
) -> None:
    role = "service" if name == "broadcast" else "doctor"
    token = token_of("dr1", role)
    client = await server.connect(protocols=[protocol])
    if name != "connect":
        await client.send("connect", token=token)
        assert (await client.receive())["type"] == "connected"
    example = await fresh(client, COMMAND_EXAMPLES[name][number], token)
    await client.send_text(json.dumps(example))
    await check_reply(client, name, example.get("request_id"))


async def check_reply(client: WardClient, name: str, request_id: str | None) -> None:
    if name == "disconnect":
        assert await client.closing() == (1000, "")
        return
    if ANSWERS[name] is None:
        assert await client.everything() == [], "no answer, and no error"
        return
    answer = await client.receive()
    assert (answer["type"], answer.get("request_id")) == (ANSWERS[name], request_id)
    check_message(answer)
