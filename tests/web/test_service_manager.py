"""What systemd hears, by its protocol of datagrams."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from wsserver.web.service_manager import ALIVE, BEATS, READY, ServiceManager


class Systemd:
    """The socket on which it listens."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)

    def heard(self) -> list[str]:
        try:
            return self.socket.recv(4096).decode().split("\n")
        except BlockingIOError:
            return []


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Systemd, str]]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@wsserver-test-{os.getpid()}"
    systemd = Systemd(name.replace("@", "\0"))
    yield systemd, name
    systemd.socket.close()


def test_it_hears_what_it_is_told(systemd: tuple[Systemd, str]) -> None:
    ears, address = systemd
    manager = ServiceManager({"NOTIFY_SOCKET": address})
    assert manager.beat is None
    manager.tell(READY)
    assert ears.heard() == ["READY=1"]
    manager.tell_reloading()
    reloading, since = ears.heard()
    assert reloading == "RELOADING=1"
    assert since.removeprefix("MONOTONIC_USEC=").isdecimal()


def test_without_a_manager_nobody_is_told() -> None:
    manager = ServiceManager({"WATCHDOG_USEC": "1000000"})
    manager.tell(READY)
    assert manager.beat is None


def test_a_manager_that_is_gone_or_deaf_holds_nobody_up(tmp_path: Path) -> None:
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).tell(READY)
    ears = Systemd(str(tmp_path / "deaf"))
    manager = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "deaf")})
    for _ in range(10_000):
        manager.tell(ALIVE)
    ears.socket.close()


@pytest.mark.parametrize(
    ("told", "beat"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30 / BEATS),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30 / BEATS),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "9" * 5000}, None),
    ],
)
def test_its_patience_says_how_often(told: dict[str, str], beat: float | None) -> None:
    assert ServiceManager({"NOTIFY_SOCKET": "@nobody", **told}).beat == beat
