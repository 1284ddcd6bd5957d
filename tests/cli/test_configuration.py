from pathlib import Path

import pytest

from wsserver.settings import load_settings

SECRET = "canary-7f3a-canary-7f3a-canary-7f3a"


def test_good_settings_are_called_good_and_warnings_are_told(invoke) -> None:
    result = invoke("check-config")
    assert result.exit_code == 0
    assert result.stdout == "The settings are good.\n"
    assert result.stderr.startswith("Warning: connection.max_connections_per_role (100)")


def test_strict_takes_warnings_for_faults(invoke) -> None:
    assert invoke("check-config", "--strict").exit_code == 2
    assert (
        invoke("check-config", "--strict", WSSERVER_CONNECTION__MAX_CONNECTIONS_PER_ROLE="none").exit_code
        == 0
    )


def test_every_fault_is_listed_and_ends_with_2(invoke, tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[broadcast]\nbatch_size = 0\n[server]\nprot = 1\n")
    result = invoke("check-config", "-c", str(file), WSSERVER_STORE__URL="sqlite:/x")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "Error: 3 faults in the settings:",
        "  c.toml: broadcast.batch_size: must be a whole number >= 1",
        "  c.toml: server.prot is no setting; did you mean server.port?",
        '  store.url: must be "memory:" or "sqlite:///PATH" with the path of a file',
    ]


def test_a_store_that_cannot_be_there_is_told(invoke, tmp_path: Path) -> None:
    good = f"sqlite:///{tmp_path}/store.db"
    assert invoke("check-config", WSSERVER_STORE__URL=good).exit_code == 0
    assert list(tmp_path.iterdir()) == []
    result = invoke("check-config", WSSERVER_STORE__URL=f"sqlite:///{tmp_path}/none/store.db")
    assert result.exit_code == 2
    assert f"store.url: {tmp_path}/none is no folder" in result.stderr


def test_the_settings_file_may_be_named_by_a_variable(invoke, tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[server]\nport = 1234\n")
    shown = invoke("show-config", WSSERVER_CONFIG=str(file)).stdout
    assert "server.port" in shown
    assert " file         1234\n" in shown


def test_a_settings_file_that_is_not_there_ends_with_2(invoke, tmp_path: Path) -> None:
    result = invoke("check-config", "-c", str(tmp_path / "none.toml"))
    assert result.exit_code == 2
    assert "No such file" in result.stderr


def test_a_missing_secret_is_a_fault_except_for_dev(invoke) -> None:
    assert invoke("check-config", WSSERVER_AUTH__SECRET=None).exit_code == 2
    assert invoke("check-config", "--dev", WSSERVER_AUTH__SECRET=None).exit_code == 0


def test_a_key_that_is_no_key_is_a_fault(invoke) -> None:
    result = invoke(
        "check-config",
        WSSERVER_AUTH__SECRET=None,
        WSSERVER_AUTH__ALGORITHMS="RS256",
        WSSERVER_AUTH__PUBLIC_KEY="-----BEGIN PUBLIC KEY-----\ncanary\n-----END PUBLIC KEY-----\n",
    )
    assert result.exit_code == 2
    assert "canary" not in result.output


def test_the_table_shows_where_values_come_from(invoke) -> None:
    lines = invoke("show-config", WSSERVER_SERVER__PORT="9").stdout.splitlines()
    rows = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines}
    assert rows["server.port"] == "environment  9"
    assert rows["server.host"] == "default      127.0.0.1"
    assert rows["auth.secret"] == "environment  ********"


@pytest.mark.parametrize("form", ["table", "toml", "env"])
def test_no_form_shows_the_secret(invoke, form: str) -> None:
    result = invoke("show-config", "--format", form)
    assert result.exit_code == 0
    assert "canary" not in result.output


def test_the_shown_file_is_a_settings_file(invoke, tmp_path: Path) -> None:
    file = tmp_path / "again.toml"
    file.write_text(invoke("show-config", "--format", "toml", WSSERVER_SERVER__PORT="77").stdout)
    assert load_settings(file, {"WSSERVER_AUTH__SECRET": SECRET}).settings.server.port == 77
