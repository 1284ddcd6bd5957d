"""What is given up first: by severity, by type, by stream."""

import pytest

from wsserver.protocol.importance import ImportanceRules
from wsserver.protocol.message import PublishedMessage
from wsserver_core.outgoing import ALERT, CRITICAL, DATA

RULES = ImportanceRules(
    critical_severities={"critical"},
    alert_severities={"high", "warning"},
    conflatable_types={"ecg_data", "vitals"},
    stream_fields=("lead", "device_id"),
)


@pytest.mark.parametrize(
    ("message", "importance"),
    [
        ({}, DATA),
        ({"type": "ecg_data"}, DATA),
        ({"type": "ecg_data", "severity": "normal"}, DATA),
        ({"type": "ecg_data", "severity": "warning"}, ALERT),
        ({"type": "ecg_data", "severity": "critical"}, CRITICAL),
        ({"type": "vitals", "severity": "high"}, ALERT),
        ({"type": "system_alert"}, ALERT),
        ({"type": "system_alert", "severity": "info"}, ALERT),
        ({"type": "bedside_alarm", "severity": "normal"}, ALERT),
        ({"type": "ALERT"}, ALERT),
        ({"type": "BedsideAlarm"}, ALERT),
        ({"type": "system_alert", "severity": "critical"}, CRITICAL),
        ({"severity": "critical"}, CRITICAL),
        ({"severity": "Critical"}, DATA),
        ({"severity": 5}, DATA),
    ],
)
def test_importance_follows_severity_and_type(message: dict[str, object], importance: int) -> None:
    assert RULES.of(PublishedMessage(message)) == importance


def test_the_announcement_of_a_shutdown_is_critical() -> None:
    message = PublishedMessage({"type": "system_shutdown"}, may_announce_shutdown=True)
    assert RULES.of(message) == CRITICAL


def streams(*messages: dict[str, object], topic: str = "patient:1") -> list[object]:
    return [RULES.stream(topic, PublishedMessage(message)) for message in messages]


def test_only_conflatable_types_are_streams() -> None:
    assert streams({"type": "note"}, {}, {"type": "ecg"}) == [None, None, None]
    assert None not in streams({"type": "ecg_data"}, {"type": "vitals"})


def test_topic_type_and_the_named_members_tell_streams_apart() -> None:
    ecg = {"type": "ecg_data", "lead": "II", "device_id": 7}
    same = {**ecg, "data": [1, 2], "severity": "normal"}
    others = [
        {**ecg, "lead": "V1"},
        {**ecg, "device_id": 8},
        {**ecg, "device_id": 7.5},
        {**ecg, "device_id": 8.5},
        {**ecg, "device_id": "7"},
        {**ecg, "type": "vitals"},
        {"type": "ecg_data"},
    ]
    first, again, *different = streams(ecg, same, *others)
    assert first == again
    assert len({first, *different}) == 8
    assert streams(ecg, topic="patient:2") != [first]


@pytest.mark.parametrize("value", [[1], {"a": 1}, None])
def test_members_that_are_no_plain_values_tell_nothing_apart(value: object) -> None:
    assert streams({"type": "vitals", "lead": value}) == streams({"type": "vitals"})


def test_no_patients_values_replace_anothers_on_a_topic_of_many() -> None:
    of_patients: list[dict[str, object]] = [{"type": "vitals", "patient_id": one} for one in ("1", "2", 2)]
    one, two, same = streams(*of_patients, topic="type:vitals")
    assert one != two
    assert two == same


def test_members_cannot_pass_for_one_another() -> None:
    rules = ImportanceRules((), (), {"vitals"}, ("a", "b"))
    messages = [{"type": "vitals", "a": "x', 'y"}, {"type": "vitals", "a": "x", "b": "y"}]
    first, second = (rules.stream("t", PublishedMessage(message)) for message in messages)
    assert first != second
