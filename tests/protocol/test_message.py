"""Published messages: what is refused, and that what is accepted arrives as it was published."""

import datetime
import decimal
import enum
import json
import math
import uuid
from collections import OrderedDict
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsserver.errors import INVALID_MESSAGE, MESSAGE_TOO_LARGE, ServerError
from wsserver.protocol.control import RESERVED_TYPES
from wsserver.protocol.message import PublishedMessage, SeverityDefaults
from wsserver.protocol.meta import Meta
from wsserver.protocol.topic import EVERY_PATIENT, EVERYTHING, Topic

_META = Meta(id="m_1", topic="patient:123", log="k3f9d", seq=42, ts="2026-01-01T00:00:00.000Z")
_META_JSON = (
    b'"_meta":{"id":"m_1","topic":"patient:123","log":"k3f9d","seq":42,"ts":"2026-01-01T00:00:00.000Z"}'
)
_PATIENT = Topic.of_patient(123)
_CANARY = "canary-7f3a"


class _Level(enum.IntEnum):
    LOW = 1


class _Name(enum.StrEnum):
    LOW = "low"


class _Float(float):
    """Stands for numpy.float64, which is a subclass of float too."""


class _Pair(NamedTuple):
    a: int
    b: int


def _refused(make: Any, *arguments: Any, **keywords: Any) -> ServerError:
    with pytest.raises(ServerError) as caught:
        make(*arguments, **keywords)
    return caught.value


def _path(error: ServerError) -> str:
    assert error.kind is INVALID_MESSAGE
    assert error.details is not None
    assert error.details["reason"] in error.message
    return str(error.details["path"])


def _arrived(wire: bytes) -> dict[str, Any]:
    """What a browser's JSON.parse makes of it: every number a double, the last duplicate key kept."""
    value = json.loads(wire, parse_int=float, parse_constant=lambda name: pytest.fail(name))
    del value["_meta"]
    assert isinstance(value, dict)
    return value


# --- the table of values: JSON text, and whether it may be published ---

_ACCEPTED_TEXTS = [
    "null", "true", "false", '""', '"a"', '"é"', '"\\u0000"', '"\\u007f"', '"\\ud83d\\ude00"', '"\U0001f600"',
    '"\\/"', '"\\\\"', '"\\""', '"<!--</script>"', '"\u2028"', '"NaN"', '"9007199254740993"',
    "0", "1", "-1", "9007199254740991", "9007199254740992", "-9007199254740992", "4503599627370497",
    "0.0", "-0.0", "0.1", "1.0", "-1.5", "1e5", "1E+5", "1e-7", "1e21", "1e22", "1e23",
    "1.7976931348623157e308",
    "-1.7976931348623157e308", "5e-324", "2.2250738585072014e-308", "1e-400", "0.30000000000000004",
    "123456789012345680.0", "9007199254740993.0", "[]", "{}", "[[]]", "[1,2.5,null,true]", '{"":1}',
    '{"__proto__":1}', '{"a":1,"a":2}', "[1e308,1e308,1e308]", "[9007199254740992,0.5]",
]  # fmt: skip
_REFUSED_TEXTS = [
    "NaN", "Infinity", "-Infinity", "nan", "1e400", "-1e400", "1e999999", "9007199254740993",
    "-9007199254740993", "18446744073709551616", "1" + "0" * 400, "9" * 5000, '"\\ud800"', '"\\udfff"',
    '"\\ud800\\ud800"', '"\\ude00\\ud83d"', '{"\\ud800":1}', "01", "+1", ".5", "1.", "0x10", "1_000", "'a'",
    '"\x01"', '"\\x41"', "undefined", "[1,]", "{1:2}", "{a:1}", "[1 2]", "", "[", "/*c*/1",
    "[1,9007199254740993]",
    "[0.5,1e400]", "[" * 32 + "]" * 32, "[" * 100_000,
]  # fmt: skip


def test_the_table_has_its_80_values() -> None:
    assert len(set(_ACCEPTED_TEXTS)) + len(set(_REFUSED_TEXTS)) >= 80


@pytest.mark.parametrize("place", ["%s", "[0,%s]", '{"inner":%s}'])
@pytest.mark.parametrize("text", _ACCEPTED_TEXTS)
def test_an_accepted_text_arrives_exactly(text: str, place: str) -> None:
    payload = ('{"value":' + place.replace("%s", text) + "}").encode()
    sent = PublishedMessage.from_json(payload).encode(_META)
    arrived, published = _arrived(sent), json.loads(payload, parse_int=float)
    assert repr(arrived) == repr(published)


@pytest.mark.parametrize("place", ["%s", "[0,%s]", '{"inner":%s}'])
@pytest.mark.parametrize("text", _REFUSED_TEXTS, ids=lambda text: ascii(text)[:30])
def test_a_refused_text_is_an_invalid_message(text: str, place: str) -> None:
    payload = ('{"value":' + place.replace("%s", text) + "}").encode()
    assert _refused(PublishedMessage.from_json, payload).kind is INVALID_MESSAGE


