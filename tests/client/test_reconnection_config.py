"""Options: defaults of the specification, bounds, and milliseconds taken for seconds."""

import pytest

from wsserver.client import InvalidOption, ReconnectionConfig


def test_the_defaults_are_the_specification_s() -> None:
    config = ReconnectionConfig()
    assert (config.max_attempts, config.initial_delay, config.max_delay) == (10, 1.0, 30.0)
    assert (config.backoff_multiplier, config.jitter_factor) == (2.0, 0.1)
    assert (config.heartbeat_interval, config.connection_timeout) == (30.0, 10.0)
    assert config.enable_session_restore
    assert config.enable_message_replay


@pytest.mark.parametrize(
    ("name", "value"),
    [
        # As the JavaScript client counts them.
        ("initial_delay", 1000),
        ("max_delay", 30_000),
        ("heartbeat_interval", 30_000),
        ("heartbeat_timeout", 10_000),
        ("connection_timeout", 10_000),
        ("min_uptime", 5000),
        ("initial_delay", -1),
        ("initial_delay", float("nan")),
        ("initial_delay", "1"),
        ("initial_delay", True),
        ("max_delay", float("inf")),
        ("backoff_multiplier", 0.5),
        ("jitter_factor", 1.1),
        ("jitter_factor", -0.1),
        ("connection_timeout", 0),
        ("heartbeat_timeout", 0),
        ("max_attempts", -1),
        ("max_attempts", 1.5),
        ("max_attempts", True),
        ("max_queue_size", 0),
        ("max_pending_messages", 0),
        ("max_pending_bytes", 0),
        ("max_message_size", 0),
        ("max_send_rate", -1),
        ("jitter_mode", "none"),
        ("queue_overflow", "block"),
        ("codec", "xml"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(InvalidOption, match=name) as refused:
        ReconnectionConfig(**{name: value})
    assert refused.value.name == name
    assert isinstance(refused.value, ValueError)


def test_zero_means_what_it_says() -> None:
    config = ReconnectionConfig(
        max_attempts=0, initial_delay=0, heartbeat_interval=0, min_uptime=0, max_send_rate=0
    )
    assert config.max_attempts == 0
