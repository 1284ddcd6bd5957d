import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from wsserver.errors import INVALID_MESSAGE
from wsserver.protocol import commands
from wsserver.protocol.commands import COMMAND_TYPES, CommandError, convert_command, decode_command
from wsserver.protocol.topic import EVERYTHING, InvalidTopic, Topic

# A value that must show up in no text about a command: tokens, ids and secrets look like this to us.
_CANARY = "canary-7f3a"


def _fault(payload: bytes | dict[str, object]) -> CommandError:
    with pytest.raises(CommandError) as caught:
        decode_command(payload if isinstance(payload, bytes) else json.dumps(payload).encode())
    assert caught.value.kind is INVALID_MESSAGE
    return caught.value


def test_connect_has_every_field_of_the_protocol() -> None:
    command = decode_command(
        b'{"type":"connect","token":"t","user_id":"user123","role":"doctor","patient_id":"123",'
        b'"subscriptions":["patient:123","type:ecg"],'
        b'"session":{"id":"x","cursor":{"k3f9d":41,"k3f9v":977}},"request_id":"r"}'
    )
    assert command == commands.Connect(
        token="t",
        user_id="user123",
        role="doctor",
        patient_id="123",
        subscriptions=["patient:123", "type:ecg"],
        session=commands.Session(id="x", cursor={"k3f9d": 41, "k3f9v": 977}),
        request_id="r",
    )


@pytest.mark.parametrize(
    ("payload", "command"),
    [
        (b'{"type":"connect","token":"t"}', commands.Connect(token="t")),
        (b'{"token":"t","user_id":7,"type":"connect"}', commands.Connect(token="t", user_id=7)),
        (b'{"type":"refresh"}', commands.Refresh()),
        (b'{"type":"refresh","subscription_id":"s_1"}', commands.Refresh(subscription_id="s_1")),
        (b'{"type":"ping"}', commands.Ping()),
        (b'{"type":"ping","t":1.5}', commands.Ping(t=1.5)),
        (b'{"type":"ping","t":"now"}', commands.Ping(t="now")),
        (b'{"type":"auth","token":"t"}', commands.Auth(token="t")),
        (b'{"type":"ack","message_id":"m_1"}', commands.Ack(message_id="m_1")),
        (b'{"type":"health_check"}', commands.HealthCheck()),
        (b'{"type":"disconnect"}', commands.Disconnect()),
        (
            b'{"type":"broadcast","target_type":"ecg","message":{"a":1},"echo":true}',
            commands.Broadcast(target_type="ecg", message={"a": 1}, echo=True),
        ),
    ],
)
def test_a_command_is_decoded_to_its_own_struct(payload: bytes, command: commands.Command) -> None:
    decoded = decode_command(payload)
    assert type(decoded) is type(command)
    assert decoded == command


def test_there_are_exactly_the_commands_of_the_protocol() -> None:
    assert {
        "connect", "subscribe", "unsubscribe", "refresh", "broadcast", "ping", "auth", "ack",
        "health_check", "disconnect",
    } == COMMAND_TYPES  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "topic"),
    [
        ({"subscription_type": "patient", "target_id": "123"}, Topic("patient", "123")),
        ({"subscription_type": "patient", "target_id": 123}, Topic("patient", "123")),
        ({"subscription_type": "patient", "target_id": "*"}, Topic("patient", "*")),
        ({"subscription_type": "type", "target_id": "ecg"}, Topic("ecg", "*")),
        ({"subscription_type": "ecg"}, Topic("ecg", "*")),
        ({"topic": "patient:123"}, Topic("patient", "123")),
        ({"topic": "type:ecg"}, Topic("ecg", "*")),
        ({"topic": "*"}, EVERYTHING),
    ],
)
@pytest.mark.parametrize("kind", ["subscribe", "unsubscribe"])
def test_a_subscription_is_addressed_by_fields_or_by_topic(
    kind: str, fields: dict[str, object], topic: Topic
) -> None:
    command = decode_command(json.dumps({"type": kind, **fields}).encode())
    assert isinstance(command, commands.Subscribe | commands.Unsubscribe)
    assert command.address() == topic


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"target_id": "123"},
        {"subscription_type": "patient"},
        {"subscription_type": "patient", "target_id": None},
        {"subscription_type": "type", "target_id": "patient"},
        {"topic": "*", "subscription_type": "ecg"},
        {"topic": "patient:1", "target_id": "2"},
    ],
)
@pytest.mark.parametrize("kind", ["subscribe", "unsubscribe"])
def test_an_address_that_is_missing_or_double_is_refused(kind: str, fields: dict[str, object]) -> None:
    command = decode_command(json.dumps({"type": kind, **fields}).encode())
    assert isinstance(command, commands.Subscribe | commands.Unsubscribe)
    with pytest.raises(InvalidTopic):
        command.address()


def test_unsubscribing_by_id_needs_no_topic_and_allows_none() -> None:
    assert commands.Unsubscribe(subscription_id="s_1").address() is None
    with pytest.raises(InvalidTopic):
        commands.Unsubscribe(subscription_id="s_1", topic="*").address()


