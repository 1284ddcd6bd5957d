"""The unit for systemd: what systemd itself says of it, and that it fits the server."""

import configparser
import re
import shutil
import subprocess
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from wsserver.doctor.machine import needed_descriptors
from wsserver.settings import Settings
from wsserver.web.server import HTTP_GRACE

ANALYZE = shutil.which("systemd-analyze")
UNIT = files("wsserver.deployment").joinpath("wsserver.service").read_text("utf-8")


class _Unit(configparser.RawConfigParser):
    """Units repeat names, and tell large letters from small ones."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


@pytest.fixture
def unit() -> _Unit:
    parser = _Unit(strict=False)
    parser.read_string(UNIT)
    return parser


@pytest.fixture
def unit_file(tmp_path: Path) -> Path:
    """The unit with a program that is there: systemd looks whether it can be started."""
    program = tmp_path / "wsserver"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    path = tmp_path / "wsserver.service"
    path.write_text(UNIT.replace("/opt/wsserver/bin/wsserver", str(program)))
    return path


def test_systemd_takes_it_without_a_word(unit_file: Path, require_tool: Callable[[bool, str], None]) -> None:
    require_tool(ANALYZE is not None, "systemd-analyze (apt install systemd)")
    done = subprocess.run(
        [str(ANALYZE), "verify", "--recursive-errors=no", unit_file],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_systemd_finds_little_exposed(unit_file: Path, require_tool: Callable[[bool, str], None]) -> None:
    require_tool(ANALYZE is not None, "systemd-analyze (apt install systemd)")
    # In tenths: 1.4 of 10 with systemd 252.
    done = subprocess.run(
        [str(ANALYZE), "security", "--offline=yes", "--threshold=20", unit_file],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-400:] + done.stderr


def test_it_leaves_the_server_the_time_and_the_descriptors_that_it_needs(unit: _Unit) -> None:
    service, settings = unit["Service"], Settings()
    assert int(service["TimeoutStopSec"]) > settings.shutdown.timeout + HTTP_GRACE + 5
    assert int(service["LimitNOFILE"]) > needed_descriptors(settings)
    # A lag of the loop that is told as an alert must not end the server.
    assert int(service["WatchdogSec"]) > 10 * settings.overload.max_loop_lag
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert (service["Type"], service["KillSignal"]) == ("notify", "SIGTERM")
    assert service["RestartPreventExitStatus"].split() == ["2", "3"]


def test_no_secret_stands_in_it_and_nothing_of_it_is_lost_by_a_typing_error(unit: _Unit) -> None:
    assert unit["Service"]["Environment"] == "WSSERVER_AUTH__SECRET_FILE=%d/secret"
    assert unit.sections() == ["Unit", "Service", "Install"]
    assert not re.search(r"(?i)password|secret=\w{8}", UNIT)
