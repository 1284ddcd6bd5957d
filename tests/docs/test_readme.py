"""README.md: what a newcomer pastes works, and its first screen says how to see it and how to test it."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click
import pytest
from aiohttp import web
from documents import EVERY_DOCUMENT, README, blocks
from live import AUTH, ask, client, serving, token

import wsserver
from wsserver.cli import main
from wsserver.connection_manager import ConnectionManager
from wsserver.settings import Settings

WATCHING, PUBLISHING, EMBEDDED = blocks(README, "python", under="Use it")
_, NODE = blocks(README, "js", under="Use it")
SHELL = blocks(README, "sh", under="Use it")

# The program at the beginning of a line, of a list or of a substitution, and its words up to the next one.
_PROGRAM = re.compile(r"(?:^|[;&|(])\s*(?:\S*/)?wsserver\s+(?P<rest>(?:\$\([^)]*\)|[^;&|)\n])*)")
_SUBSTITUTION = re.compile(r"\$\([^)]*\)")


def test_the_first_screen_installs_and_runs_and_installs_and_tests():
    top = "\n".join(README.read_text().splitlines()[:40])
    assert "wsserver run --dev --demo" in top
    assert "python -m pytest" in top


def test_the_embedded_example_runs_and_delivers(monkeypatch, capsys):
    started: dict[str, Any] = {}
    monkeypatch.setattr(web, "run_app", lambda app, **options: started.update(options, app=app))
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(EMBEDDED.text, "README.md", "exec"), names)

    async def deliver() -> None:
        async with serving(started["app"]) as port, client(port, token()) as watcher:
            await watcher.recv()
            await ask(watcher, {"type": "subscribe", "topic": "patient:123"})
            await names["on_ecg"](123, [1.2])
            assert json.loads(await watcher.recv())["data"] == [1.2]

    loop = started["loop"]
    loop.run_until_complete(deliver())
    loop.close()
    assert capsys.readouterr().out == "ECG sent to 1 connections; 0 filtered, 0 denied\n"


@asynccontextmanager
async def running(*command: str | Path, **variables: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program of the reader's, with its output to be read."""
    program = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env={**os.environ, **variables}
    )
    try:
        async with asyncio.timeout(60):
            yield program
    finally:
        if program.returncode is None:
            program.kill()
        await program.wait()


def make_app() -> tuple[web.Application, ConnectionManager]:
    settings = Settings(auth=AUTH)
    app, manager = web.Application(), ConnectionManager(settings)
    wsserver.setup(app, settings, manager=manager)
    return app, manager


def at(port: int, text: str) -> str:
    return text.replace("127.0.0.1:8000", f"127.0.0.1:{port}")


@pytest.mark.parametrize("language", ["Python", "Node.js"])
async def test_the_watching_examples_print_what_is_published(language: str, node: Path) -> None:
    app, manager = make_app()
    async with serving(app) as port:
        if language == "Python":
            command = (sys.executable, "-c", at(port, WATCHING.text))
        else:
            source = Path(wsserver.__file__).parent / "client" / "js" / "index.js"
            command = (
                node, "--input-type=module", "--eval",
                at(port, NODE.text).replace('"wsserver-client"', f'"{source}"'),
            )  # fmt: skip
        async with running(*command, TOKEN=token()) as program:
            while not manager.broadcast_to_patient(123, {"type": "vitals", "hr": 61}):
                await asyncio.sleep(0.02)
            assert program.stdout is not None
            shown = ""
            while not re.search(r"'?hr'?: 61", shown):
                line = await program.stdout.readline()
                assert line, shown
                shown += line.decode()
    assert re.search(r"topic'?: 'patient:123'", shown)


async def test_the_publishing_example_reaches_who_watches() -> None:
    app, _ = make_app()
    async with serving(app) as port, client(port, token()) as watcher:
        await watcher.recv()
        await ask(watcher, {"type": "subscribe", "topic": "patient:123"})
        service = token("monitor7", "service", scope="broadcast:patient")
        async with running(sys.executable, "-c", at(port, PUBLISHING.text), SERVICE=service) as program:
            output, _ = await program.communicate()
        assert output == b"1 of 1 connections have it\n"
        assert json.loads(await watcher.recv())["data"] == [1.2, 1.5, 1.8]


async def test_the_shell_examples_show_the_published_message(tmp_path, require_tool):
    require_tool(shutil.which("curl") is not None, "curl")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    watch, publish = (block.text.replace(":8000/", f":{port}/") for block in SHELL)
    # The publishing half is pasted until the watcher is there, as a person would.
    script = f"""
        wsserver() {{ {sys.executable} -m wsserver "$@"; }}
        {watch}
        for i in $(seq 60); do
        {publish}
        sleep 0.2
        done
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WSSERVER_")}
    environment |= {
        "WSSERVER_SERVER__PORT": str(port), "WSSERVER_URL": f"http://127.0.0.1:{port}", "no_proxy": "*",
    }  # fmt: skip
    shell = await asyncio.create_subprocess_exec(
        "bash", "-c", script.replace("\n        ", "\n"), stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL, env=environment, start_new_session=True,
    )  # fmt: skip
    output = ""
    try:
        async with asyncio.timeout(60):
            while '{"_meta":' not in output:
                piece = await shell.stdout.read(4096)
                assert piece, output
                output += piece.decode()
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
        await shell.communicate()
    assert '"topic":"patient:123"' in output
    assert '"data":[1.2,1.5,1.8]' in output


def shell_lines() -> list[tuple[str, str]]:
    commands = []
    for path in EVERY_DOCUMENT:
        for block in blocks(path, "sh"):
            text = block.text.replace("\\\n", " ")
            for line in text.splitlines():
                inner = [found[0][1:] for found in _SUBSTITUTION.finditer(line)]
                for part in (_SUBSTITUTION.sub("VALUE", line), *inner):
                    commands += [(path.name, match["rest"]) for match in _PROGRAM.finditer(part)]
    return commands


def test_there_are_shell_lines_to_check():
    named = {rest.split()[0] for _, rest in shell_lines()}
    assert named >= {"run", "token", "subscribe", "check-config", "show-config"}


@pytest.mark.parametrize(("document", "rest"), shell_lines())
def test_every_wsserver_command_of_a_document_exists_with_its_options(document, rest):
    name, *words = rest.split()
    context = click.Context(main)
    command = main.get_command(context, name)
    assert command is not None, f"{document}: wsserver {name}"
    if isinstance(command, click.Group):
        group, name, words = command, f"{name} {words[0]}", words[1:]
        command = group.get_command(context, name.split()[1])
        assert command is not None, f"{document}: wsserver {name}"
    options = {option for parameter in command.params for option in parameter.opts}
    for word in words:
        if word.startswith("-"):
            assert word.split("=")[0] in options, f"{document}: wsserver {name} {word}"


def test_no_gap_is_left_to_be_filled_in():
    assert not re.search(r"\{[A-Z]+\}", README.read_text())
