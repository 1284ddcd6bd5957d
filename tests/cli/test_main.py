import re
import subprocess
import sys

import pytest

from wsserver._version import __version__

# Those of the protocol, and those that came later.
COMMANDS = (
    "run", "token", "check-token", "check-config", "show-config", "publish", "subscribe", "top", "trace",
    "doctor", "audit", "export", "version",
    "hash-password", "explain", "alerts", "connections", "disconnect", "inspect", "profile",
)  # fmt: skip


def test_every_command_is_listed(invoke) -> None:
    listed = re.findall(r"^  ([a-z-]+) +\S", invoke("--help").stdout.partition("Commands:")[2], re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(invoke, command: str) -> None:
    result = invoke(command, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: main {command} ")


@pytest.mark.parametrize("arguments", [["nonsense"], ["run", "--nonsense"], ["token"], ["publish"]])
def test_wrong_usage_ends_with_2(invoke, arguments: list[str]) -> None:
    assert invoke(*arguments).exit_code == 2


def test_version_tells_ours_and_what_we_stand_on(invoke) -> None:
    text = invoke("version").stdout
    assert text.startswith(f"wsserver {__version__}\n")
    assert "\naiohttp " in text


def test_the_module_runs_as_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "wsserver", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"wsserver {__version__}\n"


def test_a_command_without_the_network_does_not_import_an_http_client() -> None:
    code = (
        "import sys; from wsserver.cli import main; main(['version'], standalone_mode=False); "
        "sys.exit('aiohttp' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
