from pathlib import Path

import pytest

from wsserver.settings import SettingsError, load_settings
from wsserver.settings.loading import Loaded

SECRET = "canary-7f3a-canary-7f3a-canary-7f3a"
KEYED = {"WSSERVER_AUTH__SECRET": SECRET}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "wsserver.toml"


def load(config: Path, text: str, environ: dict[str, str] | None = None, **overrides: object) -> Loaded:
    config.write_text(text)
    named = {key.replace("__", "."): value for key, value in overrides.items()}
    return load_settings(config, KEYED | (environ or {}), named)


def faults(config: Path, text: str, environ: dict[str, str] | None = None, **overrides: object) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(config, text, environ, **overrides)
    return caught.value.faults


def test_without_any_layer_the_defaults_hold() -> None:
    loaded = load_settings(None, KEYED)
    assert loaded.settings.server.port == 8000
    assert loaded.origins["server.port"] == "default"


def test_the_file_beats_the_default_the_variable_the_file_and_the_command_line_all(config: Path) -> None:
    loaded = load(
        config,
        "[server]\nport = 1\nhost = 'a'\nrequire_origin = true",
        {"WSSERVER_SERVER__PORT": "2", "WSSERVER_SERVER__HOST": "b"},
        server__port=3,
    )
    server = loaded.settings.server
    assert (server.port, server.host, server.require_origin) == (3, "b", True)
    origins = [loaded.origins[f"server.{name}"] for name in ("port", "host", "require_origin", "tls_key")]
    assert origins == ["command line", "environment", "file", "default"]


def test_text_on_the_command_line_is_read_like_a_variable(config: Path) -> None:
    assert load(config, "", server__port="9000").settings.server.port == 9000


def test_none_on_a_higher_layer_switches_off_what_a_lower_one_set(config: Path) -> None:
    loaded = load(config, "[connection]\nmax_per_ip = 5", {"WSSERVER_CONNECTION__MAX_PER_IP": "none"})
    assert loaded.settings.connection.max_per_ip is None
    assert loaded.origins["connection.max_per_ip"] == "environment"


def test_every_fault_of_every_layer_is_told_at_once(config: Path) -> None:
    found = faults(
        config,
        """
        stray = 1
        logging = 3
        [conection]
        timeout = 5
        [connection]
        max_conections = 3
        heartbeat_interval = 90
        [broadcast]
        batch_size = 0
        """,
        {"WSSERVER_SERVER__PORT": "99999", "WSSERVER_NONSENSE": "1"},
        server__prot=1,
        logging__level="loud",
    )
    assert found == [
        "wsserver.toml: stray stands outside a section",
        "wsserver.toml: logging must be a section",
        "wsserver.toml: [conection] is no section; did you mean connection?",
        "wsserver.toml: connection.max_conections is no setting; did you mean connection.max_connections?",
        "wsserver.toml: broadcast.batch_size: must be a whole number >= 1",
        "WSSERVER_NONSENSE: is no setting",
        "WSSERVER_SERVER__PORT: must be a whole number <= 65535",
        "command line: server.prot is no setting; did you mean server.port?",
        "logging.level (command line): must be one of debug, info, warning, error, critical",
        "connection.heartbeat_interval: 90s must be below connection.timeout (90s)",
    ]


def test_a_value_is_checked_even_where_a_higher_layer_overrides_it(config: Path) -> None:
    assert faults(config, "[server]\nport = -1", server__port=80) == [
        "wsserver.toml: server.port: must be a whole number >= 0"
    ]