@pytest.mark.parametrize(
    ("target_type", "target_id", "topic"),
    [
        ("patient", 5, Topic("patient", "5")),
        ("type", "ecg", Topic("ecg", "*")),
        ("ecg", None, Topic("ecg", "*")),
        ("all", None, EVERYTHING),
        ("*", None, EVERYTHING),
    ],
)
def test_a_broadcast_is_addressed_like_a_subscription(
    target_type: str, target_id: int | str | None, topic: Topic
) -> None:
    command = commands.Broadcast(target_type=target_type, target_id=target_id, message={})
    assert command.address() == topic


@pytest.mark.parametrize(
    ("target_type", "target_id", "path"),
    [("all", "5", "target_id"), ("patient", None, "target_id"), ("no type", None, "target_type")],
)
def test_a_broadcast_to_nowhere_is_refused_by_the_field_names_of_the_command(
    target_type: str, target_id: str | None, path: str
) -> None:
    with pytest.raises(InvalidTopic) as caught:
        commands.Broadcast(target_type=target_type, target_id=target_id, message={}).address()
    assert caught.value.path == path


@pytest.mark.parametrize("filters", ["null", "{}", "[]", '"text"', "5", '{"a":{"b":[1,2.5,null]}}'])
def test_filters_of_any_shape_are_left_to_the_filter_compiler(filters: str) -> None:
    command = decode_command(b'{"type":"subscribe","topic":"*","filters":%b}' % filters.encode())
    assert isinstance(command, commands.Subscribe)
    assert command.filters == json.loads(filters)


@pytest.mark.parametrize(
    ("payload", "path", "message"),
    [
        (b'{"type":"subscrib"}', "type", "type is unknown; did you mean subscribe?"),
        (b'{"type":"PING"}', "type", "type is unknown; did you mean ping?"),
        (b'{"type":"zzz"}', "type", "type is unknown"),
        (b'{"type":"connected"}', "type", "type is unknown; did you mean connect?"),
        (b'{"type":"ping","type":"auth"}', "type", "type is given twice"),
        (b"{}", "type", "type is required"),
        (b'{"type":5}', "type", "type must be `str`"),
        (b'{"type":null}', "type", "type must be `str`"),
        (b"[]", "", "it must be `object`, not `array`"),
        (b'"ping"', "", "it must be `object`, not `str`"),
        (b"null", "", "it must be `object`, not `null`"),
        (b"", "", "it is not valid JSON"),
        (b'{"type":"ping"', "", "it is not valid JSON"),
        (b'{"type":"ping"}x', "", "it is not valid JSON (byte 16)"),
        (b'\xef\xbb\xbf{"type":"ping"}', "", "it is not valid JSON (byte 0)"),
        (b'{"type":"ping","t":"\xff"}', "", "it is not valid JSON"),
        (b'{"type":"ping","t":NaN}', "", "it is not valid JSON (byte 19)"),
        (b'{"type":"ping","t":1e400}', "t", "t holds a number out of range"),
        (b'{"type":"ping","t":9007199254740993}', "t", "t must be `int` <= 9007199254740992"),
        (b'{"type":"connect"}', "token", "token is required"),
        (b'{"type":"connect","token":""}', "token", "token must be `str` of length >= 1"),
        (b'{"type":"connect","token":5}', "token", "token must be `str`, not `int`"),
        (
            b'{"type":"connect","token":"t","subscriptions":["*",5]}',
            "subscriptions[1]",
            "subscriptions[1] must be `str`, not `int`",
        ),
        (b'{"type":"connect","token":"t","session":{}}', "session.id", "session.id is required"),
        (
            b'{"type":"connect","token":"t","session":{"id":"x","cursor":{"k":-1}}}',
            "session.cursor[...]",
            "session.cursor[...] must be `int` >= 0",
        ),
        (
            b'{"type":"connect","token":"t","session":{"id":"x","cursors":{}}}',
            "session.cursors",
            "a field is unknown; did you mean cursor?",
        ),
        (b'{"type":"subscribe","filter":{}}', "filter", "a field is unknown; did you mean filters?"),
        (b'{"type":"subscribe","zzzz":{}}', "zzzz", "a field is unknown"),
        (b'{"type":"ping","token":"t"}', "token", "a field is unknown"),
        (b'{"type":"broadcast","target_type":"ecg"}', "message", "message is required"),
        (
            b'{"type":"broadcast","target_type":"ecg","message":[]}',
            "message",
            "message must be `object`, not `array`",
        ),
        (
            b'{"type":"subscribe","topic":"*","filters":{"a":[1e999]}}',
            "filters[...][0]",
            "filters[...][0] holds a number out of range",
        ),
    ],
)
def test_a_wrong_command_gets_a_path_and_a_reason(payload: bytes, path: str, message: str) -> None:
    fault = _fault(payload)
    assert fault.details is not None
    assert fault.details["path"] == path
    assert fault.message == f"Invalid command: {message}"
    assert message.endswith(fault.details["reason"])


