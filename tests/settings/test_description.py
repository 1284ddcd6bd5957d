import shlex
import tomllib
from pathlib import Path

import pytest

from wsserver.settings import (
    describe,
    describe_as_environment,
    describe_as_toml,
    load_settings,
)
from wsserver.settings.catalogue import SETTINGS
from wsserver.settings.description import describe_in_force
from wsserver.settings.loading import Loaded

SECRET = "canary-7f3a-canary-7f3a-canary-7f3a"
KEYED = {"WSSERVER_AUTH__SECRET": SECRET}
UNUSUAL = {
    "server.allowed_origins": ["https://ward.example", "https://b.example:8443"],
    "server.require_origin": True,
    "connection.max_connections_per_role": {"doctor": 7, "nurse": 0},
    "connection.timeout": "91.5s",
    "connection.max_per_ip": 12,
    "inbound.max_message_size": 1_000_001,
    "subscription.strict_timeout": True,
    "filter.severity_by_type": {"drug_alert": "high", 'odd "type".with\\dots': "é"},
    "auth.issuer": 'a "quoted" \\ issuer $HOME \x7f é',
    "access.roles": {
        "doctor": {"subscribe": ["*"], "wildcard": True},
        "nurse": {"subscribe": ["ecg"]},
        "night.nurse": {"publish": ["all"], "publish_types": ["note"]},
    },
}


@pytest.fixture(params=[{}, UNUSUAL], ids=["defaults", "unusual"])
def loaded(request: pytest.FixtureRequest) -> Loaded:
    return load_settings(None, KEYED, request.param)


def test_every_setting_is_described_with_its_origin(loaded: Loaded) -> None:
    rows = {row.key: row for row in describe(loaded)}
    for key in SETTINGS:
        assert key in rows or key == "access.roles"
    assert rows["auth.secret"].value == "********"
    assert rows["auth.secret"].origin == "environment"
    assert rows["shutdown.timeout"] == ("shutdown.timeout", "25s", "default")


def test_each_role_is_a_row_of_its_own() -> None:
    rows = {row.key: row.value for row in describe(load_settings(None, KEYED))}
    assert rows["access.roles.nurse"] == '{ subscribe = ["*"], wildcard = true }'


def test_a_described_file_loads_to_the_same_settings(loaded: Loaded, tmp_path: Path) -> None:
    file = tmp_path / "again.toml"
    file.write_text(describe_as_toml(loaded))
    assert load_settings(file, KEYED).settings == loaded.settings


def test_described_variables_load_to_the_same_settings(loaded: Loaded) -> None:
    lines = describe_as_environment(loaded).splitlines()
    environ = dict(shlex.split(line)[0].split("=", 1) for line in lines if not line.startswith("#"))
    assert load_settings(None, KEYED | environ).settings == loaded.settings


def test_no_description_shows_a_secret(loaded: Loaded) -> None:
    for text in (str(describe(loaded)), describe_as_toml(loaded), describe_as_environment(loaded)):
        assert "canary" not in text
    assert "secret" not in tomllib.loads(describe_as_toml(loaded))["auth"]


def test_what_is_in_force_tells_what_was_changed(loaded: Loaded) -> None:
    rows = {row.key: row for row in describe_in_force(loaded.settings)}
    assert set(SETTINGS) - {"access.roles"} <= set(rows)
    assert rows["shutdown.timeout"] == ("shutdown.timeout", "25s", "25s")
    assert rows["shutdown.timeout"].is_default
    assert rows["auth.secret"] == ("auth.secret", "********", "none")
    assert not rows["auth.secret"].is_default
    is_unusual = loaded.settings.connection.timeout == 91.5
    assert rows["connection.timeout"].is_default is not is_unusual
    if is_unusual:
        assert rows["access.roles.night.nurse"].default is None
    assert "canary" not in str(rows)
