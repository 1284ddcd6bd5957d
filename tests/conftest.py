"""What every test shares: the event loop, the long sizes, and the rule about missing tools."""

import os

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