@pytest.mark.parametrize(
    "payload", [b"[]", b"5", b"null", b'"a"', b"", b"{", b'{"a":"\xff"}', b"\xef\xbb\xbf{}"]
)
def test_a_body_that_is_no_json_object_is_refused(payload: bytes) -> None:
    assert _path(_refused(PublishedMessage.from_json, payload)) == ""


_ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _ANY_TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_ANY_TEXT, inner, max_size=5),
    max_leaves=20,
)


@settings(deadline=None)
@given(
    st.dictionaries(
        _ANY_TEXT.filter(lambda key: key not in {"_meta", "type", "patient_id"}), _JSON, max_size=6
    )
)
def test_every_accepted_object_arrives_with_its_types_and_values(body: dict[str, Any]) -> None:
    wire = PublishedMessage(body).encode(_META)
    arrived = json.loads(wire)
    assert next(iter(arrived)) == "_meta"
    del arrived["_meta"]
    assert repr(arrived) == repr(body)


def test_32_levels_are_allowed_and_33_are_not() -> None:
    inner = "[" * 31 + "]" * 31
    assert PublishedMessage.from_json(f'{{"value":{inner}}}'.encode()).body == {"value": json.loads(inner)}
    assert PublishedMessage({"value": json.loads(inner)}).size == 72
    assert _refused(PublishedMessage.from_json, f'{{"value":[{inner}]}}'.encode()).kind is INVALID_MESSAGE
    assert _refused(PublishedMessage, {"value": [json.loads(inner)]}).kind is INVALID_MESSAGE


# --- Python values ---


