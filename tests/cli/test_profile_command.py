"""``wsserver profile``: what is asked, what people read."""

import asyncio
import json
from typing import Any

import pytest
from rest_double import RestDouble

from wsserver.cli import profile as profile_module
from wsserver.profiling.loop_profile import MAX_SECONDS

TOKEN = "canary.token.text"
FUNCTIONS = [
    {"function": f"wsserver.some:thing{number}", "calls": number, "own_ms": 1.5, "total_ms": 2.25}
    for number in range(12)
]
PROFILE = {
    "seconds": 2.0,
    "ended": "time",
    "cpu_seconds": 0.5,
    "worst_lag_ms": 1.25,
    "by_own_time": FUNCTIONS,
    "by_total_time": [{**FUNCTIONS[0], "function": "wild\x1b[2J"}],
    "core": {
        "counters": {"frames_sent": 300},
        "times": {"flush_slice": {"count": 7, "mean_ms": 0.125, "p50_ms": 0.1, "p99_ms": None}},
    },
}


async def profile(invoke, rest: RestDouble, *more: str) -> Any:
    return await asyncio.to_thread(invoke, "profile", "--url", rest.url, *more, WSSERVER_TOKEN=TOKEN)


async def test_people_read_figures_and_functions(invoke, rest: RestDouble) -> None:
    rest.data = PROFILE
    result = await profile(invoke, rest, "--seconds", "2", "--top", "3")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "2 s (ended: time), processor 0.5 s, worst lag 1.25 ms"
    assert lines[2].split() == ["frames_sent", "300", "150.0/s"]
    assert lines[5].split() == ["flush_slice", "7", "0.125", "0.1", "-"]
    assert lines[7] == "functions by own time:"
    assert [line.split()[-1][-6:] for line in lines[9:12]] == ["thing0", "thing1", "thing2"]
    assert lines[-1].endswith("wild\\x1b[2J")
    assert rest.seen == [("GET", "/ws/profile?seconds=2", f"Bearer {TOKEN}")]


async def test_for_machines_the_answer_is_json(invoke, rest: RestDouble) -> None:
    rest.data = PROFILE
    result = await profile(invoke, rest, "--json")
    assert json.loads(result.stdout) == PROFILE
    assert rest.seen[0][1] == "/ws/profile?seconds=5"


@pytest.mark.parametrize("more", [("--seconds", "0"), ("--seconds", "31"), ("--top", "0"), ("--top", "26")])
def test_what_the_server_would_refuse_is_not_asked(invoke, more: tuple[str, str]) -> None:
    assert invoke("profile", "--token", TOKEN, *more).exit_code == 2
    assert profile_module._MAX_SECONDS == MAX_SECONDS


async def test_a_long_profile_is_waited_for(invoke, rest: RestDouble, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(profile_module, "get", lambda url, token, patience: asked.append(patience) or PROFILE)
    await profile(invoke, rest, "--seconds", "30")
    assert asked[0] > 30 + 10


@pytest.mark.parametrize("data", [None, [], 7, {}, {**PROFILE, "core": 3}, {**PROFILE, "seconds": "x"}])
async def test_another_kind_of_answer_is_told(invoke, rest: RestDouble, data: Any) -> None:
    rest.data = data
    result = await profile(invoke, rest)
    assert result.exit_code == 1
    assert "the answer is no profile" in result.stderr
