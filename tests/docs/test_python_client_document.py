"""client.md, the Python part: its tables are those of the code, its examples run."""

import asyncio
import dataclasses
import inspect
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from documents import DOCS, ROOT, bare, blocks, table
from live import AUTH, SCOPES, client, serving, token

import wsserver.client
from wsserver.client import Gap, Meta, ReconnectionConfig, WebSocketClient
from wsserver.connection_manager import ConnectionManager
from wsserver.settings import Settings
from wsserver.web.app import setup

CLIENT = DOCS / "client.md"
SUBSCRIBER, OPTIONS, PUBLISHER = blocks(CLIENT, "python", under="Python")


def application() -> tuple[web.Application, ConnectionManager]:
    settings = Settings(auth=AUTH)
    app, manager = web.Application(), ConnectionManager(settings)
    setup(app, settings, manager=manager)
    return app, manager


async def test_the_subscriber_shows_what_is_published() -> None:
    app, manager = application()
    async with serving(app) as port:
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", "-c", SUBSCRIBER.text.replace(":8000", f":{port}"),
            stdout=asyncio.subprocess.PIPE, env={**os.environ, "WSSERVER_TOKEN": token()}, cwd=ROOT,
        )  # fmt: skip
        assert program.stdout is not None
        try:
            async with asyncio.timeout(60):
                while not manager.broadcast_to_patient(123, {"type": "vitals", "heart_rate": 61}):
                    await asyncio.sleep(0.02)
                assert await program.stdout.readline() == b"patient:123 61\n"
        finally:
            program.kill()
            await program.wait()


async def test_the_publisher_publishes(monkeypatch: pytest.MonkeyPatch) -> None:
    app, _ = application()
    monkeypatch.setenv("WSSERVER_TOKEN", token("monitor7", "service", scope=SCOPES))
    names: dict[str, Any] = {"__name__": "example"}
    async with serving(app) as port, client(port, token()) as watcher:
        await watcher.recv()
        await watcher.send('{"type": "subscribe", "topic": "patient:123"}')
        await watcher.recv()
        exec(compile(PUBLISHER.text.replace(":8000", f":{port}"), "client.md", "exec"), names)
        assert await asyncio.to_thread(names["on_vitals"], 123, 61) == "1 of 1 connections"
        assert json.loads(await watcher.recv())["heart_rate"] == 61
        assert await asyncio.to_thread(names["on_vitals"], 999, 61) == "not published: permission_denied"
        names["publisher"].close()


def test_the_options_example_makes_a_client() -> None:
    names: dict[str, Any] = {}
    exec(compile(OPTIONS.text, "client.md", "exec"), names)
    assert isinstance(names["client"], WebSocketClient)


def test_the_table_of_options_is_that_of_the_code() -> None:
    rows = {
        bare(row[0]): json.loads(bare(row[1])) for row in table(CLIENT, "of `ReconnectionConfig`", "default")
    }
    assert rows == {field.name: field.default for field in dataclasses.fields(ReconnectionConfig)}


def test_the_arguments_are_those_of_the_document() -> None:
    (line,) = re.findall(r"`WebSocketClient\((.+?)\)`", CLIENT.read_text())
    actual = list(inspect.signature(WebSocketClient).parameters)
    assert [name for name in line.split(", ") if name != "*"] == [
        one for one in actual if one != "surroundings"
    ]


def test_every_method_exists_with_these_parameters_and_none_is_left_out() -> None:
    named = set()
    for row in table(CLIENT, "method", "what it does"):
        for call in re.findall(r"`([^`]+)`", row[0]):
            name, _, parameters = call.removeprefix("await ").rstrip(")").partition("(")
            named.add(name)
            method = getattr(WebSocketClient, name)
            shown = [one for one in parameters.split(", ") if one not in ("", "*")]
            assert shown == list(inspect.signature(method).parameters)[1:], call
            if call.startswith("await"):
                assert inspect.iscoroutinefunction(method), call
    public = {name for name in vars(WebSocketClient) if not name.startswith("_")}
    assert public - named == {"state", "messages"}


def test_every_name_in_back_quotes_that_looks_like_ours_is_ours() -> None:
    text = CLIENT.read_text()
    text = text[text.index("\n## Python\n") :]
    for name in set(re.findall(r"`([A-Z][a-z]+[A-Z]\w+)`", text)):
        assert name in wsserver.client.__all__, name
    assert set(Gap.__dataclass_fields__) == {"reason", "log", "topic", "first", "last", "count"}
    assert {*Meta._fields, "time"} == {"id", "topic", "log", "seq", "ts", "time"}


@pytest.mark.long
def test_the_examples_are_typed(tmp_path: Path, require_tool) -> None:
    """For users who check strictly; a gap that is taken for a message is a fault to the checker."""
    try:
        from mypy import api
    except ImportError:
        api = None
    require_tool(api is not None, "mypy")
    for number, block in enumerate((SUBSCRIBER, OPTIONS, PUBLISHER)):
        (tmp_path / f"example{number}.py").write_text(block.text)
    wrong = tmp_path / "wrong.py"
    wrong.write_text(SUBSCRIBER.text.replace("if isinstance(item, Gap):", "if False:"))
    out, err, status = api.run(
        ["--strict", "--follow-imports=silent", *map(str, tmp_path.glob("example*.py"))]
    )
    assert status == 0, out + err
    out, _, status = api.run(["--strict", "--follow-imports=silent", str(wrong)])
    assert status == 1
    assert '"Gap"' in out
