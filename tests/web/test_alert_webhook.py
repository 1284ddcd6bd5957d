"""Posting alerts: to one that takes them, one that refuses, one that hangs, and one that is not there."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
from aiohttp import web

from wsserver.observe.alerts import AlertChange, Level
from wsserver.settings import AlertsSettings
from wsserver.web import alert_webhook
from wsserver.web.alert_webhook import ATTEMPTS, AlertWebhook

CANARY = "canary-7f3a"


def change(number: int = 1) -> AlertChange:
    return AlertChange("loop_lag", Level.OK, Level.WARNING, 1_800_000_000.0 + number, value=300.0, unit="ms")


class Pager:
    """The other end: answers with the statuses it is told, then 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.bodies: list[dict[str, Any]] = []
        self.attempts = 0
        self.led_astray = 0
        self.hang = asyncio.Event()
        self.hang.set()

    async def astray(self, request: web.Request) -> web.Response:
        self.led_astray += 1
        return web.Response()

    async def handle(self, request: web.Request) -> web.Response:
        self.attempts += 1
        body = await request.json()
        await self.hang.wait()
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            self.bodies.append(body)
        headers = {"Location": "/elsewhere"} if 300 <= status < 400 else {}
        return web.Response(status=status, headers=headers)


class Posting:
    """A webhook whose pauses take no time and are written down."""

    def __init__(self, url: str | None, **changed: Any) -> None:
        self.settings = AlertsSettings(webhook_url=url, **changed)
        self.pauses: list[float] = []
        self.webhook = AlertWebhook(lambda: self.settings, sleep=self._sleep, chance=lambda: 1.0)

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.002)


@pytest.fixture
async def pager(aiohttp_server) -> tuple[Pager, str]:
    pager = Pager()
    app = web.Application()
    app.router.add_post(f"/{CANARY}", pager.handle)
    app.router.add_route("*", "/elsewhere", pager.astray)
    server = await aiohttp_server(app)
    return pager, str(server.make_url(f"/{CANARY}"))


Start = Callable[..., Awaitable[Posting]]


@pytest.fixture
async def posting() -> AsyncIterator[Start]:
    started: list[Posting] = []

    async def start(url: str | None, **changed: Any) -> Posting:
        posting = Posting(url, **changed)
        posting.webhook.start(asyncio.get_running_loop())
        started.append(posting)
        return posting

    yield start
    for one in started:
        await one.webhook.close()


async def test_a_change_is_posted_as_json(pager, posting):
    other_end, url = pager
    here = await posting(url)
    here.webhook.put(change())
    await here.until(lambda: here.webhook.delivered)
    assert other_end.bodies == [
        {
            "source": "wsserver",
            "host": socket.gethostname(),
            "alert": "loop_lag",
            "level": "warning",
            "previous": "ok",
            "at": "2027-01-15T08:00:01.000Z",
            "value": 300.0,
            "unit": "ms",
        }
    ]


async def test_it_is_tried_again_after_growing_pauses_and_in_order(pager, posting, caplog):
    other_end, url = pager
    other_end.statuses = [500, 503, 429]
    here = await posting(url)
    for number in (1, 2, 3):
        here.webhook.put(change(number))
    await here.until(lambda: here.webhook.delivered == 3)
    assert [body["at"][17:19] for body in other_end.bodies] == ["01", "02", "03"]
    assert here.pauses == [1.0, 2.0, 4.0]
    assert here.webhook.figures() == {
        "configured": True, "delivered": 3, "waiting": 0, "retries": 3, "dropped": 0,
    }  # fmt: skip
    assert "HTTP 503" in caplog.text
    assert CANARY not in caplog.text


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 410])
async def test_a_refusal_that_stays_one_is_not_tried_again(pager, posting, status):
    other_end, url = pager
    other_end.statuses = [status]
    here = await posting(url)
    here.webhook.put(change())
    await here.until(lambda: here.webhook.dropped)
    assert (other_end.attempts, other_end.led_astray) == (1, 0)
    assert here.pauses == []
    # The next one is a new try.
    here.webhook.put(change())
    await here.until(lambda: here.webhook.delivered)


