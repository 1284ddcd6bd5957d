"""OpenAPI 3.1, written from the table of routes."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from wsserver._version import __version__
from wsserver.api_documents.json_schemas import Schema, Schemas
from wsserver.web.operator_door import CSRF_HEADER, PLAIN_COOKIE, SECURE_COOKIE
from wsserver.web.route import JSON, Answer, Door, Refusal, Route

OPENAPI: Final = "3.1.0"

BEARER: Final = "bearer"
COOKIE: Final = "operatorCookie"
CSRF: Final = "csrfToken"

_WITHOUT_EFFECT: Final = ("GET", "HEAD")

_CHAPTERS: Final = {
    "Connecting": "The handshakes of WebSockets.",
    "Publishing": "For backends and devices.",
    "Operating": "For those who run the server.",
    "Figures": "For those who watch it.",
    "Explaining": "Why somebody did or did not get a message.",
    "Connections": "Who is here and how they are doing.",
    "Subscriptions": "What is subscribed to, and what became of it.",
    "Auditing": "Who watched whom, and what operators did.",
    "Debugging": "The specification's tools.",
    "Status page": "For browsers of operators.",
    "Files": "For browsers and bundlers.",
    "Probes": "For whoever restarts this process and routes to it.",
    "Documents": "This document and that of the WebSocket.",
    "Demonstration": "Only with `--demo`.",
}

_SECURITY: Final = {
    BEARER: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token whose claim `scope` has every scope of the operation, separated by spaces.",
    },
    COOKIE: {
        "type": "apiKey",
        "in": "cookie",
        "name": PLAIN_COOKIE,
        "description": "The cookie of an operator who is signed in and whose role holds the "
        f"scopes; with TLS `{SECURE_COOKIE}`.",
    },
    CSRF: {
        "type": "apiKey",
        "in": "header",
        "name": CSRF_HEADER,
        "description": "Goes with the cookie on whatever changes something, and comes with the sign-in.",
    },
}


class Fault(msgspec.Struct):
    """A fault, by its row in the table of errors. Rely on ``code``, ``name`` and the named details."""

    code: int
    name: str
    message: str
    retry_after_ms: int | UnsetType = UNSET
    details: dict[str, Any] | UnsetType = UNSET


class Failure(msgspec.Struct):
    """The body of every error."""

    status: Literal["error"]
    error: Fault


def openapi(routes: Sequence[Route]) -> dict[str, Any]:
    """The document of these routes, ready for JSON."""
    schemas = Schemas([Failure, *_types(routes)])
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for route in routes:
        for method in (route.shown_method, "HEAD") if route.head else (route.shown_method,):
            paths[route.shown_path][method.lower()] = _operation(route, method, schemas)
    used = {route.tag for route in routes}
    queries = [route.query for route in routes if route.query is not None]
    return {
        "openapi": OPENAPI,
        "info": {
            "title": "wsserver",
            "version": __version__,
            "description": "Publishing to those who watch patients, and operating the server that does it. "
            "New members may be added to answers at any time. What is said over the WebSocket stands in "
            "`/ws/asyncapi.json`.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _CHAPTERS.items() if name in used],
        "paths": dict(paths),
        "components": {
            "schemas": schemas.components(without=queries),
            "securitySchemes": _SECURITY,
        },
    }


def _types(routes: Iterable[Route]) -> Iterator[Any]:
    for route in routes:
        if route.query is not None:
            yield route.query
        if route.body is not None:
            yield route.body.form
        for parameter in (*route.place.values(), *route.headers.values()):
            yield parameter.form
        for answer in route.answers:
            if answer.data is not None:
                yield from answer.data if isinstance(answer.data, tuple) else (answer.data,)


def _operation(route: Route, method: str, schemas: Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name if method != "HEAD" else f"head_{route.name.removeprefix('get_')}",
        "tags": [route.tag],
        "summary": route.summary,
        "description": route.description,
        "security": list(_security(route, method)),
    }
    parameters = list(_parameters(route, schemas))
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {
            "required": route.body.required,
            "content": {
                JSON: {
                    "schema": schemas.of(route.body.form),
                    "examples": {"example": {"value": route.body.example}},
                }
            },
        }
    operation["responses"] = _responses(route, schemas, has_body=method != "HEAD")
    return operation


def _security(route: Route, method: str) -> Iterator[dict[str, list[str]]]:
    scopes = list(route.scopes)
    if route.door in (Door.BEARER, Door.OPERATOR):
        yield {BEARER: scopes}
    # Whoever is signed in may ask who that is, and sign out; to sign in takes what is sent.
    if route.door is Door.OPERATOR or (route.door is Door.SIGN_IN and route.body is None):
        yield {COOKIE: scopes} if method in _WITHOUT_EFFECT else {COOKIE: scopes, CSRF: []}


def _parameters(route: Route, schemas: Schemas) -> Iterator[dict[str, Any]]:
    for place, parameters in (("path", route.place), ("header", route.headers)):
        for name, parameter in parameters.items():
            yield {
                "name": name,
                "in": place,
                "required": place == "path",
                "description": parameter.text,
                "schema": schemas.of(parameter.form),
                "example": parameter.example,
            }
    if route.query is not None:
        form = schemas.resolved(route.query)
        for name, schema in form["properties"].items():
            shown = {word: value for word, value in schema.items() if word != "description"}
            text = {"description": schema["description"]} if "description" in schema else {}
            required = name in form.get("required", [])
            yield {"name": name, "in": "query", "required": required, **text, "schema": shown}


def _responses(route: Route, schemas: Schemas, *, has_body: bool) -> dict[str, Any]:
    answers: dict[int, list[Answer]] = defaultdict(list)
    refusals: dict[int, list[Refusal]] = defaultdict(list)
    for answer in route.answers:
        answers[answer.status].append(answer)
    for refusal in route.all_refusals():
        refusals[refusal.http_status].append(refusal)
    return {
        str(status): _response(answers[status], refusals[status], schemas, has_body=has_body)
        for status in sorted(route.statuses())
    }


def _response(
    answers: Sequence[Answer], refusals: Sequence[Refusal], schemas: Schemas, *, has_body: bool
) -> dict[str, Any]:
    """All that one status may mean."""
    texts: list[str] = []
    headers: dict[str, Any] = {}
    forms: list[Schema] = []
    examples: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for number, answer in enumerate(answers):
        texts.append(answer.text)
        headers.update({name: _header(text) for name, text in answer.headers.items()})
        if answer.data is None:
            others.update({name: {} for name in answer.media_types})
            continue
        forms.append(_enveloped(schemas.of(answer.data)) if answer.envelope else schemas.of(answer.data))
        value = {"status": "success", "data": answer.example} if answer.envelope else answer.example
        examples["example" if not number else f"example_{number + 1}"] = {"value": value}
    if refusals:
        texts += [f"{refusal.kind.code} {refusal.kind.name}: {refusal.text}" for refusal in refusals]
        headers.update(_error_headers(refusals))
        forms.append(_failure(schemas, refusals))
        for refusal in refusals:
            error = {"code": refusal.kind.code, "name": refusal.kind.name, "message": refusal.kind.text}
            examples.setdefault(
                refusal.kind.name, {"summary": refusal.text, "value": {"status": "error", "error": error}}
            )
    response: dict[str, Any] = {"description": "\n\n".join(texts)}
    if headers:
        response["headers"] = headers
    if has_body and (forms or others):
        form = forms[0] if len(forms) == 1 else {"anyOf": forms}
        described = {JSON: {"schema": form, "examples": examples}} if forms else {}
        response["content"] = {**others, **described}
    return response


def _enveloped(schema: Schema) -> Schema:
    return {
        "type": "object",
        "properties": {"status": {"const": "success"}, "data": schema},
        "required": ["status", "data"],
    }


def _failure(schemas: Schemas, refusals: Sequence[Refusal]) -> Schema:
    codes = sorted({refusal.kind.code for refusal in refusals})
    return {
        "allOf": [schemas.of(Failure)],
        "properties": {"error": {"properties": {"code": {"enum": codes}}}},
    }


def _error_headers(refusals: Sequence[Refusal]) -> dict[str, Any]:
    status = refusals[0].http_status
    if status == 401:
        return {"WWW-Authenticate": _header("`Bearer`.")}
    if status in (429, 503):
        return {"Retry-After": _header("Whole seconds to wait, with `retry_after_ms`.")}
    return {"Allow": _header("The method that is meant.")} if status == 405 else {}


def _header(text: str) -> dict[str, Any]:
    return {"description": text, "schema": {"type": "string"}}
