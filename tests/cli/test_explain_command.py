"""``wsserver explain``."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

TOKEN = "canary.token.text"
ZEROS = dict.fromkeys(("slow", "conflated", "expired", "closed", "shutdown"), 0)
MESSAGE = {
    "message_id": "m_1",
    "topic": "patient:123",
    "log": "l1v",
    "seq": 7,
    "considered": 9,
    "filtered": 2,
    "denied": 1,
    "matched": 6,
    "delivered": 5,
    "refused": {"slow": 1},
    "outcome": {"written": 3, "queued": 1, "dropped": {**ZEROS, "closed": 1}},
    "acknowledged": 2,
}
CONNECTION = {
    "connection_id": "c_1",
    "open": True,
    "reason": "filtered",
    "certain": False,
    "text": "The filter is false.",
    "subscriptions": [
        {
            "subscription_id": "s_1",
            "subscription_type": "patient",
            "target_id": "123",
            "outcome": "filtered",
            "text": "✗ vitals.hr is 90, wanted > 120\n✓ lead is there",
        }
    ],
}


class Rest:
    """A REST server that remembers what it was asked and answers as it is told to."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.data: Any = {"message": MESSAGE, "connections": []}
        self.answer = lambda: web.json_response({"status": "success", "data": self.data})

    async def handle(self, request: web.Request) -> web.Response:
        self.seen.append((request.path_qs, request.headers["Authorization"]))
        return self.answer()


@pytest.fixture
async def rest(aiohttp_server) -> tuple[Rest, str]:
    rest = Rest()
    app = web.Application()
    app.router.add_get("/{path:.*}", rest.handle)
    server = await aiohttp_server(app)
    return rest, str(server.make_url("/"))


async def explain(invoke, url: str, *arguments: str) -> Any:
    return await asyncio.to_thread(invoke, "explain", "--url", url, *arguments, WSSERVER_TOKEN=TOKEN)


async def test_people_read_the_sums_of_a_message(invoke, rest) -> None:
    server, url = rest
    result = await explain(invoke, url, "m_1")
    assert result.exit_code == 0, result.output
    assert result.stdout == (
        "m_1 to patient:123, number 7 of l1v\n"
        "  subscriptions: 9 considered, 2 filtered, 1 denied\n"
        "  connections: 6 matched = 5 delivered + 1 refused (1 slow)\n"
        "  delivered: 3 written + 1 queued + 1 dropped (1 closed)\n"
        "  acknowledged: 2\n"
    )
    assert server.seen == [("/ws/explain/m_1", f"Bearer {TOKEN}")]


async def test_people_read_why_a_connection_did_not_get_it(invoke, rest) -> None:
    server, url = rest
    ended = {**CONNECTION, "open": False, "certain": True, "reason": "closed", "subscriptions": []}
    server.data = {"message": MESSAGE, "connections": [CONNECTION, {**ended, "text": "It\x1b[0m ended."}]}
    result = await explain(invoke, url, "m_1", "--connection", "c_1")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[5:] == [
        "c_1: filtered, perhaps",
        "    The filter is false.",
        "  s_1 patient:123: filtered",
        "    ✗ vitals.hr is 90, wanted > 120",
        "    ✓ lead is there",
        "c_1 (has ended): closed",
        "    It\\x1b[0m ended.",
    ]
    assert server.seen[0][0] == "/ws/explain/m_1?connection_id=c_1"


async def test_a_user_may_be_asked_about_and_ids_are_quoted(invoke, rest) -> None:
    server, url = rest
    result = await explain(invoke, url, "m_1", "--user", "n 1&admin=1")
    assert result.exit_code == 0, result.output
    assert server.seen[0][0] == "/ws/explain/m_1?user_id=n+1%26admin%3D1"


@pytest.mark.parametrize("message_id", ["m_1/../../ws/drain", "..", "m_1?x=y", ""])
async def test_what_is_no_id_is_not_made_a_path_of(invoke, rest, message_id: str) -> None:
    server, url = rest
    result = await explain(invoke, url, message_id)
    assert result.exit_code == 2
    assert "MESSAGE_ID must be" in result.output
    assert server.seen == []


async def test_not_both(invoke, rest) -> None:
    server, url = rest
    result = await explain(invoke, url, "m_1", "--user", "u", "--connection", "c")
    assert result.exit_code == 2
    assert "not both" in result.output
    assert server.seen == []


async def test_for_machines_the_answer_is_json_on_one_line(invoke, rest) -> None:
    server, url = rest
    server.data = {"message": {**MESSAGE, "topic": "patient:\x9b31m\u2028"}, "connections": [CONNECTION]}
    result = await explain(invoke, url, "m_1", "--json")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1
    assert json.loads(result.stdout) == server.data


@pytest.mark.parametrize("data", [{}, {"message": {}, "connections": []}, [], None, "text"])
async def test_another_servers_answer_is_a_failure(invoke, rest, data: Any) -> None:
    server, url = rest
    server.data = data
    result = await explain(invoke, url, "m_1")
    assert result.exit_code == 1
    assert "the answer explains nothing" in result.output


async def test_an_error_of_the_server_is_a_failure(invoke, rest) -> None:
    server, url = rest
    error = {"code": 1014, "name": "not_found", "message": "No such message is kept."}
    server.answer = lambda: web.json_response({"status": "error", "error": error}, status=404)
    result = await explain(invoke, url, "m_1")
    assert result.exit_code == 1
    assert "1014 not_found: No such message is kept. (HTTP 404)" in result.output
