"""OpenAPI 3.1 of the routes: valid, whole, with examples that are what they are examples of."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from documented import closed, validator
from openapi_spec_validator import validate

from wsserver.errors import ERRORS, NOT_FOUND
from wsserver.web.openapi import BEARER, COOKIE, CSRF, openapi
from wsserver.web.route import Answer, Door, Refusal, Route
from wsserver.web.routes import routes_of

ROUTES = routes_of(dev=True, demo=True)
DOCUMENT: dict[str, Any] = json.loads(msgspec.json.encode(openapi(ROUTES)))
METHODS = ("get", "head", "post", "put", "delete", "patch")


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


OPERATIONS = dict(operations())


def operation_of(route: Route) -> dict[str, Any]:
    return OPERATIONS[f"{route.shown_method} {route.shown_path}"]


def test_it_is_valid() -> None:
    validate(DOCUMENT)


def test_it_has_every_route_and_no_other() -> None:
    heads = {f"HEAD {route.shown_path}" for route in ROUTES if route.head}
    assert set(OPERATIONS) == {f"{route.shown_method} {route.shown_path}" for route in ROUTES} | heads
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_it_has_every_status(route: Route) -> None:
    assert {int(status) for status in operation_of(route)["responses"]} == route.statuses()


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_it_says_who_may_come_in(route: Route) -> None:
    security = operation_of(route)["security"]
    assert [one[BEARER] for one in security if BEARER in one] == (
        [list(route.scopes)] if route.door in (Door.BEARER, Door.OPERATOR) else []
    )
    cookies = [set(one) for one in security if COOKIE in one]
    wanted = {COOKIE} if route.shown_method == "GET" else {COOKIE, CSRF}
    takes_cookie = route.door is Door.OPERATOR or route.name in ("get_ws_login", "post_ws_logout")
    assert cookies == ([wanted] if takes_cookie else [])


def test_every_tag_is_explained() -> None:
    assert {tag for one in OPERATIONS.values() for tag in one["tags"]} == {
        tag["name"] for tag in DOCUMENT["tags"]
    }


def examples() -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Every example with its schema."""
    for name, operation in OPERATIONS.items():
        for parameter in operation.get("parameters", ()):
            if "example" in parameter:
                yield f"{name} {parameter['name']}", parameter["schema"], parameter["example"]
        described = [("request", operation.get("requestBody", {}))]
        described += list(operation["responses"].items())
        for what, one in described:
            for content in one.get("content", {}).values():
                for title, example in content.get("examples", {}).items():
                    yield f"{name} {what} {title}", content["schema"], example["value"]


EXAMPLES = list(examples())


def test_examples_are_by_their_own_schema() -> None:
    assert len(EXAMPLES) > 150
    for name, schema, example in EXAMPLES:
        faults = validator(schema, DOCUMENT["components"]).iter_errors(example)
        assert [f"{fault.json_path}: {fault.message}" for fault in faults] == [], name


def test_examples_of_answers_have_no_members_that_are_not_described() -> None:
    components = closed(DOCUMENT["components"])
    for name, schema, example in EXAMPLES:
        if " request " not in name:
            assert validator(closed(schema), components).is_valid(example), name


def test_every_body_and_every_json_answer_has_an_example() -> None:
    for route in ROUTES:
        assert route.body is None or route.body.example is not None, route.name
        for answer in route.answers:
            assert (answer.data is None) == (answer.example is None), (route.name, answer.status)


# Where a route answers another status than the row of its error has.
OTHER_STATUSES = ("405", "408", "409", "426", "429")


def test_errors_are_told_by_their_rows_of_the_table() -> None:
    for name, _, example in EXAMPLES:
        if isinstance(example, dict) and example.get("status") == "error":
            row, status = ERRORS[example["error"]["code"]], name.split()[2]
            assert example["error"]["name"] == row.name
            assert str(row.http_status) == status or status in OTHER_STATUSES, name


def test_an_error_of_another_code_is_against_the_schema() -> None:
    schema = OPERATIONS["GET /ws/metrics"]["responses"]["401"]["content"]["application/json"]["schema"]
    error = {"code": 1001, "name": "authentication_failed", "message": "Authentication failed."}
    check = validator(schema, DOCUMENT["components"])
    assert check.is_valid({"status": "error", "error": error})
    assert not check.is_valid({"status": "error", "error": {**error, "code": 1011}})
    assert not check.is_valid({"status": "success", "data": {}})


def test_headers_are_told_where_they_come() -> None:
    publish = OPERATIONS["POST /ws/broadcast/all"]
    assert [one["name"] for one in publish["parameters"]] == ["Idempotency-Key"]
    assert "Retry-After" in publish["responses"]["503"]["headers"]
    assert "Retry-After" in publish["responses"]["429"]["headers"]
    assert "WWW-Authenticate" in publish["responses"]["401"]["headers"]
    assert "ETag" in OPERATIONS["GET /ws/openapi.json"]["responses"]["200"]["headers"]


def test_query_parameters_are_those_of_the_form() -> None:
    parameters = {one["name"]: one for one in OPERATIONS["GET /ws/events"]["parameters"]}
    assert set(parameters) == {"limit", "kind", "connection_id", "reveal"}
    assert parameters["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 1000}
    assert not any(one["required"] for one in parameters.values())


def test_an_answer_without_json_and_one_with_stand_side_by_side() -> None:
    route = Route(
        method="GET",
        path="/both",
        handler=lambda handlers: handlers.rest.health,
        summary="Both",
        description="Both.",
        tag="Files",
        door=Door.NONE,
        answers=(Answer(text="Bytes.", media_types=("text/plain",)),),
        refusals=(Refusal(NOT_FOUND, "Not there."),),
    )
    operation = openapi([route])["paths"]["/both"]["get"]
    assert operation["responses"]["200"]["content"] == {"text/plain": {}}
    assert "application/json" in operation["responses"]["404"]["content"]
    assert operation["security"] == []
    assert "parameters" not in operation


def test_it_is_the_same_each_time() -> None:
    assert msgspec.json.encode(openapi(ROUTES)) == msgspec.json.encode(openapi(ROUTES))
