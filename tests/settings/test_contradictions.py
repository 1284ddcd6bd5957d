from typing import Any

import msgspec
import pytest

from wsserver.settings import RoleSettings, Settings, find_contradictions, find_surprises

SECRET = "canary-7f3a-canary-7f3a-canary-7f3a"


def changed(**changes: Any) -> Settings:
    """Good settings with changes given as ``section__name=value``."""
    settings = Settings()
    for key, value in ({"auth__secret": SECRET} | changes).items():
        section, _, name = key.partition("__")
        part = msgspec.structs.replace(getattr(settings, section), **{name: value})
        settings = msgspec.structs.replace(settings, **{section: part})
    return settings


def found(**changes: Any) -> list[str]:
    return [f"{one.keys[0]}: {one.text}" for one in find_contradictions(changed(**changes))]


def test_the_defaults_with_a_secret_hold_together() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"connection__max_connections": 9, "connection__max_connections_per_user": 11},
            "connection.max_connections_per_user: 11 is over connection.max_connections (9)",
        ),
        (
            {"connection__max_connections": 99, "connection__max_connections_per_role": 101},
            "connection.max_connections_per_role: 101 is over connection.max_connections (99)",
        ),
        (
            {"connection__max_connections_per_role": {"nurse": 10_001}},
            "connection.max_connections_per_role: 10001 for nurse is over connection.max_connections (10000)",
        ),
        (
            {"connection__max_connections_per_role": {"nures": 5}},
            "connection.max_connections_per_role: 'nures' is no role of access.roles; did you mean nurse?",
        ),
        (
            {"connection__max_per_ip": 10_001},
            "connection.max_per_ip: 10001 is over connection.max_connections",
        ),
        (
            {"subscription__max_global": 99},
            "subscription.max_per_connection: 100 is over subscription.max_global (99)",
        ),
        (
            {"history__max_total_bytes": 2**20 - 1},
            "history.bytes: 1MiB, is over history.max_total_bytes (1048575B)",
        ),
        (
            {"rate_limit__messages_per_second": 1000.0},
            "rate_limit.burst: 200 is less than 0.25 s of rate_limit.messages_per_second (1000)",
        ),
        (
            {"rate_limit__byte_burst": 262_143},
            "rate_limit.byte_burst: 262143 is less than 0.25 s of rate_limit.bytes_per_second (1048576)",
        ),
        ({"rate_limit__subscribe_burst": 2}, "rate_limit.subscribe_burst: 2 is less than 0.25 s"),
        ({"rate_limit__control_burst": 2}, "rate_limit.control_burst: 2 is less than 0.25 s"),
        ({"connection__heartbeat_interval": 90.0}, "connection.heartbeat_interval: 90s must be below"),
        (
            {"broadcast__timeout": 0.5, "broadcast__flush_interval": 0.5},
            "broadcast.flush_interval: 500ms must be below broadcast.timeout (500ms)",
        ),
        (
            {"inbound__max_message_size": 16_383},
            "inbound.max_message_size_unauthenticated: 16KiB, is over inbound.max_message_size (16383B)",
        ),
        (
            {"inbound__max_unfinished_total": 2 * 1024 * 1024 - 1},
            "inbound.max_message_size: twice its value, 2MiB, is over inbound.max_unfinished_total",
        ),
        ({"broadcast__max_message_size": 1024 * 1024 + 1}, "broadcast.max_message_size: 1048577B, is over"),
        (
            {"backpressure__max_total_bytes": 1280 * 1024 - 1},
            "broadcast.max_message_size: 1MiB is over 80% of backpressure.max_total_bytes (1310719B)",
        ),
        (
            {"alerts__latency_warning": 0.6},
            "alerts.latency_warning: 0.6 is above alerts.latency_critical (0.5)",
        ),
        (
            {"alerts__memory_usage_critical": 70.0},
            "alerts.memory_usage_warning: 75 is above alerts.memory_usage_critical (70)",
        ),
        (
            {"alerts__connection_count_critical": 10_001},
            "alerts.connection_count_critical: 10001 is over connection.max_connections (10000)",
        ),
        (
            {"alerts__connection_count_critical": 7999},
            "alerts.connection_count_warning: 8000 is above alerts.connection_count_critical (7999)",
        ),
        (
            {"overload__cleanup_at": 90.1},
            "overload.cleanup_at: 90.1 is above overload.enter_at (90)",
        ),
        (
            {"overload__leave_at": 90.0},
            "overload.leave_at: 90 must be below overload.enter_at (90)",
        ),
        *(
            ({"alerts__webhook_url": url}, "alerts.webhook_url: must be an https: address, or http: to this")
            for url in (
                "http://hooks.example/a",
                "ftp://127.0.0.1/",
                "hooks.example",
                "https://",
                "https://user:canary@hooks.example/",
                "https://hooks.example:99999/",
                "http://[::1",
            )
        ),
        ({"server__tls_key": "k"}, "server.tls_certificate: is needed with server.tls_key"),
        ({"server__tls_certificate": "c"}, "server.tls_key: is needed with server.tls_certificate"),
        ({"server__trusted_proxies": ("10.0.0.1/8",)}, "server.trusted_proxies: must list addresses"),
        ({"server__trusted_proxies": ("proxy",)}, "server.trusted_proxies: must list addresses"),
        (
            {"store__volatile_types": ("ecg_data", "note"), "store__durable_types": ("note",)},
            "store.volatile_types: 'note' is in store.durable_types, too",
        ),
        (
            {"store__max_pending_bytes": 1024 * 1024},
            "store.max_pending_bytes: 1MiB leaves no room for one message of broadcast.max_message_size",
        ),
        ({"store__max_bytes": 1024 * 1024 + 1023}, "store.max_bytes: 1049599B leaves no room for one"),
        ({"store__url": "sqlite://a.db"}, 'store.url: must be "memory:" or "sqlite:///PATH" with the path'),
        ({"store__url": "redis://user:canary@h"}, 'store.url: must be "memory:" or "sqlite:///PATH"'),
        ({"access__roles": {}}, "access.roles: is empty"),
        ({"access__roles": {"a b": RoleSettings()}}, "access.roles: 'a b': a role's name must be"),
        (
            {"access__roles": {"a": RoleSettings(subscribe=("*", "ecg"))}},
            'access.roles: a: subscribe: "*" is every',
        ),
        (
            {"access__roles": {"a": RoleSettings(subscribe=("type",))}},
            'access.roles: a: subscribe: "type" is no',
        ),
        (
            {"access__roles": {"a": RoleSettings(subscribe=("e c",))}},
            "access.roles: a: subscribe: 'e c' is not",
        ),
        (
            {"access__roles": {"a": RoleSettings(publish=("all",))}},
            "access.roles: a: publish and publish_types",
        ),
        ({"access__roles": {"a": RoleSettings(wildcard=True)}}, "access.roles: a: wildcard has no meaning"),
    ],
)
def test_settings_that_cannot_hold_together_are_told(changes: dict[str, Any], fault: str) -> None:
    texts = found(**changes)
    assert len(texts) == 1
    assert texts[0].startswith(fault)
    assert "canary" not in texts[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"connection__max_connections": 100, "connection__max_connections_per_user": 100},
        {"connection__max_connections": 5},
        {"connection__max_connections_per_role": {"nurse": 0}},
        {"connection__max_connections_per_role": None},
        {"subscription__max_global": 100},
        {"connection__heartbeat_interval": 89.9},
        {"inbound__max_message_size": 16 * 1024},
        {"inbound__max_unfinished_total": 2 * 1024 * 1024},
        {"broadcast__max_message_size": 1024 * 1024},
        {"store__max_bytes": 1025 * 1024, "store__max_pending_bytes": 1025 * 1024},
        {"store__url": "sqlite:///a.db"},
        {"store__durable_types": ("a",), "store__volatile_types": ("b",)},
        {"shutdown__timeout": 3600.0},
        {"shutdown__timeout": 0.0},
        {"server__trusted_proxies": ("10.0.0.0/8", "::1")},
        {"server__allowed_origins": ("https://ward.example", "http://localhost:3000")},
    ],
)
def test_settings_at_the_edge_hold(changes: dict[str, Any]) -> None:
    assert found(**changes) == []


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "ward.example",
        "https://ward.example/",
        "https://Ward.example",
        "https://*.ward.example",
        "null",
        "https://u@ward.example",
        "file:///a",
        "https://[",
        "https://ward.example?x",
    ],
)
def test_what_no_browser_sends_as_an_origin_is_refused(origin: str) -> None:
    assert len(found(server__allowed_origins=(origin,))) == 1


