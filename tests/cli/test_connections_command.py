"""``wsserver connections`` and ``wsserver disconnect``: what people read, and what is asked of the server."""

import asyncio
import json
from typing import Any

import pytest
from rest_double import RestDouble

TOKEN = "canary.token.text"

ROW = {
    "connection_id": "c_1",
    "user_id": "nurse7",
    "role": "nurse",
    "patient_id": None,
    "address": "203.0.113.9",
    "protocol": "wsserver.v1.json",
    "connected_at": "2026-11-25T21:32:57.020Z",
    "connected_seconds": 425.093,
    "idle_seconds": 3.25,
    "rtt_ms": None,
    "subscriptions": 1,
    "messages_in": 14,
    "bytes_in": 1022,
    "messages_out": 2051,
    "bytes_out": 501200,
    "pending_messages": 1,
    "pending_bytes": 200,
    "dropped": 44,
    "state": "slow",
}
PAGE = {
    "connections": [ROW, {**ROW, "user_id": "\x1b[31mred"}],
    "total": 9,
    "matching": 4,
    "next_cursor": None,
}
TOKEN_INFO = {
    "token_id": "t_1",
    "expires_at": "2026-11-25T22:32:57.000Z",
    "expires_in": 3174.9,
    "patients": None,
}
INFO: dict[str, Any] = {
    **ROW,
    "rights_changed_at": None,
    "refused_commands": 0,
    "health": {"state": "healthy", "timeout_seconds": 90.0, "missed_pings": 0, "average_rtt_ms": 11.8},
    "slow": {"slow_seconds": 5.0, "oldest_seconds": 6.0, "lost": 44, "ending": False},
    "token": TOKEN_INFO,
    "session": {"kept": True, "ttl_seconds": 120.0, "resumed": True},
    "subscribed": [
        {
            "subscription_id": "s_1",
            "subscription_type": "patient",
            "target_id": "123",
            "filters": {"severity": "high"},
            "complexity": 1.0,
            "idle_seconds": 424.9,
        }
    ],
    "events": [
        {
            "at": "2026-11-25T21:32:57.113Z",
            "kind": "subscribed",
            "connection_id": "c_1",
            "subscription_id": "s_1",
            "subscription_type": "patient",
            "target_id": "123",
            "detail": None,
        }
    ],
    "gaps": [
        {
            "at": "2026-11-25T21:36:02.411Z",
            "log": "k3f9v",
            "topic": "patient:123",
            "from": 801,
            "to": 844,
            "count": 44,
            "reason": "slow",
        }
    ],
    "gaps_told": 1,
}


async def run(invoke, command: str, rest: RestDouble, *more: str) -> Any:
    return await asyncio.to_thread(invoke, command, "--url", rest.url, *more, WSSERVER_TOKEN=TOKEN)


async def test_people_read_a_table(invoke, rest: RestDouble) -> None:
    rest.data = PAGE
    result = await run(invoke, "connections", rest)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    heads = "connection user role patient address connected idle rtt ms subs in out pending drops state"
    assert " ".join(lines[0].split()) == heads
    assert " ".join(lines[1].split()) == "c_1 nurse7 nurse - 203.0.113.9 425s 3s - 1 14 2051 200 44 slow"
    assert "\\x1b[31mred" in lines[2]
    assert lines[3] == "2 of 4 that match, 9 are open"
    assert rest.seen == [("GET", "/ws/connections?sort=connected&limit=20", f"Bearer {TOKEN}")]


async def test_what_is_asked_for_reaches_the_server(invoke, rest: RestDouble) -> None:
    rest.data = PAGE
    asked = {"role": "nurse", "state": "slow", "user": "nurse7", "patient": "123", "limit": "5"}
    more = ["--sort=-pending", *(f"--{name}={value}" for name, value in asked.items())]
    assert (await run(invoke, "connections", rest, *more)).exit_code == 0
    assert rest.seen[0][1] == (
        "/ws/connections?sort=-pending&limit=5&role=nurse&state=slow&user_id=nurse7&patient_id=123"
    )


