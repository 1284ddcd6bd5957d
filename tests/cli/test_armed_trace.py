"""``wsserver trace --arm``."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from wsserver.cli import armed_trace
from wsserver.cli.armed_trace import message_text

TOKEN = "canary.token.text"
TRACE = {
    "trace_id": "t_1", "state": "armed", "armed_at": "2026-11-26T10:00:00.000Z", "by": "ops",
    "criteria": {"type": "ecg_data", "patient_id": "1\x1b[0m"}, "messages": 2, "seconds": 30.0, "body": False,
    "seen": 0,
}  # fmt: skip
MESSAGE = {
    "trace_id": "t_1", "number": 1, "message_id": "m_1", "duplicate_of": None,
    "ts": "2026-11-26T10:00:01.000Z", "door": "rest", "publisher": "backend", "topic": "patient:1",
    "type": "ecg_data", "patient_id": "1", "size": 25, "direct": False, "log": "l1v", "seq": 7,
    "durability": "memory", "stage": "queued", "error": None, "settled": True,
    "stages": [
        {"stage": "received", "us": 0},
        {"stage": "validated", "us": 41},
        {"stage": "stored", "us": 48},
        {"stage": "matched", "us": 78, "considered": 5},
        {"stage": "filtered", "us": 78, "matching": 3, "filtered": 1, "denied": 1},
        {
            "stage": "encoded", "us": 90,
            "encodings": {"json": {"us": 85, "bytes": 153}, "binary": {"us": 90, "bytes": 99}},
        },
        {"stage": "queued", "us": 95, "matched": 3, "delivered": 2, "refused": {"slow": 1, "closing": 0}},
        {
            "stage": "written", "written": 1, "queued": 0, "dropped": {"conflated": 1}, "replayed": 1,
            "first_us": 200, "us": 3078,
        },
    ],
    "connections": [
        {"connection_id": "c_1", "user_id": "n1", "outcome": "refused_slow"},
        {"connection_id": "c_2", "user_id": "n2", "outcome": "conflated", "into": "m_2"},
        {"connection_id": "c_3", "user_id": "n3", "outcome": "queued", "ahead": 3},
        {"connection_id": "c_4", "user_id": "n\x1b[0m4", "outcome": "written", "us": 3078},
        {"connection_id": None, "user_id": None, "outcome": "replayed", "us": 3500},
        {"connection_id": "c_5", "user_id": "d1", "outcome": "filtered", "clauses": ["severity", "hr.$gt"]},
    ],
    "more": 4, "body": None,
}  # fmt: skip


class Rest:
    """A server that answers one question after the other as it is told to."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, Any]] = []
        self.armed: Any = {"trace": TRACE}
        self.reports: list[Any] = []

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.text()
        self.seen.append((request.method, request.path_qs, json.loads(body) if body else None))
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        data = self.reports.pop(0) if request.method == "GET" else self.armed
        return web.json_response({"status": "success", "data": data})


@pytest.fixture
async def rest(aiohttp_server, monkeypatch) -> tuple[Rest, str]:
    monkeypatch.setattr(armed_trace, "PAUSE", 0.0)
    monkeypatch.setattr(armed_trace, "PATIENCE", 0.0)
    rest = Rest()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", rest.handle)
    server = await aiohttp_server(app)
    return rest, str(server.make_url("/"))


def report(state: str, seen: int, *messages: Any) -> dict[str, Any]:
    return {"trace": {**TRACE, "state": state, "seen": seen}, "messages": list(messages)}


async def run(invoke, url: str, *arguments: str) -> Any:
    return await asyncio.to_thread(invoke, "trace", "--url", url, *arguments, WSSERVER_TOKEN=TOKEN)


async def test_a_trace_is_armed_and_its_id_is_told(invoke, rest) -> None:
    server, url = rest
    asked = ("--arm", "type=ecg_data", "--arm", "patient=1", "--messages", "2", "--seconds", "30", "--body")
    result = await run(invoke, url, *asked)
    assert result.exit_code == 0, result.output
    assert result.stdout == (
        "t_1: armed for type ecg_data, patient_id 1\\x1b[0m; 2 messages or 30 s, whichever ends first\n"
    )
    order = {"type": "ecg_data", "patient_id": "1", "messages": 2, "seconds": 30.0, "body": True}
    assert server.seen == [("POST", "/ws/traces", order)]


async def test_every_criterion_has_its_name_and_any_is_none(invoke, rest) -> None:
    server, url = rest
    server.armed = {"trace": {**TRACE, "criteria": {}}}
    named = ("message=m_1", "user=n=1", "topic=patient:1")
    result = await run(invoke, url, *(part for one in named for part in ("--arm", one)))
    assert result.exit_code == 0, result.output
    result = await run(invoke, url, "--arm", "any")
    assert result.stdout.startswith("t_1: armed for every message; ")
    assert [body for _, _, body in server.seen] == [
        {"message_id": "m_1", "user_id": "n=1", "topic": "patient:1"}, {},
    ]  # fmt: skip


