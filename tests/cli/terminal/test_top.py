"""``wsserver top``: once, as JSON, and live in a pseudo-terminal."""

import asyncio
import importlib.util
import json
import os
import pty
import re
import signal
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
from terminal.panels import consumer, overview, slow
from terminal.status_double import StatusDouble

TOKEN = "canary.token.text"
ROOT = Path(__file__).parents[3]


async def top(invoke, status: StatusDouble, *more: str, **environ: str) -> Any:
    return await asyncio.to_thread(invoke, "top", "--url", status.url, *more, WSSERVER_TOKEN=TOKEN, **environ)


async def test_once_prints_one_picture_as_text(invoke, status: StatusDouble) -> None:
    result = await top(invoke, status, "--once", COLUMNS="120")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("wsserver 0.1.0 ward7  accepting")
    assert lines[0].endswith("live")
    assert "\x1b" not in result.stdout
    assert "slow connections: 2, by pending_bytes" in lines


async def test_once_over_polling_has_rates(invoke, status: StatusDouble) -> None:
    result = await top(invoke, status, "--once", "--poll", "--json")
    picture = json.loads(result.stdout)
    assert (picture["source"], picture["rates"]["messages_in"]) == ("polled", 0.0)


async def test_json_is_a_line_for_each_picture(invoke, status: StatusDouble) -> None:
    status.messages = [slow(), overview(), overview(state="draining"), overview(node="a\x9bb\u2028")]
    status.close_code = 4523
    result = await top(invoke, status, "--json")
    assert result.exit_code == 1
    assert [json.loads(line)["state"] for line in result.stdout.splitlines()] == [
        "accepting", "draining", "accepting",
    ]  # fmt: skip
    assert result.stdout.replace("\n", "").isprintable()
    assert "for good (4523)" in result.stderr


async def test_without_rich_it_says_how_to_get_it(
    invoke, status: StatusDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "rich" else find(name))
    for more in ([], ["--once"]):
        result = await top(invoke, status, *more)
        assert result.exit_code == 2
        assert "pip install 'wsserver[cli]'" in result.stderr
    assert (await top(invoke, status, "--once", "--json")).exit_code == 0


async def test_what_is_no_terminal_is_told_so(invoke, status: StatusDouble) -> None:
    result = await top(invoke, status)
    assert result.exit_code == 1
    assert "use --once or --json" in result.stderr


class Terminal:
    """``wsserver top`` in a terminal of 100 columns: what it shows, and hands for its keys."""

    def __init__(self, process: asyncio.subprocess.Process, hands: int, program: int) -> None:
        self.process, self.hands, self.program = process, hands, program
        self.seen = ""
        asyncio.get_running_loop().add_reader(hands, self._read)

    @classmethod
    async def open(cls, status: StatusDouble) -> "Terminal":
        hands, program = pty.openpty()
        termios.tcsetwinsize(program, (40, 100))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "wsserver", "top", "--url", status.url,
            stdin=program, stdout=program, stderr=program,
            env={**os.environ, "PYTHONPATH": str(ROOT), "WSSERVER_TOKEN": TOKEN, "TERM": "xterm-256color"},
        )  # fmt: skip
        return cls(process, hands, program)

    def _read(self) -> None:
        self.seen += os.read(self.hands, 65536).decode(errors="replace")

    async def shows(self, text: str) -> None:
        """Wait until something new is shown."""
        async with asyncio.timeout(30):
            while text not in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.seen):
                assert self.process.returncode is None, self.seen
                await asyncio.sleep(0.01)
        self.seen = ""

    def strike(self, keys: str) -> None:
        os.write(self.hands, keys.encode())

    async def ended(self) -> int:
        async with asyncio.timeout(30):
            status = await self.process.wait()
        asyncio.get_running_loop().remove_reader(self.hands)
        return status

    def close(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        os.close(self.hands)
        os.close(self.program)


async def test_a_terminal_shows_it_live_and_takes_keys(status: StatusDouble) -> None:
    status.messages = [slow(consumer(1)), overview()]
    status.later = asyncio.Queue()
    terminal = await Terminal.open(status)
    try:
        await terminal.shows("by pending_bytes")
        terminal.strike("s")
        await terminal.shows("by pending_messages")
        status.later.put_nowait(overview(state="draining"))
        await terminal.shows("draining")
        terminal.strike("p")
        await terminal.shows("PAUSED")
        status.later.put_nowait(overview(state="refusing"))
        terminal.strike("s")
        await terminal.shows("draining")
        terminal.strike("p")
        await terminal.shows("draining")
        status.later.put_nowait(overview(state="overloaded"))
        await terminal.shows("overloaded")
        terminal.strike("q")
        assert await terminal.ended() == 0
        # The alternate screen is left, the cursor is there again, and what is typed is shown.
        assert "\x1b[?1049l" in terminal.seen
        assert "\x1b[?25h" in terminal.seen
        flags = termios.tcgetattr(terminal.program)[3]
        assert flags & termios.ECHO
        assert flags & termios.ICANON
    finally:
        terminal.close()


async def test_an_interrupt_ends_it_without_a_word(status: StatusDouble) -> None:
    terminal = await Terminal.open(status)
    try:
        await terminal.shows("by pending_bytes")
        # As the terminal would for Ctrl-C, were it the one that controls the process.
        terminal.process.send_signal(signal.SIGINT)
        assert await terminal.ended() == 0
        assert "Traceback" not in terminal.seen
    finally:
        terminal.close()
