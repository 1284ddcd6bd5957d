import logging
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from wsserver.cli import run as run_module
from wsserver.settings.descriptors import TooFewDescriptorsError
from wsserver.settings.loading import Loaded


class Server(ModuleType):
    """Stands in for ``wsserver.web.server``: remembers what it was asked to serve."""

    def __init__(self) -> None:
        super().__init__("wsserver.web.server")
        self.calls: list[tuple[Loaded, bool, bool]] = []
        self.status = 0
        self.log_level = logging.NOTSET

    def serve(self, loaded: Loaded, *, dev: bool, demo: bool) -> int:
        self.calls.append((loaded, dev, demo))
        self.log_level = logging.getLogger("wsserver").level
        return self.status


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setitem(sys.modules, "wsserver.web.server", server)
    monkeypatch.setattr(run_module, "fit_descriptors", lambda loaded, dev: loaded)
    return server


def test_options_beat_everything_else(invoke, server: Server) -> None:
    result = invoke(
        "run", "--host", "::1", "--port", "0", "--max-message-size", "16MiB", "--log-level", "error",
        "--log-format", "json", WSSERVER_SERVER__PORT="1",
    )  # fmt: skip
    assert result.exit_code == 0
    (loaded, dev, demo), settings = server.calls[0], server.calls[0][0].settings
    assert (settings.server.host, settings.server.port, dev, demo) == ("::1", 0, False, False)
    assert settings.inbound.max_message_size == 16 * 1024 * 1024
    assert (settings.logging.level, settings.logging.format) == ("error", "json")
    assert loaded.origins["server.port"] == "command line"
    assert loaded.origins["broadcast.timeout"] == "default"


def test_dev_and_demo_are_handed_on_and_a_secret_is_made_up(invoke, server: Server) -> None:
    result = invoke("run", "--dev", "--demo", "--log-level", "error", WSSERVER_AUTH__SECRET=None)
    assert result.exit_code == 0
    loaded, dev, demo = server.calls[0]
    assert (dev, demo) == (True, True)
    assert loaded.origins["auth.secret"] == "generated"
    assert loaded.settings.auth.secret not in result.output


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "ward.example"])
def test_dev_refuses_to_be_reached_from_other_machines(invoke, server: Server, host: str) -> None:
    result = invoke("run", "--dev", "--host", host)
    assert result.exit_code == 2
    assert "this machine only" in result.stderr
    assert server.calls == []


@pytest.mark.parametrize("status", [0, 1, 3])
def test_the_exit_status_is_the_servers(invoke, server: Server, status: int) -> None:
    server.status = status
    assert invoke("run", "--log-level", "error").exit_code == status


def test_without_a_secret_nothing_starts(invoke, server: Server) -> None:
    result = invoke("run", WSSERVER_AUTH__SECRET=None)
    assert result.exit_code == 2
    assert server.calls == []


@pytest.mark.parametrize(
    "option",
    [["--port", "x"], ["--max-message-size", "many"], ["--log-level", "loud"], ["--log-format", "xml"]],
)
def test_an_option_that_does_not_fit_ends_with_2(invoke, server: Server, option: list[str]) -> None:
    result = invoke("run", *option)
    assert result.exit_code == 2
    assert "(command line): must be" in result.stderr


def test_too_few_descriptors_end_with_3(invoke, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(loaded: Loaded, *, dev: bool) -> Loaded:
        raise TooFewDescriptorsError(10_256, 1024, 0)

    monkeypatch.setattr(run_module, "fit_descriptors", refuse)
    result = invoke("run", "--log-level", "error")
    assert result.exit_code == 3
    assert "needs 10256 file descriptors and this process may open 1024" in result.stderr
    assert server.calls == []


def test_a_core_that_cannot_be_loaded_ends_with_3(invoke, server: Server, monkeypatch: Any) -> None:
    monkeypatch.delattr(type(server), "serve")
    result = invoke("run", "--log-level", "error")
    assert result.exit_code == 3
    assert "cannot be loaded" in result.stderr


def test_the_log_level_holds_while_the_server_runs(invoke, server: Server) -> None:
    invoke("run", "--log-level", "critical")
    assert server.log_level == logging.CRITICAL


def test_the_server_is_told_its_settings_file(invoke, server: Server, tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[logging]\nlevel = 'error'\n")
    assert invoke("run", "-c", str(file)).exit_code == 0
    assert server.calls[0][0].path == file