async def test_who_follows_reads_each_message_once_when_it_has_left(invoke, rest, monkeypatch) -> None:
    server, url = rest
    monkeypatch.setattr(armed_trace, "PATIENCE", 100.0)
    unsettled, second = {**MESSAGE, "settled": False}, {**MESSAGE, "number": 2, "message_id": "m_9"}
    server.reports = [
        report("armed", 0),
        report("armed", 1, unsettled),
        report("armed", 2, MESSAGE, {**second, "settled": False}),
        report("complete", 2, second),
    ]
    result = await run(invoke, url, "--arm", "type=ecg_data", "--follow", "--json")
    assert result.exit_code == 0, result.output
    assert [json.loads(line) for line in result.stdout.splitlines()] == [MESSAGE, second]
    assert [path for _, path, _ in server.seen[1:]] == [
        f"/ws/traces/t_1?after={number}" for number in (0, 0, 0, 1)
    ]
    assert "armed for" in result.stderr


async def test_one_that_does_not_leave_is_shown_after_a_while(invoke, rest) -> None:
    server, url = rest
    server.reports = [report("expired", 1, {**MESSAGE, "settled": False})]
    result = await run(invoke, url, "--arm", "any", "--follow")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("1  m_1  ecg_data to patient:1")


async def test_what_the_server_has_no_room_for_is_not_waited_for(invoke, rest) -> None:
    server, url = rest
    server.reports = [report("complete", 5, {**MESSAGE, "number": 3}), report("complete", 5)]
    result = await run(invoke, url, "--arm", "any", "--follow")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("3  m_1")


async def test_whoever_interrupts_ends_the_trace(invoke, rest, monkeypatch) -> None:
    server, url = rest
    server.reports = [report("armed", 0)]

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(armed_trace.time, "sleep", interrupted)
    result = await run(invoke, url, "--arm", "any", "--follow")
    assert result.exit_code == 1
    assert server.seen[-1] == ("DELETE", "/ws/traces/t_1", None)


def test_people_read_the_way_the_sums_and_each_connection() -> None:
    assert message_text(MESSAGE).splitlines() == [
        "1  m_1  ecg_data to patient:1, 25 B, rest by backend",
        "    received 0.000 > validated 0.041 > stored 0.048 > matched 0.078 (5) > filtered 0.078 (3)"
        " > encoded 0.090 (json 153 B, binary 99 B) > queued 0.095 > written 3.078 ms",
        "    3 matched = 2 delivered + 1 refused (1 slow)",
        "    2 delivered = 1 written + 0 queued + 1 dropped (1 conflated); 1 replayed",
        "    c_1 n1: refused_slow",
        "    c_2 n2: conflated into m_2",
        "    c_3 n3: queued, 3 frames before it",
        "    c_4 n\\x1b[0m4: written after 3.078 ms",
        "    a connection that has ended: replayed after 3.500 ms",
        "    c_5 d1: filtered at severity, hr.$gt",
        "    and 4 more",
    ]


def test_people_read_where_a_refused_one_ended() -> None:
    refused = {
        **MESSAGE, "message_id": None, "type": None, "size": None, "publisher": None, "stage": "validated",
        "stages": [{"stage": "received", "us": 0}], "connections": [], "more": 0, "body": '{"n":\x1b',
        "error": {"code": 1003, "name": "invalid_subscription", "message": "Invalid message."},
    }  # fmt: skip
    assert message_text(refused).splitlines() == [
        "1  no id  no type to patient:1, rest",
        "    received 0.000 ms",
        "    refused at validated: 1003 invalid_subscription: Invalid message.",
        '    says {"n":\\x1b',
    ]
    again = {**refused, "error": None, "duplicate_of": "m_7", "body": None}
    assert message_text(again).splitlines()[2:] == ["    brought before, as m_7; nothing is sent again"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give --message for a dry run, or --arm"),
        (("--arm", "any", "--message", "-"), "give --message for a dry run, or --arm"),
        (("--arm", "type"), "--arm takes any, or message, type, patient, user, topic"),
        (("--arm", "type="), "--arm takes any"),
        (("--arm", "colour=red"), "--arm takes any"),
        (("--arm", "any", "--arm", "type=x"), "--arm takes any"),
        (("--arm", "type=x", "--arm", "type=y"), "--arm type= is given twice"),
        (("--arm", "any", "--topic", "type:x"), "--topic goes with --message"),
        (("--arm", "any", "--limit", "5"), "--limit goes with --message"),
        (("--message", "-", "--messages", "5"), "--messages goes with --arm"),
        (("--message", "-", "--follow"), "--follow goes with --arm"),
        (("--message", "-", "--body"), "--body goes with --arm"),
        (("--arm", "any", "--messages", "1001"), "1001 is not in the range"),
        (("--arm", "any", "--seconds", "0"), "is not in the range"),
    ],
)
async def test_what_does_not_go_together_is_a_mistake(
    invoke, rest, arguments: tuple[str, ...], words: str
) -> None:
    server, url = rest
    result = await run(invoke, url, *arguments)
    assert result.exit_code == 2, result.output
    assert words in result.output
    assert server.seen == []


@pytest.mark.parametrize("data", [{}, None, [], "text", {"trace": {}}, {"trace": []}])
async def test_another_servers_answer_is_a_failure(invoke, rest, data: Any) -> None:
    server, url = rest
    server.armed = data
    result = await run(invoke, url, "--arm", "any")
    assert result.exit_code == 1
    assert "the answer is no trace" in result.output
