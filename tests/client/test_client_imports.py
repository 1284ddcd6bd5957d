"""The client runs where no server is: what importing it loads, and what it does not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# The decoder of binary frames and its parts; nothing of the core that holds sockets or subscriptions.
DECODER = {"envelope", "lz4_block", "messagepack", "samples"}
ALLOWED = {"wsserver", "wsserver._version", "wsserver_core", *(f"wsserver_core.{name}" for name in DECODER)}


def loaded_by(statement: str) -> set[str]:
    script = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    "statement",
    [
        "from wsserver.client import *",
        "from wsserver.client import ReconnectionConfig, WebSocketClient\n"
        "WebSocketClient('ws://h', token='t', config=ReconnectionConfig(codec='auto'))",
    ],
    ids=["every name", "a client that would take binary frames"],
)
def test_nothing_of_the_server_is_loaded(statement: str) -> None:
    ours = {name for name in loaded_by(statement) if name.split(".")[0] in ("wsserver", "wsserver_core")}
    others = {name for name in ours if not name.startswith("wsserver.client")} - ALLOWED
    assert not others
    assert "wsserver.client.client" in ours


def test_the_publisher_needs_the_standard_library_only() -> None:
    ours = loaded_by("import wsserver.client.publisher")
    assert not ours & {"aiohttp", "asyncio", "msgspec", "yarl", "wsserver_core"}


def test_every_name_that_is_offered_is_there() -> None:
    import wsserver.client

    for name in wsserver.client.__all__:
        assert getattr(wsserver.client, name).__name__ == name
    with pytest.raises(AttributeError):
        _ = wsserver.client.Nothing
