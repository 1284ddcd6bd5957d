"""``wsserver doctor``: what people read and scripts look at."""

import asyncio
import json
from typing import Any

import pytest
from rest_double import RestDouble

from wsserver.doctor import examination
from wsserver.doctor.finding import Finding, fault, ok, skipped, warning


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """What the examination of this machine finds."""
    findings: list[Finding] = []
    monkeypatch.setattr(examination, "examine", lambda *how, **more: findings)
    return findings


def test_people_read_a_line_each_and_what_to_do(invoke, found: list[Finding]) -> None:
    found += [ok("core", "fine"), warning("port", "near\x1b[0m", "move it"), skipped("clock", "unseen")]
    result = invoke("doctor")
    assert result.exit_code == 0
    assert result.stdout == (
        "ok       core: fine\n"
        "WARNING  port: near\\x1b[0m\n"
        "         -> move it\n"
        "skipped  clock: unseen\n"
        "1 ok, 1 warning, 0 faults, 1 skipped\n"
    )


def test_a_fault_ends_with_1(invoke, found: list[Finding]) -> None:
    found += [ok("core", "fine"), fault("port", "taken", "set server.port")]
    result = invoke("doctor", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == [
        {"check": "core", "level": "ok", "text": "fine", "remedy": None},
        {"check": "port", "level": "fault", "text": "taken", "remedy": "set server.port"},
    ]


def test_the_real_examination_runs_and_says_no_secret(invoke) -> None:
    result = invoke("doctor", "--json", WSSERVER_SERVER__PORT="0")
    assert {one["check"] for one in json.loads(result.stdout)} > {"core", "descriptors", "memory"}
    assert "canary" not in result.output


async def test_a_running_server_is_asked_when_its_address_is_given(
    invoke, found: list[Finding], rest: RestDouble
) -> None:
    rest.data = {}
    result: Any = await asyncio.to_thread(invoke, "doctor", "--url", rest.url)
    assert result.exit_code == 1
    assert "is no wsserver" in result.stdout
    assert [path for _, path, _ in rest.seen] == ["/health", "/ready"]