def test_a_setting_that_could_not_be_read_contradicts_nothing(config: Path) -> None:
    text = "[connection]\nheartbeat_interval = 100\ntimeout = 'soon'"
    assert len(faults(config, text)) == 1


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"[server\n", "is not TOML"),
        (b"\xff", "is not UTF-8 text"),
        (b"a = " + b"[" * 100_000, "is not TOML"),
        (b"#" * (1024 * 1024 + 1), "is over 1 MiB"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_fault(config: Path, content: bytes, fault: str) -> None:
    config.write_bytes(content)
    with pytest.raises(SettingsError, match=fault):
        load_settings(config, KEYED)


def test_a_file_that_is_not_there_is_a_fault_and_the_rest_is_still_checked(config: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(config, {"WSSERVER_SERVER__PORT": "x"})
    assert [fault.rpartition(": ")[2] for fault in caught.value.faults[:2]] == [
        "No such file or directory",
        "must be a whole number, not text",
    ]
    assert "auth.secret: is needed by HS256" in caught.value.faults[2]


def test_no_fault_quotes_a_secret(config: Path) -> None:
    secret = "canary"
    for text in (
        f"[auth]\nsecret = '{secret}'",
        f"[auth]\nsecret = ['{secret}']",
        f"[auth]\nsecret = '{secret}",
    ):
        config.write_text(text)
        with pytest.raises(SettingsError) as caught:
            load_settings(config, {})
        assert "canary" not in str(caught.value)


def test_dev_makes_up_a_secret_and_only_where_none_is_set() -> None:
    first, second = load_settings(None, {}, dev=True), load_settings(None, {}, dev=True)
    assert first.origins["auth.secret"] == "generated"
    assert len(first.settings.auth.secret or "") >= 32
    assert first.settings.auth.secret != second.settings.auth.secret
    assert load_settings(None, KEYED, dev=True).settings.auth.secret == SECRET


def test_dev_makes_up_no_secret_for_algorithms_that_use_none() -> None:
    with pytest.raises(SettingsError, match=r"auth\.public_key"):
        load_settings(None, {"WSSERVER_AUTH__ALGORITHMS": "RS256"}, dev=True)


def test_a_settings_file_with_a_secret_that_everybody_can_read_is_warned_about(config: Path) -> None:
    text = f"[auth]\nsecret = '{SECRET}'"
    config.write_text(text)
    config.chmod(0o644)
    warned = load_settings(config, {}).warnings
    config.chmod(0o600)
    quiet = load_settings(config, {}).warnings
    assert set(warned) - set(quiet) == {
        "wsserver.toml holds auth.secret and every user of this machine can read it."
    }


@pytest.mark.parametrize("key", ["server.tls_key", "auth.jwks_file"])
def test_a_file_that_a_setting_names_must_be_readable(key: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=rf"{key}: names a file that cannot be read: No such file"):
        load_settings(None, KEYED, {key: str(tmp_path / "none")})


def test_roles_in_a_file_replace_the_example_policy(config: Path) -> None:
    loaded = load(config, "[access.roles.porter]\nsubscribe = ['system']")
    assert list(loaded.settings.access.roles) == ["porter"]


def test_a_wrong_right_is_told_with_its_place(config: Path) -> None:
    assert faults(config, "[access.roles.porter]\nsubscribes = ['system']") == [
        "wsserver.toml: access.roles.porter.subscribes: is not a right; did you mean subscribe?"
    ]


def test_reloading_reads_the_file_and_the_environment_again_and_keeps_the_command_line(config: Path) -> None:
    loaded = load(config, "[server]\nport = 1\nhost = 'a'", server__port=3)
    config.write_text("[server]\nport = 2\nhost = 'b'\n")
    again = loaded.reload(KEYED | {"WSSERVER_SERVER__REQUIRE_ORIGIN": "yes"})
    server = again.settings.server
    assert (server.port, server.host, server.require_origin) == (3, "b", True)
    assert again.reload(KEYED).settings.server.require_origin is False


def test_reloading_keeps_a_generated_secret() -> None:
    loaded = load_settings(None, {}, dev=True)
    again = loaded.reload({}).reload({})
    assert again.settings.auth.secret == loaded.settings.auth.secret
    assert again.origins["auth.secret"] == "generated"
    assert loaded.reload(KEYED).settings.auth.secret == SECRET


def test_reloading_settings_with_faults_raises_and_makes_up_no_secret(config: Path) -> None:
    loaded = load(config, "")
    with pytest.raises(SettingsError, match=r"auth\.secret: is needed"):
        loaded.reload({})


def test_the_text_form_of_loaded_settings_shows_no_secret() -> None:
    assert "canary" not in repr(load_settings(None, {}, {"auth.secret": SECRET}))
