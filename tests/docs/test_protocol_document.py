"""protocol.md: every example is what the server says, every table is the code's."""

import json
import re
from typing import Any

import msgspec
import pytest
from aiohttp import web
from documents import DOCS, bare, blocks, table
from live import AUTH, ask, client, serving, stable, token

from wsserver.connection_manager import ConnectionManager
from wsserver.errors import ERRORS, CloseCode
from wsserver.filter_engine import FilterEngine
from wsserver.message_router import MAX_FAULTS
from wsserver.protocol import control
from wsserver.protocol.binary_encoding import MAX_CONTAINERS
from wsserver.protocol.commands import COMMAND_TYPES, decode_command
from wsserver.protocol.control import CONTROL_TYPES
from wsserver.protocol.json_rules import MAX_DEPTH
from wsserver.rate_limiter import FORGIVEN_AFTER, OFFENDERS, PATTERN_COST, REFUSED_FILTER_COST
from wsserver.settings import AccessSettings, ConnectionSettings, HistorySettings, RoleSettings, Settings
from wsserver.settings.units import format_size
from wsserver.status.panels import PANELS, Panel
from wsserver.web.app import setup

PROTOCOL = DOCS / "protocol.md"
EXAMPLES = [json.loads(block.text) for block in blocks(PROTOCOL, "json")]
COMMANDS = [example for example in EXAMPLES if example.get("type") in COMMAND_TYPES]
CONTROLS = [example for example in EXAMPLES if example.get("type") in CONTROL_TYPES]

ROLES = {
    "doctor": RoleSettings(
        subscribe=("*",), wildcard=True, break_glass=True, publish=("patient",), publish_types=("note",)
    ),
    "service": RoleSettings(publish=("patient", "type", "all"), publish_types=("*",)),
}


def make_app(
    history: HistorySettings | None = None, **connection: Any
) -> tuple[web.Application, ConnectionManager]:
    settings = Settings(
        auth=AUTH,
        access=AccessSettings(roles=ROLES),
        connection=ConnectionSettings(**connection),
        history=history or HistorySettings(),
    )
    app, manager = web.Application(), ConnectionManager(settings)
    setup(app, settings, manager=manager)
    return app, manager


def with_token(example: dict[str, Any]) -> dict[str, Any]:
    return {**example, "token": token()} if "token" in example else example


def test_every_example_is_a_command_a_control_message_or_a_published_one():
    for example in EXAMPLES:
        assert example in COMMANDS or example in CONTROLS or "_meta" in example, example


def test_every_command_has_an_example_that_the_server_understands():
    assert {command["type"] for command in COMMANDS} == COMMAND_TYPES
    for command in COMMANDS:
        assert decode_command(json.dumps(command).encode()).__struct_config__.tag == command["type"]


def test_every_control_message_has_an_example():
    assert {example["type"] for example in CONTROLS} == CONTROL_TYPES


def test_control_examples_have_the_members_of_their_structs():
    structs = {
        struct.__struct_config__.tag: struct
        for struct in vars(control).values()
        if isinstance(struct, type) and issubclass(struct, msgspec.Struct) and struct.__struct_config__.tag
    }
    beside = {"health", "broadcast_ack"}  # their members are compared with a live server's below
    for example in CONTROLS:
        if example["type"] not in beside:
            struct = structs[example["type"]]
            assert set(example) - {"type"} <= set(struct.__struct_encode_fields__), example["type"]
            msgspec.convert(example, struct)


def test_error_examples_agree_with_the_table_of_errors():
    for example in CONTROLS:
        if example["type"] == "error":
            assert ERRORS[example["code"]].name == example["name"]


async def test_the_server_answers_the_commands_as_the_document_shows():
    app, _ = make_app()
    talk = [example for example in EXAMPLES if example.get("type") != "error" and "session" not in example]
    async with serving(app) as port, client(port) as socket:
        answered = 0
        for command, answer in zip(talk, [*talk[1:], {}], strict=True):
            if command.get("type") not in COMMAND_TYPES:
                continue
            await socket.send(json.dumps(with_token(command)))
            if answer.get("type") in CONTROL_TYPES:
                assert stable(json.loads(await socket.recv())) == stable(answer), command
                answered += 1
        await socket.wait_closed()
        assert answered == len(COMMANDS) - len(("ack", "disconnect", "connect with a session"))
        assert socket.close_code == CloseCode.NORMAL


