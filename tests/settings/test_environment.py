from pathlib import Path

import pytest

from wsserver.settings.environment import read_variables

SECRET = "canary-7f3a-canary-7f3a-canary-7f3a"


def faults(environ: dict[str, str]) -> list[str]:
    return [f"{one.name}: {one.fault}" for one in read_variables(environ) if one.fault]


def texts(environ: dict[str, str]) -> dict[str, str]:
    return {one.setting.key: one.text for one in read_variables(environ) if one.setting and not one.fault}


def test_a_variable_is_named_after_section_and_setting() -> None:
    assert texts({"WSSERVER_SERVER__PORT": "9000", "PATH": "/bin"}) == {"server.port": "9000"}


def test_an_empty_variable_counts_as_unset() -> None:
    assert list(read_variables({"WSSERVER_SERVER__PORT": "", "WSSERVER_NONSENSE": ""})) == []


def test_an_unknown_variable_is_a_fault_with_a_guess() -> None:
    assert faults({"WSSERVER_SERVER__PROT": "1"}) == [
        "WSSERVER_SERVER__PROT: is no setting; did you mean WSSERVER_SERVER__PORT?"
    ]


def test_the_specifications_own_names_lead_to_ours() -> None:
    assert faults({"WSSERVER_MAX_CONNECTIONS": "1"}) == [
        "WSSERVER_MAX_CONNECTIONS: is no setting; did you mean WSSERVER_CONNECTION__MAX_CONNECTIONS?"
    ]


def test_lower_case_is_not_the_same_variable() -> None:
    assert faults({"WSSERVER_server__port": "1"}) == [
        "WSSERVER_server__port: is no setting; did you mean WSSERVER_SERVER__PORT?"
    ]


@pytest.mark.parametrize("name", ["WSSERVER_TOKEN", "WSSERVER_URL", "WSSERVER_CONFIG", "WSSERVER_CHECKED"])
def test_variables_of_the_command_line_and_the_build_are_no_faults(name: str) -> None:
    assert list(read_variables({name: "x"})) == []


def test_what_kubernetes_adds_for_a_service_of_our_name_is_no_fault() -> None:
    environ = {
        "WSSERVER_SERVICE_HOST": "10.0.0.1",
        "WSSERVER_SERVICE_PORT": "8000",
        "WSSERVER_SERVICE_PORT_HTTP": "8000",
        "WSSERVER_PORT": "tcp://10.0.0.1:8000",
        "WSSERVER_PORT_8000_TCP": "tcp://10.0.0.1:8000",
        "WSSERVER_PORT_8000_TCP_ADDR": "10.0.0.1",
    }
    assert list(read_variables(environ)) == []


def test_a_port_that_somebody_meant_is_a_fault() -> None:
    assert faults({"WSSERVER_PORT": "9000"}) == [
        "WSSERVER_PORT: is no setting; did you mean WSSERVER_SERVER__PORT?"
    ]


def test_a_secret_is_read_from_the_file_that_its_variable_names(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    assert texts({"WSSERVER_AUTH__SECRET_FILE": str(file)}) == {"auth.secret": SECRET}


def test_only_the_last_line_end_is_taken_off_a_secret(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b" a \n\r\n")
    assert texts({"WSSERVER_AUTH__SECRET_FILE": str(file)}) == {"auth.secret": " a \n"}


def test_only_secrets_have_a_file_variable() -> None:
    assert faults({"WSSERVER_SERVER__PORT_FILE": "/dev/null"})[0].startswith(
        "WSSERVER_SERVER__PORT_FILE: is no"
    )


def test_a_secret_given_twice_is_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    environ = {"WSSERVER_AUTH__SECRET": SECRET, "WSSERVER_AUTH__SECRET_FILE": str(file)}
    assert faults(environ) == ["WSSERVER_AUTH__SECRET_FILE: says again what WSSERVER_AUTH__SECRET says"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"x" * 65537, "more than 64 KiB"),
    ],
)
def test_a_secret_file_that_cannot_be_used_is_a_fault(tmp_path: Path, content: bytes, fault: str) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    assert fault in faults({"WSSERVER_AUTH__SECRET_FILE": str(file)})[0]


def test_a_secret_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    assert "No such file" in faults({"WSSERVER_AUTH__SECRET_FILE": str(tmp_path / "none")})[0]
