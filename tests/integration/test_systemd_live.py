"""A server as systemd starts one: what it hears from the start to the end."""

import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from live_server import until

PATIENCE = 60.0
"""Seconds: a late tick of the housekeeping is left out, and on a busy machine many are late."""


async def test_it_hears_of_the_start_a_reload_life_and_the_end(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ears:
        ears.bind(str(tmp_path / "notify"))
        ears.setblocking(False)

        def listen() -> list[str]:
            try:
                while True:
                    heard.extend(ears.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return heard

        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "300000")
        server = await run()
        await until(lambda: listen().count("WATCHDOG=1") > 1, "signs of life", PATIENCE)
        assert heard[0] == "READY=1"
        server.process.send_signal(signal.SIGHUP)
        await until(lambda: listen().count("READY=1") == 2, "the end of the reload", PATIENCE)
        assert heard.index("RELOADING=1") < len(heard) - 1 - heard[::-1].index("READY=1")
        server.process.send_signal(signal.SIGTERM)
        assert await server.ended() == 0
        assert "STOPPING=1" in listen()
