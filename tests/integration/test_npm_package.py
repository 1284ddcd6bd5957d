"""The npm package, installed from a running server as its users do it."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from live_server import LiveServer

import wsserver

Run = Callable[..., Awaitable[str]]

USER = """
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import * as client from "wsserver-client";
import { WebSocketReconnectService } from "wsserver-client/websocket-reconnect.service";
import manifest from "wsserver-client/package.json" with { type: "json" };

assert.equal(typeof WebSocketReconnectService, "function");
assert.equal(client.WebSocketReconnectService, WebSocketReconnectService);
assert.equal(createRequire(import.meta.url)("wsserver-client"), client);
await assert.rejects(import("wsserver-client/link.js"), { code: "ERR_PACKAGE_PATH_NOT_EXPORTED" });
console.log(manifest.version);
"""


@pytest.fixture
def run_node(node: Path, tmp_path: Path) -> Run:
    """Run Node.js in a folder of its own, with npm's cache there as well."""
    environment = {
        **os.environ,
        "PATH": f"{node.parent}{os.pathsep}{os.environ['PATH']}",
        "npm_config_cache": str(tmp_path / "cache"),
        "npm_config_userconfig": str(tmp_path / "npmrc"),
        "no_proxy": "*",
    }

    async def run(*arguments: str | Path) -> str:
        process = await asyncio.create_subprocess_exec(
            node,
            *arguments,
            cwd=tmp_path,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, faults = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, output.decode() + faults.decode()
        return output.decode()

    return run


async def test_npm_installs_it_from_the_server_and_node_imports_it(
    start_server: Any, npm: Path, run_node: Run, tmp_path: Path
) -> None:
    server: LiveServer = await start_server()
    (tmp_path / "package.json").write_text('{"name": "user", "private": true, "type": "module"}')
    (tmp_path / "user.js").write_text(USER)
    quiet = ("--no-audit", "--no-fund", "--update-notifier=false")
    url = f"http://127.0.0.1:{server.port}/ws/client/wsserver-client.tgz"
    await run_node(npm, "install", *quiet, url)
    assert await run_node("user.js") == f"{wsserver.__version__}\n"
    # The lock file holds a checksum of the bytes, and they are the same again.
    locked = json.loads((tmp_path / "package-lock.json").read_text())["packages"][
        "node_modules/wsserver-client"
    ]
    assert (locked["resolved"], locked["version"]) == (url, wsserver.__version__)
    await run_node(npm, "ci", "--cache=empty", *quiet)
    assert await run_node("user.js") == f"{wsserver.__version__}\n"
