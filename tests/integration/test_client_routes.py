"""The JavaScript client, as a browser and as npm fetch it."""

import asyncio
from typing import Any

import pytest
from http_request import Answer
from live_server import LiveServer

from wsserver.web.client_files import CLIENT_FILES, client_package
from wsserver.web.responses import answer_in_json

ENVELOPE = "/ws/client/envelope.js"


@pytest.fixture
async def server(start_server: Any) -> LiveServer:
    return await start_server()


async def test_every_file_is_served_with_its_type_and_the_headers_that_modules_need(
    server: LiveServer,
) -> None:
    for name, file in CLIENT_FILES.items():
        answer = await server.http("GET", f"/ws/client/{name}")
        assert (answer.status, answer.body) == (200, file.body)
        assert answer.headers["content-type"] == file.content_type
        assert answer.headers["etag"] == f'"{file.etag}"'
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "set-cookie" not in answer.headers


async def test_head_has_the_headers_and_no_body(server: LiveServer) -> None:
    get = await server.http("GET", ENVELOPE)
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"HEAD {ENVELOPE} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.transport.abort()
    status, *lines, end, body = answer.decode().split("\r\n")
    assert (status, end, body) == ("HTTP/1.1 200 OK", "", "")
    for name in ("ETag", "Content-Type", "Content-Length", "Access-Control-Allow-Origin"):
        assert f"{name}: {get.headers[name.lower()]}" in lines


def tagged(tag: str) -> dict[str, str]:
    return {"If-None-Match": tag}


async def test_what_the_browser_has_is_not_sent_again(server: LiveServer) -> None:
    tag = f'"{CLIENT_FILES["envelope.js"].etag}"'
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = await server.http("GET", ENVELOPE, headers=tagged(known))
        assert (answer.status, answer.body) == (304, b""), known
        assert answer.headers["etag"] == tag
        assert answer.headers["cache-control"] == "no-cache"
        # The browser checks this one as well when it takes the copy it has.
        assert answer.headers["access-control-allow-origin"] == "*"
    for unknown in ('"other"', tag.strip('"'), tag[:-2] + '"', "", '"'):
        answer = await server.http("GET", ENVELOPE, headers=tagged(unknown))
        assert (answer.status, answer.body) == (200, CLIENT_FILES["envelope.js"].body), unknown


OUTSIDE = [
    "",
    "nothing.js",
    "ENVELOPE.JS",
    "envelope.js/",
    "envelope.js/more",
    "envelope.js%00",
    "package.json%3F",
    "__init__.py",
    ".",
    "..",
    "../__init__.py",
    "../../__init__.py",
    "..%2f..%2f__init__.py",
    "%2e%2e/%2e%2e/__init__.py",
    "..%5c..%5c__init__.py",
    "%252e%252e%252f__init__.py",
    "js/envelope.js",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "//envelope.js",
    "a" * 4000,
]


@pytest.mark.parametrize("name", OUTSIDE)
async def test_nothing_else_is_there(start_server: Any, name: str) -> None:
    server = await start_server(options={"prepare": lambda app: app.middlewares.append(answer_in_json)})
    answer = await server.http("GET", f"/ws/client/{name}")
    assert answer.status == 404
    assert answer.error["code"] == 1014
    assert answer.headers["cache-control"] == "no-store"


async def test_an_application_of_ones_own_has_the_routes_and_the_coded_answer(server: LiveServer) -> None:
    assert server.app.middlewares == []
    assert (await server.http("GET", ENVELOPE)).status == 200
    answer = await server.http("GET", "/ws/client/a/b")
    assert (answer.status, answer.error["name"]) == (404, "not_found")


async def test_other_methods_are_refused(server: LiveServer) -> None:
    for method in ("POST", "PUT", "DELETE"):
        answer = await server.http(method, ENVELOPE, b"x")
        assert answer.status == 405
        assert answer.headers["allow"] == "GET,HEAD"


async def test_no_token_is_looked_at(server: LiveServer) -> None:
    answer = await server.http("GET", ENVELOPE, token="nonsense")
    assert answer.status == 200


async def test_the_package_is_served(server: LiveServer) -> None:
    answer: Answer = await server.http("GET", "/ws/client/wsserver-client.tgz")
    assert (answer.status, answer.body) == (200, client_package().body)
    assert answer.headers["content-type"] == "application/gzip"
    tag = answer.headers["etag"]
    assert (await server.http("GET", "/ws/client/wsserver-client.tgz", headers=tagged(tag))).status == 304
