"""embedding.md: every Python example compiles and runs, every name in its tables exists."""

import asyncio
import importlib
import inspect
import json
import re
import subprocess
import sys
import threading
from operator import attrgetter
from typing import Any

import pytest
from aiohttp import web
from documents import DOCS, ROOT, bare, blocks, table
from live import ask, client, serving, token

import wsserver
from wsserver.connection_manager import ConnectionManager, connection_manager

EMBEDDING = DOCS / "embedding.md"
PYTHON = blocks(EMBEDDING, "python")


def example(marker: str) -> str:
    """The one Python block that holds this text."""
    (found,) = [block.text for block in PYTHON if marker in block.text]
    return found


def namespace(marker: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(example(marker), "embedding.md", "exec"), names)
    return names


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: f"line {block.line}")
def test_every_python_example_compiles(block):
    compile(block.text, f"embedding.md line {block.line}", "exec")


async def test_the_application_of_the_first_example_delivers(capsys):
    names = namespace("def make_app()")
    async with serving(names["make_app"]()) as port, client(port, token()) as socket:
        await socket.recv()
        await ask(socket, {"type": "subscribe", "topic": "patient:123"})
        await names["on_ecg"](123, [1.2, 1.5])
        message = json.loads(await socket.recv())
    assert (message["patient_id"], message["data"]) == (123, [1.2, 1.5])
    assert capsys.readouterr().out == "ECG sent to 1 connections; 0 filtered, 0 denied\n"


def test_the_application_is_run_on_uvloop(monkeypatch):
    started: dict[str, Any] = {}
    monkeypatch.setattr(web, "run_app", lambda app, **options: started.update(options, app=app))
    names = {"make_app": lambda: "the application"}
    exec(compile(example("web.run_app"), "embedding.md", "exec"), names)
    assert started["app"] == "the application"
    assert type(started["loop"]).__module__.startswith("uvloop")
    started["loop"].close()


def test_the_identities_of_the_report_hold():
    namespace("report.outcome()")


async def test_a_thread_publishes_as_in_the_example(capsys):
    names = namespace("def on_device_sample")
    async with serving(namespace("def make_app()")["make_app"]()) as port, client(port, token()) as socket:
        await socket.recv()
        await ask(socket, {"type": "subscribe", "topic": "patient:123"})
        await asyncio.to_thread(names["on_device_sample"], "123", [0.5])
        assert json.loads(await socket.recv())["data"] == [0.5]
    thread = threading.Thread(target=names["on_device_sample"], args=("123", [0.5]))
    thread.start()
    thread.join()
    assert capsys.readouterr().out.splitlines() == [
        "1 connections",
        "not published: 1005 backpressure_active: No server is running.",
    ]


async def test_rights_of_the_access_provider_take_effect_on_the_open_connection():
    names = namespace("class WardRota")
    rota = names["WardRota"]()
    rota.duties["dr1"] = {"123"}
    bearer = token(patients=None)
    async with serving(names["make_app_with_rota"](rota)) as port, client(port, bearer) as socket:
        await socket.recv()
        before, other = (
            {"type": "subscribe", "topic": "patient:123"},
            {"type": "subscribe", "topic": "patient:124"},
        )
        assert (await ask(socket, before))["type"] == "subscription_confirmed"
        assert (await ask(socket, other))["code"] == 1011
        rota.duties["dr1"] = {"124"}
        async with asyncio.timeout(5):
            ended = json.loads(await socket.recv())
        assert (ended["code"], ended["details"]["target_id"]) == (1011, "123")
        assert (await ask(socket, other))["type"] == "subscription_confirmed"


def test_the_alias_of_the_old_path_works_as_shown():
    # In a process of its own: the alias stays for the life of the process.
    subprocess.run([sys.executable, "-c", example("install_app_alias")], check=True, cwd=ROOT, timeout=60)


def methods(*headings: str) -> list[str]:
    return [call for row in table(EMBEDDING, *headings) for call in re.findall(r"`([^`]+)`", row[0])]


@pytest.mark.parametrize(
    ("owner", "headings"),
    [
        (connection_manager, ("method", "returns")),
        (connection_manager.subscription_manager, ("method", "meaning")),
        (connection_manager.health_monitor, ("method of `health_monitor`",)),
    ],
)
def test_every_method_of_the_tables_exists_with_these_parameters(owner, headings):
    for call in methods(*headings):
        name, _, parameters = call.removeprefix("await ").partition("(")
        member = attrgetter(name)(owner)
        if not parameters:
            continue
        shown = [part.split("=")[0].strip() for part in parameters.rstrip(")").split(",") if part.strip()]
        actual = inspect.signature(member).parameters
        named = [one for one in shown if one != "*"]
        assert named == list(actual)[: len(named)], call
        if "*" in shown:
            first = shown[shown.index("*") + 1]
            assert actual[first].kind is inspect.Parameter.KEYWORD_ONLY, call


def test_setup_has_the_arguments_of_the_document():
    (line,) = re.findall(r"`wsserver\.setup\((.+?)\)`", EMBEDDING.read_text())
    shown = [part.split("=")[0].strip() for part in line.split(",")]
    assert [one for one in shown if one != "*"] == list(inspect.signature(wsserver.setup).parameters)
    arguments = [bare(row[0]) for row in table(EMBEDDING, "argument", "meaning")]
    assert arguments == [one for one in shown if one not in ("app", "*")]


def test_every_name_of_the_specification_is_where_the_table_says():
    owners = {
        "connection_manager": connection_manager,
        "subscription_manager": connection_manager.subscription_manager,
        "health_monitor": connection_manager.health_monitor,
    }
    for theirs, ours in table(EMBEDDING, "specification", "here"):
        if "same names" in ours:
            owner = owners[next((name for name in owners if name in ours), "connection_manager")]
            for name in re.findall(r"`(?:\w+\.)?(\w+)`", theirs):
                assert hasattr(owner, name), name
        for path in re.findall(r"`(wsserver(?:\.\w+)+)", ours):
            assert resolve(path) is not None, path


def resolve(path: str) -> Any:
    """The module or the member of a module that a dotted path names."""
    head, _, tail = path.rpartition(".")
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        return getattr(resolve(head), tail)


def test_reasons_to_disconnect_close_with_the_codes_of_the_document():
    text = " ".join(EMBEDDING.read_text().split())
    (line,) = re.findall(r"code of one of these reasons: (.+?)\.", text)
    for reason, code in re.findall(r"`(\w+)` (\d+)", line):
        manager = ConnectionManager()
        frames: list[bytes] = []
        connection_id = manager.connect(Paper(frames), "u1", "doctor")
        manager.disconnect(connection_id, reason)
        manager.send_message_batch()
        assert frames[-1][2:4] == int(code).to_bytes(2, "big"), reason


class Paper:
    """A WebSocket that only writes down what is sent."""

    def __init__(self, frames: list[bytes]) -> None:
        self.frames = frames

    def write(self, data: bytes) -> None:
        self.frames.append(data)

    def close(self) -> None:
        """Nothing to close."""