async def test_who_comes_back_is_answered_as_the_document_shows():
    command, answer = [example for example in EXAMPLES if "session" in example]
    (gap,) = answer["session"]["gaps"]
    before, head = gap["from"] - 1, gap["to"] + answer["session"]["replayed"]
    app, manager = make_app(HistorySettings(size=answer["session"]["replayed"]))
    async with serving(app) as port:
        async with client(port) as socket:
            first = {"type": "connect", "token": token(), "subscriptions": ["patient:123"]}
            told = await ask(socket, first)
            for _ in range(before):
                manager.broadcast_to_patient(123, {})
            for _ in range(before):
                await socket.recv()
            socket.transport.abort()
        for _ in range(head - before):
            manager.broadcast_to_patient(123, {})
        durable = manager.broadcasts.logs.durable.name
        async with client(port) as socket:
            session = {"id": told["session_id"], "cursor": {**told["cursor"], durable: before}}
            assert command.keys() == {"type", "token", "session"}
            again = await ask(socket, {**with_token(command), "session": session})
            assert stable(again) == stable(answer)
            assert again["cursor"][durable] == answer["cursor"]["7c1e90d4d"] == before
            replayed = [json.loads(await socket.recv()) for _ in range(answer["session"]["replayed"])]
            seqs = [message["_meta"]["seq"] for message in replayed]
            assert seqs == list(range(gap["to"] + 1, head + 1))


async def test_a_published_message_arrives_as_the_document_shows():
    app, manager = make_app()
    (example,) = [example for example in EXAMPLES if "_meta" in example and "panel" not in example]
    async with serving(app) as port, client(port, token()) as socket:
        await socket.recv()
        await ask(socket, {"type": "subscribe", "topic": "patient:123"})
        manager.broadcast_to_patient(123, {name: example[name] for name in example if name != "_meta"})
        arrived = json.loads(await socket.recv())
    assert stable(arrived) == stable(example)
    assert next(iter(arrived)) == "_meta"


def test_the_panel_has_every_member_that_it_is_shown_with_and_each_panel_is_named():
    (example,) = [example for example in EXAMPLES if "panel" in example]
    del example["_meta"]
    assert msgspec.to_builtins(msgspec.convert(example, Panel)) == example
    assert [row[:2] for row in table(PROTOCOL, "topic", "`panel`")] == [
        [f"`status:{name}`", f"`{name}`"] for name in PANELS
    ]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ({"type": "subscribe", "topic": "patient:123", "filters": {"text": {"$regexp": "x"}}}, 1008),
        ({"type": "subscribe", "topics": "patient:123"}, 1003),
    ],
)
async def test_refusals_read_as_the_document_shows(command, code):
    app, _ = make_app()
    (example,) = [one for one in CONTROLS if one["type"] == "error" and one["code"] == code]
    async with serving(app) as port, client(port, token()) as socket:
        await socket.recv()
        assert await ask(socket, command) == example


async def test_a_limit_of_connections_reads_as_the_document_shows():
    app, _ = make_app(max_connections_per_user=1)
    (example,) = [one for one in CONTROLS if one["type"] == "error" and one["code"] == 1002]
    async with serving(app) as port, client(port, token()) as first:
        await first.recv()
        async with client(port, token()) as second:
            assert json.loads(await second.recv()) == example
            await second.wait_closed()
            assert second.close_code == CloseCode.CONNECTION_LIMIT


def test_the_table_of_errors_is_the_code_s():
    documented = [(int(row[0]), bare(row[1]), int(row[2])) for row in table(PROTOCOL, "code")]
    assert documented == [(kind.code, kind.name, kind.http_status) for kind in ERRORS.values()]


def test_the_table_of_close_codes_is_the_code_s():
    documented = {int(row[0]): bare(row[1]) for row in table(PROTOCOL, "close code")}
    assert documented == {int(code): code.name for code in CloseCode}


def test_what_a_client_does_follows_from_the_band_of_the_close_code():
    for code, _, _, action in table(PROTOCOL, "close code"):
        if 4000 <= int(code) <= 4099:
            assert action.startswith("reconnect"), code
        elif 4100 <= int(code) <= 4199:
            assert action == "reconnect after `retry_after_ms`", code
        elif int(code) >= 4500:
            assert action.startswith("final"), code


def test_the_error_table_names_only_close_codes_that_exist():
    closes = {str(int(code)) for code in CloseCode}
    for row in table(PROTOCOL, "code"):
        assert set(re.findall(r"\b\d{4}\b", row[4])) <= closes, row


def spaced_size(size: int) -> str:
    """``1 MiB``, as people write it."""
    return re.sub(r"(?<=\d)(?=[A-Z])", " ", format_size(size))


