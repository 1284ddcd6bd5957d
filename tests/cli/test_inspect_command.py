"""``wsserver inspect``: what people read, and the status that scripts look at."""

import asyncio
import json
from typing import Any

import pytest
from rest_double import RestDouble

TOKEN = "canary.token.text"


def inspected(orphaned: int = 0) -> dict[str, Any]:
    return {
        "total_connections": 3,
        "total_subscriptions": 4,
        "by_role": {"doctor": 1, "nurse\x1b[0m": 2},
        "subscriptions": {"total": 4, "by_type": {"patient": 4}, "filter_complexity": 1.5},
        "health": {"healthy_connections": 3, "avg_latency": None},
        "subscription_health": {"total_subscriptions": 4, "active_connections": 3, "orphaned": orphaned},
    }


async def inspect(invoke, rest: RestDouble, *more: str) -> Any:
    return await asyncio.to_thread(invoke, "inspect", "--url", rest.url, *more, WSSERVER_TOKEN=TOKEN)


async def test_people_read_who_is_there(invoke, rest: RestDouble) -> None:
    rest.data = inspected()
    result = await inspect(invoke, rest)
    assert result.exit_code == 0, result.output
    assert result.stdout == (
        "Total connections: 3\n"
        "  doctor: 1\n"
        "  nurse\\x1b[0m: 2\n"
        "Total subscriptions: 4\n"
        "  patient: 4\n"
        "Subscription metrics: total 4, filter_complexity 1.5\n"
        "Health metrics: healthy_connections 3, avg_latency -\n"
        "Orphaned subscriptions: 0\n"
    )
    assert rest.seen == [("GET", "/ws/inspect", f"Bearer {TOKEN}")]


async def test_an_orphan_is_a_failure_until_it_is_repaired(invoke, rest: RestDouble) -> None:
    rest.data = inspected(2)
    result = await inspect(invoke, rest, "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (1, rest.data)
    rest.by_path["/ws/subscriptions/check"] = inspected(2)["subscription_health"]
    result = await inspect(invoke, rest, "--repair")
    assert result.exit_code == 0
    assert result.stdout.endswith("Orphaned subscriptions: 2 (ended now)\n")
    assert rest.seen[-1] == ("POST", "/ws/subscriptions/check", f"Bearer {TOKEN}")


@pytest.mark.parametrize("data", [None, [], 7, {}, {"total_connections": 1}])
async def test_another_kind_of_answer_is_told(invoke, rest: RestDouble, data: Any) -> None:
    rest.data = data
    for more in ([], ["--json"], ["--repair"]):
        result = await inspect(invoke, rest, *more)
        assert result.exit_code == 1
        assert "the answer inspects nothing" in result.stderr
