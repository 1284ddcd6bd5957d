import pytest

from wsserver.settings.catalogue import SETTINGS, nearest_setting


def test_every_setting_of_the_protocol_is_there() -> None:
    for key in (
        "server.host", "server.port", "server.tls_certificate", "server.tls_key", "server.allowed_origins",
        "server.trusted_proxies", "server.require_origin", "connection.max_per_ip",
        "broadcast.flush_interval",
        "inbound.max_fragments", "inbound.message_deadline", "inbound.max_unfinished_total",
        "backpressure.max_queue_messages", "backpressure.max_queue_bytes",
        "rate_limit.burst", "store.url", "auth.jwks_url", "auth.leeway", "access.roles",
        "shutdown.timeout", "logging.level", "logging.format",
        "subscription.strict_timeout", "subscription.event_history_size",
        "filter.max_pattern_bytes", "filter.max_patterns_per_connection",
        "filter.severity_data", "filter.severity_alert", "filter.severity_by_type",
    ):  # fmt: skip
        assert key in SETTINGS


def test_a_setting_knows_its_variable_its_unit_and_whether_it_is_secret() -> None:
    assert SETTINGS["connection.max_connections"].variable == "WSSERVER_CONNECTION__MAX_CONNECTIONS"
    assert SETTINGS["connection.timeout"].unit == "seconds"
    assert SETTINGS["inbound.max_message_size"].unit == "bytes"
    assert [key for key, setting in SETTINGS.items() if setting.secret] == [
        "auth.secret",
        "alerts.webhook_url",
    ]


def test_the_settings_that_can_be_switched_off_are_known() -> None:
    assert SETTINGS["connection.max_per_ip"].optional
    assert SETTINGS["auth.max_token_lifetime"].optional
    assert not SETTINGS["connection.timeout"].optional


@pytest.mark.parametrize(
    ("section", "name", "meant"),
    [
        ("connection", "max_conections", "connection.max_connections"),
        ("connection", "max_global", "subscription.max_global"),
        ("", "max_connections", "connection.max_connections"),
        ("", "broadcast_batch_size", "broadcast.batch_size"),
        ("", "subscription_timeout", "subscription.timeout"),
        ("conection", "timeout", "connection.timeout"),
        ("SERVER", "PROT", "server.port"),
    ],
)
def test_a_wrong_name_finds_the_setting_that_was_meant(section: str, name: str, meant: str) -> None:
    setting = nearest_setting(section, name)
    assert setting is not None
    assert setting.key == meant


def test_a_name_like_no_other_finds_nothing() -> None:
    assert nearest_setting("zzz", "qqqqqq") is None
    assert nearest_setting("", "x" * 100_000) is None