@pytest.mark.parametrize(
    "payload",
    [
        {"type": _CANARY},
        {"type": "ping", _CANARY: 1},
        {"type": "ping", f"x` - at `$.{_CANARY}": 1},
        {"type": f"x' - at `$.{_CANARY}"},
        {"type": "ping", "t": [_CANARY]},
        {"type": "ping", "t": _CANARY * 10},
        {"type": "connect", "token": {"a": _CANARY}},
        {"type": "connect", "token": "t", "session": {"id": "x", "cursor": {_CANARY: "x"}}},
        {"type": "connect", "token": "t", "session": {"id": "x", "cursor": {_CANARY * 10: 1}}},
        {"type": "connect", "token": "t", "session": {"id": "x", _CANARY: 1}},
    ],
)
def test_nothing_that_the_client_wrote_stands_in_the_text_of_the_error(payload: dict[str, object]) -> None:
    fault = _fault(payload)
    assert _CANARY not in str(fault)
    assert _CANARY not in fault.message
    assert fault.details is not None
    assert _CANARY not in fault.details["reason"]
    assert fault.__suppress_context__


def test_a_command_shows_no_field_when_it_is_printed() -> None:
    command = commands.Connect(
        token=_CANARY, patient_id=_CANARY, session=commands.Session(id=_CANARY), user_id=_CANARY
    )
    assert _CANARY not in repr(command)
    assert _CANARY not in repr(command.session)
    assert _CANARY not in repr(commands.Auth(token=_CANARY))
    assert _CANARY not in repr(commands.Subscribe(topic=_CANARY))


@pytest.mark.parametrize(
    ("payload", "request_id"),
    [
        (b'{"type":"zzz","request_id":"r7"}', "r7"),
        (b'{"request_id":"r7"}', "r7"),
        (b'{"type":"subscribe","filter":1,"request_id":"r7"}', "r7"),
        (b'{"request_id":"%b","type":"zzz"}' % (b"r" * 64), "r" * 64),
        (b'{"request_id":"%b","type":"ping"}' % (b"r" * 65), None),
        (b'{"type":"ping","request_id":7}', None),
        (b'{"type":"zzz"}', None),
        (b'{"type":"ping","request_id":"r7"', None),
        (b"[]", None),
        (b'{"request_id":"r7","a":' + b"[" * 100_000, None),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_the_error_repeats_the_request_id_when_it_can_be_read(payload: bytes, request_id: str | None) -> None:
    assert _fault(payload).request_id == request_id


@pytest.mark.parametrize("depth", [33, 1_000, 100_000, 1_000_000])
@pytest.mark.parametrize("member", ["filters", "zzz", "request_id"])
def test_deep_nesting_is_refused_before_it_is_decoded(member: str, depth: int) -> None:
    inner = b"[" * (depth - 1) + b"]" * (depth - 1)
    fault = _fault(b'{"type":"subscribe","topic":"*","%b":%b}' % (member.encode(), inner))
    assert fault.message == "Invalid command: it is nested deeper than 32"


def test_32_levels_are_allowed() -> None:
    assert decode_command(b'{"type":"subscribe","topic":"*","filters":%b}' % (b"[" * 31 + b"]" * 31))


def test_of_duplicate_keys_the_last_wins() -> None:
    assert decode_command(b'{"type":"ping","t":1,"t":2}') == commands.Ping(t=2)


def test_a_cursor_cannot_be_flooded_with_logs() -> None:
    session = {"id": "x", "cursor": {f"k{n}": 1 for n in range(257)}}
    fault = _fault({"type": "connect", "token": "t", "session": session})
    assert fault.details == {"path": "session.cursor", "reason": "must be `object` of length <= 256"}


def test_commands_cannot_be_changed_after_they_were_checked() -> None:
    command = decode_command(b'{"type":"ping","t":1}')
    with pytest.raises(AttributeError):
        command.t = 2
    assert msgspec.json.encode(command) == b'{"type":"ping","request_id":null,"t":1}'


@pytest.mark.parametrize(
    "body",
    [
        {"type": "ping", "t": 7, "request_id": "r"},
        {"type": "subscribe", "topic": "patient:1", "filters": {"a": 1}},
        {"type": "disconnect"},
        {"type": "ping", "t": True, "request_id": "r"},
        {"type": "ping", "topic": "patient:1", "request_id": "r"},
        {"type": "pong", "request_id": "r"},
        {"request_id": "r"},
        {},
    ],
    ids=repr,
)
def test_an_object_is_the_same_command_and_the_same_fault_as_its_text(body: dict[str, Any]) -> None:
    def outcome(read: Callable[[], object]) -> object:
        try:
            return read()
        except CommandError as error:
            return error.as_dict(), error.request_id

    said = outcome(lambda: decode_command(json.dumps(body).encode()))
    assert outcome(lambda: convert_command(body)) == said


@pytest.mark.parametrize("kind", [7, ["ping"], None])
def test_an_object_whose_type_is_no_text_is_refused(kind: object) -> None:
    with pytest.raises(CommandError) as caught:
        convert_command({"type": kind, "request_id": "r"})
    assert caught.value.request_id == "r"