def surprises(**changes: Any) -> list[str]:
    return find_surprises(changed(connection__max_connections_per_role=None, **changes))


def test_a_limit_per_role_that_ends_before_the_global_one_is_a_surprise() -> None:
    assert "ends at 600 connections" in find_surprises(changed())[0]
    assert surprises() == []


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"server__host": "0.0.0.0"}, "cross the network in clear"),
        ({"auth__allow_query_token": True}, "logs of proxies"),
        ({"server__trusted_proxies": ("0.0.0.0/0",)}, "trusts everybody"),
        ({"subscription__max_global": 9999}, "less than one subscription"),
        ({"rate_limit__subscribe_burst": 99}, "a client that comes back cannot subscribe at once"),
        ({"rate_limit__user_subscribe_burst": 999}, "subscribe to (1000): they cannot come back at once"),
        ({"rate_limit__user_messages_per_second": 49.0}, "messages_per_second (49) is less than"),
        ({"rate_limit__user_burst": 199}, "less than rate_limit.burst (200), so no connection can have that"),
        ({"rate_limit__user_byte_burst": 2**20}, "(1048576) is less than rate_limit.byte_burst (4194304)"),
    ],
)
def test_settings_that_may_not_be_meant_are_told(changes: dict[str, Any], part: str) -> None:
    texts = surprises(**changes)
    assert len(texts) == 1
    assert part in texts[0]


def test_a_public_address_with_tls_is_no_surprise() -> None:
    assert surprises(server__host="0.0.0.0", server__tls_certificate="c", server__tls_key="k") == []


def test_a_webhook_may_be_https_anywhere_and_http_on_this_machine() -> None:
    for url in ("https://hooks.example/services/T0/x?y=1", "http://127.0.0.1:9093/", "http://[::1]/a"):
        assert found(alerts__webhook_url=url) == []


def test_thresholds_of_connections_follow_a_small_limit() -> None:
    small = {"connection__max_connections": 1, "connection__max_connections_per_user": 1}
    assert found(connection__max_connections_per_role=1, **small) == []
