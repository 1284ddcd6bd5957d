"""client.md says what the clients do, and its examples run."""

import asyncio
import json
import re
import subprocess
from pathlib import Path

from aiohttp import web
from documents import DOCS, bare, blocks, table
from live import AUTH, serving, token

import wsserver
from wsserver.connection_manager import ConnectionManager
from wsserver.settings import Settings
from wsserver.web.app import setup

CLIENT = DOCS / "client.md"
SOURCE = Path(wsserver.__file__).parent / "client" / "js"
README = SOURCE / "README.md"

# What the modules hold, as JSON: functions and classes are left out.
FACTS = f"""
import {{ CONNECT_OPTIONS, DEFAULTS }} from "{SOURCE}/options.js";
import {{ EVENTS }} from "{SOURCE}/events.js";
console.log(JSON.stringify({{
  defaults: DEFAULTS, options: Object.keys(DEFAULTS), events: EVENTS, connect: [...CONNECT_OPTIONS],
}}));
"""


def run(node: Path, text: str) -> str:
    command = [node, "--input-type=module", "--eval", text]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_the_tables_are_those_of_the_code(node: Path) -> None:
    facts = json.loads(run(node, FACTS))
    rows = {name: row[1] for row in table(CLIENT, "option", "default") for name in bare(row[0]).split(", ")}
    assert set(rows) == set(facts["options"])
    defaults = {name: json.loads(bare(cell)) for name, cell in rows.items() if cell}
    assert defaults == {name: facts["defaults"][name] for name in defaults}
    assert set(facts["options"]) - set(defaults) == {"random", "now", "timers", "page"}

    assert [bare(row[0]) for row in table(CLIENT, "event", "when")] == facts["events"]
    rows = table(CLIENT, "of `connect`")
    assert [bare(row[0]) for row in rows] == facts["connect"]


def test_every_member_of_an_event_that_is_named_is_typed() -> None:
    types = (SOURCE / "types.d.ts").read_text()
    events = types[types.index("interface ServiceEvents") :]
    for name, _, members in table(CLIENT, "event", "when"):
        declared = re.search(rf"^  {bare(name)}: (.*);$", events, re.MULTILINE)
        assert declared, name
        body = declared[1]
        if not body.startswith("{"):
            found = re.search(rf"^export interface {body} [^{{]*{{(.*?)^}}", types, re.MULTILINE | re.DOTALL)
            body = found[1] if found else body
        for member in re.findall(r"`(\w+)`", members.split(":")[0] if bare(name) == "state" else members):
            if member not in ("ClientError", "_meta", "message", "cause"):
                assert re.search(rf"\b{member}\??:", body), (name, member)


async def test_the_example_shows_what_is_published(node: Path) -> None:
    (example,) = blocks(CLIENT, "js")
    settings = Settings(auth=AUTH)
    app, manager = web.Application(), ConnectionManager(settings)
    setup(app, settings, manager=manager)
    async with serving(app) as port:
        text = example.text.replace("wsserver-client", f"{SOURCE}/index.js").replace(":8000", f":{port}")
        command = (node, "--input-type=module", "--eval", f"const TOKEN = '{token()}';\n{text}")
        program = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert program.stdout is not None
        try:
            async with asyncio.timeout(30):
                assert await program.stdout.readline() == b"connecting\n"
                assert await program.stdout.readline() == b"connected\n"
                while not manager.broadcast_to_patient(123, {"type": "vitals", "hr": 61}):
                    await asyncio.sleep(0.02)
                shown = b""
                while not shown.endswith(b"}\n"):
                    shown += await program.stdout.readline()
        finally:
            program.kill()
            await program.wait()
    assert b"hr: 61" in shown


def test_the_examples_of_the_packages_readme_parse(node: Path, tmp_path: Path) -> None:
    for number, block in enumerate(blocks(README, "js")):
        file = tmp_path / f"example{number}.mjs"
        file.write_text(block.text)
        subprocess.run([node, "--check", file], check=True, timeout=60)
