"""AsyncAPI 3.0 of the WebSocket: valid, whole, and made of what the server itself uses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from documented import validator
from jsonschema import Draft7Validator

from wsserver.api_documents.asyncapi import asyncapi
from wsserver.api_documents.spoken import ANSWERS, COMMANDS, CONTROLS
from wsserver.errors import ERRORS, CloseCode
from wsserver.protocol.commands import COMMAND_TYPES, decode_command
from wsserver.protocol.control import CONTROL_TYPES
from wsserver.protocol.encoding import PROTOCOLS
from wsserver.status.panels import PANELS

SPECIFICATION = Path(__file__).parents[1] / "js/node_modules/@asyncapi/specs/schemas/3.0.0-without-$id.json"
DOCUMENT: dict[str, Any] = json.loads(msgspec.json.encode(asyncapi()))
MESSAGES = DOCUMENT["components"]["messages"]
PANEL_MESSAGES = {f"panel_{panel}" for panel in PANELS}
SPOKEN = [name for name in MESSAGES if name != "frame"]


def test_it_is_valid_by_the_schema_of_asyncapi(require_tool: Callable[[bool, str], None]) -> None:
    require_tool(SPECIFICATION.exists(), "@asyncapi/specs (npm ci in tests/js)")
    specification = Draft7Validator(json.loads(SPECIFICATION.read_text()))
    faults = [f"{fault.json_path}: {fault.message[:200]}" for fault in specification.iter_errors(DOCUMENT)]
    assert faults == []
    broken = {**DOCUMENT, "operations": {"receive_ping": {"action": "hear"}}}
    assert not specification.is_valid(broken), "the schema finds faults"


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        place: Any = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]


def test_every_command_and_every_control_message_is_there() -> None:
    assert set(COMMANDS) == COMMAND_TYPES == set(ANSWERS)
    assert set(CONTROLS) == CONTROL_TYPES
    assert set(MESSAGES) == COMMAND_TYPES | CONTROL_TYPES | {"published", "frame"} | PANEL_MESSAGES
    assert set(DOCUMENT["channels"]["connect"]["messages"]) == set(MESSAGES) - PANEL_MESSAGES
    assert set(DOCUMENT["channels"]["admin"]["messages"]) > PANEL_MESSAGES


def test_every_message_is_in_an_operation() -> None:
    told = set(references(DOCUMENT["operations"]))
    for name in MESSAGES:
        channel = "admin" if name in PANEL_MESSAGES else "connect"
        assert f"#/channels/{channel}/messages/{name}" in told, name


@pytest.mark.parametrize("name", SPOKEN)
def test_examples_are_by_their_own_schema(name: str) -> None:
    schema = validator(MESSAGES[name]["payload"], DOCUMENT["components"])
    for example in MESSAGES[name]["examples"]:
        assert [fault.message for fault in schema.iter_errors(example["payload"])] == []
        assert not schema.is_valid({**example["payload"], "type": 7})


@pytest.mark.parametrize("name", sorted(COMMAND_TYPES))
def test_the_server_reads_the_examples_of_commands(name: str) -> None:
    for example in MESSAGES[name]["examples"]:
        command = decode_command(json.dumps(example["payload"]).encode())
        assert type(command) is COMMANDS[name]


def test_commands_take_no_members_that_are_not_described() -> None:
    for name, command in COMMANDS.items():
        assert DOCUMENT["components"]["schemas"][command.__name__]["additionalProperties"] is False, name


def test_close_codes_errors_and_subprotocols_are_all_there() -> None:
    assert {one["code"] for one in DOCUMENT["x-close-codes"]} == set(CloseCode)
    assert {one["code"] for one in DOCUMENT["x-errors"]} == set(ERRORS)
    offer = DOCUMENT["channels"]["connect"]["bindings"]["ws"]["headers"]["properties"]
    assert all(protocol in offer["Sec-WebSocket-Protocol"]["description"] for protocol in PROTOCOLS)


def test_it_is_the_same_each_time() -> None:
    assert msgspec.json.encode(asyncapi()) == msgspec.json.encode(asyncapi())


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        found = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return found + [one for member in value.values() for one in references(member)]
    return [one for member in value for one in references(member)] if isinstance(value, list) else []