@pytest.mark.parametrize(
    "value",
    [
        datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), datetime.date(2026, 1, 1), datetime.timedelta(1),
        decimal.Decimal(1), uuid.UUID(int=1), b"bytes", bytearray(b"a"), {1, 2}, frozenset(), _Level.LOW,
        _Name.LOW, _Float(1.5), OrderedDict(a=1), object(), 1j, range(3), math.nan, math.inf, 2**53 + 1,
        "\ud800", {"\udfff": 1}, {1: "a"}, {None: 1}, {("a",): 1}, iter([]),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_python_value_that_json_lacks_is_refused_with_its_path(value: object) -> None:
    assert _path(_refused(PublishedMessage, {"value": value})) == "value"
    assert _path(_refused(PublishedMessage, {"a": [0.5, {"b": [value]}]})) == "a[1].b[0]"
    assert _path(_refused(PublishedMessage, {"a": (value,)})) == "a[0]"


def test_a_key_that_is_no_text_is_refused_at_the_top_too() -> None:
    assert _path(_refused(PublishedMessage, {1: 2})) == ""
    assert _path(_refused(PublishedMessage, {"\ud800": 2})) == ""


@pytest.mark.parametrize("body", [[], None, "text", 5, OrderedDict(a=1)])
def test_only_a_dict_is_a_message(body: Any) -> None:
    assert _path(_refused(PublishedMessage, body)) == ""


def test_a_tuple_is_a_list_on_the_wire_and_for_filters() -> None:
    body = {"data": (1, 2.5, _Pair(3, 4)[:1]), "n": 1}
    message = PublishedMessage(body)
    assert message.encode(_META) == b"{" + _META_JSON + b',"data":[1,2.5,[3]],"n":1}'
    assert message.body == {"data": [1, 2.5, [3]], "n": 1}
    assert body["data"] == (1, 2.5, (3,))


def test_a_named_tuple_is_refused_as_its_names_would_be_lost() -> None:
    assert _path(_refused(PublishedMessage, {"a": _Pair(1, 2)})) == "a"


def test_neither_values_nor_keys_of_a_publisher_stand_in_the_text_of_an_error() -> None:
    for body in (
        {_CANARY: math.nan},
        {"a": {_CANARY: object()}},
        {_CANARY: _CANARY + "\ud800"},
        {"type": "error", "x": _CANARY},
    ):
        error = _refused(PublishedMessage, body)
        assert _CANARY not in str(error)
        assert error.__suppress_context__


# --- the wire ---


def test_meta_is_the_first_member_and_the_values_stay_what_they_were() -> None:
    body = {"type": "ecg_data", "patient_id": 123, "data": [1.2, 1.5, 2], "severity": None}
    assert PublishedMessage(body, topic=_PATIENT).encode(_META) == (
        b"{" + _META_JSON + b',"type":"ecg_data","patient_id":123,"data":[1.2,1.5,2],"severity":null}'
    )


def test_a_message_without_members_is_only_meta() -> None:
    assert PublishedMessage({}).encode(_META) == b"{" + _META_JSON + b"}"


def test_a_body_without_patient_gets_none_added() -> None:
    message = PublishedMessage({"a": 1}, topic=_PATIENT)
    assert message.patient_id == "123"
    assert message.body == {"a": 1}
    assert message.encode(_META) == b"{" + _META_JSON + b',"a":1}'


def test_the_size_limit_is_inclusive_and_counts_the_encoded_body() -> None:
    body = {"text": "é" * 10}
    size = len(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())
    assert PublishedMessage(body, max_size=size).size == size
    error = _refused(PublishedMessage, body, max_size=size - 1)
    assert error.kind is MESSAGE_TOO_LARGE
    assert error.details == {"size": size, "max_message_size": size - 1}


def test_white_space_of_a_request_body_does_not_count() -> None:
    assert PublishedMessage.from_json(b'{"a":   1}' + b" " * 100, max_size=7).size == 7


# --- reserved names ---


@pytest.mark.parametrize("reserved", sorted(RESERVED_TYPES))
def test_a_reserved_type_is_refused(reserved: str) -> None:
    assert _path(_refused(PublishedMessage, {"type": reserved})) == "type"
    assert _path(_refused(PublishedMessage.from_json, json.dumps({"type": reserved}).encode())) == "type"


@pytest.mark.parametrize("value", [None, {}, 1])
def test_the_member_meta_is_refused_at_the_top_and_only_there(value: object) -> None:
    assert _path(_refused(PublishedMessage, {"_meta": value})) == "_meta"
    assert PublishedMessage({"a": {"_meta": value}}).body == {"a": {"_meta": value}}


def test_the_backend_in_this_process_may_announce_a_shutdown_and_nothing_else_reserved() -> None:
    assert PublishedMessage({"type": "system_shutdown"}, may_announce_shutdown=True).type == "system_shutdown"
    assert _path(_refused(PublishedMessage, {"type": "error"}, may_announce_shutdown=True)) == "type"


@pytest.mark.parametrize("value", [5, ["error"], {"a": 1}, True])
def test_a_type_that_is_no_text_is_refused(value: object) -> None:
    assert _path(_refused(PublishedMessage, {"type": value})) == "type"


# --- the patient ---


@pytest.mark.parametrize(
    ("topic", "given_id", "patient"),
    [
        (_PATIENT, 123, "123"),
        (_PATIENT, "123", "123"),
        (_PATIENT, None, "123"),
        (Topic.of("ecg"), 7, "7"),
        (Topic.of("ecg"), "07", "07"),
        (Topic.of("ecg"), 0, "0"),
        (Topic.of("ecg"), None, None),
        (EVERYTHING, 7, "7"),
        (EVERY_PATIENT, 7, "7"),
        (EVERY_PATIENT, None, None),
        (None, 7, "7"),
    ],
)
def test_a_message_belongs_to_the_patient_of_its_topic_or_its_body(
    topic: Topic | None, given_id: object, patient: str | None
) -> None:
    assert PublishedMessage({"patient_id": given_id}, topic=topic).patient_id == patient


@pytest.mark.parametrize("other", [124, "124", "0123", 1230])
def test_an_id_that_differs_from_the_address_is_refused_and_not_repeated(other: object) -> None:
    error = _refused(PublishedMessage, {"patient_id": other}, topic=_PATIENT)
    assert _path(error) == "patient_id"
    assert str(other) not in str(error)
    assert "123" not in str(error)


@pytest.mark.parametrize("value", [True, 1.0, "", "*", "a b", -1, ["1"], {}, "\u0661", "1\n", "x" * 65])
def test_a_patient_id_that_is_no_id_is_refused_by_every_door(value: object) -> None:
    for topic in (_PATIENT, Topic.of("ecg"), EVERYTHING, None):
        assert _path(_refused(PublishedMessage, {"patient_id": value}, topic=topic)) == "patient_id"


# --- derived members ---


@pytest.mark.parametrize(
    ("body", "data_type", "severity"),
    [
        ({"type": "ecg_data"}, "ecg", "normal"),
        ({"type": "ecg"}, "ecg", "normal"),
        ({"type": "system_alert"}, "system_alert", "info"),
        ({"type": "alerts"}, "alerts", "info"),
        ({"type": "ecg_data", "data_type": "own", "severity": "critical"}, "own", "critical"),
        ({"type": "ecg_data", "data_type": 5, "severity": None}, "ecg", "normal"),
        ({"data_type": "own"}, "own", "normal"),
        ({}, None, "normal"),
        ({"type": None}, None, "normal"),
    ],
)
def test_data_type_and_severity_are_derived_from_the_type(
    body: dict[str, Any], data_type: str | None, severity: str
) -> None:
    message = PublishedMessage(body)
    assert (message.data_type, message.severity) == (data_type, severity)
    assert message.body is body


def test_filters_get_what_the_type_says_and_the_wire_does_not() -> None:
    message = PublishedMessage({"type": "ecg_data", "data": [1.2]})
    assert message.derived == {"data_type": "ecg", "severity": "normal"}
    assert message.encode(_META) == b"{" + _META_JSON + b',"type":"ecg_data","data":[1.2]}'
    assert PublishedMessage({}).derived == {"severity": "normal"}


def test_the_severity_table_is_a_setting() -> None:
    table = SeverityDefaults(data="ok", alert="watch", by_type={"fall_alert": "critical"})
    types = ["fall_alert", "bed_alert", "ecg_data", None]
    found = [PublishedMessage({"type": name}, severities=table).severity for name in types]
    assert found == ["critical", "watch", "ok", "ok"]