async def test_an_empty_server_is_an_empty_table(invoke, rest: RestDouble) -> None:
    rest.data = {"connections": [], "total": 0, "matching": 0, "next_cursor": None}
    result = await run(invoke, "connections", rest)
    assert result.stdout.splitlines()[-1] == "0 of 0 that match, 0 are open"


async def test_all_of_one_is_told(invoke, rest: RestDouble) -> None:
    rest.data = INFO
    result = await run(invoke, "connections", rest, "c_1")
    assert result.exit_code == 0, result.output
    assert result.stdout == (
        "c_1: nurse7 (nurse), slow\n"
        "  since 2026-11-25T21:32:57.020Z from 203.0.113.9, wsserver.v1.json\n"
        "  token: until 2026-11-25T22:32:57.000Z, every patient\n"
        "  session: kept, resumed\n"
        "  heartbeat: healthy, round trip - ms (average 11.8), 0 missed, idle 3s of 90s\n"
        "  in: 14 messages, 1022 bytes\n"
        "  out: 2051 messages, 501200 bytes\n"
        "  waiting: 1 messages, 200 bytes; dropped: 44\n"
        "  slow for 5s, 44 messages lost since\n"
        '  s_1 patient:123 {"severity":"high"}\n'
        "  2026-11-25T21:36:02.411Z told of a loss (slow): 44 of patient:123\n"
        "  2026-11-25T21:32:57.113Z subscribed patient:123\n"
    )
    assert rest.seen[0][1] == "/ws/connections/c_1"


async def test_json_is_the_answer_on_one_line(invoke, rest: RestDouble) -> None:
    for data, more in ((PAGE, ["--json"]), (INFO, ["c_1", "--json"])):
        rest.data = data
        result = await run(invoke, "connections", rest, *more)
        assert json.loads(result.stdout) == data
        assert result.stdout.count("\n") == 1


@pytest.mark.parametrize("data", [None, [], 7, {}, {"connections": [{}]}, {"connections": 5}])
async def test_another_kind_of_answer_is_told(invoke, rest: RestDouble, data: Any) -> None:
    rest.data = data
    for command, more in (("connections", []), ("connections", ["c_1"]), ("disconnect", ["c_1"])):
        result = await run(invoke, command, rest, *more)
        assert result.exit_code == 1, result.output
        assert "is this a wsserver of the same version" in result.stderr


async def test_one_or_all_of_a_user_are_ended(invoke, rest: RestDouble) -> None:
    rest.data = {"disconnected": 1}
    result = await run(invoke, "disconnect", rest, "c_1", "--reason", "wrong ward")
    assert (result.exit_code, result.stdout) == (0, "1 connection ended\n")
    rest.data = {"disconnected": 3}
    result = await run(invoke, "disconnect", rest, "--user", "nurse7", "--reconnect")
    assert result.stdout == "3 connections ended\n"
    assert [one[:2] for one in rest.seen] == [
        ("POST", "/ws/connections/c_1/disconnect"),
        ("POST", "/ws/users/nurse7/disconnect"),
    ]
    assert [json.loads(one) for one in rest.bodies] == [
        {"reason": "wrong ward", "reconnect": False},
        {"reason": "", "reconnect": True},
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["disconnect"],
        ["disconnect", "c_1", "--user", "u1"],
        ["disconnect", "a b"],
        ["disconnect", "--user", "../admin"],
        ["connections", "a/b"],
        ["connections", "--sort", "user"],
        ["connections", "--state", "bored"],
        ["connections", "--limit", "0"],
        ["connections", "--role", ""],
    ],
    ids=" ".join,
)
def test_what_cannot_be_asked_is_told_before_anything_is_sent(invoke, arguments: list[str]) -> None:
    result = invoke(*arguments, "--url", "http://127.0.0.1:1", WSSERVER_TOKEN=TOKEN)
    assert result.exit_code == 2
    assert TOKEN not in result.output