async def test_after_all_attempts_it_is_given_up_and_counted(pager, posting):
    other_end, url = pager
    other_end.statuses = [500] * ATTEMPTS
    here = await posting(url)
    here.webhook.put(change())
    await here.until(lambda: here.webhook.dropped)
    assert other_end.attempts == ATTEMPTS
    assert here.pauses == [1, 2, 4, 8, 16, 32, 60]


async def test_pauses_are_spread_by_chance():
    posting = Posting("https://hooks.example/")
    posting.webhook._chance = lambda: 0.0
    assert posting.webhook._pause(1) == 0.5
    assert posting.webhook._pause(30) == 30


async def test_nobody_there_is_tried_again(posting, caplog):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = await posting(f"http://127.0.0.1:{port}/{CANARY}")
    here.webhook.put(change())
    await here.until(lambda: here.webhook.dropped)
    assert here.webhook.retries == ATTEMPTS - 1
    assert "ClientConnectorError" in caplog.text
    assert CANARY not in caplog.text


async def test_one_that_hangs_costs_its_timeout_and_blocks_nobody(pager, posting):
    other_end, url = pager
    other_end.hang.clear()
    here = await posting(url, webhook_timeout=0.05)
    here.webhook.put(change())
    here.webhook.put(change(2))
    await here.until(lambda: here.webhook.retries)
    other_end.hang.set()
    await here.until(lambda: here.webhook.delivered == 2)


async def test_a_full_queue_gives_up_the_oldest(pager, posting):
    other_end, url = pager
    other_end.hang.clear()
    here = await posting(url, webhook_queue=2)
    here.webhook.put(change(0))
    await here.until(lambda: other_end.attempts)
    for number in (1, 2, 3, 4):
        here.webhook.put(change(number))
    assert here.webhook.dropped == 2
    other_end.hang.set()
    await here.until(lambda: here.webhook.delivered == 3)
    assert [body["at"][17:19] for body in other_end.bodies] == ["00", "03", "04"]


async def test_without_an_address_nothing_waits(posting):
    here = await posting(None)
    here.webhook.put(change())
    assert here.webhook.figures()["configured"] is False
    assert here.webhook.figures()["waiting"] == 0


async def test_an_address_that_is_reloaded_counts_from_the_next_attempt(pager, posting):
    other_end, url = pager
    here = await posting(f"{url}/nowhere")
    here.webhook.put(change())
    await here.until(lambda: here.webhook.dropped)
    here.settings = msgspec.structs.replace(here.settings, webhook_url=url)
    here.webhook.put(change())
    await here.until(lambda: here.webhook.delivered)
    assert len(other_end.bodies) == 1


async def test_what_is_put_before_the_start_is_posted_then(pager):
    _, url = pager
    here = Posting(url)
    here.webhook.put(change())
    assert here.webhook.figures()["waiting"] == 1
    here.webhook.start(asyncio.get_running_loop())
    await here.until(lambda: here.webhook.delivered)
    await here.webhook.close()


async def test_the_end_posts_what_it_can(pager):
    other_end, url = pager
    here = Posting(url)
    here.webhook.start(asyncio.get_running_loop())
    here.webhook.put(change(1))
    here.webhook.put(change(2))
    await here.webhook.close()
    assert len(other_end.bodies) == 2
    assert here.webhook.dropped == 0


async def test_the_end_does_not_wait_for_one_that_hangs(pager, monkeypatch, caplog):
    other_end, url = pager
    other_end.hang.clear()
    monkeypatch.setattr(alert_webhook, "FLUSH", 0.05)
    here = Posting(url)
    here.webhook.start(asyncio.get_running_loop())
    here.webhook.put(change(1))
    here.webhook.put(change(2))
    await here.until(lambda: other_end.attempts)
    async with asyncio.timeout(2):
        await here.webhook.close()
    assert here.webhook.dropped == 2
    assert "1 alerts could not be posted" in caplog.text
    other_end.hang.set()


async def test_details_are_posted_with_it(pager, posting):
    other_end, url = pager
    here = await posting(url)
    here.webhook.put(AlertChange("x", Level.OK, Level.CRITICAL, 0.0, details={"n": [1, {"a": None}]}))
    await here.until(lambda: here.webhook.delivered)
    assert other_end.bodies[0]["details"] == {"n": [1, {"a": None}]}
