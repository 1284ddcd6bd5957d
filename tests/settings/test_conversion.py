from typing import Any

import pytest

from wsserver.settings.catalogue import SETTINGS
from wsserver.settings.conversion import ConversionError, convert, convert_text
from wsserver.settings.roles import RoleSettings


@pytest.mark.parametrize(
    ("key", "value", "typed"),
    [
        ("server.port", 0, 0),
        ("connection.timeout", 90, 90.0),
        ("connection.timeout", "2m", 120.0),
        ("inbound.max_message_size", "1MiB", 1024 * 1024),
        ("connection.max_per_ip", "none", None),
        ("connection.max_connections_per_role", 5, 5),
        ("connection.max_connections_per_role", {"doctor": 0}, {"doctor": 0}),
        ("auth.algorithms", ["RS256"], ("RS256",)),
        ("auth.max_token_lifetime", "None", None),
        ("logging.level", "DEBUG", "debug"),
        ("access.roles", {"porter": {"wildcard": True}}, {"porter": RoleSettings(wildcard=True)}),
        ("subscription.strict_timeout", True, True),
        ("subscription.event_history_size", 0, 0),
        ("filter.max_pattern_bytes", "1KiB", 1024),
        ("filter.severity_by_type", {"drug_alert": "high"}, {"drug_alert": "high"}),
    ],
)
def test_a_value_of_a_file_becomes_a_typed_one(key: str, value: object, typed: object) -> None:
    assert convert(SETTINGS[key], value) == typed


@pytest.mark.parametrize(
    ("key", "text", "typed"),
    [
        ("server.port", "9000", 9000),
        ("server.require_origin", "Yes", True),
        ("server.require_origin", "0", False),
        ("server.allowed_origins", "https://a.example, https://b.example", ("https://a.example", "https://b.example")),
        ("server.allowed_origins", '["https://a.example"]', ("https://a.example",)),
        ("connection.max_connections_per_role", "50", 50),
        ("connection.max_connections_per_role", '{"nurse": 7}', {"nurse": 7}),
        ("connection.max_connections_per_role", "none", None),
        ("rate_limit.messages_per_second", "2.5", 2.5),
        ("connection.timeout", "90", 90.0),
        ("access.roles", '{"porter": {"wildcard": true}}', {"porter": RoleSettings(wildcard=True)}),
        ("auth.secret", "123", "123"),
        ("subscription.strict_timeout", "yes", True),
        ("filter.severity_alert", "high", "high"),
        ("filter.severity_by_type", '{"drug_alert": "high"}', {"drug_alert": "high"}),
    ],
)  # fmt: skip
def test_a_value_that_is_text_becomes_a_typed_one(key: str, text: str, typed: object) -> None:
    assert convert_text(SETTINGS[key], text) == typed


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("server.port", 65536, "must be a whole number <= 65535"),
        ("server.port", "80", "must be a whole number, not text"),
        ("server.port", True, "must be a whole number, not true or false"),
        ("broadcast.batch_size", 0, "must be a whole number >= 1"),
        ("auth.leeway", "31s", "must be a number <= 30.0 seconds"),
        ("server.host", "", "must be text that is not empty"),
        ("server.allowed_origins", "https://a.example", "must be a list, not text"),
        ("rate_limit.messages_per_second", float("nan"), "must be a number >= 0.01"),
        ("connection.timeout", float("inf"), "must be a duration"),
        ("connection.timeout", 0, "must be a number >= 0.001 seconds"),
        ("inbound.max_message_size", "1 TB", "must be a size"),
        ("logging.level", "inof", "must be one of debug, info, warning, error, critical; did you mean info?"),
        ("logging.level", 3, "must be one of debug"),
        ("auth.secret", 1, 'must be text or "none", not a whole number'),
        ("connection.max_connections_per_role", {"doctor": -1}, "must be a whole number >= 0 (in one of its"),
        ("access.roles", [], "must be a table of roles"),
        ("subscription.event_history_size", -1, "must be a whole number >= 0"),
        ("subscription.event_history_size", 10_000_001, "must be a whole number <= 10000000"),
        ("subscription.strict_timeout", "maybe", "must be true or false"),
        ("filter.max_patterns_per_connection", 0, "must be a whole number >= 1"),
        ("filter.max_pattern_bytes", 4097, "must be a whole number <= 4096"),
        ("filter.severity_data", "", "must be text that is not empty"),
        ("filter.severity_by_type", {"note": ""}, "must be text that is not empty (in one of its"),
        ("filter.severity_by_type", "high", "must be a table"),
    ],
)
def test_a_value_that_does_not_fit_says_what_would(key: str, value: Any, fault: str) -> None:
    with pytest.raises(ConversionError) as caught:
        convert(SETTINGS[key], value)
    assert fault in str(caught.value)


def test_text_that_only_looks_like_json_is_refused() -> None:
    for text in ('["a"', "[" * 100_000):
        with pytest.raises(ConversionError, match="begins like JSON"):
            convert_text(SETTINGS["server.allowed_origins"], text)


def test_every_fault_of_every_role_is_told_at_once() -> None:
    roles = {"doctor": {"wildcrd": True, "publish": ["nobody"], "subscribe": "ecg"}, "nurse": 3}
    with pytest.raises(ConversionError) as caught:
        convert(SETTINGS["access.roles"], roles)
    assert caught.value.faults == [
        ("doctor.wildcrd", "is not a right; did you mean wildcard?"),
        ("doctor.publish", "must be a list of patient, type, all"),
        ("doctor.subscribe", "must be a list, not text"),
        ("nurse", "must be a table of rights"),
    ]