def test_the_limits_are_the_defaults():
    settings = Settings()
    inbound, rate, connection = settings.inbound, settings.rate_limit, settings.connection
    filters = settings.filter
    expected = {
        "one message from a client": f"{spaced_size(inbound.max_message_size)}; "
        f"{spaced_size(inbound.max_message_size_unauthenticated)} before `connected`",
        "frames of one message": f"{inbound.max_fragments}",
        "time for one message, first byte to last": f"{inbound.message_deadline:g} s",
        "nesting of JSON": f"{MAX_DEPTH}",
        "objects and arrays in one binary frame of a client": f"{MAX_CONTAINERS:,}",
        "whole numbers": "within ±2^53",
        "commands": f"{rate.messages_per_second:g} a second, {rate.burst} at once; "
        f"of one user {rate.user_messages_per_second:g} a second, {rate.user_burst:,} at once",
        "`subscribe`, `unsubscribe` and `refresh`": f"{rate.subscribes_per_second:g} a second, "
        f"{rate.subscribe_burst} at once; of one user {rate.user_subscribes_per_second:g} a second, "
        f"{rate.user_subscribe_burst:,} at once",
        "bytes from a client": f"{spaced_size(rate.bytes_per_second)} a second, "
        f"{spaced_size(rate.byte_burst)} at once; "
        f"of one user {spaced_size(rate.user_bytes_per_second)} a second, "
        f"{spaced_size(rate.user_byte_burst)} at once",
        "REST requests of one token subject": f"{rate.requests_per_second:,g} a second, "
        f"{rate.request_burst:,} at once",
        "handshakes from one address": f"{rate.handshakes_per_ip:g} a second, "
        f"{rate.handshake_burst:,} at once",
        "WebSocket pings and pongs": f"{rate.control_per_second:g} a second, {rate.control_burst} at once",
        "connections of one user, of one role, in all": f"{connection.max_connections_per_user}, "
        f"{connection.max_connections_per_role}, {connection.max_connections:,}",
        "subscriptions of one connection, in all": f"{settings.subscription.max_per_connection}, "
        f"{settings.subscription.max_global:,}",
        "filter": f"{spaced_size(filters.max_bytes)}, {filters.max_nodes} conditions, "
        f"paths of {filters.max_depth} names, {filters.max_depth} connectives inside each other, "
        f"{filters.max_values} values in a list",
        "patterns": f"{filters.max_pattern_bytes} bytes each, "
        f"{filters.max_patterns_per_connection} different ones on a connection",
        "what waits for a client that does not read": f"{settings.backpressure.max_queue_messages} messages "
        f"or {spaced_size(settings.backpressure.max_queue_bytes)}",
        "what is remembered of a topic": f"{settings.history.size} messages, "
        f"{spaced_size(settings.history.bytes)}, {settings.history.ttl / 60:g} minutes; "
        f"{spaced_size(settings.history.max_total_bytes)} in all",
        "a session without a connection": f"{settings.session.ttl / 60:g} minutes; "
        f"{settings.session.max_sessions:,} of them, of one user as many as it may have connections",
    }
    assert {row[0]: row[1] for row in table(PROTOCOL, "limit")} == expected
    text = PROTOCOL.read_text()
    assert f"4503 after {MAX_FAULTS} of them" in text
    assert f"4110 after {rate.refusals} refusals" in text
    costs = REFUSED_FILTER_COST, PATTERN_COST, OFFENDERS, FORGIVEN_AFTER
    assert costs == (9, 4, 10, 10), "as the text says"


def test_the_filters_of_the_table_are_filters():
    engine = FilterEngine(Settings().filter)
    messages: dict[str, dict[str, Any]] = {
        '{"type": "ecg_data"}': {"type": "ecg_data"},
        '{"severity": ["warning", "critical"]}': {"severity": "critical"},
        '{"vitals.hr": {"$gte": 40, "$lt": 120}}': {"vitals": {"hr": 40.0}},
        '{"leads.name": "II"}': {"leads": [{"name": "I"}, {"name": "II"}]},
        '{"acknowledged": false, "ward": null}': {"acknowledged": False, "ward": None},
        '{"$or": [{"severity": "critical"}, {"vitals.spo2": {"$lt": 88}}]}': {"vitals": {"spo2": 87}},
        '{"text": {"$regex": "(?i)lead (I|II|III) off"}, "$not": {"source": "test"}}': {"text": "LEAD I OFF"},
    }
    documented = [bare(row[0]) for row in table(PROTOCOL, "filter", "matches")]
    assert documented == list(messages)
    for text, message in messages.items():
        assert engine.matches(message, json.loads(text), {}), text
        assert not engine.matches({"type": "other"}, json.loads(text), {}), text


def test_slow_readers_are_treated_as_the_defaults_say():
    settings = Settings()
    backpressure = settings.backpressure
    text = " ".join(PROTOCOL.read_text().split())
    assert backpressure.slow_share == 0.5
    assert f"waited for {settings.broadcast.timeout:g} seconds (`broadcast.timeout`), or half of what" in text
    for named in (
        *backpressure.conflatable_types,
        *backpressure.stream_fields,
        *backpressure.alert_severities,
        *backpressure.critical_severities,
    ):
        assert f"`{named}`" in text, named
    assert backpressure.slow_timeout == 120
    assert "is slow for two minutes" in text
