"""What servers answer, held against the documents that describe it: every member must be described."""

import json
import re
from functools import cache
from typing import Any, Final

from jsonschema import Draft202012Validator

from wsserver.api_documents.asyncapi import asyncapi
from wsserver.api_documents.spoken import CONTROLS
from wsserver.status.panels import PANELS
from wsserver.web.openapi import openapi
from wsserver.web.routes import routes_of

JSON: Final = "application/json"


def closed(schema: Any) -> Any:
    """The schema as one of a server that says nothing beyond it: clients must take more, tests must not."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    out = {name: closed(member) for name, member in schema.items()}
    if out.get("type") == "object" and isinstance(out.get("properties"), dict):
        out.setdefault("additionalProperties", False)
    return out


def validator(schema: dict[str, Any], components: dict[str, Any]) -> Draft202012Validator:
    """A validator of a schema with references into a document's components."""
    whole = {"allOf": [schema], "components": components}
    return Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)


@cache
def rest_document() -> dict[str, Any]:
    return openapi(routes_of())


@cache
def _paths() -> list[tuple[re.Pattern[str], str]]:
    # Those without a parameter first: aiohttp prefers them as well.
    paths = sorted(rest_document()["paths"], key=lambda path: path.count("{"))
    # Braces have a meaning of their own to aiohttp, and are in no parameter.
    return [
        (re.compile(re.sub(r"\\{\w+\\}", "((?!%7[BbDd])[^/{}])+", re.escape(path))), path) for path in paths
    ]


def operation(method: str, target: str) -> dict[str, Any] | None:
    """What the document says of a request, if it knows its method and path."""
    path = target.partition("?")[0]
    for pattern, name in _paths():
        if pattern.fullmatch(path):
            return rest_document()["paths"][name].get(method.lower())
    return None


@cache
def _response(operation_id: str, status: int) -> Draft202012Validator:
    document = rest_document()
    (found,) = [
        one
        for path in document["paths"].values()
        for one in path.values()
        if one["operationId"] == operation_id
    ]
    schema = found["responses"][str(status)]["content"][JSON].get("schema", {})
    return validator(closed(schema), closed(document["components"]))


def check_answer(method: str, target: str, status: int, headers: dict[str, str], body: bytes) -> None:
    """Fail for an answer that the document does not describe; ``headers`` have names in lower case."""
    found = operation(method, target)
    media_type = headers.get("content-type", "").partition(";")[0]
    # What is no HTTP gets no further than aiohttp, which answers in words of its own.
    if found is None or (status == 400 and media_type == "text/plain"):
        return
    name = found["operationId"]
    assert str(status) in found["responses"], f"{name} does not say that it answers {status}"
    response = found["responses"][str(status)]
    for header in response.get("headers", {}):
        assert header.lower() in headers or header in ("Sec-WebSocket-Protocol", "Allow", "Retry-After"), (
            f"{name} answers {status} without {header}"
        )
    content = response.get("content", {})
    assert media_type in content or not body, f"{name} answers {status} with {media_type}"
    if media_type == JSON and body and method != "HEAD":
        fault = next(_response(name, status).iter_errors(json.loads(body)), None)
        assert fault is None, f"{name} answers {status} against its schema: {fault.json_path} {fault.message}"


@cache
def _control(name: str) -> Draft202012Validator:
    document = asyncapi()
    schema = document["components"]["messages"][name]["payload"]
    # What publishers say has members of their own, and a panel is made of two schemas.
    shut = closed if name in CONTROLS else dict
    return validator(shut(schema), shut(document["components"]))


def check_message(message: dict[str, Any], path: str = "/ws/connect") -> None:
    """Fail for a message of the server that the document does not describe."""
    name = "published" if "_meta" in message else str(message.get("type"))
    if path.startswith("/ws/admin") and message.get("panel") in PANELS:
        name = f"panel_{message['panel']}"
    fault = next(_control(name).iter_errors(message), None)
    assert fault is None, f"{name} is against its schema: {fault.json_path} {fault.message}"
