import msgspec
import pytest

from wsserver.settings import AuthSettings, ConnectionSettings, Settings, default_roles

SECRET = "canary-7f3a-canary-7f3a-canary-7f3a"


def test_defaults_are_those_of_the_specification() -> None:
    settings = Settings()
    connection, subscription, broadcast = settings.connection, settings.subscription, settings.broadcast
    assert (connection.max_connections, connection.max_connections_per_user) == (10_000, 10)
    assert connection.max_connections_per_role == 100
    assert (connection.heartbeat_interval, connection.timeout, connection.cleanup_interval) == (30, 90, 60)
    assert (broadcast.batch_size, broadcast.timeout, broadcast.max_message_size) == (100, 5.0, 1024 * 1024)
    assert (subscription.max_per_connection, subscription.max_global) == (100, 50_000)
    assert subscription.timeout == 3600
    assert subscription.cleanup_interval == 300


def test_the_defaults_of_filters_and_of_the_history_are_those_of_the_protocol() -> None:
    settings = Settings()
    subscription, filters = settings.subscription, settings.filter
    assert (subscription.strict_timeout, subscription.event_history_size) == (False, 10_000)
    assert (filters.max_bytes, filters.max_nodes, filters.max_depth, filters.max_values) == (4096, 64, 8, 256)
    assert (filters.max_pattern_bytes, filters.max_patterns_per_connection) == (256, 8)
    assert (filters.severity_data, filters.severity_alert, filters.severity_by_type) == ("normal", "info", {})


def test_no_text_form_of_settings_shows_a_secret() -> None:
    settings = Settings(auth=AuthSettings(secret=SECRET))
    for text in (repr(settings), str(settings), repr(settings.auth), repr(settings.auth.__rich_repr__())):
        assert "canary" not in text
    assert "secret='********'" in repr(settings.auth)


def test_a_secret_that_is_not_set_is_shown_as_none() -> None:
    assert "secret=None" in repr(AuthSettings())


def test_settings_cannot_be_changed_in_place() -> None:
    with pytest.raises(AttributeError):
        Settings().connection.timeout = 1.0


def test_sections_refuse_names_they_do_not_have() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"max_conections": 1}, ConnectionSettings)


def test_the_example_policy_permits_what_the_specifications_frontend_subscribes_to() -> None:
    doctor = default_roles()["doctor"]
    for subscription_type in ("patient", "ecg", "alerts", "system"):
        assert subscription_type in doctor.subscribe or "*" in doctor.subscribe


def test_the_example_policy_knows_six_roles_and_gives_none_of_them_every_patient() -> None:
    roles = default_roles()
    assert set(roles) == {"doctor", "nurse", "technician", "patient", "service", "admin"}
    assert not any(role.all_patients for role in roles.values())


def test_only_the_service_role_publishes_over_its_socket_by_default() -> None:
    assert [name for name, role in default_roles().items() if role.publish] == ["service"]
