"""``wsserver alerts``: what people and scripts read, and the status that monitoring looks at."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

TOKEN = "canary.token.text"


def alerts(*levels: str, overloaded: bool = False) -> dict[str, Any]:
    return {
        "active": [
            {"alert": "loop_lag", "level": level, "since": "2026-11-25T21:40:02.113Z", "value": 1200.0}
            for level in levels
        ],
        "current": {
            "loop_lag": {"value": 1.5, "level": "ok", "unit": "ms", "warning": 250.0, "critical": 1000.0},
            "latency": {"value": None, "level": "ok", "unit": "ms", "warning": 200.0, "critical": 500.0},
        },
        "overload": {"active": overloaded, "causes": ["loop_lag"] if overloaded else [], "entered": 0},
        "history": [
            {
                "alert": "mine\x1b[0m",
                "level": "critical",
                "previous": "ok",
                "at": "2026-11-25T21:40:02.113Z",
                "details": {"connections": 3},
            },
            {
                "alert": "SYSTEM_OVERLOAD",
                "level": "critical",
                "previous": "ok",
                "at": "2026-11-25T21:40:01.113Z",
                "details": {"cause": "operator", "reason": "too\nhot"},
            },
        ],
    }


class Rest:
    """A REST server that remembers what it was asked and answers as it is told to."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []
        self.data: Any = alerts()

    async def handle(self, request: web.Request) -> web.Response:
        self.seen.append((request.method, request.path_qs, request.headers["Authorization"]))
        return web.json_response({"status": "success", "data": self.data})


@pytest.fixture
async def rest(aiohttp_server) -> tuple[Rest, str]:
    rest = Rest()
    app = web.Application()
    app.router.add_get("/{path:.*}", rest.handle)
    server = await aiohttp_server(app)
    return rest, str(server.make_url("/"))


async def test_people_read_what_is_wrong_and_every_value(invoke, rest):
    server, url = rest
    server.data = alerts("warning", overloaded=True)
    result = await asyncio.to_thread(invoke, "alerts", "--url", url, WSSERVER_TOKEN=TOKEN)
    assert result.exit_code == 0, result.output
    assert result.stdout == (
        "overloaded: loop_lag\n"
        "warning loop_lag since 2026-11-25T21:40:02.113Z\n"
        "  loop_lag: 1.5 ms, ok (250/1000)\n"
        "  latency: - ms, ok (200/500)\n"
        "2026-11-25T21:40:02.113Z mine\\x1b[0m: ok -> critical\n"
        "2026-11-25T21:40:01.113Z SYSTEM_OVERLOAD: ok -> critical (operator: too\\nhot)\n"
    )
    assert server.seen == [("GET", "/ws/alerts?limit=10", f"Bearer {TOKEN}")]


async def test_a_critical_alert_is_a_failure_for_scripts(invoke, rest):
    server, url = rest
    server.data = alerts("critical")
    result = await asyncio.to_thread(
        invoke, "alerts", "--url", url, "--json", "--limit", "3", WSSERVER_TOKEN=TOKEN
    )
    assert result.exit_code == 1
    assert json.loads(result.stdout)["active"][0]["level"] == "critical"
    assert server.seen[0][1] == "/ws/alerts?limit=3"


async def test_no_alerts_is_said_so(invoke, rest):
    _, url = rest
    result = await asyncio.to_thread(invoke, "alerts", "--url", url, WSSERVER_TOKEN=TOKEN)
    assert result.stdout.startswith("no alerts\n")


@pytest.mark.parametrize("data", [{}, [], {"active": []}, {"active": [{}], "overload": {"active": False}}, 7])
async def test_another_kind_of_answer_is_told(invoke, rest, data):
    server, url = rest
    server.data = data
    for more in ([], ["--json"]):
        result = await asyncio.to_thread(invoke, "alerts", "--url", url, *more, WSSERVER_TOKEN=TOKEN)
        if not more or data in ({}, [], 7):
            assert result.exit_code == 1
            assert "the answer has no alerts" in result.output
