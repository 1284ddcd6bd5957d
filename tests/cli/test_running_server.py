"""What ``wsserver doctor --url`` makes of a server's answers."""

import asyncio
import time
from email.utils import formatdate

import pytest
from aiohttp import web
from rest_double import RestDouble
from yarl import URL

from wsserver.cli.running_server import examine_server
from wsserver.doctor.finding import Finding

TOKEN = "canary.token.text"
NOW = 1_800_000_000.25


def said(status: int, text: str, at: float = NOW) -> web.Response:
    return web.Response(status=status, body=text.encode(), headers={"Date": formatdate(at, usegmt=True)})


@pytest.fixture
def well(rest: RestDouble) -> RestDouble:
    rest.by_path = {
        "/health": said(200, '{"status": "ok"}'),
        "/ready": said(200, '{"status": "ready"}'),
        "/ws/alerts": {"active": []},
        "/ws/inspect": {"subscription_health": {"orphaned": 0}},
    }
    return rest


async def examined(rest: RestDouble, token: str | None = TOKEN, now: float = NOW) -> dict[str, Finding]:
    found = await asyncio.to_thread(lambda: list(examine_server(URL(rest.url), token, lambda: now)))
    return {one.check: one for one in found}


def levels(found: dict[str, Finding]) -> dict[str, str]:
    return {name: one.level for name, one in found.items()}


async def test_a_server_that_is_well_is_said_to_be(well: RestDouble) -> None:
    found = await examined(well)
    assert levels(found) == dict.fromkeys(
        ("server", "readiness", "clock_difference", "alerts", "self_test"), "ok"
    )
    assert [path for _, path, _ in well.seen] == ["/health", "/ready", "/ws/alerts", "/ws/inspect"]
    assert [token for *_, token in well.seen] == [None, None, f"Bearer {TOKEN}", f"Bearer {TOKEN}"]


async def test_without_a_token_only_what_everybody_may_ask_is_asked(well: RestDouble) -> None:
    found = await examined(well, None)
    assert found["alerts"].level == "skipped"
    assert len(well.seen) == 2


async def test_a_late_loop_and_a_shut_door_are_told(well: RestDouble) -> None:
    well.by_path["/health"] = said(503, '{"status": "failing", "reason": "loop_lag"}')
    well.by_path["/ready"] = said(503, '{"status": "unready", "reason": "draining"}')
    found = await examined(well)
    assert (found["server"].level, found["readiness"].level) == ("fault", "warning")
    assert "loop_lag" in found["server"].text
    assert "draining" in found["readiness"].text


@pytest.mark.parametrize(
    ("apart", "level"),
    [
        (0.0, "ok"),
        (0.7, "ok"),
        (-0.7, "ok"),
        (2.5, "warning"),
        (-2.5, "warning"),
        (6.5, "fault"),
        (-6.5, "fault"),
    ],
)
async def test_clocks_that_differ_are_told(well: RestDouble, apart: float, level: str) -> None:
    assert (await examined(well, now=NOW - apart))["clock_difference"].level == level


async def test_a_second_that_is_cut_off_is_no_difference(well: RestDouble) -> None:
    # The header says 1 s before this, and on the average it is half of one.
    assert (await examined(well, now=NOW + 0.95))["clock_difference"].level == "ok"


async def test_alerts_and_orphans_are_told(well: RestDouble) -> None:
    well.by_path["/ws/alerts"] = {"active": [{"alert": "mine\x1b", "level": "warning", "since": "now"}]}
    well.by_path["/ws/inspect"] = {"subscription_health": {"orphaned": 2}}
    found = await examined(well)
    assert (found["alerts"].level, found["alerts"].text) == ("warning", "mine\\x1b since now")
    assert found["self_test"].level == "fault"
    well.by_path["/ws/alerts"] = {"active": [{"alert": "a", "level": "critical", "since": "now"}]}
    assert (await examined(well))["alerts"].level == "fault"


@pytest.mark.parametrize("body", ["", "[]", "<html>", '{"a": 1}', '{"status": 7}', "[" * 5000])
async def test_a_stranger_is_told(well: RestDouble, body: str) -> None:
    well.by_path["/health"] = said(200, body)
    assert levels(await examined(well)) == {"server": "fault"}


async def test_a_token_that_may_not_is_told(well: RestDouble) -> None:
    refused = '{"status":"error","error":{"code":1011,"name":"permission_denied","message":"Not allowed."}}'
    well.by_path["/ws/alerts"] = said(403, refused)
    found = await examined(well)
    assert (found["alerts"].level, "1011" in found["alerts"].text) == ("warning", True)
    for answer in (None, [], {"active": [7]}):
        well.by_path["/ws/alerts"] = answer
        assert (await examined(well))["alerts"].level == "fault"


def test_nobody_there_is_a_fault() -> None:
    (found,) = examine_server(URL("http://127.0.0.1:1"), TOKEN, time.time)
    assert (found.check, found.level) == ("server", "fault")
    assert "canary" not in found.text
